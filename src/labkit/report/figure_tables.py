"""The numbers of a figure as a table: for programs, and for terminals that are too narrow for the drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labkit.report.figures import Bars, Drawable, Figure, Heatmap, Scatter, Stacks, Strip
from labkit.report.table import Cell, Table


def figure_table(figure: Drawable) -> Table:
    """A table of kind `figure` with a row for each thing that is drawn; an interval as `x_low` and `x_high`."""
    rows, columns = _rows(figure)
    notes = [getattr(figure, name, "") for name in ("subtitle", "interval_label")]
    return Table("figure", figure.title, columns, rows, list(filter(None, notes)))


def _rows(figure: Drawable) -> tuple[list[dict[str, Cell]], Sequence[str]]:
    if isinstance(figure, Figure):
        return _curve_rows(figure)
    if isinstance(figure, Bars):
        return _bar_rows(figure)
    if isinstance(figure, Stacks):
        return _stack_rows(figure)
    if isinstance(figure, Scatter):
        return _point_rows(figure)
    return _strip_rows(figure) if isinstance(figure, Strip) else _heatmap_rows(figure)


def _curve_rows(figure: Figure) -> tuple[list[dict[str, Cell]], Sequence[str]]:
    x, y = figure.x_label.split(" (")[0], figure.y_label or "value"
    rows: list[dict[str, Cell]] = []
    for series in figure.series:
        xs: Sequence[float | None] = series.xs or [None] * len(series.ys)
        for place, (at, value) in enumerate(zip(xs, series.ys, strict=True)):
            ends = {f"{y}_low": series.lows[place], f"{y}_high": series.highs[place]} if series.lows else {}
            rows.append({"curve": series.label, x: at, y: value, **ends})
    has_ends = any(series.lows for series in figure.series)
    return rows, ["curve", x, y, *_ends(y, has_ends)]


def _bar_rows(bars: Bars) -> tuple[list[dict[str, Cell]], Sequence[str]]:
    y = bars.value_label
    rows: list[dict[str, Cell]] = [
        {
            "group": group.title,
            "bar": bar.label,
            y: bar.value,
            f"{y}_low": bar.low,
            f"{y}_high": bar.high,
            "note": bar.note,
        }
        for group in bars.groups
        for bar in group.bars
    ]
    has_ends = any(row[f"{y}_low"] is not None for row in rows)
    columns = [*(["group"] if len(bars.groups) > 1 else []), "bar", y, *_ends(y, has_ends)]
    return rows, [*columns, *(["note"] if _any(rows, "note") else [])]


def _stack_rows(stacks: Stacks) -> tuple[list[dict[str, Cell]], Sequence[str]]:
    rows: list[dict[str, Cell]] = [
        {"row": label, stacks.part_label: name, stacks.count_label: count}
        for label, counts in zip(stacks.row_labels, stacks.counts, strict=True)
        for name, count in zip(stacks.part_names, counts, strict=True)
    ]
    return rows, ["row", stacks.part_label, stacks.count_label]


def _point_rows(scatter: Scatter) -> tuple[list[dict[str, Cell]], Sequence[str]]:
    x, y = (label.split(" (")[0] for label in (scatter.x_label, scatter.y_label))
    rows: list[dict[str, Cell]] = []
    for point in scatter.points:
        cells: dict[str, Cell] = {"point": point.label, x: point.x, y: point.y}
        for name, ends in ((x, point.x_ends), (y, point.y_ends)):
            cells |= {f"{name}_low": ends[0], f"{name}_high": ends[1]}
        rows.append(cells)
    return rows, ["point", x, *_ends(x), y, *_ends(y)]


def _strip_rows(strip: Strip) -> tuple[list[dict[str, Cell]], Sequence[str]]:
    rows: list[dict[str, Cell]] = [
        {"prompt": name, "solved by": part.label, strip.above_label: above, strip.below_label: below}
        for part in strip.parts
        for name, above, below in zip(part.names, part.above, part.below, strict=True)
    ]
    return rows, ["prompt", "solved by", strip.above_label, strip.below_label]


def _heatmap_rows(heatmap: Heatmap) -> tuple[list[dict[str, Cell]], Sequence[str]]:
    rows: list[dict[str, Cell]] = [
        {"row": " ".join(filter(None, label)), **dict(zip(heatmap.column_labels, values, strict=True))}
        for label, values in zip(heatmap.row_labels, heatmap.values, strict=True)
    ]
    return rows, ["row", *heatmap.column_labels]


def _ends(name: str, there: bool = True) -> list[str]:
    return [f"{name}_low", f"{name}_high"] if there else []


def _any(rows: Sequence[Mapping[str, Cell]], column: str) -> bool:
    return any(row[column] for row in rows)
