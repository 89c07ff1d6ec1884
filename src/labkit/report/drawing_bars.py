"""Bars, stacks and strips as Altair charts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from labkit.report.colours import Tone, part_colours, text_colour
from labkit.report.drawing_titles import chart_title, with_intervals
from labkit.report.figures import BarGroup, Bars, Stacks, Strip, means_of_neighbours

if TYPE_CHECKING:
    import altair

_ROW = 22
_BESIDE_WIDTH, _BELOW_WIDTH = 165, 420
_STACK_WIDTH, _STRIP_WIDTH, _STRIP_HEIGHT = 620, 760, 220
_DIGIT = 7.0
"""Pixels of a digit, about."""
_MOST_COLUMNS = 380
"""Of a strip; with more prompts a column is the mean of neighbours."""
_BARE: dict[str, Any] = {"grid": False, "ticks": False, "domain": False}


def bars_chart(bars: Bars) -> Any:
    """Groups beside each other where their bars have the same names, else below each other."""
    import altair as alt

    width = _BESIDE_WIDTH if bars.is_beside and len(bars.groups) > 1 else _BELOW_WIDTH
    charts = [
        _group_chart(group, bars, width, has_names=not bars.is_beside or number == 0)
        for number, group in enumerate(bars.groups)
    ]
    columns = len(charts) if bars.is_beside else 1
    subtitle = with_intervals(bars.subtitle, "whiskers", bars.interval_label)
    spacing = 48 if bars.is_beside else 12
    return alt.concat(*charts, columns=columns, spacing=spacing, title=chart_title(bars.title, subtitle))


def _group_chart(group: BarGroup, bars: Bars, width: int, *, has_names: bool) -> altair.LayerChart:
    import altair as alt

    names = [bar.label for bar in group.bars]
    rows = [
        {
            **{"name": bar.label, "value": bar.value, "low": bar.low, "high": bar.high, "colour": bar.tone.colour},
            **{"fill": "#ffffff" if bar.is_hollow else bar.tone.colour},
            "end": max(end for end in (bar.value, bar.high, 0.0) if end is not None),
            "text": ", ".join(filter(None, [bar.text.split(" [")[0], bar.note])),
        }
        for bar in group.bars
    ]
    axis = alt.Axis(labelPadding=6, **_BARE) if has_names else None
    last = bars.is_beside or group is bars.groups[-1]
    x_axis = alt.Axis(tickCount=3, labels=last, ticks=last, domain=False, format="~g")
    scale = alt.Scale(domain=[0, bars.upper], nice=False)
    title = bars.value_label if last else None
    base = alt.Chart(
        alt.InlineData(values=rows),
        width=width,
        height=_ROW * len(rows),
        title=alt.TitleParams(group.title, anchor="start", fontSize=12, offset=6) if group.title else alt.Undefined,
    ).encode(y=alt.Y("name:N", sort=names, title=None, axis=axis))
    solid = base.mark_bar(size=12, strokeWidth=1.2).encode(
        x=alt.X("value:Q", title=title, axis=x_axis, scale=scale),
        color=alt.Color("fill:N", scale=None, legend=None),
        stroke=alt.Stroke("colour:N", scale=None, legend=None),
    )
    ends = base.encode(x=alt.X("low:Q"), x2="high:Q")
    # On a white line they are seen on dark bars too.
    whiskers = [ends.mark_rule(color="#ffffff", strokeWidth=3.5), ends.mark_rule(color="#222222", strokeWidth=1.2)]
    texts = base.mark_text(align="left", dx=5, fontSize=11, color="#333333").encode(x=alt.X("end:Q"), text="text:N")
    layered: alt.LayerChart = alt.layer(solid, *whiskers, texts).resolve_scale(
        color="independent", stroke="independent"
    )
    return layered


def stacks_chart(stacks: Stacks) -> altair.LayerChart:
    """A bar a row, its parts from light to dark with their counts where there is room."""
    import altair as alt

    colours = part_colours(len(stacks.part_names))
    most = max((sum(counts) for counts in stacks.counts), default=1)
    rows = []
    for label, counts in zip(stacks.row_labels, stacks.counts, strict=True):
        ends = list(accumulate(counts))
        for name, colour, count, end in zip(stacks.part_names, colours, counts, ends, strict=True):
            has_room = count * _STACK_WIDTH / most >= len(str(count)) * _DIGIT + 4
            rows.append({"row": label, "part": name, "start": end - count, "end": end, "middle": end - count / 2,
                         "text": str(count) if has_room else "", "text_colour": text_colour(colour)})  # fmt: skip
    base = alt.Chart(
        alt.InlineData(values=rows),
        width=_STACK_WIDTH,
        height=26 * len(stacks.row_labels),
        title=chart_title(stacks.title, stacks.subtitle),
    ).encode(y=alt.Y("row:N", sort=list(stacks.row_labels), title=None, axis=alt.Axis(labelPadding=6, **_BARE)))
    names = list(stacks.part_names)
    bars = base.mark_bar(size=20, stroke="white", strokeWidth=0.6).encode(
        x=alt.X("start:Q", title=stacks.count_label, scale=alt.Scale(domain=[0, most], nice=False)),
        x2="end:Q",
        color=alt.Color("part:N", sort=names, scale=alt.Scale(domain=names, range=colours),
                        legend=alt.Legend(title=stacks.part_label, symbolType="square")),
    )  # fmt: skip
    texts = base.mark_text(fontSize=11).encode(
        x=alt.X("middle:Q"), text="text:N", color=alt.Color("text_colour:N", scale=None, legend=None)
    )
    layered: alt.LayerChart = alt.layer(bars, texts).resolve_scale(color="independent")
    return layered


def strip_chart(strip: Strip) -> Any:
    """A column a prompt: one side's share above the line, the other's below it."""
    import altair as alt

    total = sum(len(part.above) for part in strip.parts)
    each = max(-(-total // _MOST_COLUMNS), 1)
    columns, headings = _strip_columns(strip, each)
    extra = f"; a column is the mean of {each} {strip.item_label}" if each > 1 else ""
    names = [f"{strip.above_label}, above", f"{strip.below_label}, below"]
    for column in columns:
        column["side"] = names[column["side"]]
    width = max((column["end"] for column in columns), default=1)
    scale = alt.Scale(domain=names, range=[Tone("a").colour, Tone("b").colour])
    legend = alt.Legend(title=None, orient="bottom", symbolType="square", direction="vertical")
    y_axis = alt.Axis(values=[-1, -0.5, 0, 0.5, 1], labelExpr="format(abs(datum.value), '~g')", grid=False)
    y = alt.Y("value:Q", title="share correct", scale=alt.Scale(domain=[-1, 1]), axis=y_axis)
    x = alt.X("start:Q", axis=None, scale=alt.Scale(domain=[0, width], nice=False))
    data = alt.InlineData(values=columns)
    title = chart_title(strip.title, strip.subtitle + extra)
    bars = alt.Chart(data, width=_STRIP_WIDTH, height=_STRIP_HEIGHT, title=title).mark_rect(strokeWidth=0)
    words = alt.Chart(alt.InlineData(values=headings))
    layered: Any = alt.layer(
        words.mark_rect(color="#f3f3f3").encode(x=x, x2="end:Q", y=alt.Y("low:Q"), y2="high:Q"),
        bars.encode(x=x, x2="end:Q", y=y, y2="zero:Q", color=alt.Color("side:N", scale=scale, legend=legend)),
        words.mark_rule(color="#444444", strokeWidth=1).encode(x=x, x2="end:Q", y=alt.Y("zero:Q")),
        words.mark_text(align="center", baseline="bottom", dy=-6, fontSize=11, color="#333333").encode(
            x=alt.X("middle:Q"), y=alt.Y("high:Q"), text="text:N"
        ),
    )
    return layered


def _strip_columns(strip: Strip, each: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rectangles of all prompts, and of each stretch one with its heading; stretches stand apart by a gap."""
    columns: list[dict[str, Any]] = []
    headings: list[dict[str, Any]] = []
    parts = [part for part in strip.parts if part.above]
    num_columns = sum(-(-len(part.above) // each) for part in parts)
    gap = max(num_columns // 120, 1)
    start = 0
    for part in parts:
        above, below = (means_of_neighbours(values, each) for values in (part.above, part.below))
        end = start + len(above)
        columns += _rectangles(above, start, 0, 1) + _rectangles(below, start, 1, -1)
        text = f"{part.label}: {len(part.above)}"
        room = (end - start) / (num_columns + gap * (len(parts) - 1)) * _STRIP_WIDTH
        headings.append({"start": start, "end": end, "middle": (start + end) / 2, "low": -1, "high": 1, "zero": 0,
                         "text": text if room >= len(text) * _DIGIT else ""})  # fmt: skip
        start = end + gap
    return columns, headings


def _rectangles(values: Sequence[float], start: int, side: int, sign: int) -> list[dict[str, Any]]:
    return [
        {"side": side, "start": start + place, "end": start + place + 1, "value": sign * value, "zero": 0}
        for place, value in enumerate(values)
    ]
