"""Colour scales of heatmaps, the same in the terminal and in files.

The stops are ColorBrewer's (C. Brewer, colorbrewer2.org): RdYlGn and RdBu with 11 classes, Blues with 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

ScaleName = Literal["improvement", "difference", "similarity"]

STOPS: dict[ScaleName, tuple[str, ...]] = {
    "improvement": (
        *("#a50026", "#d73027", "#f46d43", "#fdae61", "#fee08b", "#ffffbf"),
        *("#d9ef8b", "#a6d96a", "#66bd63", "#1a9850", "#006837"),
    ),
    "difference": (
        *("#67001f", "#b2182b", "#d6604d", "#f4a582", "#fddbc7", "#f7f7f7"),
        *("#d1e5f0", "#92c5de", "#4393c3", "#2166ac", "#053061"),
    ),
    "similarity": (
        *("#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c", "#08306b"),
    ),
}
"""From the lowest value to the highest. In `difference` negative is red and positive is blue."""

CURVES = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22")
"""Colours of curves in files."""

UNDEFINED = "#e8e8e8"
_DARK = 0.48
"""Luminance below which text on a colour has to be white."""


def colour_at(scale: ScaleName, position: float) -> str:
    """The colour at a position between 0 and 1, linear between stops; beyond the ends it is that of the end."""
    stops = STOPS[scale]
    at = min(max(position, 0.0), 1.0) * (len(stops) - 1)
    index = min(int(at), len(stops) - 2)
    share = at - index
    mixed = (round(a + (b - a) * share) for a, b in zip(_parts(stops[index]), _parts(stops[index + 1]), strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def text_colour(background: str) -> str:
    """Black or white, whichever can be read on a colour (relative luminance, ITU-R BT.709)."""
    red, green, blue = (part / 255 for part in _parts(background))
    return "#ffffff" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < _DARK else "#000000"


def _parts(colour: str) -> Sequence[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
