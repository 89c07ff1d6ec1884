"""The table of kind `training`: one row a training run, with the last values that it logged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from labkit.errors import RecordError
from labkit.record.files import read_lines
from labkit.record.run import Run
from labkit.report.table import Cell, Table

_FIRST = ("run", "name", "status", "steps", "loss")
_BOOKKEEPING = ("finished", "owed", "num_asked", "events_bytes")


def training_table(runs: Sequence[Run]) -> Table:
    """Training runs beside each other; the columns are what any of them logged.

    Raises:
        RecordError: `metrics.jsonl` or `result.json` of a run is damaged.
    """
    rows = [training_row(run) for run in runs]
    logged = sorted({column for row in rows for column in row} - set(_FIRST))
    notes = [
        f"{run.id} was interrupted; resume with labkit {run.command} --resume {run.path}"
        for run, row in zip(runs, rows, strict=True)
        if row["status"] == "interrupted"
    ]
    return Table("training", "training", [*_FIRST, *logged], rows, notes, expendable=["name", *reversed(logged)])


def training_row(run: Run) -> dict[str, Cell]:
    """Status and last values of one training run: its last logged step, then what `result.json` says."""
    values = last_metrics(run) | {key: value for key, value in (run.result() or {}).items() if key not in _BOOKKEEPING}
    plain = {key: value for key, value in values.items() if isinstance(value, int | float | str)}
    steps = plain.pop("steps", plain.pop("step", None))
    return plain | {"run": run.id, "name": run.manifest.get("name"), "status": run.status(), "steps": steps}


def last_metrics(run: Run) -> dict[str, Any]:
    """The last whole line of `metrics.jsonl`; empty before the first.

    Raises:
        RecordError: the line is damaged.
    """
    lines = read_lines(run.metrics_path)[0].splitlines()
    if not lines:
        return {}
    try:
        values = json.loads(lines[-1])
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise RecordError(f"{run.metrics_path}, line {len(lines)} is damaged", "remove the line by hand")
    return values
