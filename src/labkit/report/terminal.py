"""Figures in the terminal: as wide as it is, from 60 columns on, and their numbers as a table on a narrower one."""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass, replace
from typing import Any

from rich.console import Console, Group
from rich.text import Text

from labkit.report.figure_tables import figure_table
from labkit.report.figures import Bars, Drawable, Figure, Heatmap, Scatter, Stacks
from labkit.report.render import drawn
from labkit.report.screen_text import clean

MIN_WIDTH = 60
_PIPED_WIDTH = 100


def print_figure(figure: Drawable, *, width: int | None = None) -> None:
    """Draw on stdout; without a width as wide as the terminal, or 100 columns off one. Rich honours NO_COLOR."""
    console = Console(highlight=False)
    if width is None:
        width = console.width if sys.stdout.isatty() else _PIPED_WIDTH
    # Soft wrap: rich would otherwise cut lines at the width that it guesses off a terminal.
    console.print(drawing(figure, width), soft_wrap=width >= MIN_WIDTH)


def drawing(figure: Drawable, width: int) -> Text | Group:
    """The figure as styled text of at most `width` columns; below 60 columns a table of its numbers, which says so."""
    if width < MIN_WIDTH:
        words = f"{width} columns are too few for the drawing, which takes {MIN_WIDTH}: these are its numbers"
        return Group(Text(words), drawn(figure_table(figure), width))
    figure = _cleaned(figure)
    if isinstance(figure, Heatmap):
        from labkit.report.terminal_heatmap import drawing as drawn_heatmap

        return drawn_heatmap(figure, width)
    if isinstance(figure, (Figure, Scatter)):
        from labkit.report.terminal_curves import drawn_curves, drawn_points

        return drawn_curves(figure, width) if isinstance(figure, Figure) else drawn_points(figure, width)
    from labkit.report.terminal_bars import drawn_bars, drawn_stacks, drawn_strip

    if isinstance(figure, Bars):
        return drawn_bars(figure, width)
    return drawn_stacks(figure, width) if isinstance(figure, Stacks) else drawn_strip(figure, width)


def _cleaned(value: Any) -> Any:
    """A figure all of whose texts a terminal may show."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(_cleaned, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _cleaned(getattr(value, each.name)) for each in fields(value) if each.init})
    return value
