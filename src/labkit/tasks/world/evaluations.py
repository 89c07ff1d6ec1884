"""From verdicts to the figures of each evaluation: the mean of its task's metric, and how much could be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.config.base import stable_digest
from labkit.config.world import TASK_NAMES, TASKS
from labkit.stats import student_mean, wilson_mean
from labkit.tasks.base import Prompt, Summary

LEAST_PARSED = 0.99
"""A parse rate below this is worth a warning."""
LEAST_PERFECT = 100
"""A perfect metric over so many rows is worth one too."""

_PLACES = {"evaluation": pl.String, "task": pl.String, "row": pl.Int64, "prompt": pl.String}


def summarise(evaluations: Mapping[str, str], prompts: Sequence[Prompt], verdicts: pl.DataFrame) -> Summary:
    """The figures of every evaluation and task in it, in the order of `evaluations` and of the tasks.

    Each row of an evaluation counts once, wherever else its question stands. Rows are the sampling unit of the
    intervals: several rollouts of a row are first averaged.

    Args:
        evaluations: by name what the rows of each are drawn from: a hash of its data set and the split
        prompts: with their places in `source` and their task in `gold`
        verdicts: one row a rollout, with `prompt`, `value` and `answer`
    """
    read = verdicts.select("prompt", "value", parsed=pl.col("answer").is_not_null())
    counted = _places(prompts).join(read, on="prompt", how="inner")
    groups = counted.partition_by("evaluation", "task", as_dict=True)
    figures = [
        {"evaluation": evaluation, "task": task, "asked": _asked(data, groups[evaluation, task])}
        | _figures(task, groups[evaluation, task])
        for evaluation, data in evaluations.items()
        for task in TASK_NAMES
        if (evaluation, task) in groups
    ]
    return Summary(figures, list(_warnings(figures)))


def _places(prompts: Sequence[Prompt]) -> pl.DataFrame:
    """One row for each row of each evaluation."""
    places = [
        (evaluation, prompt.gold["task"], row, name)
        for prompt, name in ((prompt, prompt.id) for prompt in prompts)
        for evaluation, rows in prompt.source["evaluations"].items()
        for row in rows
    ]
    return pl.DataFrame(places, schema=_PLACES, orient="row")


def _asked(data: str, counted: pl.DataFrame) -> str:
    """A hash of which rows of which data set a figure is about: figures are compared only where it is the same."""
    return stable_digest([data, counted["row"].unique().sort().to_list()])


def _figures(task: str, counted: pl.DataFrame) -> dict[str, Any]:
    """The figures of one task in one evaluation."""
    about = TASKS[task]
    # An error of the engine has no value: it is an answer that cannot be read, too.
    counted = counted.with_columns(pl.col("value").fill_null(about.failure_value))
    by_row = counted.group_by("row", maintain_order=True).agg(pl.col("value").mean(), pl.col("parsed").mean())
    values, means = counted["value"].to_numpy(), by_row["value"].to_numpy()
    interval = student_mean(means, least=0.0) if about.kind == "error" else _rate_interval(means, len(values))
    low, high = interval or (None, None)
    parse_low, parse_high = _rate_interval(by_row["parsed"].to_numpy(), len(values))
    readable = counted.filter("parsed")["value"]
    return {
        "kind": about.kind,
        "num_rows": len(means),
        "num_rollouts": len(values),
        "mean": float(values.mean()),
        "mean_low": low,
        "mean_high": high,
        "median": float(np.median(values)),
        "std": float(means.std()),
        "min": float(values.min()),
        "max": float(values.max()),
        "parse_rate": readable.len() / len(values),
        "parse_rate_low": parse_low,
        "parse_rate_high": parse_high,
        "mean_parsed": readable.mean(),
    }


def _rate_interval(by_row: npt.NDArray[np.float64], num_rollouts: int) -> tuple[float, float]:
    """Wilson's interval of a rate; where rows have several rollouts, that of the mean of their rates."""
    return wilson_mean(by_row, num_trials=float(num_rollouts))


def _warnings(figures: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    unread = [f"{_name(each)} {each['parse_rate']:.3f}" for each in figures if each["parse_rate"] < LEAST_PARSED]
    if unread:
        yield f"answers that cannot be read count as failures; parse rate below {LEAST_PARSED}: {', '.join(unread)}"
    perfect = [_name(each) for each in figures if _is_perfect(each)]
    if perfect:
        yield f"suspiciously perfect, is the answer in the prompt? {', '.join(perfect)}"


def _is_perfect(figure: Mapping[str, Any]) -> bool:
    best = 0.0 if figure["kind"] == "error" else 1.0
    return bool(figure["num_rollouts"] >= LEAST_PERFECT and figure["mean"] == best)


def _name(figure: Mapping[str, Any]) -> str:
    """The evaluation, with its task where the name does not end in it."""
    evaluation, task = figure["evaluation"], figure["task"]
    return str(evaluation) if evaluation.endswith(task) else f"{evaluation} ({task})"
