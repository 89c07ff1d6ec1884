"""Runs that have pass@k as pools, and the tables of these: merged where somebody named the runs, else grouped by what can be
merged, or one side against another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labkit.errors import RecordError
from labkit.record.catalog import find_runs, run_paths
from labkit.record.run import Run, open_run
from labkit.report.comparison.kinds import SWEEP_KIND, ComparisonOptions, is_sweep
from labkit.report.naming import refuse_without_arms, unless_damaged
from labkit.report.pass_at_k import check_ks, pool_table
from labkit.report.pool import Part, Pool, pool, read_part, refuse_unlike
from labkit.report.table import Table
from labkit.report.world.reading import is_world_run

BEST_OF_N_KIND = "best_of_n"
RULES_KIND = "gsm8k_rules"


def merged_tables(
    runs: Sequence[Run], ks: Sequence[int] = (), *, kinds: Sequence[str] = (), salvage: bool = False
) -> list[Table]:
    """The tables of `merged_pool`; of `kinds` those that are wanted, and none is all that are usual for the task."""
    return _tables(merged_pool(runs, ks, kinds=kinds, salvage=salvage), ks, kinds)


def grouped_tables(
    runs: Sequence[Run], ks: Sequence[int], notes: list[str], *, kinds: Sequence[str] = (), salvage: bool
) -> list[Table]:
    """The tables of each of `grouped_pools`; see `merged_tables`."""
    pools = grouped_pools(runs, ks, notes, kinds=kinds, salvage=salvage)
    return [table for pooled in pools for table in _tables(pooled, ks, kinds)]


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


def found_pools(
    references: Sequence[str], runs_dir: Path, ks: Sequence[int], notes: list[str], *, salvage: bool
) -> list[Pool]:
    """Named runs as one pool; without names every sweep under `runs_dir` that has a table of pass@k, grouped by what can be
    merged.

    Raises:
        RecordError: a named run is unknown, or as `merged_pool`. ConfigError: a k is too large.
    """
    if references:
        pools = [merged_pool(find_runs(references, runs_dir), ks, salvage=salvage)]
    else:
        opened = [unless_damaged(open_run, path, path.name, notes) for path in run_paths(runs_dir)]
        sweeps = [run for run in opened if run is not None and is_sweep(run)]
        pools = grouped_pools(sweeps, ks, notes, salvage=salvage)
    return [pooled for pooled in pools if pooled.arms]


def merged_pool(runs: Sequence[Run], ks: Sequence[int], *, kinds: Sequence[str] = (SWEEP_KIND,), salvage: bool) -> Pool:
    """Runs that must fit together, as one.

    Args:
        kinds: of table that will be made of it, as for `merged_tables`: only what these need is read

    Raises:
        RecordError: a run has no rollouts, is damaged, or does not fit the others. ConfigError: a k is too large.
    """
    refuse_without_rollouts(runs)
    refuse_unlike(runs)
    pooled = pool([_read(run, kinds, salvage) for run in runs])
    check_ks(ks, [pooled])
    return pooled


def grouped_pools(
    runs: Sequence[Run], ks: Sequence[int], notes: list[str], *, kinds: Sequence[str] = (SWEEP_KIND,), salvage: bool
) -> list[Pool]:
    """A pool for each group of runs that can be merged; those that cannot be read are noted.

    Args:
        kinds: as for `merged_pool`

    Raises:
        ConfigError: a k is too large for every one of them.
    """

    def read(run: Run) -> Part | None:
        return _read(run, kinds, salvage) if _has_rollouts(run) else None

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
        refuse_without_arms(run)


def _read(run: Run, kinds: Sequence[str], salvage: bool) -> Part:
    """What the wanted tables need of a run."""
    candidates = _wanted(run, BEST_OF_N_KIND, kinds) or _wanted(run, RULES_KIND, kinds)
    return read_part(run, salvage=salvage, candidates=candidates, texts=_wanted(run, RULES_KIND, kinds))


def _wanted(run: Run, kind: str, kinds: Sequence[str]) -> bool:
    """Whether a kind of table that is usual for GSM8K alone is to be made of a run."""
    if run.manifest["base"].get("task") != "gsm8k":
        return kind == BEST_OF_N_KIND and kind in kinds
    return not kinds or kind in kinds


def _tables(pooled: Pool, ks: Sequence[int], kinds: Sequence[str]) -> list[Table]:
    tables = [pool_table(pooled, ks)] if not kinds or SWEEP_KIND in kinds else []
    if _wanted(pooled.runs[0], BEST_OF_N_KIND, kinds):
        from labkit.report.best_of_n import best_of_n_table

        tables += [table] if (table := best_of_n_table(pooled, ks)) else []
    if _wanted(pooled.runs[0], RULES_KIND, kinds):
        from labkit.report.gsm8k import rules_table

        tables.append(rules_table(pooled))
    return tables


def _has_rollouts(run: Run) -> bool:
    return bool(run.ask().arms)
