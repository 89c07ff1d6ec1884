"""From a solution to its verdicts: labkit's, and beside it those of the two rules that other harnesses report.

Pure functions of text. All three see the same response, cut where it runs on into another question.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from labkit.tasks.base import Score
from labkit.tasks.gsm8k.extraction import MAX_CHARS, RULES_VERSION, cut, extract_answer
from labkit.tasks.gsm8k.numbers import canonical
from labkit.tasks.gsm8k.peers import compared, flexible_extract, strict_match

SCORER = f"gsm8k-{RULES_VERSION}"
"""Name and version of these rules; it changes with any verdict."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Solutions that are right by each rule, among as many."""

    num_solutions: int
    labkit: int
    strict: int
    """lm-evaluation-harness's `strict-match`."""
    flexible: int
    """Its `flexible-extract`."""
    low_confidence: int
    """Answers that labkit had to guess, right or wrong."""
    no_answer: int
    """Solutions in which labkit finds none."""


def score(text: str, gold: Fraction) -> Score:
    """Grade a solution; `answer` is the exact value in its canonical spelling, so equal answers are equal texts."""
    found = extract_answer(text)
    correct = found.value == gold
    answer = None if found.value is None else canonical(found.value)
    return Score(correct, float(correct), answer, found.rule)


def peer_verdicts(text: str, gold: Fraction) -> tuple[bool, bool]:
    """Whether a solution is right by `strict-match` and by `flexible-extract`."""
    said, wanted = cut(text)[-MAX_CHARS:], compared(canonical(gold))
    return strict_match(said) == wanted, flexible_extract(said) == wanted


def compare_rules(solutions: Iterable[tuple[str, Fraction]]) -> Comparison:
    """How many solutions are right by each rule.

    Args:
        solutions: the text of each with its gold
    """
    counts = [0] * 6
    for text, gold in solutions:
        found = extract_answer(text)
        verdicts = (True, found.value == gold, *peer_verdicts(text, gold), found.low_confidence, found.value is None)
        counts = [count + verdict for count, verdict in zip(counts, verdicts, strict=True)]
    return Comparison(*counts)
