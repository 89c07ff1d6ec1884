"""The number that an answer has to reach, as files write it: `98`, `-11`, `27.4`, `-15.727272727272727`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from labkit.errors import InputError

NUMBER = re.compile(r"([+-]?)([0-9]{1,50})(?:\.([0-9]{1,50}))?")
"""A signed decimal of bounded length; groups: sign, digits before and after the point."""

_DOUBLE_DIGITS = 15
"""A double holds 15 significant digits for certain: a decimal that long is taken as the rendering of a fraction."""

_TOLERANCE_PER_UNIT = 10**12


@dataclass(frozen=True, slots=True)
class Target:
    """An exact number, or one known only to a double's precision."""

    numerator: int
    denominator: int
    """A power of ten."""
    rounded: bool
    """Whether the text was a decimal with 15 or more significant digits."""

    def matches(self, numerator: int, denominator: int) -> bool:
        """Whether `numerator / denominator` is the target.

        Integers and short decimals are compared exactly. A rounded decimal is the float arithmetic of somebody's
        solution written out, so it may differ from the true fraction by 1e-12 * max(1, |target|): thousands of
        rounding errors wide, and still narrower than the gap between two values that five numbers below 100 reach.
        """
        difference = numerator * self.denominator - self.numerator * denominator
        if difference == 0:
            return True
        if not self.rounded:
            return False
        scale = abs(denominator) * max(self.denominator, abs(self.numerator))
        return abs(difference) * _TOLERANCE_PER_UNIT <= scale

    @property
    def is_integer(self) -> bool:
        """Whether the target is a whole number, exactly."""
        return self.numerator % self.denominator == 0

    def negated(self) -> Target:
        """The same number with the other sign."""
        return Target(-self.numerator, self.denominator, self.rounded)


@lru_cache(maxsize=4096)
def parse_target(text: str | int) -> Target:
    """Read a target.

    Raises:
        InputError: the text is not a signed decimal of at most 50 digits on either side of the point.
    """
    match = NUMBER.fullmatch(str(text).strip())
    if match is None:
        raise InputError(
            f"the target {str(text)[:60]!r} is not a number", "write it as an integer or a decimal: 98, -11, 27.4"
        )
    sign, whole, fraction = match[1], match[2], match[3] or ""
    digits = whole + fraction
    numerator = int(digits) * (-1 if sign == "-" else 1)
    rounded = bool(fraction) and len(digits.lstrip("0")) >= _DOUBLE_DIGITS
    return Target(numerator, 10 ** len(fraction), rounded)


def canonical_target(target: str | int) -> str:
    """The one spelling of a target: no plus sign, no leading zeros, no zeros after the last decimal that counts.

    Raises:
        InputError: as `parse_target`.
    """
    parse_target(target)
    match = NUMBER.fullmatch(str(target).strip())
    assert match is not None
    whole, fraction = match[2].lstrip("0") or "0", (match[3] or "").rstrip("0")
    magnitude = f"{whole}.{fraction}" if fraction else whole
    return f"-{magnitude}" if match[1] == "-" and magnitude != "0" else magnitude
