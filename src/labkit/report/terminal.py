"""Figures in the terminal, by plotext. The only module that knows it.

plotext 6 has one global figure, ignores NO_COLOR and cuts its size to the terminal's; its legend covers curves and its
log axis collapses under explicit ticks. So sizes and colours are set here, the legend stands below, and what a logarithmic
axis shows are logarithms on a linear one.
"""

from __future__ import annotations

import math
import string
import sys
from collections.abc import Sequence

import plotext
from rich.console import Console
from rich.text import Text

from labkit.report.figures import Figure

MIN_WIDTH = 60
_PIPED_WIDTH = 100
_HEIGHT = 20
_MOST_LETTERS = 12
"""Letters on a long curve: on every point they would bury it."""
_COLOURS = (12, 10, 9, 14, 13, 11, 4, 2, 1, 6, 5, 3)
"""Terminal palette numbers, bright ones first; they follow the user's colour scheme."""


def print_figure(figure: Figure, *, width: int | None = None) -> None:
    """Draw on stdout; without a width as wide as the terminal, or 100 columns off one. Rich honours NO_COLOR."""
    console = Console(highlight=False)
    if width is None:
        width = console.width if sys.stdout.isatty() else _PIPED_WIDTH
    # Soft wrap: rich would otherwise cut lines at the width that it guesses off a terminal.
    console.print(drawing(figure, max(width, MIN_WIDTH)), soft_wrap=True)


def drawing(figure: Figure, width: int, height: int = _HEIGHT) -> Text:
    """The figure as styled text: title, plot of `width` columns and `height` lines, legend."""
    plot = plotext.figure
    plotext.terminal.limit(width=False, height=False)
    plot.clear.all()
    plot.theme("simple")
    plot.plot_size(width, height)

    def height_of(value: float) -> float:
        return math.log10(max(value, figure.y_lower)) if figure.is_log else value

    for index, series in figure.numbered():
        line = plotext.marker("hd", pixel=_colour(index))
        plot.draw(plot.signal(series.xs, list(map(height_of, series.ys)), marker=line).lines(True))
    # Letters over all lines: curves stay apart without colour too.
    for index, series in figure.numbered():
        xs, ys = _some(series.xs), _some(list(map(height_of, series.ys)))
        plot.draw(plot.signal(xs, ys, marker=plotext.marker(_letter(index), pixel=_colour(index))))
    positions, labels = zip(*figure.x_ticks, strict=True) if figure.x_ticks else ((), ())
    plot.ruler("x").ticks(list(positions), list(labels))
    ticks = figure.y_ticks
    plot.ruler("y").lim(height_of(figure.y_lower), height_of(figure.y_upper)).ticks(
        list(map(height_of, ticks)), [format(value, figure.y_format) for value in ticks]
    )
    plot.label(figure.x_label, "x")
    # The title stands above the plot, where a long one is whole.
    curves = Text.from_ansi(plot.build().string().rstrip("\n"))
    return Text("\n").join([Text(figure.title), curves, _legend(figure)])


def _legend(figure: Figure) -> Text:
    lines = [
        Text.assemble("     ", (_letter(index), f"color({_colour(index)})"), f" {series.label}")
        for index, series in figure.numbered()
    ]
    return Text("\n").join(lines)


def _some(points: Sequence[float]) -> list[float]:
    """All of few points, else some at equal distances, the last among them."""
    if len(points) <= _MOST_LETTERS:
        return list(points)
    return [points[(len(points) - 1) * number // (_MOST_LETTERS - 1)] for number in range(_MOST_LETTERS)]


def _letter(index: int) -> str:
    return string.ascii_letters[index % len(string.ascii_letters)]


def _colour(index: int) -> int:
    return _COLOURS[index % len(_COLOURS)]
