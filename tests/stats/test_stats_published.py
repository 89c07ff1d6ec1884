"""One published study recomputed from its verdicts: 20 items, 5 runs each, a model and its compressed copy.

Every answer was judged twice: did the model explain how (know), and was its answer right (do).
"""

from __future__ import annotations

from math import ceil

import numpy as np
import numpy.typing as npt
import pytest

from labkit.stats import (
    cluster_bootstrap,
    cluster_rate,
    fisher_exact,
    holm,
    intraclass_correlation,
    mcnemar_exact,
    mde,
    newcombe,
    paired_cluster_difference,
    rates_sample_size,
    sample_size,
    swap_permutation,
    two_proportion_z,
    wilson,
)

# b both, k knows only, d does only, n neither; one letter a run.
VERDICTS = {
    "discount_coupon": ("bbbbb", "bbbbb"),
    "time_duration": ("bbkbk", "kkkkk"),
    "financial_compound": ("kkkkk", "kkkkk"),
    "recipe_scale": ("dbbbb", "bbbbb"),
    "unit_chain": ("kkkkk", "kkkkk"),
    "transitive_order": ("ddddd", "ddddd"),
    "task_schedule": ("bbbbk", "kbkbk"),
    "percentage_chain": ("bdbbd", "dbbbb"),
    "average_weighted": ("kkkkk", "kkknk"),
    "reverse_percentage": ("ddddd", "ddddd"),
    "timezone_convert": ("bbbbb", "dddbb"),
    "elapsed_time": ("ddbbb", "dbbdb"),
    "schedule_buffer": ("kknkk", "kknnn"),
    "temperature_convert": ("kkkkk", "kkkkk"),
    "currency_exchange": ("nnnnn", "nnnnn"),
    "ranking_update": ("ddddd", "ddddd"),
    "set_intersection": ("bbbbb", "bbbbb"),
    "loan_payment": ("bbbbb", "bbbbb"),
    "tip_split": ("bbbbb", "bbbbb"),
    "profit_margin": ("bdddd", "bbddd"),
}
LETTERS = np.array([[list(runs) for runs in both] for both in VERDICTS.values()])  # (20 items, 2 conditions, 5 runs)
ITEMS = list(VERDICTS)
EXACT, RESAMPLED = 5e-4, 0.01


def each(condition: int, letters: str) -> npt.NDArray[np.bool_]:
    """(20, 5) which evaluations have one of these verdicts."""
    return np.isin(LETTERS[:, condition], list(letters))


def counts(condition: int, letters: str) -> npt.NDArray[np.int64]:
    return each(condition, letters).sum(axis=1)


def does_without_knowing() -> tuple[npt.NDArray[np.int64], ...]:
    return counts(0, "d"), counts(0, "bd"), counts(1, "d"), counts(1, "bd")


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (24, 67, 0.2540, 0.4778),
        (24, 68, 0.2500, 0.4716),
        (24, 62, 0.2758, 0.5115),
        (27, 70, 0.2805, 0.5028),
        (23, 67, 0.2409, 0.4627),
        (29, 67, 0.3210, 0.5519),
        (70, 100, 0.6042, 0.7811),
        (67, 100, 0.5731, 0.7544),
        (68, 100, 0.5834, 0.7633),
        (62, 100, 0.5221, 0.7090),
        (4, 13, 0.1268, 0.5763),
        (6, 13, 0.2321, 0.7086),
    ],
)
def test_wilson(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=EXACT)


def test_quadrants() -> None:
    for condition, expected in ((0, (43, 27, 24, 6)), (1, (38, 29, 24, 9))):
        assert tuple(int(each(condition, letter).sum()) for letter in "bkdn") == expected


@pytest.mark.parametrize(
    ("condition", "rate", "error", "effect", "size", "low", "high"),
    [(0, 0.3582, 0.1143, 3.81, 17.6, 0.1429, 0.5857), (1, 0.3871, 0.1178, 3.62, 17.1, 0.1639, 0.6216)],
)
def test_each_condition_over_items(
    condition: int, rate: float, error: float, effect: float, size: float, low: float, high: float
) -> None:
    sums = counts(condition, "d"), counts(condition, "bd")
    result = cluster_rate(*sums)
    assert result.value == pytest.approx(rate, abs=EXACT)
    assert result.standard_error == pytest.approx(error, abs=EXACT)
    assert result.design_effect == pytest.approx(effect, abs=0.005)
    assert result.effective_size == pytest.approx(size, abs=0.05)
    assert result.low == pytest.approx(low, abs=0.03) and result.high == pytest.approx(high, abs=0.02), "much the same"
    interval = cluster_bootstrap(*sums)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=RESAMPLED)


