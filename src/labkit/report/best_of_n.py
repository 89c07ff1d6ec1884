"""The table of kind `best_of_n`: what each way of choosing among the candidates of a prompt is worth.

One row a reranker and k. Every test is paired over prompts, and made once, at the largest k.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.report.counting import ArmCounts
from labkit.report.pool import Pool, ranking_column
from labkit.report.selection_notes import comparison_note, error_note, family_note
from labkit.report.table import Cell, Table
from labkit.rerank.candidate_arrays import Candidates
from labkit.rerank.selection import FIRST, LIKELIHOOD, MAJORITY, ORACLE, RANDOM, Selector, ranked
from labkit.stats import (
    PairedDifference,
    holm,
    mean_item_auc,
    paired_difference,
    powers_of_two,
    selection_efficiency,
    wilson_mean,
)

BASES = ("random", "majority")
"""What every reranker is compared with."""

_OWN = ("random", "first", "majority", "likelihood", "oracle")
_RATES = ("accuracy", "efficiency", "auc", *(f"vs_{base}" for base in BASES))
_COLUMNS = (
    *("run", "arm", "reranker", "k", "num_prompts", "num_rollouts"),
    *(f"{rate}{end}" for rate in _RATES[:3] for end in ("", "_low", "_high")),
    *(f"vs_{base}{end}" for base in BASES for end in ("", "_low", "_high", "_p", "_p_holm", "_mde")),
)
_EXPENDABLE = (
    *("run", "arm", "num_prompts", "num_rollouts", "vs_majority_mde", "vs_random_mde", "vs_majority_p", "vs_random_p"),
    *("auc", "efficiency", "vs_majority_p_holm", "vs_random_p_holm"),
)

FloatArray = npt.NDArray[np.float64]


@dataclass(slots=True)
class _Arm:
    """One arm of the table as it is put together."""

    key: str
    candidates: Candidates
    ks: list[int]
    values: dict[str, FloatArray] = field(default_factory=dict)
    """By reranker (P, K)"""
    rows: list[dict[str, Cell]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A reranker against one of the bases at the largest k."""

    arm: str
    reranker: str
    base: str
    found: PairedDifference
    accuracies: tuple[float, float]
    """Of the base and of the reranker."""
    row: dict[str, Cell]
    """The row of the table that it stands in."""


def best_of_n_table(pooled: Pool, ks: Sequence[int] = ()) -> Table | None:
    """The table of a pool that was read with its candidates; None where no arm has two candidates a prompt.

    Args:
        ks: candidates drawn; none is every power of two up to the number of candidates, and that number
    """
    arms = [_arm(pooled, counts, ks) for counts in pooled.arms if counts.least >= 2]
    arms = [arm for arm in arms if arm.ks]
    if not arms:
        return None
    rankings, notes = _common_rankings(pooled)
    comparisons = [each for arm in arms for each in _fill(arm, rankings)]
    adjusted: list[float] = holm([each.found.p_value for each in comparisons]).tolist() if comparisons else []
    for each, p_value in zip(comparisons, adjusted, strict=True):
        each.row[f"vs_{each.base}_p_holm"] = p_value
    notes += [note for arm in arms for note in arm.notes]
    notes += _comparison_notes(arms, comparisons, adjusted)
    runs = pooled.runs[0].id if len(pooled.runs) == 1 else f"{len(pooled.runs)} runs"
    rows: list[dict[str, Cell]] = [{"run": runs, **row} for arm in arms for row in arm.rows]
    return Table(
        "best_of_n", f"choosing among candidates, {runs}", _COLUMNS, rows, [*pooled.notes, *notes], _EXPENDABLE
    )


def _arm(pooled: Pool, counts: ArmCounts, ks: Sequence[int]) -> _Arm:
    key, most = counts.arm.key, counts.least
    scored = pooled.rollouts(key).filter(pl.col("correct").is_not_null())
    shown = sorted({k for k in ks if k <= most} if ks else {*powers_of_two(most), most})
    return _Arm(key, _candidates(scored.sort("prompt", "index", "seed")), shown)


def _candidates(frame: pl.DataFrame) -> Candidates:
    likelihood = pl.when(pl.col("num_tokens") > 0).then(pl.col("logprob") / pl.col("num_tokens"))
    columns = [name for name in frame.columns if name.startswith(ranking_column(""))]
    return Candidates(
        counts=frame.group_by("prompt", maintain_order=True).len()["len"].cast(pl.Int64).to_numpy(),
        correct=frame["correct"].to_numpy(),
        answers=frame["answer"].to_list(),
        failed=frame["error"].is_not_null().to_numpy(),
        likelihood=frame.select(likelihood.fill_null(np.nan).alias("likelihood"))["likelihood"].to_numpy(),
        scores={
            name.removeprefix(ranking_column("")): frame[name].fill_null(np.nan).to_numpy() for name in columns
        },
    )  # fmt: skip


