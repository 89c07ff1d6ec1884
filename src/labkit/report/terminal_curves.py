"""Curves and points in the terminal, by plotext. The only module that knows it.

plotext 6 has one global figure, ignores NO_COLOR and cuts its size to the terminal's; its legend covers curves and its
log axis collapses under explicit ticks. So sizes and colours are set here, the legend stands below, and what a logarithmic
axis shows are logarithms on a linear one.
"""

from __future__ import annotations

import math
import string
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

import plotext
from rich.text import Text

from labkit.report.colours import Tone
from labkit.report.figures import Figure, Scatter, Series
from labkit.report.terminal_words import FAMILY_COLOURS, LEGEND_INDENT, heading, in_columns

_HEIGHT = 20
_MOST_LETTERS = 12
"""Letters on a long curve: on every point they would bury it."""
_MOST_BANDS = 2
"""Bands of more curves than this would hide each other; then the intervals stand in the legend."""
_MARGIN = 10
"""Columns beside the plot that may hold the words of its axis."""
_DASH = 3
"""Columns of a dash and of a gap."""
_COLOURS = (12, 10, 9, 14, 13, 11, 4, 2, 1, 6, 5, 3)
"""Terminal palette numbers, bright ones first; they follow the user's colour scheme."""
_NUM_TICKS = 5

Scale = Callable[[float], float]


def drawn_curves(figure: Figure, width: int, height: int = _HEIGHT) -> Text:
    """The figure as styled text: title, plot of `width` columns and `height` lines, legend."""
    plot = _empty_plot(width, height)

    def across(value: float) -> float:
        return math.log2(value) if figure.x_is_log else value

    def up(value: float) -> float:
        return math.log10(max(value, figure.y_lower)) if figure.is_log else value

    numbered = figure.numbered()
    banded = [(index, series) for index, series in numbered if series.lows and not series.is_level]
    shaded = len(banded) <= _MOST_BANDS
    columns = _columns(figure, across, width - _MARGIN)
    fine = _columns(figure, across, 2 * (width - _MARGIN))
    for index, series in banded if shaded else ():
        _draw_band(plot, series, index, fine, across, up, (up(figure.y_upper) - up(figure.y_lower)) / height / 2)
    for index, series in numbered:
        _draw_curve(plot, series, index, columns, across, up)
    # Letters over all lines: curves stay apart without colour too.
    for index, series in numbered:
        xs = [columns[0], columns[-1]] if series.is_level else _some(list(map(across, series.xs)))
        ys = [up(series.ys[0])] * 2 if series.is_level else _some(list(map(up, series.ys)))
        plot.draw(plot.signal(xs, ys, marker=_marker(_letter(index), index, series)))
    ticks = figure.y_ticks
    _label_axes(
        plot,
        [(across(position), text) for position, text in figure.x_ticks],
        [(up(value), format(value, figure.y_format)) for value in ticks],
        figure.x_label,
    )
    # The title stands above the plot, where a long one is whole.
    curves = Text.from_ansi(plot.build().string().rstrip("\n"))
    entries = [
        (_letter(index), _colour(index, series), series.label + _last_interval(figure, series, shaded))
        for index, series in numbered
    ]
    how = f"{'dotted areas' if shaded else 'in brackets'}: {figure.interval_label}" if figure.interval_label else ""
    subtitle = "; ".join(filter(None, [figure.subtitle, how]))
    return Text("\n").join([*heading(figure.title, subtitle, width), curves, _legend(entries, width)])


def drawn_points(scatter: Scatter, width: int, height: int = _HEIGHT) -> Text:
    """Points with letters, joined in order, and what they are below."""
    plot = _empty_plot(width, height)
    points = scatter.points
    for _, tone, path in scatter.paths:
        xs, ys = ([getattr(points[index], name) for index in path] for name in ("x", "y"))
        plot.draw(plot.signal(xs, ys, marker=plotext.marker("·", pixel=_family_colour(tone))).lines(True))
    for index, point in enumerate(points):
        letter = plotext.marker(_letter(index), pixel=_family_colour(point.tone))
        plot.draw(plot.signal([point.x], [point.y], marker=letter))
    x_ticks, y_ticks = (
        [(upper * step / _NUM_TICKS, f"{upper * step / _NUM_TICKS:.2f}") for step in range(_NUM_TICKS + 1)]
        for upper in (scatter.x_upper, scatter.y_upper)
    )
    _label_axes(plot, x_ticks, y_ticks, scatter.x_label)
    plot.ruler("x").lim(0, scatter.x_upper)
    values = [f"{_span(point.x, point.x_ends)}, {_span(point.y, point.y_ends)}" for point in points]
    room = width - LEGEND_INDENT - max(len(point.label) for point in points) - 4
    if max(map(len, values)) > room:
        values = [f"{point.x:.3f}, {point.y:.3f}" for point in points]
    entries = [
        (_letter(index), _family_colour(point.tone), f"{point.label}  {value}")
        for index, (point, value) in enumerate(zip(points, values, strict=True))
    ]
    axes = Text(f"up: {scatter.y_label}", style="dim")
    subtitle = scatter.subtitle + (f"; in brackets: {scatter.interval_label}" if "[" in values[0] else "")
    body = Text.from_ansi(plot.build().string().rstrip("\n"))
    return Text("\n").join([*heading(scatter.title, subtitle, width), axes, body, _legend(entries, width)])


