"""Runs on disk for tests, written by the record's own writers from strings that say how each rollout came out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labkit.record.identity import Arm, components_hash, draw_seed
from labkit.record.rows import Rollout, RowWriter, Verdict, VerdictWriter
from labkit.record.run import Ask, Run, create_run

GREEDY = Arm("greedy")
WARM = Arm("temperature", 0.4)
NOISY = Arm("perturbation", 0.001)

BASE = {"model": "abc", "task": "countdown"}
SCORE = {"scorer": "exact-1"}

Outcomes = Mapping[Arm, Sequence[str]]
"""For each arm one string a prompt, one letter a rollout: `+` correct, `-` wrong, `l` wrong and cut at the limit,
`e` an error, `?` not scored yet, `.` not there yet."""


def record_run(
    runs_dir: Path,
    outcomes: Outcomes,
    *,
    seed: int = 42,
    done: bool = True,
    base: Mapping[str, Any] = BASE,
    score: Mapping[str, Any] = SCORE,
    command: str = "sample",
    slug: str = "tiny",
    result: Mapping[str, Any] | None = None,
    **manifest: Any,
) -> Run:
    """Make a run with these rollouts; `done` writes its result."""
    run = new_run(runs_dir, outcomes, seed=seed, base=base, score=score, command=command, slug=slug, **manifest)
    write_rows(run, outcomes, seed=seed)
    if done:
        run.finish(result or {"arms": []}, owed=0, num_asked=run.ask().num_rollouts)
    return run


def new_run(
    runs_dir: Path, outcomes: Outcomes, *, seed: int, base: Mapping[str, Any], score: Mapping[str, Any],
    command: str = "sample", slug: str = "tiny", **manifest: Any,
) -> Run:  # fmt: skip
    """Make a run that has asked for these rollouts and has none of them."""
    num_prompts = max((len(strings) for strings in outcomes.values()), default=0)
    ask = Ask(num_prompts, tuple((arm, max(map(len, strings))) for arm, strings in outcomes.items()))
    standard = {
        "name": None,
        "seed": seed,
        "config": {"command": command, "seed": seed, "model": {"id": "tiny"}, "task": {"name": "countdown"}},
        "origins": {"seed": "flag", "model.id": "default"},
        "base": dict(base),
        "base_hash": components_hash(base),
        "score": dict(score),
        "score_hash": components_hash(score),
        "ask": ask.as_json(),
        "engine": {"name": "torch", "version": "2.13.0"},
        "provenance": {"argv": ["labkit", command], "packages": {"torch": "2.13.0"}, "python": "3.12.1"},
    }
    prompts = [{"id": f"p{number}"} for number in range(num_prompts)]
    return create_run(
        runs_dir, command=command, slug=slug, manifest=standard | manifest, config_yaml="", prompts=prompts
    )


def write_rows(run: Run, outcomes: Outcomes, *, seed: int = 42, attempt: int = 1) -> None:
    """Append rollouts and verdicts as one segment."""
    rows, verdicts = RowWriter(run.rows_dir, attempt), VerdictWriter(run.scores_path(run.score_hash))
    for arm, strings in outcomes.items():
        for number, letters in enumerate(strings):
            for index, letter in enumerate(letters):
                if letter == ".":
                    continue
                row = _rollout(arm, f"p{number}", index, letter, seed, attempt)
                rows.append([row])
                if letter != "?":
                    correct = letter == "+"
                    verdicts.append(
                        [Verdict(row.prompt, row.arm, index, attempt, correct, float(correct), None, "last")]
                    )
    rows.close()
    verdicts.close()


def _rollout(arm: Arm, prompt: str, index: int, letter: str, seed: int, attempt: int) -> Rollout:
    draw = {
        "greedy": None,
        "temperature": draw_seed(seed, "rollout", prompt, index),
        "perturbation": draw_seed(seed, "member", index),
    }[arm.method]
    reason = {"e": "error", "l": "length"}.get(letter, "stop")
    error = "engine fell over" if letter == "e" else None
    return Rollout(
        prompt, arm.key, index, attempt, draw, "text", reason, 5, 0 if error else 10 + index, 0.1, error=error
    )


def record_training(
    runs_dir: Path,
    *,
    metrics: Sequence[Mapping[str, object]],
    result: Mapping[str, object] | None = None,
    done: bool = True,
) -> Run:
    """A training run with these lines of metrics."""
    run = record_run(runs_dir, {}, command="train", done=False, config={"model": {"id": "tiny"}})
    run.metrics_path.write_text("".join(json.dumps(line) + "\n" for line in metrics))
    if done:
        run.finish(result or {}, owed=0, num_asked=0)
    return run
