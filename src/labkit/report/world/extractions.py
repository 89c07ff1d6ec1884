"""What extractions add: their own tables, and the CKA of single-task models that generalisation is held against."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from labkit.errors import ConfigError
from labkit.record.run import Run
from labkit.report.table import Table
from labkit.report.world.generalisation import CkaByLayer
from labkit.report.world.reading import Training, read_lineage
from labkit.report.world.scores import SINGLE, mixture_of

CKA_PAIRS_KIND = "cka"
EXTRACTION_KINDS = ("representations", CKA_PAIRS_KIND)


def extraction_tables(runs: Sequence[Run], layer: int | None, *, with_cka: bool) -> list[Table]:
    """The tables of extractions; `with_cka`, which reads all hidden states, the one that compares every two of them.

    Raises:
        RecordError: a record is damaged.
    """
    from labkit.report.representations import cka_table, representation_table

    tables = [representation_table(runs)]
    return tables + ([cka_table(runs, layer=layer)] if with_cka and len(runs) > 1 else [])


def chosen_cka(extractions: Sequence[Run], layer: int | None, notes: list[str]) -> CkaByLayer:
    """`measured_cka`, which must have the layer that was asked for if it has any.

    Raises:
        ConfigError: it has others only; names them.
    """
    found = measured_cka(extractions, layer, notes)
    if not found and layer is not None and (others := measured_cka(extractions, None, [])):
        raise ConfigError(f"there is no CKA of layer {layer}", f"there are the layers {', '.join(map(str, others))}")
    return found


def measured_cka(runs: Sequence[Run], layer: int | None, notes: list[str]) -> CkaByLayer:
    """CKA between single-task models of one base and seed, averaged over the seeds, by layer and (task, task).

    Args:
        layer: only this one; None is every layer that was extracted
        notes: gets what could not be compared

    Raises:
        RecordError: a record is damaged.
    """
    from labkit.report.representations import cka_table

    tasks: dict[str, str] = {}
    replicates: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        lineage = read_lineage(run)
        mixture = mixture_of(lineage[-1].tasks, lineage[-1].data)
        if len(lineage) > 1 and mixture.family == SINGLE:
            tasks[run.id] = mixture.trained[0]
            replicates.setdefault(_replicate(lineage), []).append(run)
    found: dict[int | None, dict[tuple[str, str], list[float]]] = {}
    for replicate in replicates.values():
        table = cka_table(replicate, layer=layer)
        notes += table.notes
        for row in table.rows:
            x, y = tasks[str(row["run_a"])], tasks[str(row["run_b"])]
            if x != y and isinstance(row["cka"], float) and isinstance(row["layer"], int):
                matrix = found.setdefault(row["layer"], {})
                for pair in ((x, y), (y, x)):
                    matrix.setdefault(pair, []).append(row["cka"])
    return {at: {pair: fmean(each) for pair, each in found[at].items()} for at in sorted(found, key=str)}


def _replicate(lineage: Sequence[Training]) -> tuple[object, ...]:
    base = lineage[-2]
    return lineage[-1].seed, base.run or base.weights, base.step
