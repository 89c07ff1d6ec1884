"""The table of kind `overlap`: which prompts both arms solve, only one, or neither, at equal rollouts."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.report.comparison.pairs import (
    Matched,
    Pair,
    a_minus_b,
    difference_cells,
    rate_cells,
    with_bounds,
)
from labkit.report.comparison.sides import Sides
from labkit.report.table import Cell, Table
from labkit.stats import Rate, wilson

CATEGORIES = ("both", "only_a", "only_b", "neither")
_SHARES = tuple(f"share_{name}" for name in CATEGORIES)
_RATES = ("solved_a", "solved_b", "difference", *_SHARES)
_COLUMNS = with_bounds(
    ["arm_a", "arm_b", "num_rollouts", *CATEGORIES, "solved_a", "solved_b", "difference", "p", "test", "mde",
     "num_prompts", *_SHARES],
    _RATES,
)  # fmt: skip
_EXPENDABLE = [
    *_SHARES[::-1],
    "test",
    "solved_b_low",
    "solved_a_low",
    "mde",
    "num_prompts",
    "num_rollouts",
    "arm_b",
    "arm_a",
]


def overlap_table(sides: Sides, best: Sequence[Matched]) -> Table:
    """Prompts by which of the best arms at k solves them within its first k rollouts, a row for each k."""
    rows = [_row(found.pair, found.k) for found in best]
    pair, k, ks = best[-1].pair, best[-1].k, ", ".join(str(found.k) for found in best)
    tested = f" of {rows[0]['only_a']} against {rows[0]['only_b']}" if len(rows) == 1 else ", of each row alone"
    notes = [
        f"solved: one of the first {ks} rollouts by index is correct, so that neither arm has more tries; "
        f"p: McNemar's exact test{tested}",
        "two draws of the same arm would also differ on prompts that it solves now and then",
    ]
    if len(sides.a.arms) + len(sides.b.arms) > 2:
        notes.append(
            "the arms with the highest pass@k, chosen on these prompts; --arm A_KEY --arm B_KEY compares others"
        )
    if len(rows) == 1:
        title = f"solve overlap: {pair.a.arm.key} (A) and {pair.b.arm.key} (B), {k} rollout{'s' * (k != 1)} each"
        return Table("overlap", title, _COLUMNS, rows, notes, _EXPENDABLE)
    kept = [column for column in _EXPENDABLE if column not in ("num_rollouts", "arm_a", "arm_b")]
    title = f"solve overlap: the best arms of A and B, {ks} rollouts each"
    return Table("overlap", title, _COLUMNS, rows, notes, kept)


def _row(pair: Pair, num_rollouts: int) -> dict[str, Cell]:
    a, b = pair.a.solved_within(num_rollouts), pair.b.solved_within(num_rollouts)
    size = len(a)
    counts = [int((a & b).sum()), int((a & ~b).sum()), int((b & ~a).sum()), int((~a & ~b).sum())]
    cells: dict[str, Cell] = {"arm_a": pair.a.arm.key, "arm_b": pair.b.arm.key, "num_rollouts": num_rollouts}
    for name, count in zip(CATEGORIES, counts, strict=True):
        cells |= {name: count, **rate_cells(f"share_{name}", Rate(count / size, *wilson(count, size)))}
    for name, count in (("solved_a", int(a.sum())), ("solved_b", int(b.sum()))):
        cells |= rate_cells(name, Rate(count / size, *wilson(count, size)))
    return cells | difference_cells(a_minus_b(a.astype(float), b.astype(float)))
