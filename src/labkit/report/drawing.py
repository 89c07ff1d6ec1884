"""Figures as files, by Altair and vl-convert: SVG, PNG, and HTML that needs no network. The only module that knows them.

The same figures give the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.errors import ConfigError, MachineError
from labkit.record.files import write_atomically
from labkit.report.colours import CURVES, STOPS, UNDEFINED, colour_at, text_colour
from labkit.report.figures import Figure, Heatmap

if TYPE_CHECKING:
    import altair

SUFFIXES = (".svg", ".png", ".html")

_CELL_WIDTH, _CELL_HEIGHT = 76, 24
_WIDTH, _HEIGHT = 560, 300
_MOST_POINTS_WITH_DOTS = 40
_PNG_SCALE = 2.0


def check_figure_path(path: Path) -> None:
    """Raise what `save_figures` would, before any work is done.

    Raises:
        ConfigError: the ending is none that can be written, or there is no such folder.
        MachineError: the extra `figures` is not installed.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"a figure cannot be written as {path.name!r}", f"end its name in {', '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}", "make it first, or write to another")
    _libraries()


def save_figures(figures: Sequence[Figure | Heatmap], path: Path) -> None:
    """Write figures into one file, below each other (many heatmaps in two columns); its ending says the form.

    Raises:
        ConfigError, MachineError: as `check_figure_path`; or the disk is full.
    """
    check_figure_path(path)
    altair, convert = _libraries()
    with altair.data_transformers.enable("default", max_rows=None):
        charts = [_heatmap(each) if isinstance(each, Heatmap) else _curves(each) for each in figures]
        side_by_side = len(charts) > 2 and isinstance(figures[0], Heatmap)
        chart = charts[0] if len(charts) == 1 else altair.concat(*charts, columns=1 + side_by_side, spacing=40)
        chart = chart.configure_view(strokeWidth=0).configure(font="sans-serif", background="white", padding=16)
        chart = chart.configure_axis(labelFontSize=12, titleFontSize=12, labelLimit=0, gridColor="#e6e6e6")
        chart = chart.configure_legend(labelFontSize=12, titleFontSize=12, labelLimit=0, symbolLimit=0)
        specification = json.dumps(chart.to_dict(), sort_keys=True)
    if path.suffix == ".png":
        data = convert.vegalite_to_png(specification, scale=_PNG_SCALE)
    elif path.suffix == ".svg":
        data = _renumbered(convert.vegalite_to_svg(specification)).encode()
    else:
        data = convert.vegalite_to_html(specification, bundle=True).encode()
    write_atomically(path, data)


def _renumbered(svg: str) -> str:
    """An SVG whose ids count from 0: the library's go on counting through the life of the process."""
    for number, name in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))):
        svg = re.sub(rf'(id="|#){re.escape(name)}(?=["\)])', rf"\g<1>labkit-{number}", svg)
    return svg


def _libraries() -> tuple[Any, Any]:
    try:
        import altair
        import vl_convert
    except ImportError as error:
        what = f"figures as files need {error.name}, which is not installed"
        raise MachineError(what, 'pip install "labkit[figures]", or leave --out away') from None
    return altair, vl_convert


def _curves(figure: Figure) -> altair.Chart:
    import altair as alt

    labels = [series.label for series in figure.series]
    points = [
        {"curve": series.label, "x": x, "y": max(y, figure.y_lower) if figure.is_log else y}
        for series in figure.series
        for x, y in zip(series.xs, series.ys, strict=True)
    ]
    positions, words = [position for position, _ in figure.x_ticks], [text for _, text in figure.x_ticks]
    axis = alt.Axis(
        values=positions, labelExpr=f"{json.dumps(words)}[indexof({json.dumps(positions)}, datum.value)]", grid=False
    )
    few = max((len(series.xs) for series in figure.series), default=0) <= _MOST_POINTS_WITH_DOTS
    chart = alt.Chart(alt.InlineData(values=points), title=_title(figure.title), width=_WIDTH, height=_HEIGHT)
    kind: dict[str, Any] = {"type": "log"} if figure.is_log else {}
    scale = alt.Scale(domain=[figure.y_lower, figure.y_upper], nice=False, **kind)
    heights = {"values": figure.y_ticks, "format": "~g"} if figure.is_log else {"tickCount": 5}
    palette = [CURVES[number % len(CURVES)] for number, _ in figure.numbered()]
    drawn: alt.Chart = chart.mark_line(point=few, clip=not few, strokeWidth=2).encode(
        x=alt.X("x:Q", title=figure.x_label, axis=axis, scale=alt.Scale(domain=_ends(figure), nice=False)),
        y=alt.Y("y:Q", title=figure.y_label or None, scale=scale, axis=alt.Axis(**heights, minExtent=52)),
        color=alt.Color("curve:N", title=None, sort=labels, scale=alt.Scale(domain=labels, range=palette)),
    )
    return drawn


