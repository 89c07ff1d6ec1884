"""The tables of kinds `union`, a budget shared between both sides, and `equal_tokens`, budgets in tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labkit.report.comparison.pairs import (
    Matched,
    a_minus_b,
    adjusted,
    difference_cells,
    rate_cells,
    rate_of,
    with_bounds,
)
from labkit.report.comparison.sides import Side, Sides
from labkit.report.counting import ArmCounts
from labkit.report.table import Cell, Table
from labkit.stats import pass_at_mean_k, union_pass_at_k
from labkit.stats.arrays import FloatArray

_UNION_RATES = ("pass_a", "pass_b", "union", "difference")
_UNION = with_bounds(
    ["budget", "arm_a", "arm_b", *_UNION_RATES, "better", "p", "p_holm", "test", "mde", "num_prompts"], _UNION_RATES
)
_TOKEN_RATES = ("pass_a", "pass_b", "difference", "equal_rollouts")
_TOKENS = with_bounds(
    ["k", "tokens", "arm_a", "arm_b", "k_a", "k_b", *_TOKEN_RATES, "p", "p_holm", "test", "mde", "num_prompts"],
    _TOKEN_RATES,
)


def union_table(sides: Sides, best: Sequence[Matched]) -> Table:
    """At every even budget: all of it on A, all on B, or half on each; the difference is the union minus the better one."""
    rows = [_union_row(found) for found in best if found.k % 2 == 0]
    notes = [
        "budget: rollouts a prompt; union: half of them from each side; difference: union minus the better single side"
    ]
    if rows:
        notes.append(
            "all three are means over draws without replacement; the arms are the best at that budget on these prompts"
        )
    else:
        notes.append(
            "a budget that two sides share is even, half from each: name an even -k, of at most what both sides have"
        )
    if shared := _shared_draws(sides):
        notes.append(shared)
    title = f"union coverage at equal budget over {len(sides.prompts)} prompts"
    expendable = [
        "test",
        "num_prompts",
        "p",
        "mde",
        "pass_b_low",
        "pass_a_low",
        "union_low",
        "better",
        "arm_b",
        "arm_a",
    ]
    return Table("union", title, _UNION, adjusted(rows), notes, expendable)


def tokens_table(sides: Sides, best: Sequence[Matched]) -> Table:
    """The best arms at every k, given as many generated tokens as k rollouts of the cheaper one take."""
    rows = [_tokens_row(found) for found in best if found.pair.a.mean_tokens and found.pair.b.mean_tokens]
    notes = [
        "tokens: generated a prompt by k rollouts of the cheaper arm, in the mean; k_a, k_b: rollouts that they pay for, between "
        "whole numbers a mixture of both neighbours; equal_rollouts: the difference where both have k",
        "prompts are not counted, nor what it takes to write perturbed weights",
    ]
    if len(rows) < len(best):
        notes.append("arms whose rollouts have no tokens, failed or imported ones, are left out")
    title = f"pass@k at equal generated tokens over {len(sides.prompts)} prompts"
    expendable = [
        "test",
        "num_prompts",
        "p",
        "mde",
        "pass_b_low",
        "pass_a_low",
        "equal_rollouts_low",
        "arm_b",
        "arm_a",
        "tokens",
    ]
    return Table("equal_tokens", title, _TOKENS, adjusted(rows), notes, expendable)


def _union_row(found: Matched) -> dict[str, Cell]:
    pair, a, b, budget = found.pair, found.a, found.b, found.k
    half = budget // 2
    (n_a, c_a), (n_b, c_b) = ((arm.num_rollouts, arm.num_correct) for arm in (pair.a, pair.b))
    union = union_pass_at_k(n_a, c_a, half, n_b, c_b, half)
    better = "A" if a.mean() >= b.mean() else "B"
    total = float(n_a.sum() + n_b.sum())
    return {
        "budget": budget,
        "arm_a": pair.a.arm.key,
        "arm_b": pair.b.arm.key,
        **rate_cells("pass_a", rate_of(a, float(n_a.sum()), budget)),
        **rate_cells("pass_b", rate_of(b, float(n_b.sum()), budget)),
        **rate_cells("union", rate_of(union, total, budget)),
        "better": better,
        **difference_cells(a_minus_b(union, a if better == "A" else b)),
    }


def _tokens_row(found: Matched) -> dict[str, Cell]:
    pair, k, equal = found.pair, found.k, found.difference
    costs = float(pair.a.mean_tokens or 0), float(pair.b.mean_tokens or 0)
    tokens = k * min(costs)
    k_a, k_b = (tokens / cost for cost in costs)
    a, b = (_values_at_mean(arm, mean_k) for arm, mean_k in ((pair.a, k_a), (pair.b, k_b)))
    name = "equal_rollouts"
    return {
        "k": k,
        "tokens": tokens,
        "arm_a": pair.a.arm.key,
        "arm_b": pair.b.arm.key,
        "k_a": k_a,
        "k_b": k_b,
        **rate_cells("pass_a", rate_of(a, float(pair.a.num_rollouts.sum()), max(k_a, 1.0))),
        **rate_cells("pass_b", rate_of(b, float(pair.b.num_rollouts.sum()), max(k_b, 1.0))),
        **{name: equal.value, f"{name}_low": equal.low, f"{name}_high": equal.high},
        **difference_cells(a_minus_b(a, b)),
    }


def _values_at_mean(arm: ArmCounts, k: float) -> FloatArray:
    return np.asarray(pass_at_mean_k(arm.num_rollouts, arm.num_correct, k))


def _shared_draws(sides: Sides) -> str:
    """A union counts both sides as independent, which draws of one seed by the same method are not."""
    drawn_a, drawn_b = (_draws(side) for side in sides.both)
    if not drawn_a & drawn_b:
        return ""
    return (
        "both sides draw with the same seed by the same method, so they are not independent and the union is only near"
    )


def _draws(side: Side) -> set[tuple[str, int]]:
    seeds = {run.id: int(run.manifest["seed"]) for run in side.pool.runs}
    return {(arm.arm.method, seeds[run_id]) for arm in side.arms for run_id in arm.run_ids}
