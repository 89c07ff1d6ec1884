"""What stands around a figure in the terminal: its heading, and entries of a legend in columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.text import Text

from labkit.report.colours import Family

LEGEND_INDENT = 5
_GAP = 3

FAMILY_COLOURS: dict[Family, int] = {"temperature": 3, "a": 3, "perturbation": 6, "b": 6, "both": 2}
"""Colours of the terminal's own palette, which read on light and dark; what has none here has the text's."""


def heading(title: str, subtitle: str, width: int) -> list[Text]:
    """Title and subtitle in lines that fit; names are never broken."""
    return [
        Text(line, style=style)
        for text, style in ((title, "bold"), (subtitle, "dim"))
        for line in textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    ]


def family_style(family: Family) -> str:
    """As rich has it."""
    return f"color({FAMILY_COLOURS[family]})" if family in FAMILY_COLOURS else ""


def in_columns(entries: Sequence[Text], width: int) -> Text:
    """Entries in as many columns as fit, in their order from left to right."""
    longest = max((entry.cell_len for entry in entries), default=0)
    per_line = max((width - LEGEND_INDENT + _GAP) // (longest + _GAP), 1)
    lines = []
    for start in range(0, len(entries), per_line):
        row = [entry.copy() for entry in entries[start : start + per_line]]
        for entry in row[:-1]:
            entry.pad_right(longest + _GAP - entry.cell_len)
        lines.append(Text.assemble(" " * LEGEND_INDENT, *row))
    return Text("\n").join(lines)