def test_runs_of_one_item_are_alike() -> None:
    for letters, expected in (("bk", (0.725, 0.651)), ("bd", (0.892, 0.939))):
        for condition in (0, 1):
            correlation = intraclass_correlation(counts(condition, letters), [5] * 20)
            assert correlation == pytest.approx(expected[condition], abs=EXACT)


def test_the_difference_taken_for_independent() -> None:
    assert newcombe(24, 67, 24, 62) == pytest.approx((0.0289, -0.1345, 0.1912), abs=EXACT)
    assert two_proportion_z(24, 67, 24, 62) == pytest.approx((0.339, 0.7345), abs=EXACT)
    assert fisher_exact(24, 67, 24, 62) == pytest.approx(0.8555, abs=EXACT)
    assert newcombe(4, 13, 6, 13) == pytest.approx((0.1538, -0.1994, 0.4600), abs=EXACT)
    assert fisher_exact(4, 13, 6, 13) == pytest.approx(0.6882, abs=EXACT)


def test_the_difference_paired_by_item() -> None:
    sums = does_without_knowing()
    result = paired_cluster_difference(*sums)
    assert (result.value, result.standard_error) == pytest.approx((0.0289, 0.0591), abs=EXACT)
    assert (result.low, result.high, result.p_value) == pytest.approx((-0.0947, 0.1525, 0.6303), abs=EXACT)
    interval = cluster_bootstrap(*sums)
    assert (interval.low, interval.high) == pytest.approx((-0.0684, 0.1586), abs=RESAMPLED)
    test = swap_permutation(*sums)
    assert (test.p_value, test.num_patterns, test.exact) == (0.75, 64, True)


def test_runs_paired_one_by_one() -> None:
    for letters, only_a, only_b, p in (
        ("d", 5, 5, 1.0),
        ("bk", 8, 5, 0.5811),
        ("bd", 5, 0, 0.0625),
        ("k", 3, 5, 0.7266),
    ):
        a, b = each(0, letters), each(1, letters)
        assert (int((a & ~b).sum()), int((b & ~a).sum())) == (only_a, only_b)
        assert mcnemar_exact(only_a, only_b) == pytest.approx(p, abs=EXACT)


def test_on_what_both_did_there_is_no_difference() -> None:
    both = each(0, "bd") & each(1, "bd")
    sums = [(each(condition, "d") & both).sum(axis=1) for condition in (0, 1)]
    assert (both.sum(), *(each.sum() for each in sums)) == (62, 24, 24)
    interval = cluster_bootstrap(sums[0], both.sum(axis=1), sums[1], both.sum(axis=1))
    assert interval.value == 0
    assert (interval.low, interval.high) == pytest.approx((-0.091, 0.125), abs=RESAMPLED)


def test_without_two_items_that_nobody_could_explain() -> None:
    kept = [place for place, item in enumerate(ITEMS) if item not in ("transitive_order", "ranking_update")]
    sums = [each[kept] for each in does_without_knowing()]
    assert [int(each.sum()) for each in sums] == [14, 57, 14, 52]
    interval = cluster_bootstrap(*sums)
    assert interval.value == pytest.approx(0.024, abs=EXACT)
    assert (interval.low, interval.high) == pytest.approx((-0.086, 0.173), abs=RESAMPLED)


def test_answers_lost() -> None:
    result = paired_cluster_difference(counts(0, "bd"), [5] * 20, counts(1, "bd"), [5] * 20)
    assert (result.value, result.standard_error) == pytest.approx((-0.05, 0.0352), abs=EXACT)
    assert (result.low, result.high) == pytest.approx((-0.124, 0.024), abs=EXACT)


def test_item_by_item() -> None:
    p_values = [fisher_exact(*sums) for sums in zip(*does_without_knowing(), strict=True)]
    assert min(p_values) == p_values[ITEMS.index("timezone_convert")] == pytest.approx(0.1667, abs=EXACT)
    assert holm(p_values).min() == 1
    place = ITEMS.index("time_duration")
    assert fisher_exact(counts(0, "bd")[place], 5, counts(1, "bd")[place], 5) == pytest.approx(0.1667, abs=EXACT)


def test_what_such_a_study_can_show() -> None:
    spread = paired_cluster_difference(*does_without_knowing()).spread
    assert spread == pytest.approx(0.264, abs=EXACT)
    assert (sample_size(0.03, spread), sample_size(0.1, spread)) == (609, 55)
    assert mde(20, spread, student=True) == pytest.approx(0.1745, abs=EXACT)
    executed = rates_sample_size(0.3582, 0.3882)
    assert (executed, ceil(executed / 0.67)) == (4079, 6089)
    assert rates_sample_size(0.3582, 0.3882, design_effect=3.8) / 0.67 == pytest.approx(23_135, rel=1e-3)
