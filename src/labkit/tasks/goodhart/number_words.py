"""Whole numbers in English words, zero to 999,999."""

from __future__ import annotations

import re

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {word: value for value, word in enumerate(_SMALL)} | {word: 20 + 10 * at for at, word in enumerate(_TENS)}
_SCALES = {"hundred": 100, "thousand": 1000}
_WORD = "|".join(sorted([*_VALUES, *_SCALES], key=len, reverse=True))
_RUN = re.compile(rf"(?<![\w-])(?:{_WORD})(?:(?:-|\s{{1,2}}(?:and\s)?)(?:{_WORD})){{0,12}}(?![\w-])", re.IGNORECASE)


def number_in_words(text: str) -> int | None:
    """The last number in words of a text; None where there is none."""
    runs = [match[0] for match in _RUN.finditer(text)]
    return _value(runs[-1]) if runs else None


def _value(run: str) -> int | None:
    """None for words that are no number together, such as `five six`."""
    total, group, least = 0, 0, 1000
    for word in re.findall(r"[a-z]+", run.lower()):
        if word == "and":
            continue
        if word == "thousand":
            if total or not group:
                return None
            total, group, least = group * 1000, 0, 1000
        elif word == "hundred":
            if not 0 < group < 10:
                return None
            group, least = group * 100, 100
        else:
            value = _VALUES[word]
            if value >= least:
                return None
            group += value
            least = 10 if value >= 20 else 0
    return total + group
