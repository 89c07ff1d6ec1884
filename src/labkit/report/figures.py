"""Figures as data: series of points under named axes. Knows tables and ticks; does *not* know what draws them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from labkit.report.table import Table


@dataclass(frozen=True, slots=True)
class Series:
    """One curve."""

    label: str
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True, slots=True)
class Figure:
    """Curves over one pair of axes; y starts at 0."""

    title: str
    x_label: str
    x_ticks: Sequence[tuple[float, str]]
    """Positions and what is written there."""
    y_upper: float
    series: Sequence[Series]


def pass_at_k_figure(table: Table) -> Figure:
    """Curves of pass@k over log2(k), one an arm, from a table of kind `pass_at_k`."""
    ks = [int(found[1]) for column in table.columns if (found := re.fullmatch(r"pass@(\d+)", column))]
    series = []
    for row in table.rows:
        points = [(k, value) for k in ks if isinstance(value := row[f"pass@{k}"], float)]
        series.append(Series(str(row["arm"]), [math.log2(k) for k, _ in points], [value for _, value in points]))
    highest = max((value for curve in series for value in curve.ys), default=0.0)
    # Up to the next tenth: on a fixed 0-1 axis the curves of a hard task would lie on the floor.
    upper = max(math.ceil(round(highest * 10, 9)), 1) / 10
    return Figure(table.title, "k (rollouts drawn)", [(math.log2(k), str(k)) for k in ks], upper, series)
