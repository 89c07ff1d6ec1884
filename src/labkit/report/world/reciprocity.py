"""The table of kind `world_reciprocity`: what a task gives to the others, and what it gets from them."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.report.naming import first_few
from labkit.report.table import Cell as TableCell
from labkit.report.table import Table
from labkit.report.world.scores import AGGREGATED, SINGLE, Matrix, ScoredModel, in_order, matrices, with_aggregate

LEFT_OUT = frozenset({"crossing"})
"""Tasks without a share in the published reciprocity: a model of crossing learns no map of the cities."""


def chosen_tasks(models: Sequence[ScoredModel], tasks: Sequence[str] = ()) -> list[str]:
    """The tasks that a comparison between tasks is over: those asked for, else all of single-task models but crossing."""
    there = {model.mixture.trained[0] for model in models if model.mixture.family == SINGLE}
    return in_order(task for task in there if (task in tasks if tasks else task not in LEFT_OUT))


def reciprocity_table(models: Sequence[ScoredModel], tasks: Sequence[str] = ()) -> Table:
    """Given: a single-task model's summed improvement on the other tasks. Received: the others' on its task.

    Args:
        tasks: the tasks to sum over; none is all but crossing
    """
    rows: list[dict[str, TableCell]] = []
    chosen = chosen_tasks(models, tasks)
    notes = [f"sums of normalised improvement over {', '.join(chosen)}; net is given minus received"]
    for seed, matrix in with_aggregate(matrices(models, SINGLE)).items():
        by_task = _by_task(matrix)
        lacking = [(x, y) for x in chosen for y in chosen if x != y and (x, y) not in by_task]
        if lacking:
            who = f"seed {seed}" if seed != AGGREGATED else "the mean over seeds"
            notes.append(f"{who} is left out, as sums need every cell: {_reasons(models, seed, lacking)}")
            continue
        for task in chosen:
            given = sum(by_task[task, other] for other in chosen if other != task)
            received = sum(by_task[other, task] for other in chosen if other != task)
            rows.append({"seed": seed, "task": task, "given": given, "received": received, "net": given - received})
    columns = ["seed", "task", "given", "received", "net"]
    return Table("world_reciprocity", "reciprocity of single tasks", columns, rows, notes)


def _reasons(models: Sequence[ScoredModel], seed: str, lacking: Sequence[tuple[str, str]]) -> str:
    """Which cells are undefined, and which were never measured."""
    measured = {
        (model.mixture.trained[0], task)
        for model in models
        if model.mixture.family == SINGLE and seed in (model.seed, AGGREGATED)
        for task in model.scores
    }
    parts = {
        "undefined": [f"{x} on {y}" for x, y in lacking if (x, y) in measured],
        "missing": [f"{x} on {y}" for x, y in lacking if (x, y) not in measured],
    }
    where = " for some seed" if seed == AGGREGATED else ""
    words = [f"{name}{where}: {first_few(cells)}" for name, cells in parts.items() if cells]
    return "; ".join(words) + " (model of one task, asked another)"


def _by_task(matrix: Matrix) -> dict[tuple[str, str], float]:
    """Values by (trained task, asked task)."""
    return {(mixture.trained[0], task): value for (mixture, task), value in matrix.items()}
