"""Which runs a report is about, and the tables they make.

Named runs must fit together, and whatever is wrong with one is an error. Without names it is an overview that never
fails: runs that cannot be merged stand in tables of their own, and those that cannot be read are mentioned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import RecordError
from labkit.record.catalog import find_run, run_paths
from labkit.record.run import Run, open_run
from labkit.report.naming import unless_damaged
from labkit.report.pass_at_k import check_ks, pool_table
from labkit.report.pool import Part, pool, read_part, refuse_unlike
from labkit.report.table import Table
from labkit.report.training import training_row, training_table


@dataclass(frozen=True, slots=True)
class Report:
    """Tables, and what could not become one."""

    tables: list[Table]
    notes: list[str]


def report(references: Sequence[str], runs_dir: Path, *, ks: Sequence[int] = (), salvage: bool = False) -> Report:
    """The tables of the runs that `references` name, merged, or of all runs under `runs_dir`, grouped.

    Raises:
        RecordError: a named run is unknown, damaged, or does not fit the others. ConfigError: a k is too large.
    """
    if references:
        return _named([find_run(reference, runs_dir) for reference in references], ks, salvage)
    return _overview(runs_dir, ks, salvage)


def _named(runs: Sequence[Run], ks: Sequence[int], salvage: bool) -> Report:
    distinct = list({run.path.resolve(): run for run in runs}.values())
    training = [run for run in distinct if run.command == "train"]
    others = [run for run in distinct if run.command != "train"]
    for run in others:
        if not _has_rollouts(run):
            raise RecordError(f"{run.id}, made by labkit {run.command}, has no rollouts", f"labkit runs show {run.id}")
    tables = []
    if others:
        refuse_unlike(others)
        pooled = pool([read_part(run, salvage=salvage) for run in others])
        check_ks(ks, [pooled])
        tables.append(pool_table(pooled, ks))
    return Report(tables + ([training_table(training)] if training else []), [])


def _overview(runs_dir: Path, ks: Sequence[int], salvage: bool) -> Report:
    notes: list[str] = []
    groups: dict[tuple[str, str], list[Part]] = {}
    training: list[Run] = []

    def read(run: Run) -> Part | None:
        return read_part(run, salvage=salvage) if _has_rollouts(run) else None

    for path in run_paths(runs_dir):
        run = unless_damaged(open_run, path, path.name, notes)
        if run is None:
            continue
        if run.command == "train":
            if unless_damaged(training_row, run, run.id, notes) is not None:
                training.append(run)
        elif part := unless_damaged(read, run, run.id, notes):
            groups.setdefault((run.base_hash, run.score_hash), []).append(part)
    pools = [pool(parts) for parts in groups.values()]
    check_ks(ks, pools)
    tables = [pool_table(pooled, ks) for pooled in pools]
    return Report(tables + ([training_table(training)] if training else []), notes)


def _has_rollouts(run: Run) -> bool:
    return bool(run.ask().arms)
