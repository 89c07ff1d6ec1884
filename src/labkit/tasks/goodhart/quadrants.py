"""What the two verdicts on an item say together.

An evaluation asks every item several times. Explanation and answer of the same index are a pair: they were asked apart, but
they are draws of the same run of the published protocol.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Quadrant = Literal["KD", "KF", "DK", "NN"]

QUADRANTS: dict[Quadrant, str] = {
    "KD": "knows and does",
    "KF": "knows and fails (the Goodhart gap)",
    "DK": "does but does not know",
    "NN": "neither",
}
"""What each one means, for reports."""


def quadrant(understands: bool, executes: bool) -> Quadrant:
    """Where an item stands by whether its explanation and its answer are right."""
    if understands:
        return "KD" if executes else "KF"
    return "DK" if executes else "NN"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One item in one run over the items."""

    item: str
    category: str
    index: int
    """Which rollout."""
    understands: bool
    executes: bool
    truncated: bool
    """Whether either text ended at the limit of tokens: then a wrong verdict may say only that."""
    failed: bool = False
    """Whether either text is missing because generating it failed; it counts as wrong."""
    length: float | None = None
    """Of the explanation, in tokens, or in characters where only those were published; None where it failed."""

    @property
    def quadrant(self) -> Quadrant:
        return quadrant(self.understands, self.executes)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One graded text."""

    item: str
    category: str
    part: str
    """`explain` or `answer`."""
    index: int
    correct: bool
    truncated: bool
    failed: bool = False
    length: float | None = None
    """Of the text, in whatever unit its length is known."""


def paired(verdicts: Iterable[Verdict]) -> list[Evaluation]:
    """The evaluations of which both texts are there, in the order in which their items and indices first come."""
    found: dict[tuple[str, int], dict[str, Verdict]] = {}
    for verdict in verdicts:
        found.setdefault((verdict.item, verdict.index), {})[verdict.part] = verdict
    return [
        Evaluation(
            item,
            parts["explain"].category,
            index,
            understands=parts["explain"].correct,
            executes=parts["answer"].correct,
            truncated=parts["explain"].truncated or parts["answer"].truncated,
            failed=parts["explain"].failed or parts["answer"].failed,
            length=parts["explain"].length,
        )
        for (item, index), parts in found.items()
        if len(parts) == 2
    ]


def count_quadrants(evaluations: Iterable[Evaluation]) -> dict[str, int]:
    """How many evaluations are in each quadrant."""
    counts = Counter(each.quadrant for each in evaluations)
    return {name: counts[name] for name in QUADRANTS}
