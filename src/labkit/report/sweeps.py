"""The tables of many runs that have pass@k: merged where somebody named them, else grouped by what can be merged, or one
side against another."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.errors import RecordError
from labkit.record.run import Run
from labkit.report.comparison.kinds import SWEEP_KIND, ComparisonOptions
from labkit.report.naming import unless_damaged
from labkit.report.pass_at_k import check_ks, pool_table
from labkit.report.pool import Part, Pool, pool, read_part, refuse_unlike
from labkit.report.table import Table

BEST_OF_N_KIND = "best_of_n"
RULES_KIND = "gsm8k_rules"


def merged_tables(
    runs: Sequence[Run], ks: Sequence[int] = (), *, kinds: Sequence[str] = (), salvage: bool = False
) -> list[Table]:
    """The tables of runs that must fit together.

    Args:
        kinds: those that are wanted; none is all that are usual for the task

    Raises:
        RecordError: a run has no rollouts, is damaged, or does not fit the others. ConfigError: a k is too large.
    """
    _refuse_without_rollouts(runs)
    refuse_unlike(runs)
    pooled = pool([_read(run, kinds, salvage) for run in runs])
    check_ks(ks, [pooled])
    return _tables(pooled, ks, kinds)


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


def grouped_tables(
    runs: Sequence[Run], ks: Sequence[int], notes: list[str], *, kinds: Sequence[str] = (), salvage: bool
) -> list[Table]:
    """The tables of each group of runs that can be merged; those that cannot be read are noted.

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
    return [table for pooled in pools for table in _tables(pooled, ks, kinds)]


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


def _refuse_without_rollouts(runs: Sequence[Run]) -> None:
    for run in runs:
        if not _has_rollouts(run):
            raise RecordError(f"{run.id}, made by labkit {run.command}, has no rollouts", f"labkit runs show {run.id}")


def _has_rollouts(run: Run) -> bool:
    return bool(run.ask().arms)
