"""Words and tables as lines of a terminal: what no terminal may do with a text is taken out of it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from labkit.report.render import fitting_columns
from labkit.report.screen_text import clean
from labkit.report.table import Table

if TYPE_CHECKING:
    from rich.text import Text

GAP = 2
"""Columns before each column of a table, and between two parts of a line."""
STATUS_STYLES = {"running": "cyan", "interrupted": "yellow", "damaged": "red", "failed": "red"}
_WEEK_DAYS = 6


def table_lines(table: Table, width: int) -> list[Text]:
    """A table as lines that fit, its header first; columns that do not fit are left out, the expendable ones first."""
    from rich.cells import cell_len, set_cell_size

    columns, bare = fitting_columns(table, width - GAP)
    cells = [columns, *([clean(cell) for cell in row] for row in table.texts(columns, bare=bare))]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    while len(widths) > 1 and sum(widths[:-1]) + GAP * len(widths) >= width:
        widths.pop()
    lefts = [any(isinstance(row[column], str) for row in table.rows) for column in columns]
    lines = []
    for number, row in enumerate(cells):
        line = plain_text("")
        for cell, size, is_left in zip(row, widths, lefts, strict=False):
            padded = set_cell_size(cell, size) if is_left else " " * (size - cell_len(cell)) + cell
            line.append(" " * GAP + padded, _style(cell) if number else "dim")
        line.rstrip()
        lines.append(line)
    return lines


def _style(cell: str) -> str:
    return STATUS_STYLES.get(cell.partition(",")[0], "")


def when_text(time: str, now: datetime) -> str:
    """A moment (ISO 8601) as somebody in the time zone of `now` would say it: 09:14, Fri 23:50, 2026-11-02."""
    moment = datetime.fromisoformat(time).astimezone(now.tzinfo)
    days = abs((now.date() - moment.date()).days)
    if days == 0:
        return f"{moment:%H:%M}"
    return f"{moment:%a %H:%M}" if days <= _WEEK_DAYS else f"{moment:%Y-%m-%d}"


def duration_text(seconds: float) -> str:
    """12 s, 3 min, 1 h 05."""
    if seconds < 1:
        return "< 1 s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02}"


def plain_text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(clean(text), style)
