"""Answers as values: a number, a time of day, an order, a set, a name. Never compared as texts, never part of one another.

The answer is what follows the first `ANSWER:`; where nobody wrote that, what follows the last "answer is"; else the last
value of the kind in the text. A marked answer that cannot be read is no answer, whatever stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from labkit.tasks.goodhart.clock import last_time, parse_time, shown_time
from labkit.tasks.goodhart.number_words import number_in_words
from labkit.tasks.gsm8k.extraction import cut
from labkit.tasks.gsm8k.numbers import canonical, last_number, numbers, plain

Kind = Literal["integer", "decimal", "time", "list", "set", "name"]
Rule = Literal["marker", "answer_is", "last", "unreadable", "no_answer"]

MAX_CHARS = 20_000
"""Only so much of the end of a response is read."""

_LINE_CHARS = 300
_MAX_MARKS = 20
_MARKER = re.compile(r"\banswer\b[*_`\s]{0,4}[:=]", re.IGNORECASE)
_ANSWER_IS = re.compile(r"\banswer\s{1,3}(?:is|would be)\b:?", re.IGNORECASE)
_MARKUP = re.compile(r"[*_`\"]+|\\(?:text|boxed|mathrm)\b|\\[()\[\]]")


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer of some kind, comparable with others of the kind."""

    value: Any
    """A Fraction, minutes after midnight, a tuple of names, a frozenset of integers, or a name."""
    shown: str
    """One spelling for each value."""
    num_decimals: int = 0
    """Of a number: how many were written."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was taken as the answer of a response."""

    reading: Reading | None
    rule: Rule


def find_answer(text: str, kind: Kind, choices: Sequence[str] = ()) -> Found:
    """The answer of a response. Pure; takes bounded time whatever the text.

    Args:
        choices: names that there are to choose from, or to put in order
    """
    said = plain(cut(text)[-MAX_CHARS:])
    read = _READERS[kind]
    for rule, segments in _marked(said, several_lines=kind == "list"):
        readings = [read(segment, choices, True) for segment in segments]
        first = next((reading for reading in readings if reading is not None), None)
        if segments:
            return Found(first, rule) if first is not None else Found(None, "unreadable")
    reading = read(said, choices, False)
    return Found(reading, "no_answer" if reading is None else "last")


def _marked(text: str, several_lines: bool) -> Iterator[tuple[Rule, list[str]]]:
    """What follows the marks, those that count first before others."""
    marks: list[tuple[Rule, list[re.Match[str]]]] = [
        ("marker", [*_MARKER.finditer(text)][:_MAX_MARKS]),
        ("answer_is", [*_ANSWER_IS.finditer(text)][: -_MAX_MARKS - 1 : -1]),
    ]
    for rule, found in marks:
        yield rule, [each for mark in found if (each := _behind(text, mark.end(), several_lines))]


def _behind(text: str, start: int, several_lines: bool) -> str:
    """The rest of a line without markup, or the next line where nothing is left of it; or up to a blank line."""
    window = _MARKUP.sub(" ", text[start : start + _LINE_CHARS]).strip()
    return window.partition("\n\n" if several_lines else "\n")[0].strip()


def _number(text: str, choices: Sequence[str], marked: bool) -> Reading | None:
    """The number that a line says, or the last of a text."""
    if marked:
        equals = text.rfind("=")
        found = next(numbers(text, equals + 1), None) or next(numbers(text), None)
    else:
        found = last_number(text)
    if found is None:
        value = number_in_words(text)
        return None if value is None else Reading(Fraction(value), str(value))
    decimals = text[found.start : found.end].partition(".")[2]
    return Reading(found.value, canonical(found.value), len(re.match("[0-9]*", decimals)[0]))  # type: ignore[index]


def _time(text: str, choices: Sequence[str], marked: bool) -> Reading | None:
    minutes = parse_time(text.rpartition("=")[2]) if marked else last_time(text)
    return None if minutes is None else Reading(minutes, shown_time(minutes))


