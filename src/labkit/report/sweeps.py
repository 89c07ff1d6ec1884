"""Pools of many runs, and their tables of kind `pass_at_k`: merged where somebody named them, else grouped by what can be
merged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labkit.errors import RecordError
from labkit.record.catalog import find_runs, run_paths
from labkit.record.run import Run, open_run
from labkit.report.comparison.kinds import ComparisonOptions
from labkit.report.goodhart.kinds import is_goodhart_run
from labkit.report.naming import unless_damaged
from labkit.report.pass_at_k import check_ks, pool_table
from labkit.report.pool import Part, Pool, pool, read_part, refuse_unlike
from labkit.report.table import Table
from labkit.report.world.reading import is_world_run

_WITHOUT_ROLLOUTS = ("train", "extract")


def merged_table(runs: Sequence[Run], ks: Sequence[int], *, salvage: bool) -> Table:
    """The table of `merged_pool`."""
    return pool_table(merged_pool(runs, ks, salvage=salvage), ks)


def grouped_tables(runs: Sequence[Run], ks: Sequence[int], notes: list[str], *, salvage: bool) -> list[Table]:
    """The tables of `grouped_pools`."""
    return [pool_table(pooled, ks) for pooled in grouped_pools(runs, ks, notes, salvage=salvage)]


def found_pools(
    references: Sequence[str], runs_dir: Path, ks: Sequence[int], notes: list[str], *, salvage: bool
) -> list[Pool]:
    """Named runs as one pool; without names every sweep under `runs_dir` that has a table of pass@k, grouped by what can be
    merged.

    Raises:
        RecordError: a named run is unknown, or as `merged_pool`. ConfigError: a k is too large.
    """
    if references:
        pooled = merged_pool(find_runs(references, runs_dir), ks, salvage=salvage)
        return [pooled] if pooled.arms else []
    opened = [unless_damaged(open_run, path, path.name, notes) for path in run_paths(runs_dir)]
    found = [run for run in opened if run is not None and run.command not in _WITHOUT_ROLLOUTS]
    sweeps = [run for run in found if not is_world_run(run) and not is_goodhart_run(run)]
    pools = grouped_pools(sweeps, ks, notes, salvage=salvage)
    return [pooled for pooled in pools if pooled.arms]


def merged_pool(runs: Sequence[Run], ks: Sequence[int], *, salvage: bool) -> Pool:
    """Runs that must fit together, as one.

    Raises:
        RecordError: a run has no rollouts, is damaged, or does not fit the others. ConfigError: a k is too large.
    """
    refuse_without_rollouts(runs)
    refuse_unlike(runs)
    pooled = pool([read_part(run, salvage=salvage) for run in runs])
    check_ks(ks, [pooled])
    return pooled


def compared_tables(
    runs_a: Sequence[Run],
    runs_b: Sequence[Run],
    options: ComparisonOptions,
    *,
    ks: Sequence[int],
    kinds: Sequence[str],
    salvage: bool,
) -> list[Table]:
    """The tables of two sides; see `comparison_tables`.

    Raises:
        RecordError, ConfigError: as `comparison_tables`, or a run has no rollouts.
    """
    refuse_without_rollouts([*runs_a, *runs_b])
    from labkit.report.comparison.tables import comparison_tables

    return comparison_tables(runs_a, runs_b, options, ks=ks, kinds=kinds, salvage=salvage)


def grouped_pools(runs: Sequence[Run], ks: Sequence[int], notes: list[str], *, salvage: bool) -> list[Pool]:
    """A pool for each group of runs that can be merged; those that cannot be read are noted.

    Raises:
        ConfigError: a k is too large for every one of them.
    """

    def read(run: Run) -> Part | None:
        return read_part(run, salvage=salvage) if _has_rollouts(run) else None

    groups: dict[tuple[str, str], list[Part]] = {}
    for run in runs:
        if part := unless_damaged(read, run, run.id, notes):
            groups.setdefault((run.base_hash, run.score_hash), []).append(part)
    pools = [pool(parts) for parts in groups.values()]
    check_ks(ks, pools)
    return pools


def refuse_without_rollouts(runs: Sequence[Run]) -> None:
    """Raise RecordError where a run is none that has pass@k."""
    for run in runs:
        if is_world_run(run):
            what = f"{run.id} asked for one answer a question: it has no pass@k"
            raise RecordError(what, "labkit report, or labkit plot heatmap")
        if not _has_rollouts(run):
            raise RecordError(f"{run.id}, made by labkit {run.command}, has no rollouts", f"labkit runs show {run.id}")


def _has_rollouts(run: Run) -> bool:
    return bool(run.ask().arms)
