"""The table of kind `training`: one row a training run, with the last value of each thing that it logged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labkit.record.files import iterate_json_lines
from labkit.record.run import Run
from labkit.report.table import Cell, Table

_COLUMNS = ("run", "name", "status", "steps", "loss", "eval_accuracy", "eval_accuracy_low", "eval_accuracy_high")
_MEASURES = ("eval_pair_accuracy", "eval_auc")
"""Of energy models; columns where some run has logged them."""

_MEASURE_COLUMNS = tuple(f"{name}{end}" for name in _MEASURES for end in ("", "_low", "_high"))


def training_table(runs: Sequence[Run]) -> Table:
    """Training runs beside each other: steps done, training loss, and held-out accuracy with its interval; of energy models
    the share of pairs that are told apart, and its mean over questions.

    Raises:
        RecordError: `metrics.jsonl` or `result.json` of a run is damaged.
    """
    rows = [training_row(run) for run in runs]
    notes = [
        f"{run.id} was interrupted; resume with {run.way_on}"
        for run, row in zip(runs, rows, strict=True)
        if row["status"] == "interrupted"
    ]
    columns = [*_COLUMNS, *(name for name in _MEASURE_COLUMNS if any(row[name] is not None for row in rows))]
    return Table("training", "training", columns, rows, notes, expendable=["name"])


def training_row(run: Run) -> dict[str, Cell]:
    """Status of a training run, and the last values that it logged."""
    last = last_logged(run)
    about: dict[str, Cell] = {"run": run.id, "name": run.manifest.get("name"), "status": run.status()}
    return about | {"steps": last.get("step")} | {key: last.get(key) for key in (*_COLUMNS[4:], *_MEASURE_COLUMNS)}


def last_logged(run: Run) -> dict[str, Any]:
    """The last value of everything that `metrics.jsonl` names; training and evaluation log at different steps."""
    last: dict[str, Any] = {}
    if run.metrics_path.exists():
        for line in iterate_json_lines(run.metrics_path):
            last |= line
    return last
