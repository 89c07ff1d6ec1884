import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from labkit.tasks.world.metrics import (
    BEYOND,
    FLAWLESS,
    NO_BETTER,
    WORSE,
    ZERO_ERROR,
    Mean,
    improvement,
    improvement_with_interval,
    normalized_improvement,
)

errors = st.floats(0, 1e7) | st.floats(0, allow_infinity=False, allow_nan=False)
accuracies = st.floats(0, 1)
modes = st.sampled_from(["monotone", "published"])


@pytest.mark.parametrize("mode", ["monotone", "published"])
@pytest.mark.parametrize(
    ("kind", "v", "a", "s", "expected"),
    [
        ("error", 316, 1000, 100, 0.5003),
        ("error", 100, 1000, 100, 1),
        ("error", 1000, 1000, 100, 0),
        ("error", 2000, 1000, 100, 0),
        ("error", 50, 1000, 100, 1.301),
        ("error", 10, 1000, 100, 1.5),
        ("accuracy", 0.6, 0.3, 0.9, 0.5),
        ("accuracy", 1.0, 0.3, 0.9, 1.1667),
        ("accuracy", 0.2, 0.3, 0.9, 0),
        ("accuracy", 1.0, 0.3, 0.5, 1.5),
    ],
)
def test_ordinary_values_are_the_published_ones_in_both_modes(mode, kind, v, a, s, expected):
    assert normalized_improvement(v, a, s, kind, mode=mode) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("kind", "v", "a", "s", "published", "flag"),
    [
        ("error", 0, 1000, 100, 1.0, ZERO_ERROR),
        ("error", 0, 0, 0, 0.0, ZERO_ERROR),
        ("error", 50, 100, 100, 1.0, NO_BETTER),
        ("error", 50, 100, 200, 1.0, NO_BETTER),
        ("error", 100, 100, 200, 0.0, NO_BETTER),
        ("error", 5, 0, 0, 0.0, NO_BETTER),
        ("error", 50, 100, 0, None, FLAWLESS),
        ("accuracy", 0.9, 0.5, 0.5, 0.0, NO_BETTER),
        ("accuracy", 0.9, 0.5, 0.4, 0.0, NO_BETTER),
    ],
)
def test_where_the_formula_says_nothing_the_published_rule_is_flagged(kind, v, a, s, published, flag):
    found = improvement(v, a, s, kind, mode="published")
    assert (found.value, found.flag) == (published, flag)


@pytest.mark.parametrize(
    ("kind", "v", "a", "s", "value", "flag"),
    [
        ("error", 0, 1000, 100, 1.5, ZERO_ERROR),
        ("error", 0, 1000, 0, None, FLAWLESS),
        ("error", 5, 1000, 0, None, FLAWLESS),
        ("error", 0, 0, 0, None, NO_BETTER),
        ("error", 50, 100, 100, None, NO_BETTER),
        ("error", 50, 100, 200, None, NO_BETTER),
        ("accuracy", 0.9, 0.5, 0.5, None, NO_BETTER),
        ("accuracy", 0.9, 0.5, 0.4, None, NO_BETTER),
        ("error", 2000, 1000, 100, 0.0, WORSE),
        ("error", 10, 1000, 100, 1.5, BEYOND),
        ("error", 316, 1000, 100, pytest.approx(0.5003, abs=5e-5), None),
    ],
)
def test_the_default_flags_instead_of_inventing(kind, v, a, s, value, flag):
    found = improvement(v, a, s, kind)
    assert (found.value, found.flag) == (value, flag)
    assert normalized_improvement(v, a, s, kind) == value


@pytest.mark.parametrize("kind", ["error", "accuracy"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -1e-9])
@pytest.mark.parametrize("position", range(3))
def test_a_number_that_is_none_of_its_kind_is_refused(kind, bad, position):
    numbers = [0.5, 0.4, 0.6]
    numbers[position] = bad
    with pytest.raises(ValueError, match="is no"):
        improvement(*numbers, kind)


def test_an_accuracy_above_1_is_refused():
    with pytest.raises(ValueError, match=r"S is 1\.5, which is no accuracy"):
        improvement(0.5, 0.4, 1.5, "accuracy")


@given(better=errors, worse=errors, a=errors, s=errors)
def test_a_lower_error_is_never_a_lower_improvement(better, worse, a, s):
    better, worse = sorted((better, worse))
    of_better, of_worse = (normalized_improvement(v, a, s, "error") for v in (better, worse))
    assert (of_better is None) == (of_worse is None)
    assert of_better is None or of_better >= of_worse


