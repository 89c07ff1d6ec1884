"""What the numbers of `best_of_n` say, in sentences made from them."""

from __future__ import annotations

from labkit.rerank.candidate_arrays import Candidates
from labkit.stats import PairedDifference, variance_components

ALPHA = 0.05
LEAST_P = 1e-11
"""Smaller p-values say no more, and sums of so many terms are not known to more digits."""
_NAMES = {"random": "chance", "majority": "majority"}
_TESTS = {"mcnemar": "McNemar", "sign-flip": "sign flips", "sign-flip, sampled": "sign flips, sampled"}


def comparison_note(
    base: str, found: PairedDifference, accuracies: tuple[float, float], adjusted_p: float, alpha: float = ALPHA
) -> str:
    """A reranker against a base: which is better, by how much, by which test, and what the prompts could have shown.

    Args:
        base: `random` or `majority`
        found: reranker less base
        accuracies: of the base and of the reranker
        adjusted_p: by Holm
        alpha: below this the difference is taken for one
    """
    other = _NAMES[base]
    if found.mde is None:
        return f"does as {other} on every one of {found.num_prompts} prompts"
    if adjusted_p > alpha:
        verdict = f"is no better than {other}, as far as {found.num_prompts} prompts show"
    else:
        verdict = f"is {'better' if found.value > 0 else 'worse'} than {other}"
    p_value = f"p {_p_text(found.p_value)} by {_TESTS[found.test]}, {_p_text(adjusted_p).removeprefix('= ')} by Holm"
    return (
        f"{verdict}: {accuracies[1]:.3f} against {accuracies[0]:.3f}, difference {_signed(found.value)} "
        f"[{_signed(found.low)}, {_signed(found.high)}], {p_value}, better on {found.num_better} of {found.num_prompts} "
        f"prompts and worse on {found.num_worse}; a true difference of {found.mde:.3f} would be found 8 times in 10"
    )


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
    what = "random is mean@N, oracle is pass@k"
    counts = candidates.counts
    if len(counts) < 2:
        return f"{what}; a single prompt has no interval over prompts, and nothing is compared"
    found = variance_components(candidates.num_correct, counts)
    now, twice = (found.standard_error(factor * float(counts.mean())) for factor in (1, 2))
    return (
        f"{what}; variance between prompts {found.between:.3f}, between candidates of one prompt {found.within:.3f}: the "
        f"standard error of mean@N is {now:.4f}, and would be {twice:.4f} with twice the candidates"
    )
