"""Compacting runs, and the table of what it saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labkit.record.catalog import run_paths
from labkit.record.compaction import compact
from labkit.record.run import Run, open_run
from labkit.report.naming import unless_damaged
from labkit.report.table import Cell, Table


def finished_runs(runs_dir: Path, notes: list[str]) -> list[Run]:
    """The runs under a folder that are done; one that cannot be read becomes a note."""
    found = [unless_damaged(_if_finished, path, path.name, notes) for path in run_paths(runs_dir)]
    return [run for run in found if run is not None]


def _if_finished(path: Path) -> Run | None:
    run = open_run(path)
    return run if run.status() == "done" else None


def is_loose(run: Run) -> bool:
    """Whether rows or verdicts stand outside `rows.parquet`."""
    return any(run.rows_dir.glob("*.jsonl")) or any((run.path / "scores").glob("*.jsonl"))


def pack(runs: Sequence[Run]) -> Table:
    """Compact runs one after the other; the table of kind `compaction` has their bytes before and after.

    Raises:
        RecordError: a run is at work or not done; those before it are compacted.
    """
    rows: list[dict[str, Cell]] = []
    for run in runs:
        before = _row_bytes(run)
        count = compact(run)
        rows.append({"run": run.id, "rollouts": count, "bytes_before": before, "bytes_after": _row_bytes(run)})
    return Table("compaction", "compacted", ("run", "rollouts", "bytes_before", "bytes_after"), rows)


def _row_bytes(run: Run) -> int:
    paths = [run.parquet_path, *run.rows_dir.glob("*.jsonl"), *(run.path / "scores").glob("*.jsonl")]
    return sum(path.stat().st_size for path in paths if path.exists())
