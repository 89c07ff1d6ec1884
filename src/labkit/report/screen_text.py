"""Text from anywhere made fit for a terminal: what would move the cursor, colour the screen or turn writing is taken out.

Imports nothing, so that whatever talks can use it.
"""

from __future__ import annotations

import re

_TURNING = r"\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_CONTROL = re.compile(rf"[\x00-\x1f\x7f-\x9f{_TURNING}]+")
_CONTROL_IN_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_TURNING}]+")


def clean(text: str) -> str:
    """One line without what would move the cursor or turn the direction of writing."""
    return _CONTROL.sub(" ", text)


def clean_lines(text: str) -> str:
    """`clean` of a text that may have several lines."""
    return _CONTROL_IN_LINES.sub(" ", text)
