"""The tables of kind `pass_at_k` of many runs: merged where somebody named them, else grouped by what can be merged."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.errors import RecordError
from labkit.record.run import Run
from labkit.report.comparison.kinds import ComparisonOptions
from labkit.report.naming import unless_damaged
from labkit.report.pass_at_k import check_ks, pool_table
from labkit.report.pool import Part, pool, read_part, refuse_unlike
from labkit.report.table import Table


def merged_table(runs: Sequence[Run], ks: Sequence[int], *, salvage: bool) -> Table:
    """One table of runs that must fit together.

    Raises:
        RecordError: a run has no rollouts, is damaged, or does not fit the others. ConfigError: a k is too large.
    """
    _refuse_without_rollouts(runs)
    refuse_unlike(runs)
    pooled = pool([read_part(run, salvage=salvage) for run in runs])
    check_ks(ks, [pooled])
    return pool_table(pooled, ks)


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
    _refuse_without_rollouts([*runs_a, *runs_b])
    from labkit.report.comparison.tables import comparison_tables

    return comparison_tables(runs_a, runs_b, options, ks=ks, kinds=kinds, salvage=salvage)


def grouped_tables(runs: Sequence[Run], ks: Sequence[int], notes: list[str], *, salvage: bool) -> list[Table]:
    """A table for each group of runs that can be merged; those that cannot be read are noted.

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
    return [pool_table(pooled, ks) for pooled in pools]


def _refuse_without_rollouts(runs: Sequence[Run]) -> None:
    for run in runs:
        if not _has_rollouts(run):
            raise RecordError(f"{run.id}, made by labkit {run.command}, has no rollouts", f"labkit runs show {run.id}")


def _has_rollouts(run: Run) -> bool:
    return bool(run.ask().arms)
