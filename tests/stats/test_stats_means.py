"""Student's interval against another implementation, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import sem, t

from labkit.stats.means import student_mean


@given(st.lists(st.floats(0, 1e4), min_size=2, max_size=30).filter(lambda values: np.std(values) > 1e-3))
def test_it_is_the_interval_of_scipy(values: list[float]) -> None:
    low, high = t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=sem(values))
    assert student_mean(values) == pytest.approx((low, high))
    assert student_mean(values, least=0.0) == pytest.approx((max(0.0, low), high))


def test_it_holds_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(1000):
        interval = student_mean(rng.normal(3.0, 2.0, size=6))
        assert interval is not None
        held += interval[0] <= 3.0 <= interval[1]
    assert 0.93 < held / 1000 < 0.97


def test_one_value_has_no_interval_and_none_is_an_error() -> None:
    assert student_mean([5.0]) is None
    assert student_mean([5.0, 5.0]) == (5.0, 5.0)
    with pytest.raises(ValueError, match="at least one"):
        student_mean([])
