"""The tables of kinds `world_ni` and `world_means`: normalised improvement a model and task, and over cells."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.report.table import Cell as TableCell
from labkit.report.table import Table
from labkit.report.world.scores import (
    AGGREGATED,
    BASE,
    Score,
    ScoredModel,
    families,
    gaps_note,
    is_trained,
    matrices,
    with_aggregate,
)
from labkit.report.world.spread import spread
from labkit.tasks.world.metrics import FLAWLESS, NO_BETTER, Mode

_NI = (
    *("model", "mixture", "tasks", "seed", "checkpoint", "task", "trained", "value", "baseline_atlantis"),
    *("baseline_standard", "ni", "ni_low", "ni_high", "flag"),
)
_NI_EXPENDABLE = (
    *("checkpoint", "mixture", "baseline_standard", "baseline_atlantis", "value", "tasks", "trained", "seed"),
)
_SHORT_FLAGS = {NO_BETTER: "base no better", FLAWLESS: "base flawless"}
"""What a cell says of the flags that are long; a note has the whole."""
_MEANS = (
    *("family", "seed", "trained_num_cells", "trained_mean", "trained_std"),
    *("transfer_num_cells", "transfer_mean", "transfer_std"),
)


def improvement_table(models: Sequence[ScoredModel], mode: Mode, notes: Sequence[str] = ()) -> Table:
    """One row a model and task: the mean value, its two baselines, and the normalised improvement (`ni`)."""
    rows = [_row(model, task, score) for model in models for task, score in model.scores.items()]
    measured = any(score.measured for model in models for score in model.scores.values())
    about = [
        "ni: 0 is the base on Atlantis, 1 the base on ordinary cities, clipped to 0 … 1.5",
        *(["intervals by the delta method, the three means taken as independent"] if measured else []),
        *(["edge rules of the published code (--improvement published)"] if mode == "published" and measured else []),
        *notes,
    ]
    about += [f"{short}: {long}" for long, short in _SHORT_FLAGS.items() if any(row["flag"] == short for row in rows)]
    return Table("world_ni", "normalised improvement", _NI, rows, about, _NI_EXPENDABLE)


def _row(model: ScoredModel, task: str, score: Score) -> dict[str, TableCell]:
    ni, measured = score.improvement, score.measured
    row: dict[str, TableCell] = {
        "model": model.name, "mixture": model.mixture.name, "tasks": model.mixture.tasks_text or None,
        "seed": model.seed, "checkpoint": model.checkpoint, "task": task,
        "trained": None if model.mixture.name == BASE else is_trained((model.mixture, task)),
        "ni": ni.value, "ni_low": ni.low, "ni_high": ni.high, "flag": _SHORT_FLAGS.get(ni.flag or "", ni.flag),
    }  # fmt: skip
    if measured is not None:
        baselines = (measured.baseline_atlantis.value, measured.baseline_standard.value)
        row |= {"value": measured.value.value, "baseline_atlantis": baselines[0], "baseline_standard": baselines[1]}
    return row


def means_table(models: Sequence[ScoredModel]) -> Table:
    """Mean and population standard deviation of `ni` over the cells of a family, trained and transfer apart.

    Aggregated is the mean of every cell over the seeds first, then mean and deviation over these cells.
    """
    rows: list[dict[str, TableCell]] = []
    notes = ["trained: cells whose task the model was fine-tuned on; std is that of the cells (ddof 0)"]
    for family in families(models):
        by_seed = matrices(models, family)
        for seed, matrix in with_aggregate(by_seed).items():
            trained = spread([value for cell, value in matrix.items() if is_trained(cell)])
            transfer = spread([value for cell, value in matrix.items() if not is_trained(cell)])
            counts: dict[str, TableCell] = {"family": family, "seed": seed}
            for name, each in (("trained", trained), ("transfer", transfer)):
                counts |= {f"{name}_num_cells": each.num_cells, f"{name}_mean": each.mean, f"{name}_std": each.std}
            rows.append(counts)
        notes += [f"{family}, {note}" for note in gaps_note(by_seed)]
    if any(row["seed"] == AGGREGATED for row in rows):
        notes.append(f"{AGGREGATED}: mean of every cell over the seeds first, then over cells")
    notes += _undefined(models)
    expendable = ["transfer_std", "trained_std", "transfer_num_cells", "trained_num_cells"]
    return Table("world_means", "mean normalised improvement", _MEANS, rows, notes, expendable)


def _undefined(models: Sequence[ScoredModel]) -> list[str]:
    tuned = [score for model in models if model.mixture.name != BASE for score in model.scores.values()]
    undefined = sum(score.improvement.value is None for score in tuned)
    return [f"{undefined} of {len(tuned)} cells are undefined and left out (flags: --table world_ni)"] * (undefined > 0)
