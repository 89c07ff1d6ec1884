"""The table of kind `training`: one row a training run, with the last value of each thing that it logged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labkit.record.files import iterate_json_lines
from labkit.record.run import Run
from labkit.report.table import Cell, Table

_COLUMNS = ("run", "name", "status", "steps", "loss", "eval_accuracy", "eval_accuracy_low", "eval_accuracy_high")


def training_table(runs: Sequence[Run]) -> Table:
    """Training runs beside each other: steps done, training loss, and held-out accuracy with its interval.

    Raises:
        RecordError: `metrics.jsonl` or `result.json` of a run is damaged.
    """
    rows = [training_row(run) for run in runs]
    notes = [
        f"{run.id} was interrupted; resume with labkit {run.command} --resume {run.path}"
        for run, row in zip(runs, rows, strict=True)
        if row["status"] == "interrupted"
    ]
    return Table("training", "training", list(_COLUMNS), rows, notes, expendable=["name"])


def training_row(run: Run) -> dict[str, Cell]:
    """Status of a training run, and the last values that it logged."""
    last = last_logged(run)
    about: dict[str, Cell] = {"run": run.id, "name": run.manifest.get("name"), "status": run.status()}
    return about | {"steps": last.get("step")} | {key: last.get(key) for key in _COLUMNS[4:]}


def last_logged(run: Run) -> dict[str, Any]:
    """The last value of everything that `metrics.jsonl` names; training and evaluation log at different steps."""
    last: dict[str, Any] = {}
    if run.metrics_path.exists():
        for line in iterate_json_lines(run.metrics_path):
            last |= line
    return last
