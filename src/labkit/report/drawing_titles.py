"""Titles of Altair charts."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair

_MOST_CHARACTERS = 110
"""Of a line below a title: what is longer makes a figure wider than its plot."""


def chart_title(text: str, below: str = "") -> altair.TitleParams:
    """A title at the left, with a line or more below it."""
    import altair as alt

    lines = textwrap.wrap(below, _MOST_CHARACTERS)
    extra: dict[str, Any] = {"subtitle": lines, "subtitleColor": "#555555", "subtitleFontSize": 12} if lines else {}
    return alt.TitleParams(text, anchor="start", fontSize=14, offset=12, **extra)


def with_intervals(subtitle: str, how: str, what: str) -> str:
    """A subtitle that says what intervals are and how they are drawn, where there are some."""
    return "; ".join(filter(None, [subtitle, f"{how}: {what}" if what else ""]))
