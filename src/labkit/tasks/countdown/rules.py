"""The names of the rules that decide about an answer; a score carries one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

ScorerMode = Literal["exact", "published"]
SCORER_MODES: tuple[ScorerMode, ...] = get_args(ScorerMode)

Rule = Literal[
    "exact",
    "normalised",
    "equation",
    "published",
    "no_answer",
    "too_long",
    "not_an_expression",
    "wrong_numbers",
    "division_by_zero",
    "wrong_value",
    "unbounded",
]

ACCEPTING: frozenset[Rule] = frozenset({"exact", "normalised", "equation", "published"})
"""The rules under which an answer is right."""

RULES: Mapping[Rule, str] = {
    "exact": "right as it is written, in the characters that the published scorer knows",
    "normalised": "right once line breaks, tabs and signs such as × ÷ − are read as what they mean",
    "equation": "right on one side of `=`, with the target on the other",
    "published": "right for the published scorer (mode `published` only)",
    "no_answer": "no <answer>…</answer> in the text",
    "too_long": "longer than any answer has a reason to be; not read",
    "not_an_expression": "not arithmetic of + - * / and parentheses (a word, `//`, `**`, an open parenthesis)",
    "wrong_numbers": "an expression, but not of each given number exactly once",
    "division_by_zero": "the right numbers, with a division by zero",
    "wrong_value": "the right numbers, but another value, or an equation that states another",
    "unbounded": "the published scorer would compute a number beyond bounds, or hang (mode `published` only)",
}
"""What each rule means, for reports."""
