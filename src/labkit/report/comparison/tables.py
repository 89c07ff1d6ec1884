"""All tables of a comparison of sweeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from labkit.errors import ConfigError
from labkit.record.run import Run
from labkit.report.comparison.best import best_table
from labkit.report.comparison.budgets import tokens_table, union_table
from labkit.report.comparison.differences import arms_table, comparison_table
from labkit.report.comparison.floor import with_noise_floor
from labkit.report.comparison.kinds import ARMS_KIND, DEFAULT_KINDS, SWEEP_KIND, ComparisonOptions
from labkit.report.comparison.overlap import overlap_table
from labkit.report.comparison.pairs import best_pairs
from labkit.report.comparison.sides import Side, Sides, align
from labkit.report.pass_at_k import pool_table
from labkit.report.table import Table
from labkit.stats import powers_of_two


def comparison_tables(
    runs_a: Sequence[Run],
    runs_b: Sequence[Run],
    options: ComparisonOptions | None = None,
    *,
    ks: Sequence[int] = (),
    kinds: Sequence[str] = (),
    salvage: bool = False,
) -> list[Table]:
    """The sweep tables of both sides, and A against B, the base.

    Args:
        runs_a, runs_b: at least one each
        ks: numbers of rollouts drawn; none is every power of two that both sides allow
        kinds: of table to make; none is all but `comparison_arms`
        salvage: read past damaged lines, with a note

    Raises:
        RecordError: as `align`. ConfigError: a k is too large, or a side has no such arm.
    """
    options = options or ComparisonOptions()
    sides = align(runs_a, runs_b, intersect=options.intersect, salvage=salvage).only(options.arms)
    compared = _compared_tables(sides, ks, kinds or DEFAULT_KINDS)
    tables = [sweep_table(side, sides, ks) for side in sides.both] if not kinds or SWEEP_KIND in kinds else []
    said = list(sides.notes)
    if not tables:  # what the sweep tables would have said, of runs that are not finished above all
        said += [f"{side.name}: {note}" for side in sides.both for note in side.pool.notes]
    for table in (compared or tables)[:1]:
        table.notes = [*table.notes, *said]
    return [*tables, *compared]


def _compared_tables(sides: Sides, asked: Sequence[int], kinds: Sequence[str]) -> list[Table]:
    ks = compared_ks(sides, asked)
    every = best_pairs(sides, adjusted_ks(sides, asked))
    best = [found for found in every if found.k in ks]
    makers: dict[str, Callable[[], Table]] = {
        "comparison": lambda: comparison_table(sides, every, asked),
        "best": lambda: best_table(sides, every, asked),
        "overlap": lambda: overlap_table(sides, best if asked else best[-1:]),
        "union": lambda: union_table(sides, best),
        "equal_tokens": lambda: tokens_table(sides, best),
        ARMS_KIND: lambda: arms_table(sides, ks[-1]),
    }
    return [make() for kind, make in makers.items() if kind in kinds]


def compared_ks(sides: Sides, asked: Sequence[int]) -> list[int]:
    """The ks of a comparison, ascending: those asked for, or powers of two.

    Raises:
        ConfigError: a k is larger than what both sides allow.
    """
    if asked and max(asked) > sides.most_rollouts:
        counts = " and ".join(f"{side.name} has {side.most_rollouts}" for side in sides.both)
        raise ConfigError(f"k is {max(asked)}, but of rollouts a prompt {counts}", "give a smaller -k")
    return sorted(set(asked)) or powers_of_two(sides.most_rollouts)


def adjusted_ks(sides: Sides, asked: Sequence[int]) -> list[int]:
    """What p-values are adjusted for: every power of two that both sides allow, and what was asked for beside them, so that a
    verdict does not depend on which of them are looked at."""
    return sorted({*powers_of_two(sides.most_rollouts), *asked})


def sweep_table(side: Side, sides: Sides, ks: Sequence[int]) -> Table:
    """A side's table of kind `pass_at_k`, with the noise floor beside every sigma; over the compared prompts where its
    runs have others."""
    pooled = side.pool
    if any(arm.prompts != sides.prompts for arm in pooled.arms) and {*sides.prompts} != _all_prompts(side):
        wanted = {*sides.prompts}
        arms = [arm.over(sides.prompts) for arm in pooled.arms if wanted <= {*arm.prompts}]
        pooled = replace(pooled, arms=tuple(arms))
    table = with_noise_floor(pool_table(pooled, ks), pooled.arms)
    table.title = f"{side.name}: {table.title}"
    return table


def _all_prompts(side: Side) -> set[str]:
    return {prompt for arm in side.pool.arms for prompt in arm.prompts}
