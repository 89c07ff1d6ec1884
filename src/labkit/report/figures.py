"""Figures as data: curves under named axes, and matrices of numbers. Does *not* know what draws them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from labkit.report.colours import ScaleName
from labkit.report.table import Table

_NUM_SPACES = 5
"""Between the ticks of a linear axis."""
_FEW_POWERS = 4
"""Powers of ten on a logarithmic axis that leaves room for ticks between them."""
_MANY_POWERS = 8
"""Powers of ten on a logarithmic axis that has no room for a tick at each."""


@dataclass(frozen=True, slots=True)
class Series:
    """One curve."""

    label: str
    xs: Sequence[float]
    ys: Sequence[float]
    number: int | None = None
    """Which colour and letter it has, the same in every figure that is about several; None is its place in its own."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Curves over one pair of axes."""

    title: str
    x_label: str
    x_ticks: Sequence[tuple[float, str]]
    """Positions and what is written there."""
    y_upper: float
    series: Sequence[Series]
    y_label: str = ""
    y_lower: float = 0.0
    y_format: str = ".2f"
    """How a tick of the y axis is written."""
    is_log: bool = False
    """Whether the y axis is logarithmic; then it begins above 0, and smaller values stand at its beginning."""

    def numbered(self) -> list[tuple[int, Series]]:
        """The curves with the numbers of their colours and letters."""
        return [(place if series.number is None else series.number, series) for place, series in enumerate(self.series)]

    @property
    def y_ticks(self) -> list[float]:
        """Positions of the y axis: six at equal distances, or 1, 2 and 5 times the powers of ten of a logarithmic one."""
        if not self.is_log:
            height = self.y_upper - self.y_lower
            return [self.y_lower + height * step / _NUM_SPACES for step in range(_NUM_SPACES + 1)]
        lowest, highest = math.floor(math.log10(self.y_lower)), math.ceil(math.log10(self.y_upper))
        powers = range(lowest, highest + 1, 1 + (highest - lowest) // _MANY_POWERS)
        factors = (1, 2, 5) if len(powers) <= _FEW_POWERS else (1,)
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        return [tick for tick in ticks if self.y_lower <= tick * (1 + 1e-9) and tick <= self.y_upper * (1 + 1e-9)]


@dataclass(frozen=True, slots=True)
class Heatmap:
    """A matrix of numbers on a scale of colours."""

    title: str
    scale: ScaleName
    lower: float
    """The value of the scale's first colour; lower ones have it too."""
    upper: float
    value_label: str
    row_labels: Sequence[tuple[str, str]]
    """Of each row a short name and a longer one."""
    column_labels: Sequence[str]
    values: Sequence[Sequence[float | None]]
    """(rows, columns); None is undefined."""
    marks: Sequence[Sequence[str]]
    """(rows, columns) a letter behind the value, or nothing."""
    mark_label: str = ""
    """What the letter means."""

    def position(self, value: float) -> float:
        """Where a value stands on the scale, 0 to 1 between its ends."""
        return (value - self.lower) / (self.upper - self.lower)

    @property
    def clipped_label(self) -> str:
        """What is to be said where some value is beyond the ends of the scale."""
        beyond = any(value is not None and not 0 <= self.position(value) <= 1 for row in self.values for value in row)
        return "values beyond the ends have the colour of the end" if beyond else ""

    def cell_text(self, row: int, column: int) -> str:
        """The value with two decimals and its mark; an en dash where it is undefined."""
        value = self.values[row][column]
        # Adding 0 to the rounded value leaves no "-0.00".
        return ("–" if value is None else f"{round(value, 2) + 0.0:.2f}") + self.marks[row][column]


def pass_at_k_figure(table: Table) -> Figure:
    """Curves of pass@k over log2(k), one an arm, from a table of kind `pass_at_k`; y starts at 0."""
    ks = [int(found[1]) for column in table.columns if (found := re.fullmatch(r"pass@(\d+)", column))]
    series = []
    for row in table.rows:
        points = [(k, value) for k in ks if isinstance(value := row[f"pass@{k}"], float)]
        series.append(Series(str(row["arm"]), [math.log2(k) for k, _ in points], [value for _, value in points]))
    highest = max((value for curve in series for value in curve.ys), default=0.0)
    # Up to the next tenth: on a fixed 0-1 axis the curves of a hard task would lie on the floor.
    upper = max(math.ceil(round(highest * 10, 9)), 1) / 10
    ticks = [(math.log2(k), str(k)) for k in ks]
    return Figure(table.title, "k (rollouts drawn)", ticks, upper, series, y_label="pass@k")
