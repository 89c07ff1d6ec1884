"""A table as data, before anybody decides how it looks.

Knows columns, rows and notes. Does *not* know runs, terminals or file formats.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Cell = str | int | float | bool | None


@dataclass(slots=True)
class Table:
    """Rows under named columns. A rate `x` has its interval in the columns `x_low` and `x_high`."""

    kind: str
    """What the rows are, for programs: `pass_at_k`, `training`, `runs`, …"""
    title: str
    columns: Sequence[str]
    rows: Sequence[Mapping[str, Cell]]
    """Made whole at construction: every row has every column, and NaN and infinities are None, as JSON has neither."""
    notes: list[str] = field(default_factory=list)
    """What a reader must know to trust the rows; whole sentences or fragments, one line each."""
    expendable: Sequence[str] = ()
    """Columns that a narrow terminal may leave out, the first one first; every other form of output has them all. The
    lower bound of an interval stands for the interval."""

    def __post_init__(self) -> None:
        self.rows = [{column: _finite(row.get(column)) for column in self.columns} for row in self.rows]

    def as_json(self) -> dict[str, Any]:
        """The published form."""
        whole = {"kind": self.kind, "title": self.title, "columns": list(self.columns), "rows": list(self.rows)}
        return whole | ({"notes": self.notes} if self.notes else {})

    def folded_columns(self) -> Iterator[str]:
        """The columns without the bounds of intervals, which people read beside their rate."""
        known = set(self.columns)
        for column in self.columns:
            stem, _, end = column.rpartition("_")
            if not (end in ("low", "high") and stem in known):
                yield column

    def texts(self, columns: Sequence[str], *, bare: Collection[str] = ()) -> list[list[str]]:
        """The rows of these columns for people: numbers of a column without intervals have as many decimals each.

        Args:
            bare: columns whose intervals are left out
        """
        forms = {column: _form([row[column] for row in self.rows]) for column in columns}
        rows = [{**row, **{f"{column}_low": None for column in bare}} for row in self.rows] if bare else self.rows
        return [[cell_text(row, column, forms[column]) for column in columns] for row in rows]


def number(cell: Cell) -> float:
    """A cell that must hold a number: a missing one is a bug, and as 0 would be a rate or a p-value like any other."""
    assert isinstance(cell, (int, float)), f"{cell!r} is no number"
    return float(cell)


def cell_text(row: Mapping[str, Cell], column: str, form: str = ".4g") -> str:
    """A cell for people: a rate as `0.531 [0.45, 0.61]`, a large mean as `76.9 [70.1, 83.7]`, nothing as an en dash.

    Args:
        form: of a number without an interval
    """
    value = row[column]
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    if isinstance(value, float) and isinstance(low, float) and isinstance(high, float):
        if max(abs(low), abs(high)) >= 10:  # no rate, but a mean in units of its own
            form = ".1f" if max(abs(low), abs(high)) < 1e7 else ".3g"  # what an untrained model writes has no bound
            return f"{value:{form}} [{low:{form}}, {high:{form}}]"
        digits = 2 if high - low >= 0.02 else 3  # a narrow interval would read as a point
        return f"{value:.3f} [{low:.{digits}f}, {high:.{digits}f}]"
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:{form}}" if isinstance(value, float) else str(value)


def _form(cells: Sequence[Cell]) -> str:
    """As many decimals as show four digits of the largest number, or three of a fraction; four significant digits each
    where some number would read as 0 and is not, or beside numbers above 10 would be left with one digit."""
    sizes = [abs(cell) for cell in cells if isinstance(cell, float) and cell]
    if not sizes or max(sizes) >= 1e7:
        return ".4g"
    decimals = max(0, 3 - math.floor(math.log10(max(1.0, *sizes))))
    least = 0.5 * 10**-decimals if decimals == 3 else 10.0 ** (1 - decimals)
    return f".{decimals}f" if min(sizes) >= least else ".4g"


def _finite(value: Cell) -> Cell:
    return None if isinstance(value, float) and not math.isfinite(value) else value