def _ends(figure: Figure) -> list[float]:
    """Where the x axis begins and ends: at the outermost points and ticks."""
    xs = [position for position, _ in figure.x_ticks] + [x for series in figure.series for x in series.xs]
    return [min(xs, default=0.0), max(xs, default=1.0)]


def _heatmap(heatmap: Heatmap) -> altair.LayerChart:
    import altair as alt

    rows = [f"{short}  {name}" if name else short for short, name in heatmap.row_labels]
    columns = list(heatmap.column_labels)
    cells = [_cell(heatmap, row, column) | {"row": rows[row], "column": columns[column]}
             for row in range(len(rows)) for column in range(len(columns))]  # fmt: skip
    stops = STOPS[heatmap.scale]
    span = heatmap.upper - heatmap.lower
    domain = [heatmap.lower + span * step / (len(stops) - 1) for step in range(len(stops))]
    legend = alt.Legend(title=heatmap.value_label, orient="right", gradientLength=160, titleLimit=0, format=".1f")
    bare: dict[str, Any] = {"grid": False, "ticks": False, "domain": False}
    captions = [heatmap.mark_label if any(map(any, heatmap.marks)) else "", heatmap.clipped_label]
    base = alt.Chart(
        alt.InlineData(values=cells),
        title=_title(heatmap.title, "; ".join(filter(None, captions))),
        width=_CELL_WIDTH * len(columns),
        height=_CELL_HEIGHT * len(rows),
    ).encode(
        x=alt.X("column:N", sort=columns, title=None, axis=alt.Axis(orient="top", labelAngle=0, **bare)),
        y=alt.Y("row:N", sort=rows, title=None, axis=alt.Axis(labelPadding=8, **bare)),
    )
    colour = alt.Color("value:Q", scale=alt.Scale(domain=domain, range=list(stops), clamp=True), legend=legend)
    tiles = base.transform_filter("isValid(datum.value)").mark_rect(stroke="white", strokeWidth=1).encode(color=colour)
    empty = base.transform_filter("!isValid(datum.value)").mark_rect(stroke="white", strokeWidth=1, color=UNDEFINED)
    text = alt.Color("text_colour:N", scale=None, legend=None)
    numbers = base.mark_text(fontSize=12).encode(text="text:N", color=text)
    marks = base.mark_text(fontSize=10, fontWeight="bold", align="right", dx=_CELL_WIDTH // 2 - 6).encode(
        text="mark:N", color=text
    )
    layered: alt.LayerChart = alt.layer(tiles, empty, numbers, marks).resolve_scale(color="independent")
    return layered


def _cell(heatmap: Heatmap, row: int, column: int) -> dict[str, Any]:
    value, mark = heatmap.values[row][column], heatmap.marks[row][column]
    background = UNDEFINED if value is None else colour_at(heatmap.scale, heatmap.position(value))
    text = heatmap.cell_text(row, column).removesuffix(mark).replace("-", "−")
    return {"value": value, "text": text, "mark": mark, "text_colour": text_colour(background)}


def _title(text: str, below: str = "") -> altair.TitleParams:
    import altair as alt

    extra: dict[str, Any] = {"subtitle": below, "subtitleColor": "#555555"} if below else {}
    return alt.TitleParams(text, anchor="start", fontSize=14, offset=12, **extra)
