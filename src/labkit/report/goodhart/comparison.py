"""The tables of kind `dbdk_comparison` and `dbdk_item_tests`: conditions against one of them, on the same items.

Items are the unit: a test that swaps the conditions within whole items comes first, and the interval is from resampling
whole items. What takes answers for independent (Newcombe, z, Fisher, McNemar) stands beside, as published numbers are of that
kind. Everything is computed by `labkit.stats`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labkit.report.goodhart.kinds import COMPARISON_KIND, ITEM_TESTS_KIND
from labkit.report.goodhart.measures import COMPARED, Measure, Sums, rate_cells, rate_of, resampled
from labkit.report.goodhart.reading import Condition
from labkit.report.table import Cell, Table
from labkit.stats import (
    fisher_exact,
    holm,
    mcnemar_exact,
    mde,
    newcombe,
    paired_cluster_difference,
    rates_sample_size,
    sample_size,
    sign_flip_permutation,
    swap_permutation,
    two_proportion_z,
)
from labkit.tasks.goodhart.quadrants import Evaluation

Row = dict[str, Cell]

_EXPENDABLE = (
    *("answers_for_difference", "answers_for_3_points", "items_for_10_points", "spread", "z", "p_z", "p_t", "se"),
    *("newcombe_low", "newcombe_high", "t_low", "t_high", "num_patterns", "permutation_exact", "p_fisher"),
    *("mcnemar_only_a", "mcnemar_only_b", "p_mcnemar", "both_difference", "both_a", "both_b", "num_both"),
    *(
        "items_for_3_points",
        "p_holm",
        "num_items",
        "num_runs",
        "against",
        "rate_a_low",
        "rate_b_low",
        "mde",
        "condition",
    ),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two conditions over the same items, as often each."""

    base: Condition
    other: Condition

    @property
    def items(self) -> tuple[str, ...]:
        return self.base.items

    def sums(self, measure: Measure) -> tuple[Sums, Sums]:
        """Both counts of every item, of the base and of the other."""
        return measure.sums(self.base.evaluations, self.items), measure.sums(self.other.evaluations, self.items)

    def evaluations(self) -> list[tuple[Evaluation, Evaluation]]:
        """Evaluations of one item and one run, side by side."""
        others = {(each.item, each.index): each for each in self.other.evaluations}
        return [(each, others[each.item, each.index]) for each in self.base.evaluations]


def comparison_rows(pairs: Sequence[Pair]) -> list[Row]:
    """One row a condition and measure; p-values of the permutation test adjusted over the conditions."""
    rows = [_row(pair, name, measure) for pair in pairs for name, measure in COMPARED.items()]
    for name in COMPARED:
        _adjust([row for row in rows if row["measure"] == name], "p_permutation", "p_holm")
    return rows


def comparison_table(rows: Sequence[Row], against: str, notes: list[str]) -> Table:
    """The table of `comparison_rows`."""
    title = f"goodhart, compared with {against}: difference = condition - {against}"
    return Table(COMPARISON_KIND, title, list(rows[0]), rows, notes, _EXPENDABLE)


def item_tests_table(pairs: Sequence[Pair]) -> Table:
    """One row a condition, measure and item: Fisher's test of the item's answers, adjusted over the items."""
    rows: list[Row] = []
    for pair in pairs:
        for name, measure in COMPARED.items():
            sums_a, sums_b = pair.sums(measure)
            counts = zip(pair.items, *sums_a, *sums_b, strict=True)
            tests = [_item_row(pair, name, item, *numbers) for item, *numbers in counts]
            _adjust(tests, "p_fisher", "p_holm")
            rows += tests
    notes = ["runs of one item are alike: a test of single answers is too sure; p_holm is adjusted over the items"]
    return Table(ITEM_TESTS_KIND, "goodhart, item by item", list(rows[0]), rows, notes)


def _item_row(pair: Pair, measure: str, item: str, *counts: int) -> Row:
    top_a, n_a, top_b, n_b = counts
    return {
        "condition": pair.other.label,
        "against": pair.base.label,
        "measure": measure,
        "item": item,
        "count_a": top_a,
        "n_a": n_a,
        "count_b": top_b,
        "n_b": n_b,
        "p_fisher": fisher_exact(top_a, n_a, top_b, n_b) if n_a and n_b else None,
    }


def _adjust(rows: Sequence[Row], source: str, target: str) -> None:
    """Add Holm's p-values of the rows that have one."""
    tested = [(row, value) for row in rows if isinstance(value := row[source], float)]
    for row in rows:
        row[target] = None
    for (row, _), adjusted in zip(tested, holm([value for _, value in tested]), strict=True):
        row[target] = float(adjusted)


