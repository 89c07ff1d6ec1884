"""Mean and standard deviation over cells, as the world's tables give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True, slots=True)
class Spread:
    """Of some cells; None where there are none, and no deviation of a single one."""

    num_cells: int
    mean: float | None
    std: float | None
    """Population standard deviation (ddof 0): the cells are all there are, not a sample of more."""


def spread(values: Sequence[float]) -> Spread:
    """Mean and population standard deviation of values."""
    if not values:
        return Spread(0, None, None)
    mean = fmean(values)
    std = fmean((value - mean) ** 2 for value in values) ** 0.5 if len(values) > 1 else None
    return Spread(len(values), mean, std)
