"""Voting among the candidates of one prompt, exact over every subset that could have been drawn."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import overload

import numpy as np
import numpy.typing as npt

from labkit.stats.arrays import FloatArray
from labkit.stats.verdicts import as_verdicts

# Beyond this the smallest chance of a subset is no longer a float.
MOST_CANDIDATES = 1000
MOST_SUBSETS = 20_000


@overload
def maj_at_k(answers: Sequence[Hashable | None], correct: npt.ArrayLike, k: int) -> float: ...
@overload
def maj_at_k(answers: Sequence[Hashable | None], correct: npt.ArrayLike, k: Sequence[int]) -> FloatArray: ...
def maj_at_k(answers: Sequence[Hashable | None], correct: npt.ArrayLike, k: int | Sequence[int]) -> float | FloatArray:
    """Expected accuracy of the plurality answer (self-consistency, Wang et al. 2022) of `k` candidates.

    The expectation is over all subsets of k candidates, and it is exact: a draw of k without replacement has
    independent binomial counts conditioned on their sum, so the chance that an answer leads with t votes is a
    coefficient of a product of polynomials, one an answer, and a tie of j answers, worth 1 / j each, is an integral
    of y^(j-1) over [0, 1], which Gauss-Legendre quadrature does exactly. Nothing is sampled and nothing is
    enumerated. Answers that tie for the lead share it equally. Candidates without an answer do not vote; a subset in
    which nobody votes is wrong.

    Args:
        answers: (N,) what each candidate answered, compared by `==`; None for no valid answer; N of at most 1,000
        correct: (N,) whether the answer is right
        k: candidates drawn; several give an array (K,) at little more than the price of the largest

    Raises:
        ValueError: k < 1 or k > N; more than 1,000 candidates; lengths that differ; a verdict that
            is neither 0 nor 1; the same answer both right and
            wrong; no answer but right; an answer of NaN, which equals nothing.
    """
    ks = tuple(int(each) for each in np.atleast_1d(k))
    ballot = _count_votes(answers, correct)
    _check_draws(ks, len(answers))
    if len(answers) > MOST_CANDIDATES:
        raise ValueError(f"{len(answers)} candidates; maj@k is exact for at most {MOST_CANDIDATES}")
    values = _plurality(ballot.right, ballot.wrong, ballot.invalid, ks)
    return values[0] if np.ndim(k) == 0 else np.asarray(values, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class SampledValue:
    """An expectation over subsets, and what is uncertain about it because only some were looked at."""

    value: float
    standard_error: float
    """Monte-Carlo standard error; 0 when every subset was counted."""
    exact: bool


def weighted_maj_at_k(
    answers: Sequence[Hashable | None],
    correct: npt.ArrayLike,
    weights: npt.ArrayLike,
    k: int,
    *,
    num_samples: int = 10_000,
    seed: int = 0,
) -> SampledValue:
    """Expected accuracy of the answer with the largest sum of weights among `k` candidates.

    All subsets are counted when there are at most 20,000, otherwise `num_samples` of them are drawn. Sums that are
    equal to twelve digits tie and share. With equal weights it estimates `maj_at_k`.

    Args:
        answers: (N,) what each candidate answered; None for no valid answer, which does not vote
        correct: (N,) whether the answer is right
        weights: (N,) what each vote counts, at least 0; for an energy, `exp(-energy)` is one choice
        k: candidates drawn
        num_samples: subsets drawn where they are too many to count
        seed: of those draws

    Raises:
        ValueError: as `maj_at_k`; a weight that is negative or not finite; fewer than 2 samples.
    """
    ballot = _count_votes(answers, correct)
    _check_draws((k,), len(answers))
    votes = np.asarray(weights, dtype=np.float64)
    if votes.shape != (len(answers),) or not (np.isfinite(votes) & (votes >= 0)).all():
        raise ValueError("every candidate needs one weight, finite and at least 0")
    n = len(answers)
    exact = math.comb(n, k) <= MOST_SUBSETS
    if exact:
        subsets = np.array(list(combinations(range(n), k)))  # (S, k)
    elif num_samples < 2:
        raise ValueError("a sampled value needs at least 2 samples")
    else:
        subsets = np.argpartition(np.random.default_rng(seed).random((num_samples, n)), k - 1, axis=1)[:, :k]
    shares = _weighted_shares(ballot, votes, subsets)
    spread = 0.0 if exact else float(shares.std(ddof=1)) / math.sqrt(len(shares))
    return SampledValue(float(shares.mean()), spread, exact)


@dataclass(frozen=True, slots=True)
class _Ballot:
    """How often each answer was given, the right ones and the wrong ones apart."""

    right: tuple[int, ...]
    wrong: tuple[int, ...]
    invalid: int
    choice: npt.NDArray[np.int64]
    """(N,) number of each candidate's answer, right ones first; -1 for none."""


