"""Changes along an order: planted ones are found, and others are not seen too often."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from labkit.stats import change_point
from labkit.stats.drift import _centred_ranks


@pytest.mark.parametrize(("num_first", "num_all"), [(32, 1351), (700, 1319), (1200, 1319)])
def test_rows_of_another_style_are_found_where_they_end(num_first: int, num_all: int) -> None:
    random = np.random.default_rng(num_first)
    lengths = random.lognormal(6, 0.4, num_all)
    lengths[:num_first] *= 2.5
    change = change_point(lengths)
    assert change is not None
    assert change.p_value == 0.001
    assert abs(change.position - num_first) <= 8
    assert change.before > 1.5 * change.after


def test_a_block_in_the_middle_is_found_at_one_of_its_ends() -> None:
    correct = (np.random.default_rng(1).random(1000) < 0.5).astype(float)
    correct[400:520] = 0
    change = change_point(correct)
    assert change is not None
    assert change.p_value < 0.01
    assert min(abs(change.position - 400), abs(change.position - 520)) <= 8


def test_a_clean_step_is_split_exactly_and_outliers_do_not_matter() -> None:
    values = np.concatenate([np.arange(30.0), 100 + np.arange(20.0)])
    change = change_point(values)
    assert change is not None
    # Every value after is above every one before, and no other place divides the ranks as well.
    assert (change.before, change.after) == (values[: change.position].mean(), values[change.position :].mean())
    assert abs(change.position - 25) <= 5
    flat = np.tile([1.0, 2.0], 50)
    flat[10] = 1e9
    change = change_point(flat)
    assert change is not None and change.p_value > 0.1
    steady = np.repeat([0.0, 1.0], [30, 20])
    change = change_point(steady)
    assert change is not None
    assert (change.position, change.before, change.after) == (30, 0, 1)


def test_values_in_random_order_have_no_change() -> None:
    random = np.random.default_rng(9)
    found = 0
    for seed in range(300):
        change = change_point(random.integers(0, 2, 120), num_samples=99, seed=seed)
        assert change is not None
        found += change.p_value <= 0.05
    # 300 trials of 0.05 have a standard deviation of 0.013.
    assert 0.015 <= found / 300 <= 0.09


def test_ranks_are_scipys() -> None:
    values = np.random.default_rng(0).integers(0, 9, 40).astype(float)
    assert _centred_ranks(values) == pytest.approx(rankdata(values) - 20.5)


def test_what_has_no_two_sides_has_no_change() -> None:
    assert change_point([1.0] * 50) is None
    assert change_point([1.0, 2.0] * 4) is None
    assert change_point([]) is None
    for values, arguments in (([1, np.nan] * 9, {}), ([1, 2] * 9, {"margin": 0}), ([1, 2] * 9, {"num_samples": 0})):
        with pytest.raises(ValueError, match=r"finite|at least 1"):
            change_point(values, **arguments)
