"""Ways of choosing from what is stored of candidates: each takes candidates and numbers of draws, and gives the expected accuracy
of its choice.

    choose(candidates, ks) -> (P, K)

for every prompt and every k in `ks`, over all draws of k of the prompt's candidates without replacement, ties shared. k is at
most the smallest number of candidates of a prompt. Whatever scores candidates, a model or a function, is one of these as well
once its scores are stored: `ranked`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from labkit.rerank.candidate_arrays import Candidates, FloatArray
from labkit.stats import best_of_n, item_auc, maj_at_k, pass_at_k
from labkit.stats.majority import MOST_CANDIDATES

Choose = Callable[[Candidates, Sequence[int]], FloatArray]


@dataclass(frozen=True, slots=True)
class Selector:
    """A way of choosing."""

    name: str
    choose: Choose
    """(P, K) expected accuracy"""
    scores: Callable[[Candidates], FloatArray] | None = None
    """(M,) by which it ranks, lower is better and infinity for what comes last; None where it does not rank"""
    why_not: Callable[[Candidates], str | None] = lambda _: None
    """Why it cannot choose among these; None where it can"""

    def auc(self, candidates: Candidates) -> FloatArray | None:
        """(P,) `labkit.stats.item_auc` of its scores; None where it does not rank."""
        if self.scores is None:
            return None
        scores, values = self.scores(candidates), np.empty(len(candidates.counts))
        for prompts, places in candidates.blocks():
            values[prompts] = item_auc(scores[places], candidates.correct[places])
        return values


def _anyone(candidates: Candidates, ks: Sequence[int]) -> FloatArray:
    """Any of the candidates: mean@N, whatever k."""
    share = candidates.num_correct / candidates.counts
    return np.repeat(share[:, None], len(ks), axis=1)


def _earliest(candidates: Candidates, ks: Sequence[int]) -> FloatArray:
    """The candidate that was drawn first, whatever k."""
    verdicts = candidates.correct[candidates.starts].astype(np.float64)
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
    """The ranking of this name in `Candidates.scores`; a candidate without a score comes last.

    Args:
        shown: what the reranker is called
    """

    def scores(candidates: Candidates) -> FloatArray:
        return _nan_last(candidates.scores[name])

    def why_not(candidates: Candidates) -> str | None:
        return "it has no score for any candidate" if np.isnan(candidates.scores[name]).all() else None

    return Selector(shown, best_by(scores), scores, why_not)


def _nan_last(scores: FloatArray) -> FloatArray:
    # Infinity is an order and no number here: nothing is summed over scores.
    return np.where(np.isnan(scores), np.inf, scores)


def _unlikelihood(candidates: Candidates) -> FloatArray:
    return _nan_last(np.where(candidates.failed, np.nan, -candidates.likelihood))


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


RANDOM = Selector("random", _anyone)
FIRST = Selector("first", _earliest)
MAJORITY = Selector("majority", majority, why_not=_no_vote)
LIKELIHOOD = Selector("likelihood", best_by(_unlikelihood), _unlikelihood, _no_likelihood)
ORACLE = Selector("oracle", oracle)
