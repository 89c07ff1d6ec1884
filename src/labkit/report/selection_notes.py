"""What the numbers of `best_of_n` say, in sentences made from them."""

from __future__ import annotations

import numpy as np

from labkit.rerank.candidate_arrays import Candidates
from labkit.stats import PairedDifference, variance_components

ALPHA = 0.05
LEAST_P = 1e-11
"""Smaller p-values say no more, and sums of so many terms are not known to more digits."""
_NAMES = {"random": "chance", "majority": "majority"}
_TESTS = {
    "mcnemar": "McNemar",
    "sign-flip": "sign flips",
    "sign-flip, sampled": "sign flips, sampled",
    "permutation": "permuted verdicts",
    "permutation, sampled": "permuted verdicts, sampled",
}


def comparison_note(base: str, found: PairedDifference, adjusted_p: float, alpha: float = ALPHA) -> str:
    """A reranker against a base: which is better, by how much, and by which test; the rest stands in the columns.

    Args:
        base: `random` or `majority`
        found: reranker less base
        adjusted_p: by Holm
        alpha: below this the difference is taken for one
    """
    other = _NAMES[base]
    if found.mde is None:
        return f"does as {other} on every one of {found.num_prompts} prompts"
    if adjusted_p > alpha:
        verdict = f"no better than {other}, as far as {found.num_prompts} prompts show"
    else:
        verdict = f"{'better' if found.value > 0 else 'worse'} than {other}"
    interval = f" [{_signed(found.low)}, {_signed(found.high)}]" if has_spread(found) else ""
    return f"{verdict}: {_signed(found.value)}{interval}, p {_p_text(adjusted_p)} by Holm ({_TESTS[found.test]})"


def has_spread(found: PairedDifference) -> bool:
    """Whether prompts differ in their difference; where all agree there is nothing to learn an interval from."""
    return found.standard_error > 1e-12


def _p_text(p_value: float) -> str:
    return f"= {p_value:.3g}" if p_value > LEAST_P else f"< {LEAST_P:.0e}"


def _signed(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"  # a rounding error below 0 is no minus


def family_note(num_comparisons: int) -> str:
    """What Holm's correction is over."""
    return (
        f"p_holm: over the {num_comparisons} comparisons of this table, each reranker with random and with majority, all at "
        "the largest k; tests are paired over prompts"
    )


def error_note(candidates: Candidates) -> str:
    """How uncertain mean@N is, and what more candidates would change about that."""
    what = "random is mean@N" + (" of what has a text" if candidates.failed.any() else "") + ", oracle is pass@k"
    counts = candidates.counts
    if len(counts) < 2:
        return f"{what}; a single prompt has no interval over prompts, and nothing is compared"
    found = variance_components(candidates.num_correct, counts)
    now, twice = (found.standard_error(factor * float(counts.mean())) for factor in (1, 2))
    return (
        f"{what}; variance between prompts {found.between:.3f}, between candidates of one prompt {found.within:.3f}: the "
        f"standard error of mean@N is {now:.4f}, and would be {twice:.4f} with twice the candidates"
    )


def failure_note(candidates: Candidates) -> list[str]:
    """What candidates without a text do to chance."""
    if not (num_failed := int(candidates.failed.sum())):
        return []
    mean = float((candidates.num_correct / candidates.counts).mean())
    return [
        f"{num_failed} of {len(candidates.failed)} candidates failed: no way of choosing, random included, takes one where the "
        f"draw holds another; mean@N with them as wrong answers is {mean:.3f}, and auc is over the others"
    ]


def distinct_note(candidates: Candidates) -> list[str]:
    """The chance of what looks at texts alone, where a problem has some of them several times."""
    kept = ~candidates.failed
    if candidates.texts is None or not kept.any():
        return []
    known = np.stack([candidates.prompts[kept], candidates.texts[kept]], axis=1)
    distinct, first = np.unique(known, axis=0, return_index=True)
    if not (num_repeats := int(kept.sum()) - len(distinct)):
        return []
    _, codes = np.unique(distinct[:, 0], return_inverse=True)
    shares = np.bincount(codes, candidates.correct[kept][first]) / np.bincount(codes)
    return [
        f"{num_repeats} of {int(kept.sum())} texts repeat another one of their prompt: a blind choice among distinct texts is "
        f"right in {shares.mean():.3f}, which is the chance that vs_random_p of a score of texts alone is worked out against"
    ]