def _common_rankings(pooled: Pool) -> tuple[list[Selector], list[str]]:
    """The rankings that every run of a pool has, and notes on them and on the others."""
    selectors, notes = [], []
    for name in dict.fromkeys(name for part in pooled.parts for name in part.rankings):
        found = [part.rankings[name] for part in pooled.parts if name in part.rankings]
        if len(found) < len(pooled.parts) or len({ranking.hash for ranking in found}) > 1:
            notes.append(f"{name} is left out: it is not one and the same ranking in every run")
            continue
        selectors.append(ranked(name, f"{name} (ranking)" if name in _OWN else name))
        if trained := max(ranking.about.get("trained_on", 0) for ranking in found):
            notes.append(
                f"{name} was trained on {trained} of these questions: how it does here says nothing of new ones"
            )
    return selectors, notes


def _scores_note(candidates: Candidates, selector: Selector) -> list[str]:
    """How many candidates a ranking says nothing of."""
    if selector.scores is None:
        return []
    missing = int((np.isinf(selector.scores(candidates)) & ~candidates.failed).sum())
    total = len(candidates.correct)
    return [f"{selector.name} has no score for {missing} of {total} candidates, which come last"] if missing else []


def _fill(arm: _Arm, rankings: Sequence[Selector]) -> Iterator[_Comparison]:
    """Make the rows of an arm; gives the comparisons they hold."""
    selectors = (RANDOM, FIRST, MAJORITY, LIKELIHOOD, *rankings, ORACLE)
    for selector in selectors:
        if reason := selector.why_not(arm.candidates):
            arm.notes.append(f"{selector.name} is left out: {reason}")
        else:
            arm.values[selector.name] = selector.choose(arm.candidates, arm.ks)
            arm.notes += _scores_note(arm.candidates, selector)
    for selector in selectors:
        if selector.name in arm.values:
            _add_rows(arm, selector)
    arm.notes.append(error_note(arm.candidates))
    compared = [each.name for each in (MAJORITY, LIKELIHOOD, *rankings) if each.name in arm.values]
    for base in BASES:
        for name in compared:
            if name != base and base in arm.values and len(arm.candidates.counts) >= 2:
                yield _compare(arm, name, base)


def _add_rows(arm: _Arm, selector: Selector) -> None:
    """A row for every k; one for what does not depend on it."""
    auc = _auc_cells(arm.candidates, selector)
    for place, k in enumerate(arm.ks):
        if selector not in (RANDOM, FIRST) or k == arm.ks[-1]:
            values = arm.values[selector.name][:, place]
            arm.rows.append(_counts(arm, selector, k) | _accuracy_cells(arm, selector, values, place) | auc)


def _counts(arm: _Arm, selector: Selector, k: int) -> dict[str, Cell]:
    counts = arm.candidates.counts
    about: dict[str, Cell] = {"arm": arm.key, "reranker": selector.name, "k": k}
    return about | {"num_prompts": len(counts), "num_rollouts": int(counts.min())}


def _accuracy_cells(arm: _Arm, selector: Selector, values: FloatArray, place: int) -> dict[str, Cell]:
    total = float(arm.candidates.counts.sum())
    # As for pass@k: draws of k that share no candidate are independent, and there are no more of them than this.
    low, high = wilson_mean(values, num_trials=total if selector is RANDOM else total / arm.ks[place])
    cells: dict[str, Cell] = {"accuracy": float(values.mean()), "accuracy_low": low, "accuracy_high": high}
    found = selection_efficiency(values, arm.values["random"][:, place], arm.values["oracle"][:, place])
    if found is not None and selector not in (RANDOM, ORACLE):  # 0 and 1 by definition
        cells |= {"efficiency": found.value, "efficiency_low": found.low, "efficiency_high": found.high}
    return cells


def _auc_cells(candidates: Candidates, selector: Selector) -> dict[str, Cell]:
    values = selector.auc(candidates)
    found = None if values is None else mean_item_auc(values)
    return {} if found is None else {"auc": found.value, "auc_low": found.low, "auc_high": found.high}


def _compare(arm: _Arm, name: str, base: str) -> _Comparison:
    ours, theirs = arm.values[name][:, -1], arm.values[base][:, -1]
    found = paired_difference(theirs, ours)
    row = next(row for row in arm.rows if (row["reranker"], row["k"]) == (name, arm.ks[-1]))
    row |= {f"vs_{base}": found.value, f"vs_{base}_p": found.p_value, f"vs_{base}_mde": found.mde}
    if found.standard_error > 1e-12:  # where all prompts agree there is no spread to learn from
        row |= {f"vs_{base}_low": found.low, f"vs_{base}_high": found.high}
    return _Comparison(arm.key, name, base, found, (float(theirs.mean()), float(ours.mean())), row)


def _comparison_notes(arms: Sequence[_Arm], comparisons: Sequence[_Comparison], adjusted: Sequence[float]) -> list[str]:
    notes = []
    for arm in arms:
        where = f"{arm.key}, " if len(arms) > 1 else ""
        of_arm = [(each, p_value) for each, p_value in zip(comparisons, adjusted, strict=True) if each.arm == arm.key]
        for name in dict.fromkeys(each.reranker for each, _ in of_arm):
            parts = [
                comparison_note(each.base, each.found, each.accuracies, p_value)
                for each, p_value in of_arm
                if each.reranker == name
            ]
            notes.append(f"{where}{name} (k = {arm.ks[-1]}) " + "; ".join(parts))
    return notes + ([family_note(len(comparisons))] if comparisons else [])