_GAP = re.compile(
    r"(?:[\s,;.>)→(*_`]|\([a-z]{1,12}\)|->|=>|\d{1,2}[.)]|\b(?:and|then|is|taller|than|next|followed|by|finally|lastly|last)\b|-){1,12}",
    re.IGNORECASE,
)
_RISING_GAP = re.compile(r"\s{0,3}<\s{0,3}")


def _order(text: str, choices: Sequence[str], marked: bool) -> Reading | None:
    """A run of names with nothing but separators between them: the first of a marked answer, else the last. A chain of `<`
    is read from its end."""
    runs: list[list[str]] = []
    end, gaps = -1, ""
    for name, start, stop in _mentions(text, choices):
        gap = text[end:start] if end >= 0 else None
        kind = (
            "" if gap is None else ">" if _GAP.fullmatch(gap[:60]) else "<" if _RISING_GAP.fullmatch(gap[:60]) else ""
        )
        if kind and (gaps in ("", kind) or len(runs[-1]) == 1):
            runs[-1].append(name)
            gaps = kind
        else:
            runs.append([name])
            gaps = ""
        if gaps == "<" and len(runs[-1]) == len(choices):
            runs[-1] = runs[-1][::-1]
        end = stop
    if not runs:
        return None
    longest = [run for run in runs if len(run) > 1] or runs
    names = tuple(longest[0 if marked else -1])
    return Reading(names, ", ".join(names))


_BRACES = re.compile(r"\{\s{0,3}([-0-9,;\s]{0,200})\}")
_NUMBERS = re.compile(
    r"(?<![\w.,])-?[0-9]{1,30}(?:(?:\s{0,2}[,;&]\s{0,2}(?:and\s)?|\s{1,2}and\s)-?[0-9]{1,30}){0,50}(?![\w]|[.,][0-9])"
)
_EMPTY_SET = re.compile(r"∅|\bempty set\b|\bnone\b|\{\s?\}", re.IGNORECASE)


def _set(text: str, choices: Sequence[str], marked: bool) -> Reading | None:
    """Integers in the last braces or the last enumeration."""
    runs = [match[1] for match in _BRACES.finditer(text)] or [match[0] for match in _NUMBERS.finditer(text)]
    if not runs or not runs[-1].strip():
        word = number_in_words(text) if not runs else None
        if word is not None:
            return Reading(frozenset({word}), f"{{{word}}}")
        return Reading(frozenset(), "{}") if _EMPTY_SET.search(text) else None
    members = frozenset(int(each) for each in re.findall(r"-?[0-9]{1,30}", runs[-1]))
    return Reading(members, "{" + ", ".join(map(str, sorted(members))) + "}") if members else None


_NOT = re.compile(r"(?:\b(?:not|never|neither|nor)|n't)\s{1,2}(?:\w{1,20}\s{1,2})?$", re.IGNORECASE)


_SENTENCE = re.compile(r"\s{1,3}(?!(?:or|and|then|followed)\b)[A-Za-z]")


def _name(text: str, choices: Sequence[str], marked: bool) -> Reading | None:
    """The one name of a line, or the one that it begins with and says something of; else the last name of a text. A name
    behind a `not` is none."""
    said = [each for each in _mentions(text, choices) if not _NOT.search(text[max(0, each[1] - 40) : each[1]])]
    if not said:
        return None
    name, start, stop = said[0] if marked else said[-1]
    if marked and len({other for other, _, _ in said}) > 1 and (start > 0 or not _SENTENCE.match(text, stop)):
        return None
    return Reading(name, name)


def _mentions(text: str, names: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Where names stand as whole words, each in its own spelling."""
    known = {name.casefold(): name for name in names}
    any_name = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    for match in re.finditer(rf"(?<![\w-])(?:{any_name})(?![\w-])", text, re.IGNORECASE):
        if (name := known.get(match[0].casefold())) is not None:
            yield name, match.start(), match.end()


_READERS: dict[Kind, Callable[[str, Sequence[str], bool], Reading | None]] = {
    "integer": _number,
    "decimal": _number,
    "time": _time,
    "list": _order,
    "set": _set,
    "name": _name,
}
