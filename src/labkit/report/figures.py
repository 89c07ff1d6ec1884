"""Figures as data: curves under named axes, bars, points, stacks, strips and matrices. Does *not* know what draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from labkit.report.colours import ScaleName, Tone

_NUM_SPACES = (5, 4, 6, 3)
"""Between the ticks of a linear axis: the first that makes them round, else the first."""
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
    lows: Sequence[float] = ()
    """The lower ends of the interval at each x, or nothing."""
    highs: Sequence[float] = ()
    tone: Tone | None = None
    """Its colour in files; None is one by its number."""
    is_dashed: bool = False
    is_level: bool = False
    """Whether it is a rate without an x, drawn as a line from one end of the axis to the other."""


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
    x_is_log: bool = False
    """Whether equal factors of x stand at equal distances."""
    subtitle: str = ""
    """Counts, and what lines mean."""
    interval_label: str = ""
    """What the intervals are, where there are some."""

    def numbered(self) -> list[tuple[int, Series]]:
        """The curves with the numbers of their colours and letters."""
        return [(place if series.number is None else series.number, series) for place, series in enumerate(self.series)]

    @property
    def y_ticks(self) -> list[float]:
        """Positions of the y axis: some at equal distances, or 1, 2 and 5 times the powers of ten of a logarithmic one."""
        if not self.is_log:
            height = self.y_upper - self.y_lower
            number = next((n for n in _NUM_SPACES if _is_round(height / n, self.y_lower)), _NUM_SPACES[0])
            return [self.y_lower + height * step / number for step in range(number + 1)]
        lowest, highest = math.floor(math.log10(self.y_lower)), math.ceil(math.log10(self.y_upper))
        powers = range(lowest, highest + 1, 1 + (highest - lowest) // _MANY_POWERS)
        factors = (1, 2, 5) if len(powers) <= _FEW_POWERS else (1,)
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        return [tick for tick in ticks if self.y_lower <= tick * (1 + 1e-9) and tick <= self.y_upper * (1 + 1e-9)]


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its interval."""

    label: str
    value: float | None
    """None is one that there is not enough to compute from; the text says what is missing."""
    text: str
    """What is written beside the bar: the value as a table has it."""
    tone: Tone
    low: float | None = None
    high: float | None = None
    is_hollow: bool = False
    note: str = ""
    """What it is about, where bars of one label are about several things."""


@dataclass(frozen=True, slots=True)
class BarGroup:
    """Bars under one heading."""

    title: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Bars:
    """Groups of bars along one axis from 0."""

    title: str
    subtitle: str
    value_label: str
    upper: float
    """Where the axis ends."""
    groups: Sequence[BarGroup]
    interval_label: str = ""
    """What the intervals are, where there are some."""
    is_beside: bool = False
    """Whether all groups have the same labels, and so may stand beside each other."""


@dataclass(frozen=True, slots=True)
class Stacks:
    """Rows of parts that make up a whole, in the order of what they are about."""

    title: str
    subtitle: str
    row_labels: Sequence[str]
    part_label: str
    """What the parts are about."""
    part_names: Sequence[str]
    count_label: str
    """What is counted."""
    counts: Sequence[Sequence[int]]
    """(rows, parts)"""


@dataclass(frozen=True, slots=True)
class Point:
    """A pair of values with their intervals."""

    label: str
    name: str
    """A short label, for beside the point."""
    x: float
    y: float
    x_ends: tuple[float, float]
    y_ends: tuple[float, float]
    tone: Tone


@dataclass(frozen=True, slots=True)
class Scatter:
    """Points over a pair of axes that begin at 0."""

    title: str
    subtitle: str
    x_label: str
    y_label: str
    x_upper: float
    y_upper: float
    points: Sequence[Point]
    interval_label: str
    paths: Sequence[tuple[str, Tone, Sequence[int]]]
    """What is joined: a name, a colour, and numbers of points in order. Every point is in one of them."""


@dataclass(frozen=True, slots=True)
class StripPart:
    """A stretch of a strip."""

    label: str
    names: Sequence[str]
    """Of what there are values."""
    above: Sequence[float]
    """As many values between 0 and 1."""
    below: Sequence[float]


@dataclass(frozen=True, slots=True)
class Strip:
    """Pairs of shares, one above and one below a line, in stretches."""

    title: str
    subtitle: str
    above_label: str
    below_label: str
    item_label: str
    """What there is a pair of."""
    parts: Sequence[StripPart]


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


Drawable = Figure | Heatmap | Bars | Stacks | Scatter | Strip
"""Whatever can be drawn."""


def upper_tenth(highest: float) -> float:
    """Where an axis of rates ends: at the next tenth. On a fixed axis to 1 the curves of a hard task would lie on the floor."""
    tenths = max(math.ceil(round(highest * 10, 9)), 1)
    return min(tenths + (tenths in (7, 9)), 10) / 10  # seven or nine steps are too many, and fewer are not round


def _is_round(spacing: float, start: float) -> bool:
    """Whether it is 1, 2 or 5 times a power of ten, and meets 0 from the start."""
    if not spacing > 0:
        return False
    mantissa = spacing / 10.0 ** math.floor(math.log10(spacing) + 1e-9)
    meets = abs(start / spacing - round(start / spacing)) < 1e-6
    return meets and any(abs(mantissa - factor) < 1e-6 for factor in (1, 2, 5))


def means_of_neighbours(values: Sequence[float], each: int) -> list[float]:
    """Means of so many values beside each other; the last may be of fewer."""
    if each <= 1:
        return list(values)
    parts = [values[start : start + each] for start in range(0, len(values), each)]
    return [sum(part) / len(part) for part in parts]