def _row(pair: Pair, name: str, measure: Measure) -> Row:
    sums_a, sums_b = pair.sums(measure)
    top_a, n_a, top_b, n_b = sum(sums_a[0]), sum(sums_a[1]), sum(sums_b[0]), sum(sums_b[1])
    row: Row = {
        "condition": pair.other.label,
        "against": pair.base.label,
        "measure": name,
        "num_items": len(pair.items),
        "num_runs": len(pair.base.evaluations) // len(pair.items),
        "count_a": top_a,
        "n_a": n_a,
        "count_b": top_b,
        "n_b": n_b,
    }
    row |= rate_cells("rate_a", rate_of(sums_a)) | rate_cells("rate_b", rate_of(sums_b))
    known = bool(n_a and n_b)
    row |= _of_items(sums_a, sums_b) if known and len(pair.items) > 1 else dict.fromkeys(_OF_ITEMS)
    row |= _of_answers(top_a, n_a, top_b, n_b) if known else dict.fromkeys(_OF_ANSWERS)
    return row | _of_pairs(pair, measure) | _of_both(pair, measure)


_OF_ITEMS = (
    *(
        "difference",
        "difference_low",
        "difference_high",
        "p_permutation",
        "p_holm",
        "num_patterns",
        "permutation_exact",
    ),
    *("se", "t_low", "t_high", "p_t", "spread", "mde", "items_for_3_points", "items_for_10_points"),
)


def _of_items(a: Sums, b: Sums) -> Row:
    """What takes items for independent, and nothing else. Where all of them agree there is no spread to learn an error,
    an interval or a power from; the permutation test stands."""
    linear, bootstrap = paired_cluster_difference(*a, *b), resampled(a, b)
    # With one denominator an item's counts only change their sign, for which every pattern is counted in any number.
    if a[1] == b[1] and len(set(a[1])) == 1:
        test = sign_flip_permutation([(after - before) for before, after in zip(a[0], b[0], strict=True)])
    else:
        test = swap_permutation(*a, *b)
    varies = linear.spread > 1e-12
    num_items = len(a[0])
    return {
        "difference": linear.value,
        "difference_low": bootstrap.low if bootstrap else None,
        "difference_high": bootstrap.high if bootstrap else None,
        "p_permutation": test.p_value,
        "p_holm": None,
        "num_patterns": test.num_patterns,
        "permutation_exact": test.exact,
        "se": linear.standard_error if varies else None,
        "t_low": linear.low if varies else None,
        "t_high": linear.high if varies else None,
        "p_t": linear.p_value if varies else None,
        "spread": linear.spread,
        "mde": mde(num_items, linear.spread, student=True) if varies else None,
        "items_for_3_points": sample_size(0.03, linear.spread) if varies else None,
        "items_for_10_points": sample_size(0.1, linear.spread) if varies else None,
    }


_OF_ANSWERS = (
    "newcombe_low",
    "newcombe_high",
    "z",
    "p_z",
    "p_fisher",
    "answers_for_3_points",
    "answers_for_difference",
)


def _of_answers(top_a: int, n_a: int, top_b: int, n_b: int) -> Row:
    """What takes answers for independent."""
    _, low, high = newcombe(top_a, n_a, top_b, n_b)
    z, p_value = two_proportion_z(top_a, n_a, top_b, n_b)
    a, b = top_a / n_a, top_b / n_b
    return {
        "newcombe_low": low,
        "newcombe_high": high,
        "z": z,
        "p_z": p_value,
        "p_fisher": fisher_exact(top_a, n_a, top_b, n_b),
        "answers_for_3_points": rates_sample_size(a, a + 0.03) if a <= 0.97 else None,
        "answers_for_difference": rates_sample_size(a, b) if a != b else None,
    }


def _of_pairs(pair: Pair, measure: Measure) -> Row:
    """McNemar's test of what is counted, run by run."""
    happened = [(measure.happens(a), measure.happens(b)) for a, b in pair.evaluations()]
    only_a, only_b = happened.count((True, False)), happened.count((False, True))
    return {"mcnemar_only_a": only_a, "mcnemar_only_b": only_b, "p_mcnemar": mcnemar_exact(only_a, only_b)}


def _of_both(pair: Pair, measure: Measure) -> Row:
    """The comparison on evaluations that are in the denominator of both conditions: executed by both, for `dbdk`."""
    both = [(a, b) for a, b in pair.evaluations() if measure.among(a) and measure.among(b)]
    sums = [measure.sums([each[side] for each in both], pair.items) for side in (0, 1)]
    found = resampled(sums[0], sums[1]) if both else None
    top_a, top_b = (sum(each[0]) for each in sums)
    return {
        "num_both": len(both),
        "both_a": top_a,
        "both_b": top_b,
        "both_difference": (top_b - top_a) / len(both) if both else None,
        "both_difference_low": found.low if found else None,
        "both_difference_high": found.high if found else None,
    }
