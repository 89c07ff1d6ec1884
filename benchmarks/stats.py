"""How long the statistics of the largest table take: 1,319 prompts with 16 candidates each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from labkit.stats import (
    best_of_n,
    bootstrap_means,
    cluster_bootstrap,
    holm,
    maj_at_k,
    paired_difference,
    pass_at_k_rates,
    pass_hat_k,
    selection_efficiency,
    sign_flip_permutation,
    swap_permutation,
    variance_components,
    wilson_mean,
    within_item_auc,
)
from labkit.stats.majority import _plurality

NUM_PROMPTS, NUM_CANDIDATES = 1319, 16
KS = [1, 2, 4, 8, 16]


def seconds(call: Callable[[], object]) -> float:
    """Median of five goes, after one that fills what is kept between calls."""
    call()
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def first_seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> None:
    random = np.random.default_rng(0)
    correct = random.random((NUM_PROMPTS, NUM_CANDIDATES)) < random.beta(1, 1, (NUM_PROMPTS, 1))
    answers = np.where(correct, 0, random.integers(1, 9, correct.shape))
    ballots = [[None if answer == 8 else answer for answer in row] for row in answers.tolist()]
    energy, likelihood = random.normal(-0.3 * correct), random.normal(0.1 * correct).round(1)

    def majority() -> np.ndarray:
        _plurality.cache_clear()
        return np.array([maj_at_k(ballot, row, KS) for ballot, row in zip(ballots, correct, strict=True)])

    votes = majority()

    def block() -> None:
        """Everything that a report of one run shows, but for what is timed apart."""
        mean, oracle = correct.mean(axis=1), correct.any(axis=1)
        wilson_mean(mean)
        variance_components(correct.sum(axis=1), NUM_CANDIDATES)
        pass_at_k_rates([NUM_CANDIDATES] * NUM_PROMPTS, correct.sum(axis=1), KS)
        for k in KS:
            wilson_mean(pass_hat_k([NUM_CANDIDATES] * NUM_PROMPTS, correct.sum(axis=1), k))
            wilson_mean(votes[:, KS.index(k)])
        p_values = [paired_difference(mean, votes[:, -1]).p_value]
        for scores in (energy, likelihood):
            by_k = np.asarray(best_of_n(scores, correct, KS))
            for column in by_k.T:
                wilson_mean(column)
            chosen = by_k[:, -1]
            within_item_auc(scores, correct)
            selection_efficiency(chosen, mean, oracle)
            p_values += [paired_difference(other, chosen).p_value for other in (mean, votes[:, -1])]
        holm(p_values)

    many = random.integers(0, 20, 512).tolist()
    verdicts = [answer == 0 for answer in many]
    swaps = random.integers(0, 50, (2, 21)), np.full(21, 100)
    curve = random.random((NUM_PROMPTS, 10))
    uneven = random.normal(size=NUM_PROMPTS)

    def one_of_512() -> None:
        _plurality.cache_clear()
        maj_at_k(many, verdicts, [1 << exponent for exponent in range(10)])

    successes, trials = correct.sum(axis=1), np.full(NUM_PROMPTS, NUM_CANDIDATES)
    rows = [
        (f"statistics block, {NUM_PROMPTS:,} x {NUM_CANDIDATES}, two scores, k of 1 to 16", block, "50"),
        (f"exact maj@k, {NUM_PROMPTS:,} x {NUM_CANDIDATES}, five k", majority, "5,000"),
        ("exact maj@k, 512 candidates, ten k", one_of_512, ""),
        (
            "cluster bootstrap, 1,319 clusters, paired, 10,000 draws",
            lambda: cluster_bootstrap(successes, trials, votes[:, -1] * 16, trials, num_draws=10_000),
            "1,000",
        ),
        ("the same, 20,000 draws", lambda: cluster_bootstrap(successes, trials, votes[:, -1] * 16, trials), ""),
        ("bootstrap of ten columns, 10,000 draws", lambda: bootstrap_means(curve), "1,000"),
        (
            "cluster bootstrap, 20 clusters, paired, 20,000 draws",
            lambda: cluster_bootstrap(successes[:20], trials[:20], successes[20:40], trials[:20]),
            "",
        ),
        (
            "swap permutation, 21 clusters, all 2^20 patterns",
            lambda: swap_permutation(swaps[0][0], swaps[1], swaps[0][1], swaps[1]),
            "",
        ),
        (
            "sign-flip test, 1,319 values without a common unit, 10,000 patterns",
            lambda: sign_flip_permutation(uneven),
            "",
        ),
    ]
    print(f"first block of a process: {1000 * first_seconds(block):.0f} ms\n")
    print("| what | ms | target |\n|---|---|---|")
    for name, call, target in rows:
        print(f"| {name} | {1000 * seconds(call):,.1f} | {target} |")


if __name__ == "__main__":
    main()
