"""Heatmaps of the world-cities experiment: improvement, actual minus expected, and CKA, over models and tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from labkit.errors import ConfigError
from labkit.report.figures import Heatmap
from labkit.report.world.generalisation import CkaByLayer
from labkit.report.world.scores import (
    AGGREGATED,
    PAIR,
    SINGLE,
    Matrix,
    Mixture,
    ScoredModel,
    aggregate,
    families,
    in_order,
    is_trained,
    matrices,
    mixture_order,
)
from labkit.report.world.synergy import difference_matrices, differences
from labkit.tasks.world.metrics import Mode

Value = Literal["improvement", "difference", "cka"]
EACH_SEED = "all"
_TRAINED = "T: the model was trained on this task"


def score_heatmaps(
    models: Sequence[ScoredModel],
    value: Literal["improvement", "difference"],
    *,
    family: str | None = None,
    seed: str = AGGREGATED,
    mode: Mode = "monotone",
) -> list[Heatmap]:
    """Rows are models, columns the tasks that they are asked.

    Args:
        models: of each mixture and seed at most one
        family: `ftwb1` or `ftwb2`; None is the one with more tasks that there is
        seed: one seed, `aggregated` for the mean of every cell over the seeds, or `all` for a heatmap of each seed
        mode: how expected values are normalised

    Raises:
        ConfigError: there are no such models or no such seed; or differences are asked of single-task models.
    """
    if value == "difference" and family == SINGLE:
        raise ConfigError("single-task models have no difference: they are what is expected", f"leave out {family}")
    chosen = family or (PAIR if value == "difference" else next(iter(reversed(families(models))), PAIR))
    by_seed = difference_matrices(differences(models, mode)) if value == "difference" else matrices(models, chosen)
    if not by_seed:
        raise ConfigError(f"there is no {value} of {chosen} models", _how_to_get_some(models, value))
    tasks = in_order(task for model in models for task in model.scores)
    rows = [model.mixture for model in models if model.mixture.family == chosen]
    name = f"{chosen}, " + ("actual minus expected" if value == "difference" else "normalised improvement")
    wanted = _of_seeds(by_seed, seed)
    return [_heatmap(f"{name}, {who}", matrix, value, rows, tasks) for who, matrix in wanted.items()]


def cka_heatmaps(cka: CkaByLayer) -> list[Heatmap]:
    """CKA between the models of two tasks, a heatmap a layer; that of a model with itself is 1."""
    found = []
    for layer, matrix in cka.items():
        tasks = in_order(task for pair in matrix for task in pair)
        values = [[matrix.get((row, column), 1.0 if row == column else None) for column in tasks] for row in tasks]
        title = "CKA of single-task models" + ("" if layer is None else f", layer {layer}")
        labels, marks = [(task, "") for task in tasks], [[""] * len(tasks) for _ in tasks]
        found.append(Heatmap(title, "similarity", 0.0, 1.0, "CKA", labels, tasks, values, marks))
    return found


def _of_seeds(by_seed: Mapping[str, Matrix], seed: str) -> dict[str, Matrix]:
    """The matrices to draw, by what to call them."""
    if seed == EACH_SEED:
        return {_called(name): matrix for name, matrix in by_seed.items()}
    if seed == AGGREGATED:
        return {f"mean of {len(by_seed)} seeds" if len(by_seed) > 1 else _called(min(by_seed)): aggregate(by_seed)}
    if seed not in by_seed:
        raise ConfigError(f"there is no seed {seed!r}", f"there are: {', '.join(by_seed)}, {AGGREGATED}, {EACH_SEED}")
    return {_called(seed): by_seed[seed]}


def _called(seed: str) -> str:
    return f"seed {seed}" if seed[:1].isdigit() else seed


def _heatmap(
    title: str,
    matrix: Matrix,
    value: Literal["improvement", "difference"],
    mixtures: Iterable[Mixture],
    tasks: Sequence[str],
) -> Heatmap:
    rows = sorted(dict.fromkeys(mixtures), key=mixture_order)
    difference = value == "difference"
    return Heatmap(
        title,
        "difference" if difference else "improvement",
        -0.5 if difference else 0.0,
        0.5 if difference else 1.0,
        "actual − expected" if difference else "improvement",
        [(mixture.name, mixture.tasks_text) for mixture in rows],
        tasks,
        [[matrix.get((mixture, task)) for task in tasks] for mixture in rows],
        [["T" if is_trained((mixture, task)) else "" for task in tasks] for mixture in rows],
        _TRAINED,
    )


def _how_to_get_some(models: Sequence[ScoredModel], value: str) -> str:
    there = ", ".join(families(models)) or "none"
    lacking = [family for family in (SINGLE, PAIR) if family not in families(models)]
    if value == "difference" and lacking:
        return (
            f"it needs {SINGLE} and {PAIR} models of one seed and base, and there are none of {' and '.join(lacking)}"
        )
    return f"families here: {there}; labkit report --table world_ni says which cells are undefined"
