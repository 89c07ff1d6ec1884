"""Times of day as minutes after midnight. A time without AM or PM is one of 24 hours."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TIME = re.compile(
    r"""
    (?<![0-9A-Za-z:.])(?:
        (?:12(?::00)?\s{1,2})?\b(?P<word>noon|midday|midnight)\b
      | (?P<hour>[0-9]{1,2})[:.](?P<minute>[0-9]{2})(?::[0-9]{2})?(?![0-9])
        (?:\s{0,2}(?P<period>[ap])\.?\s?m\b | \s{1,2}(?:o'clock\s)?(?P<part>in\sthe\s(?:morning|afternoon|evening)|at\snight))?
      | (?P<full_hour>[0-9]{1,2})
        (?:\s{0,2}(?P<full_period>[ap])\.?\s?m\b
          | \s{1,2}(?:o'clock\s)?(?P<full_part>in\sthe\s(?:morning|afternoon|evening)|at\snight))
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_MIDNIGHT, _NOON, _DAY = 0, 12 * 60, 24 * 60


def parse_time(text: str) -> int | None:
    """The first time of a text, None where it names none."""
    return next(_times(text), None)


def last_time(text: str) -> int | None:
    """The last time of a text."""
    found = list(_times(text))
    return found[-1] if found else None


def shown_time(minutes: int) -> str:
    """`16:15`."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _times(text: str) -> Iterator[int]:
    for match in _TIME.finditer(text):
        if (minutes := _minutes(match)) is not None:
            yield minutes


def _minutes(match: re.Match[str]) -> int | None:
    """None where there is no such time, as in 25:00 or 0 PM."""
    if match["word"]:
        return _MIDNIGHT if match["word"].lower() == "midnight" else _NOON
    period = _period(match["period"] or match["full_period"], match["part"] or match["full_part"])
    if period is None and "." in match[0]:
        return None  # 4.15 alone is a number
    hour, minute = int(match["hour"] or match["full_hour"]), int(match["minute"] or 0)
    if hour > 23 or minute > 59 or (period and hour == 0):
        return None
    if period is not None and hour <= 12:
        hour = hour % 12 + (12 if period == "p" else 0)
    elif period == "a":
        return None  # 13:00 AM
    return (hour * 60 + minute) % _DAY


def _period(letter: str | None, part: str | None) -> str | None:
    if letter:
        return letter.lower()
    return None if part is None else "a" if "morning" in part.lower() else "p"
