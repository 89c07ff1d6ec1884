"""What a data set of one task asks: its settings, when two rows ask the same, and how many questions a world has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from labkit.config.world import TaskName
from labkit.errors import InputError
from labkit.tasks.world.draws import Hashes, Integers, row_hashes

ABSENT = -1
"""Stands in a table of ids where a row has fewer cities than the longest."""

HELD_OUT = ("test", "validation")
"""The splits that no training row may touch, in the order in which they choose."""

_NUM_CITIES = {"distance": 2, "compass": 2, "trianglearea": 3, "angle": 3, "crossing": 4}
_LABELLED = ("inside", "crossing")
_ROLES = {"angle": 3, "crossing": 3}
"""Questions about one set of cities: who is in the middle, who is paired with whom. `inside` has one for each city."""


@dataclass(frozen=True, slots=True)
class SampleSettings:
    """What a data set of one task is to be like."""

    name: str
    """The data set, which the draws depend on."""
    task: TaskName
    sizes: Mapping[str, int]
    """Rows of each split."""
    seed: int
    num_cities: tuple[int, int]
    """Fewest and most cities of a row; see `row_sizes`."""
    true_ratio: float | None = None
    """Part of the rows whose answer is TRUE; None leaves the answers to chance."""
    overlap: Literal["exclude", "count"] = "exclude"
    """`exclude` keeps the questions of the splits apart, and those of test and validation from repeating."""


def row_sizes(task: TaskName, hull_sizes: tuple[int, int], perimeter_sizes: tuple[int, int]) -> tuple[int, int]:
    """Fewest and most cities that a row of a task names; `inside` has one beside its hull."""
    if task == "inside":
        return hull_sizes[0] + 1, hull_sizes[1] + 1
    return perimeter_sizes if task == "perimeter" else (_NUM_CITIES[task],) * 2


def is_labelled(task: TaskName) -> bool:
    """Whether a task's answers are TRUE and FALSE, which a data set holds in a given ratio."""
    return task in _LABELLED


def question_keys(task: TaskName, ids: Integers) -> Hashes:
    """A key for each row of (R, C) ids that two rows share exactly when they ask the same question.

    distance, compass, trianglearea and perimeter: the set of cities. angle: the city in the middle and the set of the
    other two. inside: the first city and the set of the others. crossing: the set of the two segments, each a set.
    Rows that share a key share the answer, or nearly: compass turns around with the order, and perimeter depends on it.
    """
    if task == "angle":
        parts = [ids[:, 1:2], np.sort(ids[:, [0, 2]], axis=1)]
    elif task == "inside":
        parts = [ids[:, :1], np.sort(ids[:, 1:], axis=1)]
    elif task == "crossing":
        parts = [_sorted_segments(ids)]
    else:
        parts = [np.sort(ids, axis=1)]
    return row_hashes(np.concatenate(parts, axis=1))


def num_questions(task: TaskName, num_cities: int, num_forced: int, size: int) -> int:
    """Different questions about `size` of `num_cities` cities, as `question_keys` tells them apart.

    Args:
        num_forced: count only questions that ask about one of so many of the cities; 0 counts all
    """
    sets = math.comb(num_cities, size) - (math.comb(num_cities - num_forced, size) if num_forced else 0)
    return sets * (size if task == "inside" else _ROLES.get(task, 1))


def check_room(settings: SampleSettings, num_cities: int, num_forced: int) -> None:
    """Refuse settings that a number of cities cannot meet.

    Args:
        num_forced: cities one of which stands in every row; 0 forces none

    Raises:
        InputError: there are fewer cities than a row names, or test and validation would take more than half of all the
            questions that can be asked.
    """
    fewest, most = settings.num_cities
    if num_cities < most:
        raise InputError(
            f"a row of {settings.name} names {most} cities; there are {num_cities}", "raise cities.num_cities"
        )
    if settings.overlap != "exclude":
        return
    num_sizes = most - fewest + 1
    num_held = sum(settings.sizes.get(split, 0) for split in HELD_OUT)
    for size in range(fewest, most + 1):
        room = num_questions(settings.task, num_cities, num_forced, size) // 2
        if num_held > room * num_sizes:
            raise InputError(
                f"test and validation of {settings.name} ask for {num_held:,} questions, which is more than half of "
                f"those that {num_cities} cities have",
                f"at most {room * num_sizes:,} fit; or set overlap: count, which lets splits share questions",
            )


def _sorted_segments(ids: Integers) -> Integers:
    first, second = np.sort(ids[:, :2], axis=1), np.sort(ids[:, 2:], axis=1)
    swapped = (first[:, 0] > second[:, 0])[:, None]
    return np.concatenate([np.where(swapped, second, first), np.where(swapped, first, second)], axis=1)
