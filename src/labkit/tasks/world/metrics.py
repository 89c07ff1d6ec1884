"""Normalised improvement (NI): how far a fine-tuned model has come on Atlantis, on the scale of its own base.

0 is no better than the base on Atlantis, 1 is as good there as the base is on ordinary cities. Of the mean value v of
the fine-tuned model on Atlantis, A of its base on Atlantis and S of its base on ordinary cities:

    error tasks     NI = ln(A / v) / ln(A / S)
    accuracy tasks  NI = (v - A) / (S - A)

clipped to [0, 1.5]. The two modes differ only where these formulas say nothing: `monotone` has no value there and says
why; `published` gives what the published code gave, so that published numbers can be reproduced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from labkit.config.world import Kind

Mode = Literal["monotone", "published"]

LOWEST, HIGHEST = 0.0, 1.5
"""NI is clipped to this range."""

WORSE = "worse than the base"
BEYOND = f"beyond {HIGHEST}"
ZERO_ERROR = "zero error"
NO_BETTER = "undefined: base no better on ordinary cities"
FLAWLESS = "undefined: base makes no error on ordinary cities"


@dataclass(frozen=True, slots=True)
class Improvement:
    """A normalised improvement, and what must be known to read it."""

    value: float | None
    """In [0, 1.5]; None where it is undefined."""
    flag: str | None = None
    """Why it is undefined, clipped, or given by a rule instead of the formula; None for an ordinary value."""
    low: float | None = None
    """Lower bound of the 95 % interval, clipped alike; None without one."""
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of rows with what its uncertainty follows from."""

    value: float
    std: float
    """Population standard deviation (ddof 0) of the rows."""
    num_rows: int

    def standard_error(self, kind: Kind) -> float | None:
        """Of the mean. None for the error of a single row, which has no spread to learn from.

        That of an accuracy is Agresti and Coull's (1998), two right and two wrong answers added: it does not vanish where
        every answer is right.
        """
        if kind == "error":
            return self.std / math.sqrt(self.num_rows - 1) if self.num_rows > 1 else None
        rate = (self.value * self.num_rows + 2) / (self.num_rows + 4)
        return math.sqrt(rate * (1 - rate) / (self.num_rows + 4))


def normalized_improvement(
    value: float,
    baseline_atlantis: float,
    baseline_standard: float,
    kind: Kind,
    *,
    mode: Mode = "monotone",
) -> float | None:
    """NI as a number in [0, 1.5], or None where it is undefined; `improvement` says why.

    Args:
        value: v, the mean error or accuracy of the fine-tuned model on Atlantis
        baseline_atlantis: A, that of its base on Atlantis
        baseline_standard: S, that of its base on ordinary cities
        kind: whether the three are errors (at least 0, lower is better) or accuracies (0 to 1, higher is better)

    Raises:
        ValueError: a number is not finite, negative, or an accuracy above 1.
    """
    return improvement(value, baseline_atlantis, baseline_standard, kind, mode=mode).value


def improvement(
    value: float,
    baseline_atlantis: float,
    baseline_standard: float,
    kind: Kind,
    *,
    mode: Mode = "monotone",
) -> Improvement:
    """NI with a flag, without an interval.

    For fixed A and S it never rises with an error and never falls with an accuracy. In mode `monotone` it is undefined
    where the base does no better on ordinary cities than on Atlantis (its differences there are no scale), and where it
    makes no error at all on ordinary cities; an error of 0 has the highest value. Mode `published` has the rules of the
    published code for these cases: 0 for accuracies; for errors 0 where v is no better than A, else 1. That code divided
    by zero where S is 0 and v is not, which is undefined here too. Its linear rule for errors is reached by no number.

    Raises:
        ValueError: as `normalized_improvement`.
    """
    _check(kind, v=value, A=baseline_atlantis, S=baseline_standard)
    rules = _error if kind == "error" else _accuracy
    return rules(value, baseline_atlantis, baseline_standard, mode)


def improvement_with_interval(
    value: Mean, baseline_atlantis: Mean, baseline_standard: Mean, kind: Kind, *, mode: Mode = "monotone"
) -> Improvement:
    """NI with a 95 % interval by the delta method, v, A and S taken as independent.

    They are not quite: v and A answer the same questions, so their errors go up and down together and the interval is
    rather too wide than too narrow. Where a rule gave the value instead of the formula, or a mean is of one row, there
    is none.

    Raises:
        ValueError: as `normalized_improvement`.
    """
    means = (value, baseline_atlantis, baseline_standard)
    v, a, s = (mean.value for mean in means)
    found = improvement(v, a, s, kind, mode=mode)
    by_formula = found.value is not None and _gap(a, s, kind) > 0 and (kind == "accuracy" or min(v, s) > 0)
    errors = [error for mean in means if (error := mean.standard_error(kind)) is not None]
    if not by_formula or len(errors) < len(means):
        return found
    centre = _share(v, a, s, kind)
    slopes = _slopes(v, a, s, kind)
    spread = math.hypot(*(slope * error for slope, error in zip(slopes, errors, strict=True)))
    half = NormalDist().inv_cdf(0.975) * spread
    return Improvement(found.value, found.flag, _clipped(centre - half), _clipped(centre + half))


def _error(v: float, a: float, s: float, mode: Mode) -> Improvement:
    if mode == "published" and (s >= a or v == 0):
        return Improvement(0.0 if v >= a else 1.0, ZERO_ERROR if v == 0 else NO_BETTER)
    if _gap(a, s, "error") <= 0:
        return Improvement(None, NO_BETTER)
    if s == 0:
        return Improvement(None, FLAWLESS)
    return Improvement(HIGHEST, ZERO_ERROR) if v == 0 else _by_formula(v, a, s, "error")


def _accuracy(v: float, a: float, s: float, mode: Mode) -> Improvement:
    if s <= a:
        return Improvement(0.0 if mode == "published" else None, NO_BETTER)
    return _by_formula(v, a, s, "accuracy")


def _by_formula(v: float, a: float, s: float, kind: Kind) -> Improvement:
    share = _share(v, a, s, kind)
    flag = WORSE if share < LOWEST else BEYOND if share > HIGHEST else None
    return Improvement(_clipped(share), flag)


def _gap(a: float, s: float, kind: Kind) -> float:
    """What the base does better on ordinary cities; infinite where it makes no error there."""
    if kind == "accuracy":
        return s - a
    # Differences of logarithms: a quotient of two close numbers would round to 1, and of far ones overflow.
    return math.inf if s == 0 < a else math.log(a) - math.log(s) if a > 0 else 0.0


def _share(v: float, a: float, s: float, kind: Kind) -> float:
    """The unclipped formula, for numbers where it is defined."""
    gained = v - a if kind == "accuracy" else math.log(a) - math.log(v)
    return gained / _gap(a, s, kind)


def _slopes(v: float, a: float, s: float, kind: Kind) -> tuple[float, float, float]:
    """Derivatives of the formula after v, A and S."""
    share, gap = _share(v, a, s, kind), _gap(a, s, kind)
    if kind == "accuracy":
        return 1 / gap, (share - 1) / gap, -share / gap
    return -1 / (v * gap), (1 - share) / (a * gap), share / (s * gap)


def _clipped(share: float) -> float:
    return min(max(share, LOWEST), HIGHEST)


def _check(kind: Kind, **values: float) -> None:
    highest = 1.0 if kind == "accuracy" else math.inf
    for name, value in values.items():
        if not math.isfinite(value) or not 0 <= value <= highest:
            raise ValueError(f"{name} is {value}, which is no {'accuracy' if kind == 'accuracy' else 'mean error'}")
