"""The table of kind `best`: the best arm of each side, chosen on one half of the prompts and measured on the other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from labkit.report.comparison.pairs import (
    Matched,
    able,
    adjusted,
    adjusted_note,
    difference_cells,
    of_ks,
    rate_cells,
    rate_of,
    values_at,
    with_bounds,
)
from labkit.report.comparison.sentences import verdict
from labkit.report.comparison.sides import Sides
from labkit.report.counting import ArmCounts
from labkit.report.table import Cell, Table
from labkit.stats import cross_fitted_best

_HALVES = ("num_first_half", "num_second_half")
_RATES = ("pass_a", "pass_b", "difference", "flattering")
_COLUMNS = with_bounds(["k", "arm_a", "arm_b", *_RATES, "p", "p_holm", "test", "mde", "num_prompts", *_HALVES], _RATES)
_EXPENDABLE = [
    *_HALVES,
    "test",
    "num_prompts",
    "p",
    "pass_b_low",
    "pass_a_low",
    "flattering_low",
    "mde",
    "pass_a",
    "pass_b",
    "flattering",
]


def in_first_half(prompts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(P,) one half of the prompts by a hash of their ids: the same prompt is in the same half of every comparison."""
    return np.array([hashlib.blake2b(prompt.encode(), digest_size=1).digest()[0] % 2 == 0 for prompt in prompts])


def best_table(sides: Sides, best: Sequence[Matched], shown: Sequence[int] = ()) -> Table:
    """Best against best at every k, cross-fitted, with the difference that choosing on the same prompts would give.

    No rows where one half has no prompts.

    Args:
        best: of every k that the p-values are adjusted for
        shown: the ks that get a row; none is all
    """
    first = in_first_half(sides.prompts)
    num_first = int(first.sum())
    title = (
        f"A against B: the best arm of each, chosen on one half of {len(sides.prompts)} prompts, measured on the other"
    )
    if num_first in (0, first.size):
        why = f"the {first.size} prompts fall into one half, so none is left to measure on; more prompts are needed"
        return Table("best", title, _COLUMNS, [], [why], _EXPENDABLE)
    rows = adjusted([_row(sides, found, first) for found in best])
    how = "; interval and p allow for the choice" if any(len(side.arms) > 1 for side in sides.both) else ""
    notes = [
        verdict(rows, "k"),
        f"chosen on {num_first} prompts and measured on the other {first.size - num_first}, then the other way round{how}; "
        "two arms are named where the halves chose differently; flattering: the difference when all prompts choose and measure",
        adjusted_note(rows),
    ]
    return Table("best", title, _COLUMNS, of_ks(rows, shown), notes, _EXPENDABLE)


def _row(sides: Sides, same: Matched, first: npt.NDArray[np.bool_]) -> dict[str, Cell]:
    k, chosen, name = same.k, same.difference, "flattering"
    arms_a, arms_b = able(sides.a, k), able(sides.b, k)
    values_a, values_b = ([values_at(arm, k) for arm in arms] for arms in (arms_a, arms_b))
    found = cross_fitted_best(values_a, values_b, first)
    return {
        "k": k,
        "arm_a": _names(arms_a, found.chosen_a),
        "arm_b": _names(arms_b, found.chosen_b),
        **rate_cells("pass_a", rate_of(found.values_a, _num_rollouts(arms_a, found.chosen_a), k)),
        **rate_cells("pass_b", rate_of(found.values_b, _num_rollouts(arms_b, found.chosen_b), k)),
        **{name: chosen.value, f"{name}_low": chosen.low, f"{name}_high": chosen.high},
        **difference_cells(found.difference),
        **dict(zip(_HALVES, (int(first.sum()), int((~first).sum())), strict=True)),
    }


def _names(arms: Sequence[ArmCounts], chosen: tuple[int, int]) -> str:
    """One key, or both with what they share said once: `temperature=1 / 0.7`."""
    first, second = (arms[number].arm.key for number in chosen)
    if first == second:
        return first
    shared = "" if "," in first + second else f"{first.partition('=')[0]}="
    return f"{first} / {second.removeprefix(shared)}"


def _num_rollouts(arms: Sequence[ArmCounts], chosen: tuple[int, int]) -> float:
    return float(np.mean([arms[number].num_rollouts.sum() for number in chosen]))