def _count_votes(answers: Sequence[Hashable | None], correct: npt.ArrayLike) -> _Ballot:
    verdicts = as_verdicts(correct).tolist()
    if np.ndim(correct) != 1 or len(verdicts) != len(answers):
        raise ValueError(f"{len(answers)} answers, but verdicts of shape {np.shape(correct)}")
    groups: dict[Hashable, list[int]] = {}
    for position, (answer, verdict) in enumerate(zip(answers, verdicts, strict=True)):
        if answer is None:
            if verdict:
                raise ValueError(f"candidate {position} is right without an answer")
            continue
        if answer != answer:
            raise ValueError(f"the answer of candidate {position} is NaN; None says that there is none")
        members = groups.setdefault(answer, [])
        if members and verdicts[members[0]] != verdict:
            raise ValueError(f"the answer {answer!r} is right for one candidate and wrong for another")
        members.append(position)
    ordered = sorted(groups.values(), key=lambda members: not verdicts[members[0]])
    choice = np.full(len(answers), -1, dtype=np.int64)
    for number, members in enumerate(ordered):
        choice[members] = number
    right = tuple(sorted(len(members) for members in ordered if verdicts[members[0]]))
    wrong = tuple(sorted(len(members) for members in ordered if not verdicts[members[0]]))
    return _Ballot(right, wrong, len(answers) - sum(right) - sum(wrong), choice)


def _check_draws(ks: tuple[int, ...], n: int) -> None:
    for k in ks:
        if k < 1:
            raise ValueError(f"k is {k}; a vote needs k of at least 1")
        if k > n:
            raise ValueError(f"k is {k}, but a prompt has only {n} candidates")


# A table of many prompts has few different ballots.
@lru_cache(maxsize=1 << 16)
def _plurality(right: tuple[int, ...], wrong: tuple[int, ...], invalid: int, ks: tuple[int, ...]) -> tuple[float, ...]:
    """Chance that a right answer leads, for every k, from how often each answer was given."""
    most = max(ks, default=0)
    total = np.zeros(len(ks))
    for own, num_alike in Counter(right).items():
        others = [*right, *wrong]
        others.remove(own)
        for votes in range(1, min(own, most) + 1):
            shares = _share_of_lead(others, invalid, votes, most - votes)  # (most - votes + 1,)
            chance = num_alike * _binomial(own)[votes]
            for place, k in enumerate(ks):
                if k >= votes:
                    total[place] += chance * shares[k - votes]
    n = sum(right) + sum(wrong) + invalid
    chances = [value / _binomial(n)[k] for value, k in zip(total, ks, strict=True)]
    return tuple(min(1.0, float(value)) for value in chances)


def _share_of_lead(others: list[int], invalid: int, votes: int, degree: int) -> FloatArray:
    """(degree + 1,) by how many further candidates are drawn: expected share of the lead that `votes` votes have.

    Each candidate is drawn by the toss of a coin; entry d is the part of the expectation with d heads.
    """
    rivals = [count for count in others if count >= votes]
    # Answers given less often than that can never tie; together they are draws that do not matter.
    others_drawn = _binomial(invalid + sum(others) - sum(rivals))[: degree + 1]
    nodes, weights = _quadrature(min(len(rivals), degree // votes) // 2 + 1)
    ways = np.zeros((len(nodes), degree + 1))
    ways[:, : len(others_drawn)] = others_drawn
    padded = np.zeros((len(nodes), degree + 1 + votes))
    for count in rivals:
        factor = _binomial(count)[: votes + 1]
        # One convolution for all nodes: the zeros behind each row are as many as can spill over.
        padded[:, : degree + 1] = ways
        behind = np.convolve(padded.ravel(), factor[:votes])[: padded.size].reshape(padded.shape)[:, : degree + 1]
        behind[:, votes:] += nodes[:, None] * factor[votes] * ways[:, : max(0, degree + 1 - votes)]
        ways = behind
    return np.asarray(weights @ ways)


@lru_cache(maxsize=MOST_CANDIDATES + 1)
def _binomial(n: int) -> FloatArray:
    """(n + 1,) chances of the number of heads of n coins, each correctly rounded."""
    return np.array([math.comb(n, heads) / 2**n for heads in range(n + 1)])


@lru_cache(maxsize=MOST_CANDIDATES)
def _quadrature(num_nodes: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights that integrate polynomials of degree 2 num_nodes - 1 over [0, 1] exactly."""
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes)
    return (nodes + 1) / 2, weights / 2


def _weighted_shares(ballot: _Ballot, weights: FloatArray, subsets: npt.NDArray[np.int64]) -> FloatArray:
    """(S,) share of the lead that right answers have in each subset."""
    num_answers = len(ballot.right) + len(ballot.wrong)
    if not num_answers:
        return np.zeros(len(subsets))
    mine = ballot.choice == np.arange(num_answers)[:, None]  # (A, N)
    sums = np.stack([(each * weights)[subsets].sum(1) for each in mine])  # (A, S)
    present = np.stack([each[subsets].any(1) for each in mine])
    top = np.where(present, sums, -np.inf).max(0)
    leads = present & (sums >= top - 1e-12 * np.abs(top))
    return np.asarray(leads[: len(ballot.right)].sum(0) / np.maximum(leads.sum(0), 1))
