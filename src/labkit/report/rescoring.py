"""The table of kind `rescored`: what scoring a run again has changed, one row an arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from labkit.record.identity import describe_difference
from labkit.record.run import Run
from labkit.report.prompt_means import mean_by_prompt
from labkit.report.table import Cell, Table
from labkit.rollouts.rescore import Rescoring
from labkit.tasks.base import Prompt

_COLUMNS = (
    *("run", "arm", "num_prompts", "num_rollouts", "before", "before_low", "before_high"),
    *("after", "after_low", "after_high", "now_right", "now_wrong", "otherwise_changed"),
    *("num_new", "new", "new_low", "new_high"),
)
_MOST_EXAMPLES = 5
_MOST_WORDS = 8


def rescored_table(run: Run, found: Rescoring) -> Table:
    """Mean accuracy of every arm before and after, both over the rollouts that had a verdict, with 95 % intervals over
    prompts; rollouts that had none are `num_new`, and their accuracy `new`."""
    rows = [_row(run, arm, frame) for (arm,), frame in found.frame.sort("arm").group_by("arm", maintain_order=True)]
    notes = [*_what_changed(found), *found.notes]
    if found.num_left_out:
        notes.append(f"{found.num_left_out} prompts of the run have no gold in these data and are left out")
    notes += [_example(row, found.prompts) for row in _examples(found)]
    return Table(
        "rescored",
        f"scored again, {run.id}",
        _COLUMNS,
        rows,
        notes,
        ["run", "num_prompts", "num_rollouts", "otherwise_changed", "new", "num_new"],
    )


def _row(run: Run, arm: Any, frame: pl.DataFrame) -> dict[str, Cell]:
    scored = frame.filter(pl.col("correct_before").is_not_null())
    return {
        "run": run.id,
        "arm": arm,
        "num_prompts": scored["prompt"].n_unique(),
        "num_rollouts": scored.height,
        "num_new": frame.height - scored.height,
        **mean_by_prompt("new", frame.filter(pl.col("correct_before").is_null()), "correct"),
        **mean_by_prompt("before", scored, "correct_before"),
        **mean_by_prompt("after", scored, "correct"),
        "now_right": _count(scored, pl.col("correct") & ~pl.col("correct_before")),
        "now_wrong": _count(scored, ~pl.col("correct") & pl.col("correct_before")),
        "otherwise_changed": _count(scored, _otherwise_changed()),
    }


def _otherwise_changed() -> pl.Expr:
    """As right or as wrong as before, with another answer, rule, reward or value."""
    others = [~pl.col(name).eq_missing(pl.col(f"{name}_before")) for name in ("reward", "answer", "rule", "value")]
    return (pl.col("correct") == pl.col("correct_before")) & pl.any_horizontal(others)


def _count(frame: pl.DataFrame, condition: pl.Expr) -> int:
    return frame.filter(condition).height


def _what_changed(found: Rescoring) -> list[str]:
    if difference := describe_difference(found.score_before, found.score):
        lines = [f"other rules or golds (before | now): {line}" for line in difference.splitlines()]
    else:
        lines = ["scorer and golds are the same as before"]
    new = found.frame["correct_before"].null_count()
    return lines + ([f"{new} rollouts had no verdict before, and are in neither figure"] if new else [])


def _examples(found: Rescoring) -> list[dict[str, Any]]:
    """Some verdicts that turned, of both directions where there are both."""
    turned = found.frame.filter(pl.col("correct") != pl.col("correct_before")).sort("prompt", "arm", "index")
    right, wrong = turned.filter("correct").to_dicts(), turned.filter(~pl.col("correct")).to_dicts()
    first = right[: max(_MOST_EXAMPLES - len(wrong), (_MOST_EXAMPLES + 1) // 2)]
    return first + wrong[: _MOST_EXAMPLES - len(first)]


def _example(row: dict[str, Any], prompts: Mapping[str, Prompt]) -> str:
    words = {True: "right", False: "wrong"}
    before = f"{words[row['correct_before']]} ({row['rule_before']}: {_shown(row['answer_before'])})"
    after = f"{words[row['correct']]} ({row['rule']}: {_shown(row['answer'])})"
    return f"{_asked(row['prompt'], prompts)}, {row['arm']}, candidate {row['index']}: {before} before, {after} now"


def _asked(name: str, prompts: Mapping[str, Prompt]) -> str:
    """The first words of a prompt's question and its gold; its id where there are no words."""
    prompt = prompts.get(name)
    words = str(prompt.messages[-1]["content"]).split() if prompt is not None and prompt.messages else []
    if prompt is None or not words:
        return f"prompt {name}"
    gold = prompt.gold.get("answer")
    shown = repr(" ".join(words[:_MOST_WORDS]) + " …" * (len(words) > _MOST_WORDS))
    return shown + (f" (gold {str(gold)[:40]})" if gold is not None else "")


def _shown(answer: str | None) -> str:
    return "no answer" if answer is None else repr(answer[:40])
