"""The tables of kind `comparison`, best against best at each k, and `comparison_arms`, every arm against every other."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.report.comparison.pairs import (
    Matched,
    Pair,
    able,
    adjusted,
    adjusted_note,
    difference_cells,
    of_ks,
    rate_cells,
    rate_of,
    with_bounds,
)
from labkit.report.comparison.sentences import verdict, warnings_of
from labkit.report.comparison.sides import Sides
from labkit.report.table import Cell, Table

_RATES = ("pass_a", "pass_b", "difference")
_COLUMNS = with_bounds(
    ["k", "arm_a", "arm_b", *_RATES, "p", "p_holm", "test", "mde", "num_prompts", "rollouts_a", "rollouts_b"], _RATES
)
_EXPENDABLE = ["test", "rollouts_a", "rollouts_b", "num_prompts", "p", "pass_b_low", "pass_a_low", "mde"]


def comparison_table(sides: Sides, best: Sequence[Matched], shown: Sequence[int] = ()) -> Table:
    """pass@k of the best arm of each side at every k, with the paired difference, A minus B.

    Args:
        best: of every k that the p-values are adjusted for
        shown: the ks that get a row; none is all
    """
    rows = adjusted([_row(found) for found in best])
    chosen = any(len(side.arms) > 1 for side in sides.both)
    said = ("had these arms been chosen beforehand: " if chosen else "") + verdict(rows, "k")
    notes = [said, adjusted_note(rows), _chosen_note(sides), *warnings_of(sides, shown or [found.k for found in best])]
    title = f"A against B: pass@k of the best arms over {len(sides.prompts)} prompts"
    return Table("comparison", title, _COLUMNS, of_ks(rows, shown), notes, _EXPENDABLE)


def arms_table(sides: Sides, k: int) -> Table:
    """Every arm of A against every arm of B at one k, the p-values adjusted for their number."""
    pairs = [Pair(a, b) for a in able(sides.a, k) for b in able(sides.b, k)]
    rows = adjusted([_row(pair.at(k)) for pair in pairs])
    notes = [f"p_holm: adjusted over the {len(rows)} pairs, so that it holds whichever one is looked at"]
    title = f"every arm of A against every arm of B: pass@{k} over {len(sides.prompts)} prompts"
    return Table("comparison_arms", title, _COLUMNS, rows, notes, _EXPENDABLE)


def _row(found: Matched) -> dict[str, Cell]:
    pair, k = found.pair, found.k
    return {
        "k": k,
        "arm_a": pair.a.arm.key,
        "arm_b": pair.b.arm.key,
        **rate_cells("pass_a", rate_of(found.a, float(pair.a.num_rollouts.sum()), k)),
        **rate_cells("pass_b", rate_of(found.b, float(pair.b.num_rollouts.sum()), k)),
        **difference_cells(found.difference),
        "rollouts_a": pair.a.least,
        "rollouts_b": pair.b.least,
    }


def _chosen_note(sides: Sides) -> str:
    counts = [len(side.arms) for side in sides.both]
    if counts == [1, 1]:
        return "one arm on each side, so nothing was chosen"
    return (
        f"{best_of(counts[0], 'A')} against {best_of(counts[1], 'B')} at each k, chosen on the prompts they are measured on, "
        "which flatters the side with more arms; the table `best` chooses on other prompts"
    )


def best_of(num_arms: int, name: str) -> str:
    """How many arms a side had to choose among."""
    return f"the only arm of {name}" if num_arms == 1 else f"the best of {num_arms} arms of {name}"
