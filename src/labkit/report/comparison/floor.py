"""The noise floor beside every sigma: what the same decoding solves when nothing is perturbed.

Batches round differently, so that unperturbed weights can give other answers too. A sigma of 0 measures how much; what a
sigma finds beyond that is what its noise found.
"""

from __future__ import annotations

from collections.abc import Sequence

from labkit.report.counting import ArmCounts
from labkit.report.naming import first_few
from labkit.report.table import Cell, Table

COLUMNS = ("noise_floor", "floor_arm")
"""Prompts that the floor solves in as many rollouts as the row's arm has, and the arm that stands for it."""


def with_noise_floor(table: Table, arms: Sequence[ArmCounts]) -> Table:
    """A table of kind `pass_at_k` with the floor beside its perturbed arms; unchanged where it has none."""
    swept = [arm for arm in arms if arm.arm.method == "perturbation" and arm.arm.value]
    if not swept:
        return table
    floor = next((arm for arm in arms if arm.arm.method == "perturbation" and not arm.arm.value), None)
    floor = floor or next((arm for arm in arms if arm.arm.method == "greedy"), None)
    cells = {arm.arm.key: _cells(arm, floor) for arm in swept}
    place = list(table.columns).index("solved") + 1
    columns = [*table.columns[:place], *COLUMNS, *table.columns[place:]]
    rows = [{**row, **cells.get(str(row["arm"]), {})} for row in table.rows]
    notes = [*table.notes, _note(swept, floor)]
    return Table(table.kind, table.title, columns, rows, notes, ["floor_arm", *table.expendable, "num_rollouts"])


def _cells(arm: ArmCounts, floor: ArmCounts | None) -> dict[str, Cell]:
    if floor is None:
        return {}
    return {"noise_floor": int(floor.solved_within(arm.least).sum()), "floor_arm": floor.arm.key}


def _note(swept: Sequence[ArmCounts], floor: ArmCounts | None) -> str:
    if floor is None:
        return "no noise floor: neither --sigma 0 nor greedy decoding is among these runs"
    if floor.arm.method == "greedy":
        return (
            "noise_floor: prompts that greedy decoding solves once; what unperturbed weights solve in as many rollouts "
            "as a sigma has is measured by --sigma 0"
        )
    most = max(arm.least for arm in swept)
    uneven = [arm.arm.key for arm in swept if int(arm.num_rollouts.max()) > arm.least]
    short = f"; it has {floor.least} of {most} rollouts, so it is too low" if floor.least < most else ""
    if uneven:
        short += f"; of {first_few(uneven)} that is the fewest of any prompt, while solved counts all rollouts"
    return f"noise_floor: prompts that {floor.arm.key} solves in as many rollouts as the row's arm has{short}"