@given(better=accuracies, worse=accuracies, a=accuracies, s=accuracies)
def test_a_higher_accuracy_is_never_a_lower_improvement(better, worse, a, s):
    worse, better = sorted((better, worse))
    of_better, of_worse = (normalized_improvement(v, a, s, "accuracy") for v in (better, worse))
    assert (of_better is None) == (of_worse is None)
    assert of_better is None or of_better >= of_worse


def test_the_published_rules_are_not_monotone():
    # The reason why they are not the default: a perfect model has less than a nearly perfect one.
    assert normalized_improvement(0, 1000, 100, "error", mode="published") == 1.0
    assert normalized_improvement(0.001, 1000, 100, "error", mode="published") == 1.5


@given(v=st.floats(0.01, 1e6), a=st.floats(1, 1e6), ratio=st.floats(1.01, 1e6))
def test_a_small_change_of_the_error_is_a_small_change_of_the_improvement(v, a, ratio):
    here, there = (normalized_improvement(value, a, a / ratio, "error") for value in (v, v * (1 + 1e-9)))
    assert abs(here - there) <= 1.1e-9 / math.log(ratio) + 1e-12


@given(a=errors, s=errors, mode=modes)
def test_the_base_itself_has_exactly_0_and_its_ordinary_value_exactly_1(a, s, mode):
    assume(a > s > 0 and math.log(a) > math.log(s))
    assert normalized_improvement(a, a, s, "error", mode=mode) == 0
    assert normalized_improvement(s, a, s, "error", mode=mode) == 1


@given(v=errors, a=errors, s=errors, mode=modes)
def test_every_value_is_in_its_range_or_flagged(v, a, s, mode):
    found = improvement(v, a, s, "error", mode=mode)
    assert (found.value is None and found.flag is not None) or 0 <= found.value <= 1.5


@pytest.mark.parametrize(
    ("kind", "means"), [("error", (200.0, 1000.0, 50.0)), ("accuracy", (0.7, 0.4, 0.95))], ids=["error", "accuracy"]
)
def test_the_interval_has_the_width_that_simulation_gives(kind, means):
    import numpy as np

    stds = [0.3 * mean if kind == "error" else math.sqrt(mean * (1 - mean)) for mean in means]
    num_rows = 2000
    found = improvement_with_interval(*(Mean(m, s, num_rows) for m, s in zip(means, stds, strict=True)), kind)
    draws = np.random.default_rng(0).normal(means, np.array(stds) / math.sqrt(num_rows), (4000, 3))
    values = [normalized_improvement(*map(float, draw), kind) for draw in draws]
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(values), rel=0.05)
    assert (found.low + found.high) / 2 == pytest.approx(found.value)


def test_an_interval_is_clipped_and_stays_away_where_a_rule_gave_the_value():
    wide = improvement_with_interval(Mean(400, 4000, 10), Mean(1000, 3000, 10), Mean(100, 300, 10), "error")
    assert (wide.low, wide.high) == (0.0, 1.5)
    perfect = improvement_with_interval(Mean(0, 0, 10), Mean(1000, 30, 10), Mean(100, 30, 10), "error")
    assert (perfect.value, perfect.flag, perfect.low, perfect.high) == (1.5, ZERO_ERROR, None, None)
    useless = improvement_with_interval(Mean(5, 1, 10), Mean(10, 3, 10), Mean(20, 30, 10), "error", mode="published")
    assert (useless.value, useless.low) == (1.0, None)


def test_a_single_error_has_no_interval_and_a_perfect_accuracy_has_one():
    one = improvement_with_interval(Mean(200, 0, 1), Mean(1000, 30, 10), Mean(100, 30, 10), "error")
    assert (one.low, one.high) == (None, None)
    assert one.value == pytest.approx(0.699, abs=1e-3)
    perfect = improvement_with_interval(Mean(1, 0, 10), Mean(0.3, 0.46, 10), Mean(1, 0, 10), "accuracy")
    assert perfect.low < perfect.value == 1.0 < perfect.high


def test_standard_errors_are_those_of_the_textbook():
    assert Mean(3.0, 2.0, 5).standard_error("error") == 1.0
    assert Mean(3.0, 0.0, 1).standard_error("error") is None
    # Five right of six: (5 + 2) / 10.
    assert Mean(5 / 6, 0.37, 6).standard_error("accuracy") == pytest.approx(math.sqrt(0.7 * 0.3 / 10))
