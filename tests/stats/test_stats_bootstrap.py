"""Resampling against the full bootstrap distribution, against closed forms, and by coverage."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from labkit.stats import bootstrap_means, cluster_bootstrap
from labkit.stats.bootstrap import CHUNK, resampled_sums


def test_it_is_the_interval_of_all_resamples_where_they_can_be_counted() -> None:
    successes, trials = np.array([0, 2, 3, 1, 5]), np.array([4, 2, 3, 5, 9])
    every = [successes[list(draw)].sum() / trials[list(draw)].sum() for draw in product(range(5), repeat=5)]
    interval = cluster_bootstrap(successes, trials, level=0.9, num_draws=60_000, seed=3)
    assert (interval.low, interval.high) == pytest.approx(np.quantile(every, [0.05, 0.95]), abs=0.02)
    assert interval.value == 11 / 23
    assert interval.num_undefined == 0


def test_conditions_share_their_draws() -> None:
    random = np.random.default_rng(0)
    a, trials = random.binomial(5, random.random(30)), np.full(30, 5)
    same = cluster_bootstrap(a, trials, a, trials)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    shifted = cluster_bootstrap(a, trials, a + 2.5, trials)
    assert (shifted.value, shifted.low, shifted.high) == pytest.approx((0.5, 0.5, 0.5))


def test_the_seed_decides_and_hardly_matters() -> None:
    random = np.random.default_rng(1)
    a, trials = random.binomial(4, 0.4, 25), random.integers(4, 7, 25)
    assert cluster_bootstrap(a, trials, seed=5) == cluster_bootstrap(a, trials, seed=5)
    one, two = cluster_bootstrap(a, trials, seed=1), cluster_bootstrap(a, trials, seed=2)
    assert one != two
    assert (one.low, one.high) == pytest.approx((two.low, two.high), abs=0.01)


def test_many_prompts_give_the_normal_interval() -> None:
    values = np.random.default_rng(2).random((2000, 3))
    means = bootstrap_means(values, num_draws=8000)
    error = values.std(axis=0) / np.sqrt(2000)
    assert means.value == pytest.approx(values.mean(axis=0))
    assert means.low == pytest.approx(values.mean(axis=0) - 1.96 * error, abs=0.1 * error.max())
    assert means.high == pytest.approx(values.mean(axis=0) + 1.96 * error, abs=0.1 * error.max())
    single = bootstrap_means(values[:, 0], num_draws=8000)
    assert (single.low[0], single.high[0]) == pytest.approx((means.low[0], means.high[0]), abs=1e-12)


def test_draws_are_made_in_pieces_and_each_has_every_row_equally_often() -> None:
    num_rows = CHUNK // 100
    sums = resampled_sums(np.ones((num_rows, 1)), 250, 0)
    assert (sums == num_rows).all()
    counts = resampled_sums(np.eye(6), 60_000, 0)
    assert counts.mean(axis=0) == pytest.approx(np.ones(6), abs=0.02)
    assert counts.var(axis=0) == pytest.approx(np.full(6, 5 / 6), abs=0.03), "multinomial"


def test_resamples_without_a_denominator_are_counted_and_left_out() -> None:
    interval = cluster_bootstrap([1, 1, 0, 0, 0], [2, 1, 0, 0, 0], num_draws=20_000)
    # None of the two clusters with trials is drawn.
    assert interval.num_undefined / 20_000 == pytest.approx(0.6**5, abs=0.01)
    assert interval.low >= 0.5 and interval.high == 1
    with pytest.raises(ValueError, match="most resamples"):
        cluster_bootstrap([1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0])


def test_it_covers_a_paired_difference_about_19_times_in_20() -> None:
    random = np.random.default_rng(31)
    covered = 0
    for trial in range(500):
        ease = random.beta(1, 1, 60)
        trials_a, trials_b = random.integers(2, 6, 60), random.integers(2, 6, 60)
        a, b = random.binomial(trials_a, 0.9 * ease), random.binomial(trials_b, ease)
        interval = cluster_bootstrap(a, trials_a, b, trials_b, num_draws=1000, seed=trial)
        covered += interval.low <= 0.05 <= interval.high
    # Percentile intervals of 60 clusters are a little short; 500 trials have a standard deviation of 0.01.
    assert 0.91 <= covered / 500 <= 0.98


def test_what_cannot_be_resampled_is_refused() -> None:
    for arguments, why in (
        (([1], [2]), "at least two"),
        (([1, 1], [0, 0]), "undefined"),
        (([1, 1], [2, 2], [1, 1]), "both"),
        (([1, 1], [2, 2], [1, 1, 1], [2, 2, 2]), "2 clusters against 3"),
    ):
        with pytest.raises(ValueError, match=why):
            cluster_bootstrap(*arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 100"):
        cluster_bootstrap([1, 1], [2, 2], num_draws=99)
    with pytest.raises(ValueError, match="level"):
        bootstrap_means([1, 2], level=95)
    with pytest.raises(ValueError, match="finite"):
        bootstrap_means([1, np.nan])
