"""Countdown answers to scores.

The reward is the published one (es-fine-tuning-paper, countdown task): `0.1 * format + correct`, at most 1.1. Two modes
decide what is correct: `exact` reads the answer as arithmetic over fractions, `published` repeats the verdicts of the
published code for comparison. Every search is a plain `str.find`: the published patterns need quadratic time on a text
of many opening tags.
"""

from __future__ import annotations

from collections.abc import Sequence

from labkit.tasks.base import Score
from labkit.tasks.countdown.choice import check_choice
from labkit.tasks.countdown.expression import ExpressionError, evaluate, literals, parse
from labkit.tasks.countdown.published import CHARACTERS, judge_published
from labkit.tasks.countdown.rules import ACCEPTING, SCORER_MODES, Rule, ScorerMode
from labkit.tasks.countdown.target import NUMBER, parse_target

MAX_CHARS = 1000
"""The longest answer that is read, without surrounding white space; it bounds digits, depth and time alike."""

_MAX_KEPT_CHARS = 2000
"""How much of an answer a score keeps: a run records every score, and a model may repeat itself for megabytes."""

_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})


def score(text: str, numbers: Sequence[int], target: str | int, *, mode: ScorerMode = "exact") -> Score:
    """Grade one response, `text` being all that the scorer is to see of it (an opening `<think>` included).

    The last `<answer>…</answer>` counts. `Score.rule` is one of `labkit.tasks.countdown.rules.RULES`.

    Raises:
        InputError: the target is not a number, or the mode is unknown.
    """
    answer = last_answer(text)
    rule: Rule
    if answer is None:
        rule = "no_answer"
    elif mode == "exact":
        answer = answer.strip()
        rule = judge_exact(answer, numbers, target)
    else:
        check_choice("scorer mode", mode, SCORER_MODES)
        parse_target(target)
        rule = judge_published(answer, numbers, target)
    correct = rule in ACCEPTING
    if answer is not None and len(answer) > _MAX_KEPT_CHARS:
        answer = answer[:_MAX_KEPT_CHARS] + "…"
    return Score(correct=correct, reward=0.1 * format_score(text) + correct, answer=answer, rule=rule)


def last_answer(text: str) -> str | None:
    """What stands between the last pair of answer tags; pairs are matched from the left and do not nest."""
    answer = None
    end = 0
    while (start := text.find("<answer>", end)) >= 0:
        start += len("<answer>")
        close = text.find("</answer>", start)
        if close < 0:
            break
        answer = text[start:close]
        end = close + len("</answer>")
    return answer


def format_score(text: str) -> float:
    """1.0 for thoughts, a line break and an answer that make up the whole text; otherwise 0.1 and 0.5 for each found.

    One line break after the answer is allowed, as the published pattern ends in `$`.
    """
    start = len("<think>")
    if text.startswith("<think>") and text.endswith(("</answer>", "</answer>\n")):
        border = text.find("</think>\n<answer>", start)
        if border >= 0 and text.rfind("</answer>") >= border + len("</think>\n<answer>"):
            return 1.0
    return 0.1 * _has_pair(text, "<think>", "</think>") + 0.5 * _has_pair(text, "<answer>", "</answer>")


def _has_pair(text: str, opening: str, closing: str) -> bool:
    start = text.find(opening)
    return start >= 0 and text.find(closing, start + len(opening)) >= 0


def judge_exact(answer: str, numbers: Sequence[int], target: str | int) -> Rule:
    """The rule that decides about a stripped answer under exact arithmetic.

    Raises:
        InputError: the target is not a number.
    """
    goal = parse_target(target)
    if len(answer) > MAX_CHARS:
        return "too_long"
    text = answer
    accepted: Rule = "exact"
    if not CHARACTERS.fullmatch(answer):
        text = answer.translate(_SIGNS)
        accepted = "normalised"
    if "=" in text:
        sides = _split_equation(text)
        if sides is None:
            return "not_an_expression"
        text, stated = sides
        value = parse_target(stated)
        if not goal.matches(value.numerator, value.denominator):
            return "wrong_value"
        accepted = "equation"
    try:
        postfix = parse(text)
        if sorted(literals(postfix)) != sorted(numbers):
            return "wrong_numbers"
        numerator, denominator = evaluate(postfix)
    except ExpressionError:
        return "not_an_expression"
    except ZeroDivisionError:
        return "division_by_zero"
    return accepted if goal.matches(numerator, denominator) else "wrong_value"


def _split_equation(text: str) -> tuple[str, str] | None:
    """The expression and the number that it is said to equal; None where neither side is a plain number."""
    left, _, right = (part.strip() for part in text.partition("="))
    if NUMBER.fullmatch(right):
        return left, right
    if NUMBER.fullmatch(left):
        return right, left
    return None
