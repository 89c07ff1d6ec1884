"""Which arm of a side stands for it, and how two arms do on the same prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from labkit.report.comparison.sides import Side, Sides
from labkit.report.counting import ArmCounts
from labkit.report.table import Cell, number
from labkit.stats import PairedDifference, Rate, holm, paired_difference, pass_at_k, wilson_mean
from labkit.stats.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class Pair:
    """An arm of each side."""

    a: ArmCounts
    b: ArmCounts

    def at(self, k: int) -> Matched:
        """The two against each other in k rollouts each."""
        a, b = values_at(self.a, k), values_at(self.b, k)
        return Matched(k, self, a, b, a_minus_b(a, b))


@dataclass(frozen=True, slots=True)
class Matched:
    """A pair at one k."""

    k: int
    pair: Pair
    a: FloatArray
    """(P,) pass@k of every prompt"""
    b: FloatArray
    """(P,)"""
    difference: PairedDifference
    """a - b"""


def values_at(arm: ArmCounts, k: int) -> FloatArray:
    """(P,) pass@k of every prompt."""
    return np.asarray(pass_at_k(arm.num_rollouts, arm.num_correct, k))


def able(side: Side, k: int) -> list[ArmCounts]:
    """The arms that have k rollouts of every prompt."""
    return [arm for arm in side.arms if arm.least >= k]


def best_pairs(sides: Sides, ks: Sequence[int]) -> list[Matched]:
    """For every k the arm of each side with the highest mean pass@k over all prompts, the first of equal ones."""
    return [_best_pair(sides, k).at(k) for k in ks]


def _best_pair(sides: Sides, k: int) -> Pair:
    a, b = (max(able(side, k), key=lambda arm: float(values_at(arm, k).mean())) for side in sides.both)
    return Pair(a, b)


def a_minus_b(a: FloatArray, b: FloatArray) -> PairedDifference:
    """The difference of a comparison; B is the base."""
    return paired_difference(b, a)


def rate_of(values: FloatArray, num_rollouts: float, k: float) -> Rate:
    """The mean of pass@k over prompts with its interval over prompts.

    Args:
        values: (P,)
        num_rollouts: over all prompts; there are no more independent draws of k than fit into them
    """
    return Rate(float(values.mean()), *wilson_mean(values, num_trials=num_rollouts / k))


def rate_cells(name: str, rate: Rate) -> dict[str, Cell]:
    """A rate under its three columns."""
    return {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high}


def difference_cells(found: PairedDifference, name: str = "difference") -> dict[str, Cell]:
    """A difference with its interval, its p-value, the test that gave it, and what could have been shown."""
    cells: dict[str, Cell] = {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return cells | {"p": found.p_value, "test": found.test, "mde": found.mde, "num_prompts": found.num_prompts}


def adjusted(rows: Sequence[dict[str, Cell]]) -> list[dict[str, Cell]]:
    """Rows with `p_holm`, their p-values adjusted for the number of rows."""
    p_values = [number(row["p"]) for row in rows]
    return [{**row, "p_holm": float(p)} for row, p in zip(rows, holm(p_values), strict=True)]


def adjusted_note(rows: Sequence[dict[str, Cell]]) -> str:
    """Over what `p_holm` is adjusted, where the rows are values of k."""
    ks = [str(row["k"]) for row in rows]
    if len(ks) == 1:
        return "p_holm: the p-value of the only k"
    return f"p_holm: adjusted over {len(ks)} values of k ({', '.join(ks)}), whichever of them are shown"


def of_ks(rows: Sequence[dict[str, Cell]], shown: Sequence[int]) -> list[dict[str, Cell]]:
    """The rows of some ks; none is all."""
    return [row for row in rows if not shown or row["k"] in shown]


def with_bounds(columns: Sequence[str], rates: Sequence[str]) -> list[str]:
    """Columns, those of rates followed by the two ends of their interval."""

    def spread() -> Iterator[str]:
        for column in columns:
            yield column
            if column in rates:
                yield from (f"{column}_low", f"{column}_high")

    return list(spread())
