"""Heatmaps as Altair charts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.report.colours import STOPS, UNDEFINED, colour_at, text_colour
from labkit.report.drawing_titles import chart_title
from labkit.report.figures import Heatmap

if TYPE_CHECKING:
    import altair

_CELL_WIDTH, _CELL_HEIGHT = 76, 24


def heatmap_chart(heatmap: Heatmap) -> altair.LayerChart:
    """A cell for each value, coloured by it, with its number and mark."""
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
        title=chart_title(heatmap.title, "; ".join(filter(None, captions))),
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
