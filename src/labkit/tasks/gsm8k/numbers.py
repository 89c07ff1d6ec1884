"""Numbers in running text, read exactly.

Knows spellings: thousands in groups, decimals, fractions, signs, money, full-width digits, LaTeX. Does *not* know which
number of a text is its answer. Every pattern has bounded repeats, so reading takes time linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

MAX_DIGITS = 100
"""The longest run of digits that is a number; a longer one is none."""

_CHUNK = 1000  # sorting combining marks is quadratic in their number: a chunk bounds it

_SUPERSCRIPTS = {ord(sign): "^" + digit for sign, digit in zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True)}
_SUBSCRIPTS = {ord(sign): "_" + digit for sign, digit in zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True)}
_FRACTIONS = {
    ord(sign): " " + unicodedata.normalize("NFKC", sign).replace("\u2044", "/") for sign in "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞↉"
}
# An em dash is punctuation; minus, hyphens and the en dash are signs where they stand before a number.
_SIGNS = dict.fromkeys(map(ord, "−‐‑‒–﹣－"), "-") | {ord("—"): " ", ord("’"): "'", ord("⁄"): "/"}
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"), "")
_MEANT = _SUPERSCRIPTS | _SUBSCRIPTS | _FRACTIONS | _SIGNS | _INVISIBLE
"""What compatibility forms would turn into other numbers (10² into 102), or not at all."""

_LATEX = (("{,}", ","), ("\\,", " "), ("\\!", ""), ("\\;", " "), ("\\ ", " "), ("\\$", "$"), ("\\%", "%"), ("~", " "))
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s{0,3}\{\s{0,3}([0-9]{1,30})\s{0,3}\}\s{0,3}\{\s{0,3}([0-9]{1,30})\s{0,3}\}")

_NUMBER = re.compile(
    r"""
    (?<![A-Za-z0-9^])(?<![0-9]\.)                       # not within a word or another number
    (?<![A-Za-z0-9)\]}]_)(?<![\^_]\{)                   # no power, no index
    (?P<sign>(?<![)\]}%])[-+])?
    (?:[$£€¥₹]\s?)?
    (?P<second_sign>[-+])?
    (?:
        (?P<whole>
            [0-9]{1,3}(?:,[0-9]{3}){1,30}+(?![0-9])     # 1,234,567
          | [0-9]{1,2}(?:,[0-9]{2}){1,15},[0-9]{3}(?![0-9])   # 12,34,567
          | [1-9][0-9]{0,2}(?:[ ][0-9]{3}){1,30}+(?![0-9])    # 1 234 567
          | [1-9][0-9]{0,2}(?:'[0-9]{3}){1,30}+(?!'?[0-9])    # 1'234'567
          | [1-9][0-9]{0,2}(?:_[0-9]{3}){1,30}+(?!_?[0-9])    # 1_234_567
          | [0-9]{1,100}+(?![0-9])
        )
        (?:\.(?P<decimals>[0-9]{1,100}+))?+
      | (?<![0-9.])\.(?P<only_decimals>[0-9]{1,100}+)
    )
    (?!\.?[0-9])                                        # 1.2.3 and endless digits are no numbers
    (?:[eE](?P<exponent>[-+]?[0-9]{1,3}+)(?![0-9A-Za-z]))?+
    (?:
        /(?P<denominator>[0-9]{1,30}+)(?![0-9/])
      | [ ]{1,2}(?P<numerator>[0-9]{1,30}+)/(?P<mixed>[0-9]{1,30}+)(?![0-9/])
      | (?!(?:st|nd|rd|th)\b)                           # 3rd counts, but is no quantity
    )
    """,
    re.VERBOSE,
)


_SEPARATORS = dict.fromkeys(map(ord, ", '_"))


@dataclass(frozen=True, slots=True)
class Number:
    """A number and where it stands."""

    value: Fraction
    start: int
    end: int


def plain(text: str) -> str:
    """The text in the characters that numbers are read in: ASCII digits, signs and separators, LaTeX spelled out."""
    if not text.isascii():
        meant = text.translate(_MEANT)
        text = "".join(
            unicodedata.normalize("NFKC", meant[start : start + _CHUNK]) for start in range(0, len(meant), _CHUNK)
        )
    if "\\" in text or "{,}" in text:
        text = _LATEX_FRACTION.sub(r" \1/\2", text)
        for spelled, read in _LATEX:
            text = text.replace(spelled, read)
    return text


def numbers(text: str, start: int = 0, end: int | None = None) -> Iterator[Number]:
    """The numbers of a `plain` text, from the left."""
    for match in _NUMBER.finditer(text, start, len(text) if end is None else end):
        if (value := _value(match)) is not None:
            yield Number(value, match.start(), match.end())


def last_number(text: str, start: int = 0, end: int | None = None) -> Number | None:
    """The last of the `numbers` of a `plain` text."""
    for match in reversed(list(_NUMBER.finditer(text, start, len(text) if end is None else end))):
        if (value := _value(match)) is not None:
            return Number(value, match.start(), match.end())
    return None


def number_at(text: str, start: int) -> Number | None:
    """The number that a `plain` text has at just this place."""
    match = _NUMBER.match(text, start)
    value = None if match is None else _value(match)
    return None if match is None or value is None else Number(value, match.start(), match.end())


def parse_number(text: str) -> Fraction | None:
    """The value of a text that is a number and nothing else; None for any other."""
    spelled = plain(text.strip()).strip()
    found = number_at(spelled, 0)
    return found.value if found is not None and found.end == len(spelled) else None


def canonical(value: Fraction) -> str:
    """The shortest spelling that reads back as the same value: `72`, `-3`, `3/2`; equal values have equal ones."""
    return str(value)


def _value(match: re.Match[str]) -> Fraction | None:
    """None for a fraction over zero."""
    whole = (match["whole"] or "0").translate(_SEPARATORS)
    decimals = match["decimals"] or match["only_decimals"] or ""
    value = Fraction(int(whole + decimals), 10 ** len(decimals)) if decimals else Fraction(int(whole))
    if match["exponent"]:
        value *= Fraction(10) ** int(match["exponent"])
    if match["denominator"]:
        if not int(match["denominator"]):
            return None
        value /= int(match["denominator"])
    elif match["mixed"]:
        if not int(match["mixed"]):
            return None
        value += Fraction(int(match["numerator"]), int(match["mixed"]))
    return -value if "-" in (match["sign"], match["second_sign"]) else value
