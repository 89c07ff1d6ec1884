"""The table of kind `best_of_n`: what each way of choosing among the candidates of a prompt is worth.

One row a reranker and k. Every test is paired over prompts, and made once, at the largest k.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.report.counting import ArmCounts
from labkit.report.pool import Pool, ranking_column
from labkit.report.prompt_means import accuracy_cells
from labkit.report.selection_notes import (
    comparison_note,
    distinct_note,
    error_note,
    failure_note,
    family_note,
    has_spread,
)
from labkit.report.table import Cell, Table
from labkit.rerank.candidate_arrays import Candidates
from labkit.rerank.selection import FIRST, LIKELIHOOD, MAJORITY, NO_SCORE, ORACLE, RANDOM, Selector, ranked
from labkit.stats import (
    PairedDifference,
    holm,
    mean_item_auc,
    paired_difference,
    powers_of_two,
    selection_efficiency,
)

LEAST_CANDIDATES = 2
"""Of a prompt, for there to be a choice."""
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
    row: dict[str, Cell]
    """The row of the table that it stands in."""


def best_of_n_table(pooled: Pool, ks: Sequence[int] = ()) -> Table | None:
    """The table of a pool that was read with its candidates; None where no prompt has two candidates of an arm. Prompts with
    fewer are left out with a note: they are of a run that is not done, and would leave nothing to choose from.

    Args:
        ks: candidates drawn; none is every power of two up to the number of candidates, and that number
    """
    arms = [_arm(pooled, counts, ks) for counts in pooled.arms if int(counts.num_rollouts.max()) >= 2]
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
    key, enough = counts.arm.key, counts.num_rollouts >= LEAST_CANDIDATES
    most = int(counts.num_rollouts[enough].min())
    scored = pooled.rollouts(key).filter(pl.col("correct").is_not_null())
    scored = scored.filter(pl.len().over("prompt") >= LEAST_CANDIDATES)
    shown = sorted({k for k in ks if k <= most} if ks else {*powers_of_two(most), most})
    arm = _Arm(key, _candidates(scored.sort("prompt", "index", "seed")), shown)
    arm.notes += _missing_note(pooled, counts)
    if left_out := int((~enough).sum()):
        arm.notes.append(
            f"{key}: {left_out} of {len(enough)} prompts have fewer than {LEAST_CANDIDATES} scored candidates and are left out"
        )
    return arm


def _missing_note(pooled: Pool, counts: ArmCounts) -> list[str]:
    """How many rollouts of an arm were asked for and are not there; several runs may share some, so of one run only."""
    if len(pooled.runs) != 1:
        return []
    ask = pooled.runs[0].ask()
    asked = sum(ask.num_prompts * count for arm, count in ask.arms if arm.key == counts.arm.key)
    missing = asked - int(counts.num_rollouts.sum())
    return (
        [f"{missing} of the {asked} rollouts of {counts.arm.key} that were asked for are not there"]
        if missing > 0
        else []
    )


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
        texts=frame["text_code"].to_numpy().astype(np.int64),
    )  # fmt: skip


def _common_rankings(pooled: Pool) -> tuple[list[Selector], list[str]]:
    """The rankings that every run of a pool has, and notes on them and on the others."""
    selectors, notes = [], []
    for name in dict.fromkeys(name for part in pooled.parts for name in part.rankings):
        found = [part.rankings[name] for part in pooled.parts if name in part.rankings]
        if len(found) < len(pooled.parts) or len({ranking.hash for ranking in found}) > 1:
            notes.append(f"{name} is left out: it is not one and the same ranking in every run")
            continue
        if owed := sum(ranking.num_owed for ranking in found):
            # Those that it has scored are no sample of the candidates: the longest go first, or the oldest.
            notes.append(f"{name} is left out: {owed:,} candidates have no score yet; labkit eval --rerank RUN")
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
    missing = int((selector.scores(candidates) == NO_SCORE).sum())
    total = len(candidates.correct)
    return (
        [f"{selector.name} has no score for {missing} of {total} candidates, which come after those with one"]
        if missing
        else []
    )


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
    arm.notes += [error_note(arm.candidates), *failure_note(arm.candidates), *distinct_note(arm.candidates)]
    compared = [each for each in (FIRST, MAJORITY, LIKELIHOOD, *rankings) if each.name in arm.values]
    for base in BASES:
        for selector in compared:
            if selector.name != base and base in arm.values and len(arm.candidates.counts) >= 2:
                yield _compare(arm, selector, base)


def _add_rows(arm: _Arm, selector: Selector) -> None:
    """A row for every k; one for what does not depend on it, as chance does where it passes over failed candidates."""
    once = selector is FIRST or (selector is RANDOM and not arm.candidates.failed.any())
    auc = _auc_cells(arm.candidates, selector)
    for place, k in enumerate(arm.ks):
        if not once or k == arm.ks[-1]:
            values = arm.values[selector.name][:, place]
            arm.rows.append(_counts(arm, selector, k) | _accuracy_cells(arm, selector, values, place) | auc)


def _counts(arm: _Arm, selector: Selector, k: int) -> dict[str, Cell]:
    counts = arm.candidates.counts
    about: dict[str, Cell] = {"arm": arm.key, "reranker": selector.name, "k": k}
    return about | {"num_prompts": len(counts), "num_rollouts": int(counts.min())}


def _accuracy_cells(arm: _Arm, selector: Selector, values: FloatArray, place: int) -> dict[str, Cell]:
    # As for pass@k: draws of k that share no candidate are independent, and there are no more of them than this.
    drawn = 1 if selector is RANDOM else arm.ks[place]
    cells = accuracy_cells("accuracy", values, float((~arm.candidates.failed).sum()) / drawn)
    found = selection_efficiency(values, arm.values["random"][:, place], arm.values["oracle"][:, place])
    if found is not None and selector not in (RANDOM, ORACLE):  # 0 and 1 by definition
        cells |= {"efficiency": found.value, "efficiency_low": found.low, "efficiency_high": found.high}
    return cells


def _auc_cells(candidates: Candidates, selector: Selector) -> dict[str, Cell]:
    values = selector.auc(candidates)
    found = None if values is None else mean_item_auc(values)
    return {} if found is None else {"auc": found.value, "auc_low": found.low, "auc_high": found.high}


def _compare(arm: _Arm, selector: Selector, base: str) -> _Comparison:
    name = selector.name
    ours, theirs = arm.values[name][:, -1], arm.values[base][:, -1]
    found = paired_difference(theirs, ours)
    if base == "random" and (test := selector.against_chance(arm.candidates)) is not None:
        kind = "permutation" if test.exact else "permutation, sampled"
        found = replace(found, p_value=test.p_value, test=kind)
    row = next(row for row in arm.rows if (row["reranker"], row["k"]) == (name, arm.ks[-1]))
    row |= {f"vs_{base}": found.value, f"vs_{base}_p": found.p_value, f"vs_{base}_mde": found.mde}
    if has_spread(found):
        row |= {f"vs_{base}_low": found.low, f"vs_{base}_high": found.high}
    return _Comparison(arm.key, name, base, found, row)


def _comparison_notes(arms: Sequence[_Arm], comparisons: Sequence[_Comparison], adjusted: Sequence[float]) -> list[str]:
    notes = []
    for arm in arms:
        where = f"{arm.key}, " if len(arms) > 1 else ""
        of_arm = [(each, p_value) for each, p_value in zip(comparisons, adjusted, strict=True) if each.arm == arm.key]
        names = [each.reranker for each, _ in of_arm]
        for each, p_value in sorted(of_arm, key=lambda pair: names.index(pair[0].reranker)):
            said = comparison_note(each.base, each.found, p_value)
            notes.append(f"{where}{each.reranker} (k = {arm.ks[-1]}): {said}")
    return notes + ([family_note(len(comparisons))] if comparisons else [])
