"""Curves and points as Altair charts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from labkit.report.colours import CURVES
from labkit.report.drawing_titles import chart_title, with_intervals
from labkit.report.figures import Figure, Scatter, Series

if TYPE_CHECKING:
    import altair

_WIDTH, _HEIGHT = 560, 300
_MOST_POINTS_WITH_DOTS = 40
_SOLID, _DASHED, _DOTTED = [1, 0], [6, 3], [2, 3]
_LABEL_SIZE = 11
_CHARACTER_WIDTH = 6.0
"""Of a label's font, about."""


def curves_chart(figure: Figure) -> altair.LayerChart:
    """Bands, lines over them, dots on the points of short curves, and a legend."""
    import altair as alt

    numbered = figure.numbered()
    labels = [series.label for _, series in numbered]
    colours = [series.tone.colour if series.tone else CURVES[number % len(CURVES)] for number, series in numbered]
    dashes = [_DOTTED if series.is_level else _DASHED if series.is_dashed else _SOLID for _, series in numbered]
    ends = _ends(figure)
    points = [
        point
        for (_, series), colour in zip(numbered, colours, strict=True)
        for point in _points(figure, series, colour, ends)
    ]
    few = max((len(series.xs) for series in figure.series), default=0) <= _MOST_POINTS_WITH_DOTS
    title = chart_title(figure.title, with_intervals(figure.subtitle, "bands", figure.interval_label))
    base = alt.Chart(
        alt.InlineData(values=points),
        title=title,
        width=_WIDTH,
        height=_HEIGHT,
    ).encode(x=_x_of(figure, ends), detail="curve:N")
    own = alt.Color("colour:N", scale=None, legend=None)
    y = _y_of(figure)
    bands = base.transform_filter("isValid(datum.low)").mark_area(opacity=0.14, clip=not few)
    legend = alt.Legend(title=None, symbolType="stroke", symbolSize=400, symbolStrokeWidth=2)
    lines = base.mark_line(clip=not few, strokeWidth=2).encode(
        y=y,
        color=alt.Color("curve:N", sort=labels, scale=alt.Scale(domain=labels, range=colours), legend=legend),
        strokeDash=alt.StrokeDash("curve:N", sort=labels, scale=alt.Scale(domain=labels, range=dashes), legend=legend),
    )
    layers: list[Any] = [bands.encode(y=y.copy(), y2="high:Q", color=own), lines]
    layers[0].encoding.y.shorthand = "low:Q"
    if few:
        dots = base.transform_filter("!datum.is_level").mark_circle(size=36, opacity=1)
        layers.append(dots.encode(y=y, color=own))
    chart: alt.LayerChart = alt.layer(*layers).resolve_scale(color="independent", strokeDash="independent")
    return chart


def _points(figure: Figure, series: Series, colour: str, ends: Sequence[float]) -> list[dict[str, Any]]:
    """What is drawn of a curve: its points, or of a rate without an x one at each end of the axis."""
    about = {"curve": series.label, "colour": colour, "is_level": series.is_level}
    if series.is_level:
        return [about | {"x": x, "y": series.ys[0]} for x in ends]
    points = [about | {"x": x, "y": _inside(figure, y)} for x, y in zip(series.xs, series.ys, strict=True)]
    for point, low, high in zip(points, series.lows, series.highs, strict=False):
        point |= {"low": _inside(figure, low), "high": _inside(figure, high)}
    return points


def _inside(figure: Figure, value: float) -> float:
    """A value where the axes can show it: within them where they end above the values but not above their intervals."""
    if figure.is_log:
        return max(value, figure.y_lower)
    return value


def _x_of(figure: Figure, ends: list[float]) -> altair.X:
    import altair as alt

    positions, words = [position for position, _ in figure.x_ticks], [text for _, text in figure.x_ticks]
    expression = f"{json.dumps(words)}[indexof({json.dumps(positions)}, datum.value)]"
    kind: dict[str, Any] = {"type": "log", "base": 2} if figure.x_is_log else {}
    axis = alt.Axis(values=positions, labelExpr=expression, grid=False)
    return alt.X("x:Q", title=figure.x_label, axis=axis, scale=alt.Scale(domain=ends, nice=False, **kind))


def _y_of(figure: Figure) -> altair.Y:
    import altair as alt

    kind: dict[str, Any] = {"type": "log"} if figure.is_log else {}
    scale = alt.Scale(domain=[figure.y_lower, figure.y_upper], nice=False, **kind)
    extra: dict[str, Any] = {"format": "~g"} if figure.is_log else {}
    axis = alt.Axis(values=figure.y_ticks, minExtent=52, **extra)
    return alt.Y("y:Q", title=figure.y_label or None, scale=scale, axis=axis)


def _ends(figure: Figure) -> list[float]:
    """Where the x axis begins and ends: at the outermost points and ticks."""
    xs = [position for position, _ in figure.x_ticks]
    xs += [x for series in figure.series if not series.is_level for x in series.xs]
    return [min(xs, default=0.0), max(xs, default=1.0)]


