"""Actual minus expected: does a model of two tasks do better than the better of the two models of one task?

Expected is the better of the two single-task models of the same base and seed, by their raw values on the task that is
asked, normalised as the model of two tasks is. Positive differences are synergy, negative ones interference. Tables
without raw values take the larger of the two normalised improvements, which is the same but for the edge rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labkit.config.world import MIXTURES, mixture_name
from labkit.report.table import Cell as TableCell
from labkit.report.table import Table
from labkit.report.world.scores import (
    AGGREGATED,
    PAIR,
    SINGLE,
    Matrix,
    Mixture,
    Score,
    ScoredModel,
    aggregate,
    gaps_note,
    is_trained,
    seed_order,
)
from labkit.report.world.splits import Split
from labkit.report.world.spread import Spread, spread
from labkit.tasks.world.metrics import Mode, improvement

ALL_SEEDS = "all"
_COLUMNS = ("models", "seed", "cells", "num_cells", "mean", "std")


@dataclass(frozen=True, slots=True)
class Difference:
    """One cell of a model of two tasks beside the expectation."""

    seed: str
    mixture: Mixture
    task: str
    actual: float
    expected: float
    teacher: str
    """The task of the better single-task model."""

    @property
    def value(self) -> float:
        return self.actual - self.expected


def differences(models: Sequence[ScoredModel], mode: Mode = "monotone") -> list[Difference]:
    """Every cell of every model of two tasks whose two single-task models there are; undefined cells are left out.

    Args:
        models: of each mixture and seed at most one
        mode: how expected values are normalised, where there are raw ones
    """
    singles = {(m.seed, m.mixture.name): m for m in models if m.mixture.family == SINGLE}
    pairs = [model for model in models if model.mixture.family == PAIR]
    found: list[Difference] = []
    for model in sorted(pairs, key=lambda model: seed_order(model.seed)):
        teachers = [singles.get((model.seed, mixture_name([task]))) for task in model.mixture.trained]
        present = [teacher for teacher in teachers if teacher is not None]
        if len(present) == len(teachers):
            found += _of_model(model, present, mode)
    return found


def _of_model(model: ScoredModel, teachers: Sequence[ScoredModel], mode: Mode) -> Iterable[Difference]:
    for task, score in model.scores.items():
        known = [(teacher, teacher.scores[task]) for teacher in teachers if task in teacher.scores]
        if len(known) < len(teachers) or score.improvement.value is None:
            continue
        teacher, best = max(known, key=lambda each: _rank(each[1]))
        expected = _expected(best, score, mode)
        if expected is not None:
            actual = score.improvement.value
            yield Difference(model.seed, model.mixture, task, actual, expected, teacher.mixture.trained[0])


def _rank(score: Score) -> float:
    """Larger for the better of two models on one task."""
    if score.measured is None:
        return -1.0 if score.improvement.value is None else score.improvement.value
    value = score.measured.value.value
    return -value if score.measured.kind == "error" else value


def _expected(best: Score, score: Score, mode: Mode) -> float | None:
    """The raw value of the better single-task model on the scale of the model of two tasks."""
    if best.measured is None or score.measured is None:
        return best.improvement.value
    scale = score.measured
    baselines = (scale.baseline_atlantis.value, scale.baseline_standard.value)
    return improvement(best.measured.value.value, *baselines, scale.kind, mode=mode).value


def difference_matrices(found: Iterable[Difference]) -> dict[str, Matrix]:
    """The differences by seed."""
    matrices: dict[str, dict[tuple[Mixture, str], float]] = {}
    for each in found:
        matrices.setdefault(each.seed, {})[each.mixture, each.task] = each.value
    return dict(matrices)


def difference_table(found: Sequence[Difference]) -> Table:
    """The table of kind `world_difference`: one row a seed, model of two tasks and task."""
    rows: list[dict[str, TableCell]] = [
        {
            "seed": each.seed, "mixture": each.mixture.name, "tasks": each.mixture.tasks_text, "task": each.task,
            "trained": each.task in each.mixture.trained, "actual": each.actual, "expected": each.expected,
            "teacher": each.teacher, "difference": each.value,
        }
        for each in found
    ]  # fmt: skip
    columns = ["seed", "mixture", "tasks", "task", "trained", "actual", "expected", "teacher", "difference"]
    notes = ["expected: the better of the two single-task models (teacher), on the same scale"]
    return Table("world_difference", "actual minus expected", columns, rows, notes, ["mixture", "trained"])


def synergy_table(models: Sequence[ScoredModel], found: Sequence[Difference], splits: Sequence[Split]) -> Table:
    """The table of kind `world_synergy`: mean and population standard deviation of the differences.

    One row a side of a split, seed and sort of cell; `all` seeds together and their cell-wise mean stand as seeds.
    """
    by_seed = difference_matrices(found)
    sides = [("all", None), *((name, (split, held)) for split in splits for name, held in _sides(split))]
    rows: list[dict[str, TableCell]] = []
    for name, side in sides:
        held = {seed: _side(matrix, side) for seed, matrix in by_seed.items()}
        groups = {seed: [(is_trained(cell), value) for cell, value in each.items()] for seed, each in held.items()}
        if len(groups) > 1:
            groups[ALL_SEEDS] = [each for group in groups.values() for each in group]
            groups[AGGREGATED] = [(is_trained(cell), value) for cell, value in aggregate(held).items()]
        for seed, group in groups.items():
            rows += _rows(name, seed, group)
    notes = [
        "differences of normalised improvement, actual minus expected; above 0 is synergy, below is interference",
        "trained: cells whose task the model was fine-tuned on; std is that of the cells (ddof 0)",
        *(
            [f"seed {ALL_SEEDS}: every seed's cells; {AGGREGATED}: each cell's mean over the seeds"]
            * (len(by_seed) > 1)
        ),
        *gaps_note(by_seed),
        *_left_out(models, found),
    ]
    return Table("world_synergy", "synergy: actual minus expected", _COLUMNS, rows, notes)


def _sides(split: Split) -> list[tuple[str, bool]]:
    return [(split.inside, True), (split.outside, False)]


def _side(matrix: Matrix, side: tuple[Split, bool] | None) -> Matrix:
    if side is None:
        return matrix
    split, held = side
    return {cell: value for cell, value in matrix.items() if split.holds(cell[0]) is held}


def _rows(name: str, seed: str, group: Sequence[tuple[bool, float]]) -> list[dict[str, TableCell]]:
    parts: dict[str, Spread] = {
        "all": spread([value for _, value in group]),
        "trained": spread([value for trained, value in group if trained]),
        "transfer": spread([value for trained, value in group if not trained]),
    }
    return [
        {"models": name, "seed": seed, "cells": cells, "num_cells": part.num_cells, "mean": part.mean, "std": part.std}
        for cells, part in parts.items()
    ]


def _left_out(models: Sequence[ScoredModel], found: Sequence[Difference]) -> list[str]:
    """A sentence on models of two tasks without the models of one task that they are compared with."""
    there = {(each.seed, each.mixture.name) for each in found}
    pairs = [model for model in models if model.mixture.family == PAIR]
    lacking = [model for model in pairs if (model.seed, model.mixture.name) not in there]
    if not lacking:
        return []
    singles = {(model.seed, model.mixture.name) for model in models}
    wanted = {(m.seed, mixture_name([task])) for m in lacking for task in m.mixture.trained if task in _SINGLE_TASKS}
    missing = sorted(f"{name} (seed {seed})" for seed, name in wanted - singles)
    shown = ", ".join(missing[:4]) + (" …" if len(missing) > 4 else "")
    return [f"{len(lacking)} models of two tasks have no expectation" + (f": there is no {shown}" if missing else "")]


_SINGLE_TASKS = {trained[0] for trained in MIXTURES.values() if len(trained) == 1}
