"""Colours: scales of heatmaps, the same in the terminal and in files, and what methods and sides have in files.

The stops of scales are ColorBrewer's (C. Brewer, colorbrewer2.org): RdYlGn and RdBu with 11 classes, Blues with 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

CURVES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#8c564b", "#332288", "#999933")
"""Colours of curves in files, which stay apart in any kind of colour vision: those of Okabe and Ito (2008, Color Universal
Design) but for yellow, which is too pale for a line, and some more behind them."""

Family = Literal["greedy", "temperature", "perturbation", "a", "b", "both", "neither"]

_RAMPS: dict[Family, tuple[str, ...]] = {
    "temperature": ("#fdae61", "#f46d43", "#d7301f", "#990000", "#4a0000"),
    "perturbation": ("#74c4c9", "#41a0c4", "#2171b5", "#1c4a94", "#08215e"),
    "greedy": ("#333333",),
    "a": ("#d55e00",),
    "b": ("#0072b2",),
    "both": ("#009e73",),
    "neither": ("#999999",),
}
"""Warm for temperatures and cold for sigmas, from the lowest value to the highest; lightness orders them without colour."""

PARTS = ("#d9d9d9", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#253494", "#081d58")
"""Of the parts of a whole: grey for none, then from light to dark (ColorBrewer's YlGnBu)."""

UNDEFINED = "#e8e8e8"
_DARK = 0.48
"""Luminance below which text on a colour has to be white."""


@dataclass(frozen=True, slots=True)
class Tone:
    """Which colour a thing has, the same in every figure."""

    family: Family
    position: float = 0.0
    """Where its value stands among those of its family, from 0, the lowest, to 1."""

    @property
    def colour(self) -> str:
        """`#rrggbb`."""
        return _between(_RAMPS[self.family], self.position)


def part_colours(number: int) -> list[str]:
    """So many colours of parts in order: the first is grey, the last dark."""
    return [PARTS[0], *(_between(PARTS[1:], index / max(number - 2, 1)) for index in range(number - 1))]


def colour_at(scale: ScaleName, position: float) -> str:
    """The colour at a position between 0 and 1, linear between stops; beyond the ends it is that of the end."""
    return _between(STOPS[scale], position)


def _between(stops: Sequence[str], position: float) -> str:
    if len(stops) == 1:
        return stops[0]
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
