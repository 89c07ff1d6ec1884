"""The table of kind `world_eval`: one row a run, evaluation and task."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.record.run import Run
from labkit.report.naming import config_value, rescored_text
from labkit.report.table import Cell, Table
from labkit.report.world.baselines import unfinished_notes
from labkit.report.world.reading import EvaluatedRun, Evaluation, read_all

_ABOUT = (
    *("run", "model", "seed", "checkpoint", "data", "split", "decoding"),
    *("evaluation", "task", "kind", "num_rollouts"),
)
_MEASURED = (
    "mean",
    "mean_low",
    "mean_high",
    "median",
    "parse_rate",
    "parse_rate_low",
    "parse_rate_high",
    "mean_parsed",
)
_EXPENDABLE = (
    *("data", "split", "decoding", "run", "seed", "checkpoint", "mean_parsed", "num_rollouts", "median", "kind"),
    *("parse_rate_low", "task"),
)
_NOTE = "mean counts an unreadable answer at its task's failure value; mean_parsed leaves it out"


def evaluation_table(runs: Sequence[Run]) -> Table:
    """What eval runs over the world task measured: mean, median and the part of answers that could be read.

    Raises:
        RecordError: a record is damaged.
    """
    found = read_all(runs)
    table = evaluated_table(found)
    table.notes += unfinished_notes(found)
    return table


def evaluated_table(runs: Sequence[EvaluatedRun]) -> Table:
    """`evaluation_table` of runs that are read already."""
    rows = [_row(run, evaluation) for run in runs for evaluation in run.evaluations]
    notes = [_NOTE] + [
        f"{run.run.id} is asked for more than it has: these are the figures of its last completion"
        for run in runs
        if run.evaluations and run.run.status() != "done"
    ]
    notes += [text for run in runs if (text := rescored_text(run.run))]
    return Table("world_eval", "evaluations", [*_ABOUT, *_MEASURED], rows, notes, _EXPENDABLE)


def _row(run: EvaluatedRun, evaluation: Evaluation) -> dict[str, Cell]:
    about: dict[str, Cell] = {
        "run": run.run.id, "model": run.model_name, "seed": run.model.seed, "checkpoint": run.checkpoint,
        "data": config_value(run.run.manifest, "config.task.data"),
        "split": config_value(run.run.manifest, "config.task.split"), "decoding": run.decoding,
        "evaluation": evaluation.evaluation, "task": evaluation.task, "kind": evaluation.kind,
    }  # fmt: skip
    return about | {column: evaluation.values.get(column) for column in ("num_rollouts", *_MEASURED)}
