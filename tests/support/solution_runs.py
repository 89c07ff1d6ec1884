"""Finished evaluations with solutions of known worth, for whatever ranks them or learns from them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recorded_runs import BASE, SCORE, new_run

from labkit.record.files import json_line
from labkit.record.identity import Arm, draw_seed
from labkit.record.rows import Rollout, RowWriter, Verdict, VerdictWriter
from labkit.record.run import Run
from labkit.tasks.base import Prompt
from labkit.tasks.gsm8k.task import PRESETS

WARM = Arm("temperature", 0.7, top_p=0.9)

Solutions = Mapping[str, Sequence[tuple[str, bool]]]
"""For each question its solutions, with whether they are right."""


def record_solutions(
    runs_dir: Path, solutions: Solutions, *, name: str | None = None, preset: str = "plain", done: bool = True,
    task: str = "gsm8k", split: str = "train", data: str | None = None,
) -> Run:  # fmt: skip
    """An evaluation in which every question has the same number of solutions."""
    counts = {len(each) for each in solutions.values()}
    outcomes = {WARM: ["." * max(counts)] * len(solutions)}
    config = {"command": "eval", "seed": 42, "task": {"name": task, "preset": preset, "split": split, "data": data}}
    run = new_run(
        runs_dir,
        outcomes,
        seed=42,
        base=BASE,
        score=SCORE,
        command="eval",
        slug=name or "tiny",
        name=name,
        config=config,
    )
    turns = [{"role": "user", "content": PRESETS[preset].replace("{question}", each)} for each in solutions]
    prompts = [Prompt((turn,), gold={"answer": "1"}) for turn in turns]
    run.prompts_path.write_bytes(b"".join(json_line(prompt.as_json()) for prompt in prompts))
    rows, verdicts = RowWriter(run.rows_dir, 1), VerdictWriter(run.scores_path(run.score_hash))
    for prompt, written in zip(prompts, solutions.values(), strict=True):
        rows.append(_rollout(prompt.id, index, text) for index, (text, _) in enumerate(written))
        verdicts.append(_verdict(prompt.id, index, right) for index, (_, right) in enumerate(written))
    rows.close()
    verdicts.close()
    if done:
        run.finish({"arms": []}, owed=0, num_asked=run.ask().num_rollouts)
    return run


def separable(num_questions: int, *, num_solutions: int = 4, seed: int = 0) -> dict[str, list[tuple[str, bool]]]:
    """Questions whose right solutions add and whose wrong ones subtract, with numbers that say nothing."""
    draw = random.Random(seed)
    found: dict[str, list[tuple[str, bool]]] = {}
    while len(found) < num_questions:
        question = f"{draw.randrange(100)} + {draw.randrange(100)} + {draw.randrange(100)} ="
        num_right = draw.randrange(1, num_solutions)
        written = [(_solution(draw, at < num_right), at < num_right) for at in range(num_solutions)]
        draw.shuffle(written)
        found[question] = written
    return found


def _solution(draw: random.Random, right: bool) -> str:
    words = [str(draw.randrange(100)) for _ in range(draw.randrange(3, 9))]
    return f" {'+' if right else '-'} ".join(words)


def _rollout(prompt: str, index: int, text: str) -> Rollout:
    seed = draw_seed(42, "rollout", prompt, index)
    return Rollout(prompt, WARM.key, index, 1, seed, text, "stop", 5, 10, 0.1)


def _verdict(prompt: str, index: int, right: bool) -> Verdict:
    return Verdict(prompt, WARM.key, index, 1, right, float(right), None, "last")


def scores_of(run: Run, name: str) -> dict[tuple[Any, ...], float | None]:
    """The scores of a ranking by prompt and index."""
    from labkit.record.rankings import read_rankings

    (ranking,) = [each for each in read_rankings(run) if each.name == name]
    return {(row["prompt"], row["index"]): row["score"] for row in ranking.frame.iter_rows(named=True)}
