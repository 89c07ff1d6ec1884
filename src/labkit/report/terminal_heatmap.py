"""Heatmaps in the terminal, by rich: coloured cells, and the same numbers and marks where there is no colour."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.style import Style
from rich.text import Text

from labkit.report.colours import colour_at, text_colour
from labkit.report.figures import Heatmap

_WIDEST_COLUMN = 13
_GAP = 2


def drawing(heatmap: Heatmap, width: int) -> Text:
    """The heatmap as styled text: title, headings, a line a row, and what scale and marks mean.

    Rows have their long label where it fits beside readable columns, else the short one; headings that are wider than
    their column are broken over lines.
    """
    num_rows, num_columns = len(heatmap.values), len(heatmap.column_labels)
    texts = [[_text(heatmap, row, column) for column in range(num_columns)] for row in range(num_rows)]
    longest = max((len(text) for row in texts for text in row), default=1)
    least = longest + 1
    labels = _labels(heatmap, width - num_columns * least)
    margin = max(map(len, labels), default=0) + _GAP
    column_width = max(least, min((width - margin) // max(num_columns, 1), _WIDEST_COLUMN))
    lines = [Text(heatmap.title, style="bold"), *_headings(heatmap.column_labels, margin, column_width)]
    for row, label in enumerate(labels):
        words = [text.rjust(longest).center(column_width) for text in texts[row]]
        cells = [(word, _style(heatmap, row, column)) for column, word in enumerate(words)]
        lines.append(Text.assemble(label.ljust(margin), *cells))
    legend = [Text(line, style="dim") for line in textwrap.wrap(_legend(heatmap), width)]
    return Text("\n").join([*lines, *legend])


def _labels(heatmap: Heatmap, room: int) -> list[str]:
    long = [f"{short}  {name}" if name else short for short, name in heatmap.row_labels]
    if max(map(len, long), default=0) + _GAP <= room:
        return long
    medium = [f"{short.rpartition('-')[2]} {name}" if name else short for short, name in heatmap.row_labels]
    if max(map(len, medium), default=0) + _GAP <= room:
        return medium
    return [short for short, _ in heatmap.row_labels]


def _headings(labels: Sequence[str], margin: int, width: int) -> list[Text]:
    """Column headings at the bottom of as many lines as the longest needs."""
    broken = [_broken(label, width - 1) for label in labels]
    height = max(map(len, broken), default=0)
    padded = [[""] * (height - len(parts)) + parts for parts in broken]
    return [Text(" " * margin + "".join(parts[line].center(width) for parts in padded)) for line in range(height)]


def _broken(label: str, width: int) -> list[str]:
    """A word in about equal parts that fit, with hyphens."""
    if len(label) <= width:
        return [label]
    num_parts = -(-len(label) // (width - 1))
    size = -(-len(label) // num_parts)
    parts = [label[start : start + size] for start in range(0, len(label), size)]
    return [part + "-" for part in parts[:-1]] + parts[-1:]


def _text(heatmap: Heatmap, row: int, column: int) -> str:
    """A cell with a place for the mark, so that the numbers stand below each other."""
    marked = any(mark for marks in heatmap.marks for mark in marks)
    text = heatmap.cell_text(row, column)
    return text if heatmap.marks[row][column] or not marked else text + " "


def _style(heatmap: Heatmap, row: int, column: int) -> Style:
    value = heatmap.values[row][column]
    if value is None:
        return Style()
    background = colour_at(heatmap.scale, heatmap.position(value))
    return Style(color=text_colour(background), bgcolor=background)


def _legend(heatmap: Heatmap) -> str:
    parts = [f"{heatmap.value_label}; colours from {heatmap.lower:g} to {heatmap.upper:g}"]
    parts += [heatmap.clipped_label] if heatmap.clipped_label else []
    parts += [heatmap.mark_label] if heatmap.mark_label and any(map(any, heatmap.marks)) else []
    undefined = any(value is None for row in heatmap.values for value in row)
    return "; ".join(parts + ["–: no value"] * undefined)
