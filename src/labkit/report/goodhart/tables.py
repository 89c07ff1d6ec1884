"""All tables of Goodhart runs, for the report and for the end of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from labkit.errors import RecordError
from labkit.record.run import Run
from labkit.report.goodhart.comparison import Pair, comparison_rows, comparison_table, item_tests_table
from labkit.report.goodhart.kinds import CATEGORY_KIND, COMPARISON_KIND, ITEM_TESTS_KIND, ITEMS_KIND, RATES_KIND
from labkit.report.goodhart.pairing import difference_notes, paired_conditions
from labkit.report.goodhart.rates import categories_table, conditions_table, items_table
from labkit.report.goodhart.reading import Condition, read_conditions, without_items
from labkit.report.goodhart.wording import comparison_notes
from labkit.report.naming import unless_damaged
from labkit.report.table import Table

Wants = Callable[..., bool]
"""Whether a table of one of these kinds is to be made."""


def evaluation_tables(run: Run) -> list[Table]:
    """What the end of an evaluation shows: the rates, and the quadrants by category.

    Raises:
        RecordError: the record is damaged.
    """
    conditions = read_conditions([run])
    return [conditions_table(conditions), categories_table(conditions)]


def named_tables(
    runs: Sequence[Run], against: Sequence[Run], wants: Wants, *, without: Sequence[str] = (), salvage: bool = False
) -> list[Table]:
    """The tables of named runs: each condition for itself, and against those of `against`, or else the later ones
    against those of the first run.

    Raises:
        RecordError: a record is damaged, or conditions cannot be compared. ConfigError: `without` names no item.
    """
    every = without_items(read_conditions([*against, *runs], salvage=salvage), without)
    if against:
        _refuse_one_condition(every, runs, against)
    base, others = _split(every, against or runs[:1])
    tables = _own_tables(every, wants)
    if others and wants(COMPARISON_KIND, ITEM_TESTS_KIND):
        pairs = paired_conditions(base, others)
        tables += _comparisons(pairs, wants) if pairs else []
    for table in tables if without else ():
        table.notes.insert(0, f"without {', '.join(without)}")
    return tables


def grouped_tables(
    runs: Sequence[Run], wants: Wants, notes: list[str], *, without: Sequence[str] = (), salvage: bool = False
) -> list[Table]:
    """The rates of every run that can be read, a table for each scorer and set of answers; the others are noted.

    Raises:
        ConfigError: `without` names no item.
    """

    def read(run: Run) -> Run:
        read_conditions([run], salvage=salvage)
        return run

    sound = [run for run in runs if unless_damaged(read, run, run.id, notes) is not None]
    groups: dict[str, list[Condition]] = {}
    for condition in without_items(read_conditions(sound, salvage=salvage), without):
        groups.setdefault(condition.runs[0].score_hash, []).append(condition)
    return [table for group in groups.values() for table in _own_tables(group, wants)]


def _split(conditions: Sequence[Condition], first: Sequence[Run]) -> tuple[list[Condition], list[Condition]]:
    """The conditions of the runs that others are compared with, and the others."""
    ids = {run.id for run in first}
    base = [each for each in conditions if ids & {run.id for run in each.runs}]
    return base, [each for each in conditions if not any(each is other for other in base)]


def _refuse_one_condition(conditions: Sequence[Condition], runs: Sequence[Run], against: Sequence[Run]) -> None:
    sides = [{run.id for run in side} for side in (runs, against)]
    for condition in conditions:
        found = [sorted(side & {run.id for run in condition.runs}) for side in sides]
        if all(found):
            raise RecordError(
                f"{found[0][0]} and {found[1][0]} are one condition: the same model, asked in the same way",
                "labkit report of both, without --against, merges them",
            )


def _own_tables(conditions: Sequence[Condition], wants: Wants) -> list[Table]:
    if not conditions:
        return []
    makers = {RATES_KIND: conditions_table, CATEGORY_KIND: categories_table, ITEMS_KIND: items_table}
    return [make(conditions) for kind, make in makers.items() if wants(kind)]


def _comparisons(pairs: Sequence[Pair], wants: Wants) -> list[Table]:
    tables = []
    if wants(COMPARISON_KIND):
        rows = comparison_rows(pairs)
        notes = comparison_notes(pairs, rows) + [note for pair in pairs for note in difference_notes(pair)]
        labels = list(dict.fromkeys(pair.base.label for pair in pairs))
        tables.append(comparison_table(rows, ", ".join(labels), notes))
    if wants(ITEM_TESTS_KIND):
        tables.append(item_tests_table(pairs))
    return tables
