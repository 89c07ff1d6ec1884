"""What a Countdown problem is: its identity, the split it belongs to, and whether it can be solved at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd

from labkit.errors import InputError
from labkit.tasks.countdown.expression import ExpressionError, evaluate, literals, parse
from labkit.tasks.countdown.target import Target, parse_target

MAX_SOLVED_NUMBERS = 6
"""The most numbers that `solve` takes: 6 can take seconds, and each further one over ten times that."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Reach `target` from `numbers`, each used exactly once."""

    numbers: tuple[int, ...]
    """Non-negative, in the order in which a prompt shows them."""
    target: str
    """An integer or a decimal in its canonical spelling (`target.canonical_target`)."""
    solution: str | None = None
    """One expression said to solve it, or None; of a file's it is not certain that it does."""

    @property
    def identity(self) -> str:
        """The same text for the same numbers in any order and the same target, and for nothing else."""
        return identify(self.numbers, self.target)

    def solution_holds(self) -> bool:
        """Whether the problem's own solution uses each number once and reaches the target."""
        if self.solution is None:
            return False
        try:
            postfix = parse(self.solution)
            value = evaluate(postfix)
        except (ExpressionError, ZeroDivisionError):
            return False
        return sorted(literals(postfix)) == sorted(self.numbers) and parse_target(self.target).matches(*value)


def identify(numbers: Sequence[int], target: str | int) -> str:
    """The canonical identity of a problem: its sorted numbers and its target."""
    return f"{' '.join(map(str, sorted(numbers)))} = {target}"


_Term = tuple[int, int, str]
"""A value reached on the way: numerator, denominator (reduced, positive) and how."""


def solve(numbers: Sequence[int], target: str | int) -> str | None:
    """An expression that the exact scorer accepts, such as `(44 + 19) + 35`, or None where there is none.

    Tries every way to combine two of the values at hand until one is left, over exact fractions. A leading sign is
    tried last: only a negative target can need it (`expression`).

    Raises:
        InputError: more than `MAX_SOLVED_NUMBERS` numbers, or the target is not a number.
    """
    if len(numbers) > MAX_SOLVED_NUMBERS:
        raise InputError(
            f"{len(numbers)} numbers are too many to solve by trying", f"give at most {MAX_SOLVED_NUMBERS}"
        )
    goal = parse_target(target)
    terms: list[_Term] = [(number, 1, str(number)) for number in numbers]
    found = _search(terms, goal, set())
    if found is not None:
        return found[1:-1] if found.startswith("(") else found
    negated = _search(terms, goal.negated(), set()) if goal.numerator < 0 else None
    return None if negated is None else f"-{negated}"


def _search(terms: list[_Term], goal: Target, dead: set[tuple[tuple[int, int], ...]]) -> str | None:
    """Combine two terms and go on; `dead` holds the sets of values known to lead nowhere."""
    if len(terms) == 1:
        numerator, denominator, text = terms[0]
        return text if goal.matches(numerator, denominator) else None
    state = tuple(sorted((numerator, denominator) for numerator, denominator, _ in terms))
    if state in dead:
        return None
    for i, first in enumerate(terms):
        for j in range(i + 1, len(terms)):
            rest = terms[:i] + terms[i + 1 : j] + terms[j + 1 :]
            for combined in _combinations(first, terms[j]):
                if found := _search([*rest, combined], goal, dead):
                    return found
    dead.add(state)
    return None


def _combinations(first: _Term, second: _Term) -> Iterator[_Term]:
    """Every value of one operation on two terms, each order of `-` and `/` included."""
    a, a_under, a_text = first
    b, b_under, b_text = second
    under = a_under * b_under
    yield _term(a * b_under + b * a_under, under, f"({a_text} + {b_text})")
    yield _term(a * b_under - b * a_under, under, f"({a_text} - {b_text})")
    yield _term(b * a_under - a * b_under, under, f"({b_text} - {a_text})")
    yield _term(a * b, under, f"({a_text} * {b_text})")
    if b:
        yield _term(a * b_under, a_under * b, f"({a_text} / {b_text})")
    if a:
        yield _term(b * a_under, b_under * a, f"({b_text} / {a_text})")


def _term(numerator: int, denominator: int, text: str) -> _Term:
    divisor = gcd(numerator, denominator)
    if denominator < 0:
        divisor = -divisor
    return numerator // divisor, denominator // divisor, text
