"""The registry of the world-cities experiment: tasks, pairs, models, evaluations. Everything else derives from here.

The numbers of tasks and pairs are part of published names (`ftwb1-3`, `ftwb2-8`), so their order never changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

TaskName = Literal["distance", "trianglearea", "angle", "compass", "inside", "perimeter", "crossing"]
Kind = Literal["error", "accuracy"]


@dataclass(frozen=True, slots=True)
class GeometricTask:
    """One of the seven questions about cities."""

    number: int
    """1 to 7: the k of `ftwb1-k`."""
    name: TaskName
    text_name: str
    """What stands before the bracket in a row's text."""
    kind: Kind
    """Whether a row's value is an absolute error (lower is better) or right or wrong (higher is better)."""
    failure_value: float
    """The value of an answer that cannot be read: the largest error there can be, or 0 for right or wrong."""
    separator: str = ","
    """What stands after the first city."""


TASKS: dict[str, GeometricTask] = {
    task.name: task
    for task in (
        GeometricTask(1, "distance", "dist", "error", math.hypot(3600, 1800)),
        GeometricTask(2, "trianglearea", "triarea", "error", 3_240_000.0),
        GeometricTask(3, "angle", "angle", "error", 180.0),
        GeometricTask(4, "compass", "compass", "accuracy", 0.0),
        GeometricTask(5, "inside", "inside", "accuracy", 0.0, separator=";"),
        GeometricTask(6, "perimeter", "perimeter", "error", 20_000.0),
        GeometricTask(7, "crossing", "cross", "accuracy", 0.0),
    )
}
"""By name, in the canonical order."""

TASK_NAMES: tuple[TaskName, ...] = tuple(task.name for task in TASKS.values())


def _pairs() -> dict[int, tuple[TaskName, TaskName]]:
    """The pair of every `ftwb2-k`: steps around the circle of the seven tasks.

    1-7 walk through neighbours, (1,2) (3,4) (5,6) (7,1) …; 8-14 are tasks two apart; 15-21 tasks three apart.
    """
    size = len(TASK_NAMES)
    starts = [(2 * step, 1) for step in range(size)] + [(step, apart) for apart in (2, 3) for step in range(size)]
    return {
        number: (TASK_NAMES[first % size], TASK_NAMES[(first + apart) % size])
        for number, (first, apart) in enumerate(starts, start=1)
    }


PAIRS: dict[int, tuple[TaskName, TaskName]] = _pairs()
"""The two tasks of `ftwb2-k`, by k."""

_REVERSED_FOR_EXTRACTION = frozenset({8, 9, 12, 13, 15, 16, 19, 21})
"""Pairs whose published extractions ask the second task: their generator listed them the other way round."""

EXTRACTION_TASKS: dict[int, TaskName] = {
    number: second if number in _REVERSED_FOR_EXTRACTION else first for number, (first, second) in PAIRS.items()
}
"""The task whose prompts the hidden states of `ftwb2-k` are read from, by k."""


MIXTURES: dict[str, tuple[TaskName, ...]] = {
    **{f"ftwb1-{number}": (name,) for number, name in enumerate(TASK_NAMES, start=1)},
    **{f"ftwb2-{number}": pair for number, pair in PAIRS.items()},
}
"""The data sets that models are fine-tuned on, with the tasks each one trains."""


def mixture_name(tasks: Iterable[str]) -> str:
    """The data set that a model fine-tuned on one or two tasks learned from: `ftwb1-k` or `ftwb2-k`.

    Raises:
        KeyError: neither one task nor a pair of two.
    """
    wanted = set(tasks)
    found = next((name for name, trained in MIXTURES.items() if set(trained) == wanted), None)
    if found is None:
        raise KeyError(f"no mixture trains {sorted(wanted)}")
    return found


def extraction_task(tasks: Iterable[str]) -> TaskName:
    """The task whose prompts a model's hidden states are read from, by the tasks that it was trained on last.

    A model of all tasks, or of none known, is asked distance, the first one.
    """
    wanted = frozenset(tasks)
    if len(wanted) == 1:
        return TASKS[next(iter(wanted))].name
    pairs = (EXTRACTION_TASKS[number] for number, pair in PAIRS.items() if frozenset(pair) == wanted)
    return next(pairs, TASK_NAMES[0])


ATLANTIS_PREFIX = "atlantis_"
MULTI_TASK = "multi_task"


def evaluation_names(tasks: Iterable[str] = TASK_NAMES) -> tuple[str, ...]:
    """The evaluations of a model, which are names of data sets: each task on Atlantis, each on ordinary cities, and
    the mixture of all. 15 for seven tasks."""
    names = tuple(tasks)
    return (*(ATLANTIS_PREFIX + name for name in names), *names, MULTI_TASK)