def _empty_plot(width: int, height: int) -> Any:
    plot = plotext.figure
    plotext.terminal.limit(width=False, height=False)
    plot.clear.all()
    plot.theme("simple")
    plot.plot_size(width, height)
    return plot


def _label_axes(
    plot: Any, x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]], x_label: str
) -> None:
    positions, labels = zip(*x_ticks, strict=True) if x_ticks else ((), ())
    plot.ruler("x").ticks(list(positions), list(labels))
    heights, words = zip(*y_ticks, strict=True)
    plot.ruler("y").lim(heights[0], heights[-1]).ticks(list(heights), list(words))
    plot.label(x_label, "x")


def _columns(figure: Figure, across: Scale, number: int) -> list[float]:
    """Positions of about so many columns of the plot, from one end of its axis to the other."""
    xs = [across(position) for position, _ in figure.x_ticks]
    xs += [across(x) for series in figure.series if not series.is_level for x in series.xs]
    first, last = min(xs, default=0.0), max(xs, default=1.0)
    return [first + (last - first) * step / (number - 1) for step in range(number)]


def _draw_band(
    plot: Any, series: Series, index: int, columns: Sequence[float], across: Scale, up: Scale, spacing: float
) -> None:
    """Dots between the ends of the interval."""
    xs = list(map(across, series.xs))
    lows, highs = list(map(up, series.lows)), list(map(up, series.highs))
    dots: list[tuple[float, float]] = []
    for x in columns:
        if xs[0] <= x <= xs[-1]:
            low, high = _between(xs, lows, x), _between(xs, highs, x)
            dots += [(x, low + spacing * step) for step in range(int((high - low) / spacing) + 1)]
    if dots:
        plot.draw(
            plot.signal(
                [x for x, _ in dots], [y for _, y in dots], marker=_marker("·" if index % 2 else ":", index, series)
            )
        )


def _draw_curve(plot: Any, series: Series, index: int, columns: Sequence[float], across: Scale, up: Scale) -> None:
    if series.is_level:
        heights = [up(series.ys[0])] * len(columns[::2])
        plot.draw(plot.signal(list(columns[::2]), heights, marker=_marker("-", index, series)))
        return
    xs, ys = list(map(across, series.xs)), list(map(up, series.ys))
    if not series.is_dashed:
        plot.draw(plot.signal(xs, ys, marker=_marker("hd", index, series)).lines(True))
        return
    for start in range(0, len(columns), 2 * _DASH):
        dash = [x for x in columns[start : start + _DASH] if xs[0] <= x <= xs[-1]]
        if dash:
            heights = [_between(xs, ys, x) for x in dash]
            plot.draw(plot.signal(dash, heights, marker=_marker("hd", index, series)).lines(True))


def _between(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """The height at an x between the first and the last, on the straight line between its neighbours."""
    place = bisect_left(xs, x)
    if place == 0 or xs[place] == x:
        return ys[place]
    share = (x - xs[place - 1]) / (xs[place] - xs[place - 1])
    return ys[place - 1] + (ys[place] - ys[place - 1]) * share


def _last_interval(figure: Figure, series: Series, shaded: bool) -> str:
    """The last value of a curve with its interval, where that is not drawn."""
    if not series.lows or (shaded and not series.is_level):
        return ""
    span = _span(series.ys[-1], (series.lows[-1], series.highs[-1]))
    if series.is_level:
        return f"  {span}"
    return f"  {figure.y_label.replace('@k', f'@{series.xs[-1]:g}')} {span}"


def _span(value: float, ends: tuple[float, float]) -> str:
    return f"{value:.3f} [{ends[0]:.2f}, {ends[1]:.2f}]"


def _legend(entries: Sequence[tuple[str, int, str]], width: int) -> Text:
    return in_columns(
        [Text.assemble((letter, f"color({colour})"), f" {words}") for letter, colour, words in entries], width
    )


def _some(points: Sequence[float]) -> list[float]:
    """All of few points, else some at equal distances, the last among them."""
    if len(points) <= _MOST_LETTERS:
        return list(points)
    return [points[(len(points) - 1) * number // (_MOST_LETTERS - 1)] for number in range(_MOST_LETTERS)]


def _marker(symbol: str, index: int, series: Series) -> Any:
    return plotext.marker(symbol, pixel=_colour(index, series))


def _letter(index: int) -> str:
    return string.ascii_letters[index % len(string.ascii_letters)]


def _family_colour(tone: Tone) -> int:
    return FAMILY_COLOURS.get(tone.family, _COLOURS[0])


def _colour(index: int, series: Series | None = None) -> int:
    """The colour of a side, which is the same in every figure, else one by number."""
    if series is not None and series.tone is not None and series.tone.family in ("a", "b", "both"):
        return FAMILY_COLOURS[series.tone.family]
    return _COLOURS[index % len(_COLOURS)]