def scatter_chart(scatter: Scatter) -> altair.LayerChart:
    """Points with the lines of their intervals and their names beside them, joined in order."""
    import altair as alt

    names = [name for name, _, _ in scatter.paths]
    legend = alt.Legend(title=None, symbolType="stroke", symbolSize=300, symbolStrokeWidth=2, symbolOpacity=1)
    scale = alt.Scale(domain=names, range=[tone.colour for _, tone, _ in scatter.paths])
    x = alt.X("x:Q", title=scatter.x_label, scale=alt.Scale(domain=[0, scatter.x_upper], nice=False))
    y = alt.Y("y:Q", title=scatter.y_label, scale=alt.Scale(domain=[0, scatter.y_upper], nice=False))
    colour = alt.Color("colour:N", scale=None, legend=None)
    subtitle = with_intervals(scatter.subtitle, "lines through the points", scatter.interval_label)
    base = alt.Chart(alt.InlineData(values=_scatter_points(scatter)), width=_WIDTH, height=_HEIGHT,
                     title=chart_title(scatter.title, subtitle))  # fmt: skip
    paths = alt.Chart(alt.InlineData(values=_scatter_steps(scatter))).mark_line(strokeWidth=1, opacity=0.4)
    words = base.encode(x=alt.X("label_x:Q"), y=alt.Y("label_y:Q"), text="name:N")
    layered: alt.LayerChart = alt.layer(
        paths.encode(x=x, y=y, order="step:Q", color=alt.Color("path:N", sort=names, scale=scale, legend=legend)),
        base.mark_rule(opacity=0.45).encode(x=alt.X("left:Q"), x2="right:Q", y=y, color=colour),
        base.mark_rule(opacity=0.45).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour),
        base.mark_circle(size=70, opacity=1).encode(x=x, y=y, color=colour),
        # On a white edge they are read on lines too.
        words.mark_text(fontSize=_LABEL_SIZE, stroke="#ffffff", strokeWidth=3),
        words.mark_text(fontSize=_LABEL_SIZE, color="#333333"),
    ).resolve_scale(color="independent")
    return layered


def _scatter_points(scatter: Scatter) -> list[dict[str, Any]]:
    places = label_places(scatter, _WIDTH, _HEIGHT)
    return [
        {
            **{"name": point.name, "x": point.x, "y": point.y, "colour": point.tone.colour},
            **{"left": point.x_ends[0], "right": point.x_ends[1], "low": point.y_ends[0], "high": point.y_ends[1]},
            **{"label_x": place[0] / _WIDTH * scatter.x_upper, "label_y": place[1] / _HEIGHT * scatter.y_upper},
        }
        for point, place in zip(scatter.points, places, strict=True)
    ]


def _scatter_steps(scatter: Scatter) -> list[dict[str, Any]]:
    return [
        {"path": name, "step": step, "x": scatter.points[index].x, "y": scatter.points[index].y}
        for name, _, path in scatter.paths
        for step, index in enumerate(path)
    ]


def label_places(scatter: Scatter, width: float, height: float) -> list[tuple[float, float]]:
    """The centre of each point's name in pixels from the lower left corner: beside the point, on no other point or name
    and, where there is a choice, on no interval."""
    across, up = width / scatter.x_upper, height / scatter.y_upper
    dots = [_around(point.x * across, point.y * up, 5, 5) for point in scatter.points]
    lines = [
        (point.x_ends[0] * across, point.y * up, point.x_ends[1] * across, point.y * up) for point in scatter.points
    ]
    lines += [
        (point.x * across, point.y_ends[0] * up, point.x * across, point.y_ends[1] * up) for point in scatter.points
    ]
    places = []
    for point in scatter.points:
        half = len(point.name) * _CHARACTER_WIDTH / 2
        centres = [(point.x * across + dx, point.y * up + dy) for dx, dy in _shifts(half)]
        boxes = [_around(*centre, half, _LABEL_SIZE / 2) for centre in centres]
        inside = [box for box in boxes if box[0] >= 2 and box[2] <= width and box[1] >= 2 and box[3] <= height]
        free = [box for box in inside if not any(_overlap(box, other) for other in dots)]
        clear = [box for box in free if not any(_overlap(box, line) for line in lines)]
        best = (clear or free or inside or boxes)[0]
        dots.append(best)
        places.append(((best[0] + best[2]) / 2, (best[1] + best[3]) / 2))
    return places


Box = tuple[float, float, float, float]


def _shifts(half: float) -> list[tuple[float, float]]:
    """Where a name may stand from its point, the nearest first."""
    near = [
        (half + 6, 10.0),
        (-half - 6, 10.0),
        (half + 6, -10.0),
        (-half - 6, -10.0),
        (half + 9, 0.0),
        (-half - 9, 0.0),
    ]
    return near + [(sign * (half + 6), step) for step in (20.0, -20.0, 32.0, -32.0) for sign in (1, 0, -1)]


def _around(x: float, y: float, half_width: float, half_height: float) -> Box:
    return x - half_width, y - half_height, x + half_width, y + half_height


def _overlap(one: Box, other: Box) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]
