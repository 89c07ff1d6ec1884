"""Following a run while another process works on it. Reads only; a run at work can be read at any moment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from labkit.record.run import Run, Status
from labkit.report.goodhart.kinds import is_goodhart_run
from labkit.report.goodhart.rates import conditions_table
from labkit.report.goodhart.reading import conditions_of
from labkit.report.pass_at_k import pool_table
from labkit.report.pool import Part, pool, read_part
from labkit.report.table import Cell, Table, cell_text
from labkit.report.training import training_table

_INTERVAL_S = 0.5
_READING_SHARE = 5
"""The pause is at least so many times the last reading, which grows with the run."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment."""

    status: Status
    done: int
    """Rollouts on disk; 0 for a training run."""
    asked: int
    rate: float | None
    """Rollouts a second since the watch began; None before there is a second moment to compare with."""
    table: Table
    """pass@k of every arm as it stands, or the last training step."""

    @property
    def summary(self) -> str:
        """Status and counts."""
        speed = f", {self.rate:,.1f}/s" if self.rate else ""
        return self.status + (f", {self.done}/{self.asked} rollouts{speed}" if self.asked else "")

    @property
    def text(self) -> str:
        """The moment in one line."""
        return "; ".join([self.summary, *map(self._row_text, self.table.rows)])

    def _row_text(self, row: Mapping[str, Cell]) -> str:
        if self.table.kind == "training":
            logged = [column for column in self.table.columns if column not in ("run", "name", "status")]
            return " ".join(f"{column} {cell_text(row, column)}" for column in logged if row[column] is not None)
        if self.table.kind == "dbdk":
            return f"{row['arm']} " + " ".join(f"{column} {cell_text(row, column)}" for column in ("dbdk", "gap"))
        rates = [column for column in self.table.columns if column.startswith("pass@") and "_" not in column]
        present = [column for column in rates if row[column] is not None]
        shown = dict.fromkeys([*present[:1], *present[-1:]])
        return f"{row['arm']} " + " ".join(f"{column} {cell_text(row, column)}" for column in shown)


def watch(run: Run, show: Callable[[Snapshot], None], *, interval_s: float = _INTERVAL_S) -> Snapshot:
    """Show a run at every change until nobody works on it; gives the last moment, which was shown too.

    Args:
        interval_s: least seconds between two looks

    Raises:
        RecordError: the record is damaged.
    """
    began, at_first = time.monotonic(), -1
    seen: tuple[object, ...] = ()
    while True:
        # The status first: rows read after the work has ended are all there are.
        status, looked = run.status(), time.monotonic()
        if (now := (status, *_sizes(run))) != seen:
            snapshot = _snapshot(run, status, began, at_first)
            at_first = snapshot.done if at_first < 0 else at_first
            seen = now
            show(snapshot)
        if status != "running":
            return snapshot
        time.sleep(max(interval_s, _READING_SHARE * (time.monotonic() - looked)))


def _snapshot(run: Run, status: Status, began: float, at_first: int) -> Snapshot:
    if run.command == "train":
        return Snapshot(status, 0, 0, None, training_table([run]))
    part = read_part(run)
    done = part.num_rows
    elapsed = time.monotonic() - began
    rate = (done - at_first) / elapsed if at_first >= 0 and elapsed > 0 else None
    return Snapshot(status, done, part.ask.num_rollouts, rate, _rollouts_table(part))


def _rollouts_table(part: Part) -> Table:
    """pass@k; of Goodhart items what was known and done, as soon as an item has both."""
    if not is_goodhart_run(part.run):
        return pool_table(pool([part]))
    return conditions_table(conditions_of([part]))


def _sizes(run: Run) -> list[tuple[str, int]]:
    """Names and sizes of what grows; equal sizes mean that nothing was written."""
    paths = [run.events_path, run.metrics_path, run.result_path, *run.rows_dir.glob("*.jsonl")]
    paths += (run.path / "scores").glob("*.jsonl")
    return [(path.name, os.stat(path).st_size) for path in sorted(paths) if path.exists()]
