"""The rates that are reported, each as one count over another, summed item by item."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labkit.report.table import Cell
from labkit.stats import Bootstrap, ClusterRate, cluster_bootstrap, cluster_rate
from labkit.tasks.goodhart.quadrants import Evaluation

_MOSTLY = 0.55
"""Least share of draws that define both rates, for an interval of the others to be given: one half, and what sampling takes."""

Sums = tuple[list[int], list[int]]
"""Two counts for each item, the first never above the second."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A rate: of the evaluations that are `among`, those that are `counted` too."""

    counted: Callable[[Evaluation], bool]
    among: Callable[[Evaluation], bool]

    def sums(self, evaluations: Sequence[Evaluation], items: Sequence[str]) -> Sums:
        """Both counts of every item, in the order of `items`."""
        place = {item: at for at, item in enumerate(items)}
        top, bottom = [0] * len(place), [0] * len(place)
        for each in evaluations:
            if self.among(each):
                bottom[place[each.item]] += 1
                top[place[each.item]] += self.counted(each)
        return top, bottom

    def happens(self, each: Evaluation) -> bool:
        """Whether an evaluation is counted, among all of them."""
        return self.among(each) and self.counted(each)


def _every(each: Evaluation) -> bool:
    return True


def _understands(each: Evaluation) -> bool:
    return each.understands


def _executes(each: Evaluation) -> bool:
    return each.executes


def _not_understands(each: Evaluation) -> bool:
    return not each.understands


def _fails(each: Evaluation) -> bool:
    return not each.executes


COMPARED = {
    "dbdk": Measure(_not_understands, _executes),
    "gap": Measure(_fails, _understands),
    "p_understands": Measure(_understands, _every),
    "p_executes": Measure(_executes, _every),
}
"""What conditions are compared by."""

RATES = {
    **COMPARED,
    "p_understands_given_executes": Measure(_understands, _executes),
    "p_executes_given_understands": Measure(_executes, _understands),
    "p_executes_given_not_understands": Measure(_executes, _not_understands),
    "dk_share": Measure(lambda each: each.quadrant == "DK", _every),
}
"""The columns of the table of conditions."""


def rate_of(sums: Sums) -> ClusterRate | None:
    """A rate with its interval over items; None where nothing is in its denominator."""
    return cluster_rate(*sums) if sum(sums[1]) else None


def rate_cells(name: str, rate: ClusterRate | None) -> dict[str, Cell]:
    """A rate `x` with its interval in `x_low` and `x_high`."""
    if rate is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high}


def resampled(sums: Sums, other: Sums | None = None) -> Bootstrap | None:
    """A rate, or the difference other - rate, with its interval from 20,000 draws of whole items.

    None where an interval would say nothing: most draws have nothing in a denominator, or all of them give one value,
    because every item says the same or there is only one.
    """
    if len(sums[1]) < 2 or _chance_of_denominators(sums[1], (other or sums)[1]) < _MOSTLY:
        return None
    found = cluster_bootstrap(*sums, *(other or ()), num_draws=20_000, seed=0)
    return found if found.high - found.low > 1e-12 else None


def _chance_of_denominators(a: Sequence[int], b: Sequence[int]) -> float:
    """Chance that as many items, drawn with replacement, hold something of either denominator."""
    num_items = len(a)

    def missed(empty: int) -> float:
        return (empty / num_items) ** num_items

    neither = sum(not x and not y for x, y in zip(a, b, strict=True))
    return 1 - missed(list(a).count(0)) - missed(list(b).count(0)) + missed(neither)
