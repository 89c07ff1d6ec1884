"""Ways of choosing from what is stored of candidates: each takes candidates and numbers of draws, and gives the expected accuracy
of its choice.

    choose(candidates, ks) -> (P, K)

for every prompt and every k in `ks`, over all draws of k of the prompt's candidates without replacement, ties shared. k is at
most the smallest number of candidates of a prompt. A candidate that failed has no text: nobody chooses it where the draw holds
another, and chance does not either, so that a score that says nothing is exactly chance. Whatever scores candidates, a model
or a function, is one of these as well once its scores are stored: `ranked`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from labkit.rerank.candidate_arrays import Candidates, FloatArray, IntArray
from labkit.stats import best_of_n, item_auc, maj_at_k, pass_at_k, ranking_permutation
from labkit.stats.majority import MOST_CANDIDATES
from labkit.stats.permutation import Permutation

NO_SCORE = float(np.finfo(np.float64).max)
"""Stands for the score of a text that has none."""
_ROUNDING = 1e-4

Choose = Callable[[Candidates, Sequence[int]], FloatArray]


@dataclass(frozen=True, slots=True)
class Selector:
    """A way of choosing."""

    name: str
    choose: Choose
    """(P, K) expected accuracy"""
    scores: Callable[[Candidates], FloatArray] | None = None
    """(M,) by which it ranks, lower is better and infinity for what comes last; None where it does not rank"""
    order: Callable[[Candidates], FloatArray] | None = None
    """(M,) as `scores`, of what chooses by something that is no score, for the test against chance"""
    why_not: Callable[[Candidates], str | None] = lambda _: None
    """Why it cannot choose among these; None where it can"""

    def auc(self, candidates: Candidates) -> FloatArray | None:
        """(P,) `labkit.stats.item_auc` of its scores over the candidates with a text; None where it does not rank."""
        if self.scores is None:
            return None
        scores, values = self.scores(candidates), np.full(len(candidates.counts), np.nan)
        kept, prompts = ~candidates.failed, candidates.prompts
        numbers = np.bincount(prompts[kept], minlength=len(values))
        for n in np.unique(numbers[numbers > 0]):
            of_n = kept & (numbers[prompts] == n)
            values[numbers == n] = item_auc(scores[of_n].reshape(-1, n), candidates.correct[of_n].reshape(-1, n))
        return values

    def against_chance(self, candidates: Candidates) -> Permutation | None:
        """`labkit.stats.ranking_permutation` of its choice among all of a prompt's candidates with a text.

        Where scores depend on the text alone, a text that came twice is one thing to choose, not two that agree by
        chance: then the test is of a choice among distinct texts. None where it does not rank, or nobody has a text.
        """
        ranks = self.scores or self.order
        if ranks is None or candidates.failed.all():
            return None
        scores = ranks(candidates)
        counts = _best_counts(*_distinct(candidates, scores))
        return ranking_permutation(*counts)


def _distinct(candidates: Candidates, scores: FloatArray) -> tuple[IntArray, FloatArray, IntArray]:
    """Prompt, score and verdict of all that can be chosen: distinct texts where equal ones are scored alike."""
    kept = ~candidates.failed
    prompts, scores, correct = candidates.prompts[kept], scores[kept], candidates.correct[kept].astype(np.int64)
    if candidates.texts is None:
        return prompts, scores, correct
    order = np.lexsort((scores, candidates.texts[kept], prompts))
    prompts, scores, correct, texts = prompts[order], scores[order], correct[order], candidates.texts[kept][order]
    new = np.ones(len(prompts), dtype=bool)
    new[1:] = (prompts[1:] != prompts[:-1]) | (texts[1:] != texts[:-1])
    steps = np.where(new[1:], 0.0, scores[1:] - scores[:-1])
    # A sum of log-probabilities depends on its batch by rounding.
    if (steps > _ROUNDING * max(1.0, float(np.abs(scores).max()))).any():
        return prompts, scores, correct
    return prompts[new], scores[new], correct[new]


def _best_counts(prompts: IntArray, scores: FloatArray, correct: IntArray) -> tuple[IntArray, ...]:
    """(P,) each: how many can be chosen, how many of them are right, how many share the best score, and how many of these
    are right; without prompts that have none."""
    _, codes = np.unique(prompts, return_inverse=True)
    least = np.full(codes.max() + 1, np.inf)
    np.minimum.at(least, codes, scores)
    best = scores == least[codes]
    wanted = (np.ones(len(codes)), correct, best, best * correct)
    return tuple(np.bincount(codes, each).astype(np.int64) for each in wanted)


def _earliest(candidates: Candidates, ks: Sequence[int]) -> FloatArray:
    """The candidate with a text that was drawn first, whatever k; wrong where there is none."""
    kept = np.flatnonzero(~candidates.failed)
    prompts, place = np.unique(candidates.prompts[kept], return_index=True)
    verdicts = np.zeros(len(candidates.counts))
    verdicts[prompts] = candidates.correct[kept[place]]
    return np.repeat(verdicts[:, None], len(ks), axis=1)


def majority(candidates: Candidates, ks: Sequence[int]) -> FloatArray:
    """The answer that most of k give (`labkit.stats.maj_at_k`)."""
    values = np.empty((len(candidates.counts), len(ks)))
    ends = np.cumsum(candidates.counts)
    for prompt, (start, end) in enumerate(zip(candidates.starts, ends, strict=True)):
        values[prompt] = maj_at_k(candidates.answers[start:end], candidates.correct[start:end], list(ks))
    return values


def oracle(candidates: Candidates, ks: Sequence[int]) -> FloatArray:
    """A correct one where there is any: pass@k, which no choice can exceed."""
    return np.stack([pass_at_k(candidates.counts, candidates.num_correct, k) for k in ks], axis=1)


def best_by(scores: Callable[[Candidates], FloatArray]) -> Choose:
    """The one with the lowest score (`labkit.stats.best_of_n`)."""

    def choose(candidates: Candidates, ks: Sequence[int]) -> FloatArray:
        table, values = scores(candidates), np.empty((len(candidates.counts), len(ks)))
        for prompts, places in candidates.blocks():
            values[prompts] = best_of_n(table[places], candidates.correct[places], list(ks))
        return values

    return choose


def ranked(name: str, shown: str) -> Selector:
    """The ranking of this name in `Candidates.scores`; a text without a score comes after all others.

    Args:
        shown: what the reranker is called
    """

    def scores(candidates: Candidates) -> FloatArray:
        return _last(candidates.scores[name], candidates)

    def why_not(candidates: Candidates) -> str | None:
        return "it has no score for any candidate" if np.isnan(candidates.scores[name]).all() else None

    return Selector(shown, best_by(scores), scores, why_not=why_not)


def _last(scores: FloatArray, candidates: Candidates) -> FloatArray:
    """What has no score behind what has one, and what has no text behind both."""
    # Neither is a number here but an order: nothing is summed over scores.
    return np.where(candidates.failed, np.inf, np.where(np.isnan(scores), NO_SCORE, scores))


def _unlikelihood(candidates: Candidates) -> FloatArray:
    return _last(-candidates.likelihood, candidates)


def _any_text(candidates: Candidates) -> FloatArray:
    return _last(np.zeros(len(candidates.correct)), candidates)


def _drawn_at(candidates: Candidates) -> FloatArray:
    """(M,) the place of a candidate among those of its prompt."""
    places = np.arange(len(candidates.correct)) - np.repeat(candidates.starts, candidates.counts)
    return _last(places.astype(np.float64), candidates)


def _no_likelihood(candidates: Candidates) -> str | None:
    unknown = int((np.isnan(candidates.likelihood) & ~candidates.failed).sum())
    if not unknown:
        return "no candidate has a text" if candidates.failed.all() else None
    return f"{unknown} of {len(candidates.correct)} candidates have no log-probability (generation.logprobs)"


def _no_vote(candidates: Candidates) -> str | None:
    """Votes are for answers, so an answer is right or wrong whoever gives it."""
    if candidates.counts.max() > MOST_CANDIDATES:
        return f"votes are counted exactly for at most {MOST_CANDIDATES} candidates a prompt"
    prompts = np.repeat(np.arange(len(candidates.counts)), candidates.counts)
    known: dict[tuple[int, str], bool] = {}
    for prompt, answer, correct in zip(prompts.tolist(), candidates.answers, candidates.correct.tolist(), strict=True):
        if answer is None:
            if correct:
                return "some candidates are right without an answer"
        elif known.setdefault((prompt, answer), correct) != correct:
            return f"the answer {answer[:40]!r} is right for one candidate and wrong for another"
    return None


RANDOM = Selector("random", best_by(_any_text))
FIRST = Selector("first", _earliest, order=_drawn_at)
MAJORITY = Selector("majority", majority, why_not=_no_vote)
LIKELIHOOD = Selector("likelihood", best_by(_unlikelihood), _unlikelihood, why_not=_no_likelihood)
ORACLE = Selector("oracle", oracle)
