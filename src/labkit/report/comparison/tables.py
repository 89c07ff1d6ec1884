"""All tables of a comparison of sweeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from labkit.errors import ConfigError
from labkit.record.run import Run
from labkit.report.comparison.best import best_table
from labkit.report.comparison.budgets import tokens_table, union_table
from labkit.report.comparison.differences import arms_table, comparison_table
from labkit.report.comparison.floor import with_noise_floor
from labkit.report.comparison.overlap import overlap_table
from labkit.report.comparison.sides import Side, Sides, align
from labkit.report.pass_at_k import pool_table
from labkit.report.table import Table
from labkit.stats import powers_of_two

SWEEP_KIND = "pass_at_k"
ARMS_KIND = "comparison_arms"
COMPARISON_KINDS = ("comparison", "best", "overlap", "union", "equal_tokens", ARMS_KIND)
"""Every kind of table that only two sides have."""


@dataclass(frozen=True, slots=True)
class ComparisonOptions:
    """What the user chose."""

    ks: Sequence[int] = ()
    """Numbers of rollouts drawn; none is every power of two that both sides allow."""
    arms: Sequence[str] = ()
    """Keys of one arm of A and one of B; none is the best ones."""
    intersect: bool = False
    """Whether to compare over the prompts that both sides have, where they are not the same."""
    salvage: bool = False
    kinds: Sequence[str] = ()
    """Kinds of table to make; none is all but `comparison_arms`."""


def comparison_tables(runs_a: Sequence[Run], runs_b: Sequence[Run], options: ComparisonOptions) -> list[Table]:
    """The sweep tables of both sides, and A against B, the base.

    Args:
        runs_a, runs_b: at least one each

    Raises:
        RecordError: as `align`. ConfigError: a k is too large, or a side has no such arm.
    """
    sides = align(runs_a, runs_b, intersect=options.intersect, salvage=options.salvage)
    sides = sides.only(options.arms)
    ks = compared_ks(sides, options.ks)
    kinds = options.kinds or (SWEEP_KIND, *COMPARISON_KINDS[:-1])
    tables = [sweep_table(side, sides, options.ks) for side in sides.both] if SWEEP_KIND in kinds else []
    makers: dict[str, Callable[[], Table]] = {
        "comparison": lambda: comparison_table(sides, ks),
        "best": lambda: best_table(sides, ks),
        "overlap": lambda: overlap_table(sides, ks[-1]),
        "union": lambda: union_table(sides, ks),
        "equal_tokens": lambda: tokens_table(sides, ks),
        ARMS_KIND: lambda: arms_table(sides, ks[-1]),
    }
    compared = [make() for kind, make in makers.items() if kind in kinds]
    if compared:
        said = list(sides.notes)
        if not tables:  # what the sweep tables would have said, of runs that are not finished above all
            said += [f"{side.name}: {note}" for side in sides.both for note in side.pool.notes]
        compared[0].notes = [*compared[0].notes, *said]
    return [*tables, *compared]


def compared_ks(sides: Sides, asked: Sequence[int]) -> list[int]:
    """The ks of a comparison, ascending: those asked for, or powers of two.

    Raises:
        ConfigError: a k is larger than what both sides allow.
    """
    if asked and max(asked) > sides.most_rollouts:
        counts = " and ".join(f"{side.name} has {side.most_rollouts}" for side in sides.both)
        raise ConfigError(f"k is {max(asked)}, but of rollouts a prompt {counts}", "give a smaller -k")
    return sorted(set(asked)) or powers_of_two(sides.most_rollouts)


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
