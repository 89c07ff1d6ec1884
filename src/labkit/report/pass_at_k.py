"""The table of kind `pass_at_k`: one row an arm, pass@k with intervals over prompts."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.errors import ConfigError
from labkit.record.run import Run
from labkit.report.comparison.pairs import rate_cells
from labkit.report.counting import ArmCounts
from labkit.report.naming import config_value
from labkit.report.pool import Pool, pool, read_part, refuse_unlike
from labkit.report.table import Cell, Table
from labkit.stats import Rate, pass_at_k_rates, powers_of_two, wilson_mean

_COUNTS = ("run", "arm", "method", "value", "num_prompts", "num_rollouts", "solved")


def pass_at_k_table(runs: Sequence[Run], *, ks: Sequence[int] = (), salvage: bool = False) -> Table:
    """One table of runs that share their base and scorer; see `labkit.report.pool` for what counts once.

    Args:
        runs: at least one
        ks: numbers of rollouts drawn; none is every power of two that some arm allows
        salvage: read past damaged lines, with a note

    Raises:
        RecordError: base or scorer differ, or a record is damaged. ConfigError: no arm has rollouts for the largest k.
    """
    refuse_unlike(runs)
    pooled = pool([read_part(run, salvage=salvage) for run in runs])
    check_ks(ks, [pooled])
    return pool_table(pooled, ks)


def check_ks(ks: Sequence[int], pools: Sequence[Pool]) -> None:
    """Raise ConfigError where a k is larger than what any arm of any pool has."""
    most = max((pooled.most_rollouts for pooled in pools), default=0)
    if ks and max(ks) > most:
        raise ConfigError(f"k is {max(ks)}, but no arm has more than {most} rollouts a prompt", "give a smaller -k")


def pool_table(pooled: Pool, ks: Sequence[int] = ()) -> Table:
    """The table of a pool. A k that an arm has not enough rollouts for is None in its row."""
    shown = sorted(set(ks)) or powers_of_two(pooled.most_rollouts) or [1]
    rates = [f"pass@{k}" for k in shown] + ["truncated"]
    columns = [*_COUNTS, *(column for rate in rates for column in (rate, f"{rate}_low", f"{rate}_high"))]
    columns += ["errors", "mean_tokens"]
    same = (
        len({len(counts.num_rollouts) for counts in pooled.arms}) <= 1
    )  # else rates below each other are over other prompts
    between = [f"pass@{k}" for k in shown[1:-1]]
    return Table(
        "pass_at_k",
        f"pass@k, {subject(pooled.runs)}",
        columns,
        [_row(counts, shown) for counts in pooled.arms],
        list(pooled.notes),
        # The arm says method and value, the title says the run; of the ks the ends say most.
        [
            "method",
            "value",
            "run",
            *between[::2],
            "mean_tokens",
            "errors",
            *between[1::2],
            *(["num_prompts"] if same else []),
            "truncated",
        ],
    )


def _row(counts: ArmCounts, ks: Sequence[int]) -> dict[str, Cell]:
    least = counts.least
    rates = pass_at_k_rates(counts.num_rollouts, counts.num_correct, [k for k in ks if k <= least])
    truncated = counts.num_truncated / counts.num_rollouts  # (P,)
    cells: dict[str, Cell] = {
        "run": counts.run_ids[0] if len(counts.run_ids) == 1 else f"{len(counts.run_ids)} runs",
        "arm": counts.arm.key,
        "method": counts.arm.method,
        "value": counts.arm.value,
        "num_prompts": len(counts.num_rollouts),
        "num_rollouts": least,
        "solved": int((counts.num_correct > 0).sum()),
    }
    for k, rate in rates.items():
        cells |= rate_cells(f"pass@{k}", rate)
    cells |= rate_cells("truncated", Rate(float(truncated.mean()), *wilson_mean(truncated)))
    return cells | {"errors": counts.num_errors, "mean_tokens": counts.mean_tokens}


def subject(runs: Sequence[Run]) -> str:
    """What a table or figure of these runs is about: task, model, and the run or how many."""
    words = [config_value(runs[0].manifest, key) for key in ("config.task.name", "config.model.id")]
    who = runs[0].id if len(runs) == 1 else f"{len(runs)} runs"
    return ", ".join([*(str(word) for word in words if word), who])
