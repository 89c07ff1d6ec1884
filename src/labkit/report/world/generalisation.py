"""The table of kind `world_cka`: do models with similar representations of two tasks pass more on between them?

x is the CKA of the representations of two single-task models, X and Y; y is the normalised improvement of the model
fine-tuned on X when asked Y, averaged over the seeds. Every ordered pair of two different tasks is a point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labkit.report.table import Cell as TableCell
from labkit.report.table import Table
from labkit.report.world.reciprocity import chosen_tasks
from labkit.report.world.scores import SINGLE, ScoredModel, aggregate, matrices

CkaByLayer = Mapping[int | None, Mapping[tuple[str, str], float]]

_FEWEST_POINTS = 3


def generalisation_table(models: Sequence[ScoredModel], cka: CkaByLayer, tasks: Sequence[str] = ()) -> Table:
    """A least-squares line for each layer, with R², the two-sided p of its slope, and the number of points.

    The p takes points as independent; they share models, and each pair of tasks is in both directions, so it is small
    too easily.

    Args:
        cka: by layer and (task, task); a layer that nobody named is None
        tasks: the tasks to compare; none is all but crossing
    """
    from scipy.stats import linregress

    over_seeds = aggregate(matrices(models, SINGLE))
    improvements = {(mixture.trained[0], task): value for (mixture, task), value in over_seeds.items()}
    chosen = chosen_tasks(models, tasks)
    rows: list[dict[str, TableCell]] = []
    notes = [
        f"improvement of the model of X on Y over CKA(X, Y), X and Y among {', '.join(chosen)}",
        "p takes the points as independent, which they are not: they share models",
    ]
    for layer, matrix in cka.items():
        pairs = [(x, y) for x in chosen for y in chosen if x != y and (x, y) in matrix and (x, y) in improvements]
        xs, ys = [matrix[pair] for pair in pairs], [improvements[pair] for pair in pairs]
        if len(pairs) < _FEWEST_POINTS or min(xs) == max(xs):
            notes.append(f"layer {layer}: {len(pairs)} points are too few for a line, or have one CKA")
            continue
        fit = linregress(xs, ys)
        rows.append(
            {"layer": layer, "num_points": len(pairs), "r_squared": float(fit.rvalue) ** 2, "p": float(fit.pvalue),
             "slope": float(fit.slope), "intercept": float(fit.intercept)}
        )  # fmt: skip
    columns = ["layer", "num_points", "r_squared", "p", "slope", "intercept"]
    return Table("world_cka", "generalisation over CKA", columns, rows, notes)
