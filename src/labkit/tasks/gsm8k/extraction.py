"""Which number a solution gives as its answer: ranked rules, of which the first that finds a number decides.

1. `hash`: after the last `####` that a number follows
2. `boxed`: in the last `\\boxed{…}` that holds one
3. `answer_is`: after the last "answer is", "Answer:" and the like
4. `hash_line`: somewhere in the line of the last `####`, where no number follows below
5. `leading_number`: at the start of a short line that only says how, "72 in 5 steps"
6. `last_number`: the last of the text

From 4 on the text was not clear about what its answer is. A response is first cut where it runs on into another question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from labkit.tasks.gsm8k.numbers import Number, last_number, number_at, numbers, plain

Rule = Literal["hash", "boxed", "answer_is", "hash_line", "leading_number", "last_number", "no_answer"]

LOW_CONFIDENCE: frozenset[Rule] = frozenset({"hash_line", "leading_number", "last_number"})
"""Rules that guess; their share among the answers says how far the accuracy can be trusted."""

RULES_VERSION = 2
"""Raised whenever a text gets another answer."""

STOP_TEXTS = (
    "\nQuestion:", "\n**Question", "\nQ:", "\nProblem:", "<end_of_turn>", "<start_of_turn>", "<|im_end|>", "<|im_start|>",
    "<|eot_id|>", "<|endoftext|>", "<|end|>", "</s>",
)  # fmt: skip
"""Where a response ends, at the latest: another question, or a turn that was not recognised as ended."""

MAX_CHARS = 50_000
"""Only so much of the end of a response is read."""

_MAX_MARKS = 20
_WINDOW = 300
_LINE = 40

_HASH = re.compile(r"#{4}(?!#)")
_AFTER_HASH = re.compile(
    r"[\s*$\\(\[{:=_`\"']{0,10}(?:(?:the\s)?(?:final\s)?answer(?:\sis)?[\s:=*]{1,5})?[*\\(\[{_`\"'\s]{0,6}",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\boxed\s{0,3}\{")
_ANSWER = re.compile(r"\banswers?\b", re.IGNORECASE)
_CUE = re.compile(r"\b(?:is|are|be|was)\b|[:=]", re.IGNORECASE)
_BROKEN_OFF = re.compile(r"[;!?]|\.(?=.)|\n.*[A-Za-z]", re.DOTALL)
_DIGIT = re.compile("[0-9]")
_SPACED_MINUS = re.compile(r"-[ ]{1,3}(?=[$£€¥₹]?\.?[0-9])")
_HEADING = re.compile(r"[.):]\*{0,2} \*{0,2}[A-Za-z]")
_CALCULATION = re.compile(r"[^\n=(),;.]{0,60}?(?:[*/×÷+]|\s[x-]\s)[^\n=();]{0,60}?=")
_GOES_ON = re.compile(r"[,:'_-](?=[0-9])")
_NOT = re.compile(r"\bnot\s", re.IGNORECASE)
_BUT = re.compile(r"\b(?:but|rather)\s", re.IGNORECASE)
_MANNER = re.compile(
    r"\b(?:in|after|over|within|per|every|for|with|by|using|from|out\sof|through|at|on)\s(?:the\s|about\s)?$",
    re.IGNORECASE,
)
_MOST_LEADING_CHARS = 80
_MOST_CUE_CHARS = 120


@dataclass(frozen=True, slots=True)
class Answer:
    """What was taken as the answer of a solution."""

    value: Fraction | None
    """Exact; None where no rule found a number."""
    rule: Rule
    """The rule that found it."""

    @property
    def low_confidence(self) -> bool:
        """Whether the number was guessed, because the text does not mark its answer."""
        return self.rule in LOW_CONFIDENCE


def extract_answer(text: str, *, stop: Sequence[str] = STOP_TEXTS) -> Answer:
    """The answer of a solution. Takes bounded time whatever the text.

    Args:
        text: what a model wrote, without the prompt
        stop: texts that end it
    """
    said = plain(cut(text, stop)[-MAX_CHARS:])
    for rule, find in _RANKED:
        found = find(said)
        if found is not None:
            return Answer(found.value, rule)
    return Answer(None, "no_answer")


def cut(text: str, stop: Sequence[str] = STOP_TEXTS) -> str:
    """A response up to the first stop text that stands behind anything, without white space around it.

    Once an answer was given after `####`, any `Question:` begins another question.
    """
    text = text.strip()
    ends = [at for at in (text.find(mark, 1) for mark in stop) if at >= 0]
    given = text.find("####")
    if stop and given >= 0 and (again := text.find("Question:", given)) >= 0:
        ends.append(again)
    return text[: min(ends)].rstrip() if ends else text


def _after_hash(text: str) -> Number | None:
    for mark in _last(_HASH, text):
        lead = _AFTER_HASH.match(text, mark.end())
        found = None if lead is None else _number_behind(text, mark.end(), lead.end())
        if found is not None and not _is_heading(text, found.end):
            return None if _is_one_of_several(text, found) else _result_of(text, found)
    return None


def _number_behind(text: str, start: int, end: int) -> Number | None:
    """The number at the end of some decoration, of which the sign and the currency may be a part."""
    while end > start and text[end - 1] in "$-+ ":
        end -= 1
    while end < len(text) and text[end] == " ":
        end += 1
    if spaced := _SPACED_MINUS.match(text, end):
        found = number_at(text, spaced.end())
        return None if found is None else replace(found, value=-found.value)
    return number_at(text, end)


def _is_one_of_several(text: str, found: Number) -> bool:
    """Whether a number is the beginning of something else: a list, a time of day, a range, a sum without spaces."""
    return _GOES_ON.match(text, found.end) is not None


def _is_heading(text: str, end: int) -> bool:
    """Whether a number after `####` only counts a step, `#### 2. Add them up`, and numbers follow in later lines."""
    if not _HEADING.match(text, end):
        return False
    line_end = text.find("\n", end)
    return line_end >= 0 and _DIGIT.search(text, line_end) is not None


def _boxed(text: str) -> Number | None:
    for mark in _last(_BOXED, text):
        content = text[mark.end() : _closing_brace(text, mark.end())]
        if (found := _of_sentence(content)) is not None:
            return None if _is_one_of_several(content, found) else found
    return None


def _closing_brace(text: str, start: int) -> int:
    depth = 1
    for at in range(start, min(len(text), start + _WINDOW)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return at
    return min(len(text), start + _WINDOW)


def _answer_is(text: str) -> Number | None:
    for mark in _last(_ANSWER, text):
        start, digit = mark.end(), _DIGIT.search(text, mark.end(), mark.end() + _MOST_CUE_CHARS)
        if digit is None:
            continue
        between = text[start : digit.start()]
        cue = _CUE.search(between.partition("\n")[0])
        if cue is None or _BROKEN_OFF.search(between, cue.end()):
            continue
        start += cue.end()
        if _NOT.search(between, cue.end()):
            start, digit = _instead(text, digit.end())
        found = None if digit is None else _number_behind(text, start, _before_point(text, digit.start()))
        if found is not None:
            return None if _is_one_of_several(text, found) else _result_of(text, found)
    return None


def _instead(text: str, start: int) -> tuple[int, re.Match[str] | None]:
    """What is said to be the answer after what is not, `not 5 but 6`: where it may begin, and its first digit if any."""
    but = _BUT.search(text, start, start + _MOST_CUE_CHARS)
    if but is None or _BROKEN_OFF.search(text[start : but.start()]):
        return start, None
    digit = _DIGIT.search(text, but.end(), but.end() + _LINE)
    return but.end(), digit if digit and not _BROKEN_OFF.search(text[but.end() : digit.start()]) else None


def _before_point(text: str, digit: int) -> int:
    """Where a number begins whose first digit is known: `.5` begins before it."""
    return digit - (text[digit - 1] == ".")


def _hash_line(text: str) -> Number | None:
    """A number in the line of the last `####`, unless that is a heading with other numbers below it."""
    mark = next(_last(_HASH, text), None)
    if mark is None:
        return None
    line = text[mark.end() : mark.end() + _WINDOW].partition("\n")[0]
    return None if _DIGIT.search(text, mark.end() + len(line)) else _of_sentence(line)


def _leading(text: str) -> Number | None:
    """The first number of a short line whose others only say how it came about; no sum."""
    if len(text) > _MOST_LEADING_CHARS or "\n" in text or "=" in text:
        return None
    found = list(numbers(text))
    if len(found) < 2 or text[: found[0].start].strip("*_ ("):
        return None
    return found[0] if all(_MANNER.search(text[: other.start]) for other in found[1:]) else None


def _last_number(text: str) -> Number | None:
    # From the end, a sentence or a few at a time: most answers stand in the last one. No number spans `. ` or a line.
    end = len(text)
    while end > 0:
        before = max(0, end - _LINE)
        start = max(text.rfind("\n", 0, before), text.rfind(". ", 0, before), 0)
        if (found := last_number(text, start, end)) is not None:
            return found
        end = start
    return None


def _of_sentence(text: str) -> Number | None:
    """What a sentence or equation says: the number after its last `=`, or else its first."""
    equals = text.rfind("=")
    after = next(numbers(text, equals + 1), None) if equals >= 0 else None
    return after or next(numbers(text), None)


def _result_of(text: str, found: Number) -> Number:
    """The right side, where the number begins a calculation."""
    if not (sum_ := _CALCULATION.match(text, found.end)):
        return found
    line = text[sum_.end() - 1 :].partition("\n")[0][:_WINDOW]
    return next(numbers(line, line.rfind("=") + 1), found)


def _last(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """The matches of a pattern from the last on, a few at most."""
    return iter([*pattern.finditer(text)][: -_MAX_MARKS - 1 : -1])


_RANKED: tuple[tuple[Rule, Callable[[str], Number | None]], ...] = (
    ("hash", _after_hash),
    ("boxed", _boxed),
    ("answer_is", _answer_is),
    ("hash_line", _hash_line),
    ("leading_number", _leading),
    ("last_number", _last_number),
)
