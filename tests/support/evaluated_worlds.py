"""Eval runs over the world task, as on disk: base models, and what was fine-tuned from them, with the means one says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recorded_runs import BASE, GREEDY, record_run

from labkit.config.world import ATLANTIS_PREFIX, MIXTURES, TASK_NAMES, TASKS
from labkit.record.identity import Arm
from labkit.record.run import Ask, Run

Means = Mapping[str, float]
"""The mean of each evaluation, by its name."""

BASE_STEP, TUNED_STEP = 1000, 300


def training(name: str, *, seed: int | None, tasks: Sequence[str], data: str, step: int = TUNED_STEP) -> dict[str, Any]:
    """One entry of a lineage; run and weights follow from the name."""
    return {
        "run": f"20260101T000000000Z-{name}-000000", "name": name, "seed": seed, "data": data, "cities": "cities",
        "tasks": list(tasks), "step": step, "weights": f"weights-of-{name}-{step}",
    }  # fmt: skip


def base_lineage(seed: int = 1) -> list[dict[str, Any]]:
    """A model of all tasks."""
    return [training(f"pt1-seed{seed}", seed=seed, tasks=TASK_NAMES, data="multi_task", step=BASE_STEP)]


def tuned_lineage(mixture: str, seed: int = 1) -> list[dict[str, Any]]:
    """A model that was fine-tuned on a mixture."""
    name = f"pt1-seed{seed}-{mixture}"
    return [*base_lineage(seed), training(name, seed=seed, tasks=MIXTURES[mixture], data=mixture)]


def evaluation(name: str, task: str, mean: float, *, num_rows: int = 100, data: str = "w") -> dict[str, Any]:
    """One entry of a result's `evaluations`."""
    kind = TASKS[task].kind
    std = (mean * (1 - mean)) ** 0.5 if kind == "accuracy" else mean
    half = 2 * std / (num_rows - 1) ** 0.5
    return {
        "evaluation": name, "task": task, "asked": f"{num_rows} rows of {name} of {data}", "kind": kind, "num_rows": num_rows,
        "num_rollouts": num_rows, "mean": mean, "mean_low": mean - half, "mean_high": mean + half, "median": mean,
        "std": std, "min": 0.0, "max": 2 * mean, "parse_rate": 1.0,
        "parse_rate_low": 0.96, "parse_rate_high": 1.0, "mean_parsed": mean,
    }  # fmt: skip


def record_evaluations(
    runs_dir: Path,
    lineage: Sequence[Mapping[str, Any]],
    means: Means,
    *,
    num_rows: int = 100,
    task: Mapping[str, Any] | None = None,
    checkpoint: str = "final",
    arm: Arm = GREEDY,
    max_new_tokens: int = 30,
    data: str = "w",
    done: bool = True,
) -> Run:
    """An eval run of the last model of a lineage."""
    entries = [
        evaluation(name, name.removeprefix(ATLANTIS_PREFIX), mean, num_rows=num_rows, data=data)
        for name, mean in means.items()
    ]
    asked = {"name": "world", "data": "data/world", "split": "test", "offset": 0, "num_prompts": None}
    config = {"command": "eval", "model": {"id": f"run:{lineage[-1]['name']}"}, "task": asked | dict(task or {})}
    return record_run(
        runs_dir, {}, command="eval", base=BASE | {"max_new_tokens": max_new_tokens}, slug=str(lineage[-1]["name"]),
        done=done, config=config,
        lineage=list(lineage), checkpoint=checkpoint, ask=Ask(0, ((arm, 1),)).as_json(),
        result={"arms": [], "evaluations": entries},
    )  # fmt: skip


def standard_means(tasks: Sequence[str] = TASK_NAMES) -> dict[str, float]:
    """A base that is ten times worse, or half as often right, on Atlantis as on ordinary cities."""
    found = {}
    for task in tasks:
        error = TASKS[task].kind == "error"
        found[ATLANTIS_PREFIX + task] = 1000.0 if error else 0.45
        found[task] = 100.0 if error else 0.9
    return found


def raw_mean(task: str, improvement: float) -> float:
    """The mean on Atlantis that is this normalised improvement over a base of `standard_means`."""
    if TASKS[task].kind == "error":
        return float(1000.0 / 10**improvement)
    return 0.45 + 0.45 * improvement


def record_experiment(
    runs_dir: Path,
    improvement: Callable[[int, str, str], float],
    *,
    seeds: Sequence[int] = (1,),
    mixtures: Sequence[str] = tuple(MIXTURES),
    num_rows: int = 100,
) -> list[Run]:
    """The base of every seed and its fine-tuned models, with the improvements of (seed, mixture, task)."""
    runs = []
    for seed in seeds:
        runs.append(record_evaluations(runs_dir, base_lineage(seed), standard_means(), num_rows=num_rows))
        for mixture in mixtures:
            means = standard_means() | {
                ATLANTIS_PREFIX + task: raw_mean(task, improvement(seed, mixture, task)) for task in TASK_NAMES
            }
            runs.append(record_evaluations(runs_dir, tuned_lineage(mixture, seed), means, num_rows=num_rows))
    return runs
