"""The tables of kind `dbdk`, `dbdk_category` and `dbdk_items`: what each condition knew, did, both or neither."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from labkit.report.goodhart.kinds import CATEGORY_KIND, ITEMS_KIND, RATES_KIND
from labkit.report.goodhart.measures import RATES, Sums, rate_cells, rate_of, resampled
from labkit.report.goodhart.reading import Condition
from labkit.report.table import Cell, Table
from labkit.stats import ClusterRate, intraclass_correlation, wilson
from labkit.tasks.goodhart.quadrants import QUADRANTS, Evaluation

_COUNTS = ("num_items", "num_runs", "num_evaluations", *QUADRANTS, "understands", "executes")
_WITH_WILSON = ("dbdk", "gap", "p_understands", "p_executes")
_WITH_ERRORS = ("dbdk", "gap")
_UNCUT = ("dbdk_untruncated", "gap_untruncated")


def conditions_table(conditions: Sequence[Condition]) -> Table:
    """One row a condition. The interval of every rate is over items; Wilson's, for independent answers, stands apart."""
    rows = [_condition_row(condition) for condition in conditions]
    notes = ["; ".join(f"{name}: {meaning}" for name, meaning in QUADRANTS.items())]
    notes.append("dbdk: DK of all that was right, gap: KF of all that was understood; intervals are over items")
    notes += [note for condition in conditions for note in condition.notes]
    notes += [_ragged_note(condition) for condition in conditions if len(set(condition.runs_of_items.values())) > 1]
    if any(row["truncated"] for row in rows):
        notes.append(
            "truncated: evaluations with a text that ended at the limit of tokens; rates without them beside it"
        )
    columns = list(rows[0]) if rows else ["condition"]
    title = f"goodhart, {len(rows)} condition{'s' * (len(rows) != 1)}"
    return Table(RATES_KIND, title, columns, rows, notes, _expendable(columns))


def categories_table(conditions: Sequence[Condition]) -> Table:
    """One row a condition and category."""
    rows: list[dict[str, Cell]] = []
    for condition in conditions:
        for category in dict.fromkeys(each.category for each in condition.evaluations):
            found = [each for each in condition.evaluations if each.category == category]
            row: dict[str, Cell] = {"condition": condition.label, "category": category, **_counts(found)}
            for name in ("dbdk", "gap"):
                row |= rate_cells(name, rate_of(RATES[name].sums(found, _items(found))))
            rows.append(row | {"truncated": _truncated(condition, found)})
    expendable = ("num_runs", "num_evaluations", "gap", "condition")
    return Table(CATEGORY_KIND, "goodhart by category", list(rows[0]), rows, expendable=expendable)


def items_table(conditions: Sequence[Condition]) -> Table:
    """One row a condition and item, with the runs, counted from 0, that came out in each quadrant."""
    rows: list[dict[str, Cell]] = []
    for condition in conditions:
        by_item: dict[str, list[Evaluation]] = {}
        for each in condition.evaluations:
            by_item.setdefault(each.item, []).append(each)
        rows += [_item_row(condition, item, found) for item, found in by_item.items()]
    return Table(ITEMS_KIND, "goodhart by item: which runs knew, did, both, neither", list(rows[0]), rows)


def _item_row(condition: Condition, item: str, found: Sequence[Evaluation]) -> dict[str, Cell]:
    row: dict[str, Cell] = {"condition": condition.label, "item": item, "category": found[0].category}
    row["num_runs"] = len(found)
    row["understands"] = sum(each.understands for each in found)
    row["executes"] = sum(each.executes for each in found)
    for name in QUADRANTS:
        row[f"runs_{name}"] = " ".join(str(each.index) for each in found if each.quadrant == name) or None
    return row | {"truncated": _truncated(condition, found)}


def _condition_row(condition: Condition) -> dict[str, Cell]:
    every = condition.evaluations
    sums = {name: measure.sums(every, condition.items) for name, measure in RATES.items()}
    rates = {name: rate_of(each) for name, each in sums.items()}
    row: dict[str, Cell] = {"condition": condition.label, **_counts(every)}
    for name, rate in rates.items():
        row |= rate_cells(name, rate)
    for name in _WITH_WILSON:
        row |= _bounds(f"{name}_wilson", wilson(sum(sums[name][0]), sum(sums[name][1])) if rates[name] else None)
    for name in _WITH_ERRORS:
        row |= _bounds(f"{name}_bootstrap", _bootstrap(sums[name])) | _errors(name, rates[name])
    for name in ("understands", "executes"):
        successes, trials = sums[f"p_{name}"]
        row[f"{name}_icc"] = intraclass_correlation(successes, trials)
        row[f"{name}_mixed"] = sum(0 < some < all_ for some, all_ in zip(successes, trials, strict=True))
    row |= _length_cells(condition) | _truncation_cells(condition)
    row["errors"] = sum(each.failed for each in every)
    first = condition.runs[0]
    return row | {
        "run": first.id if len(condition.runs) == 1 else f"{len(condition.runs)} runs",
        "arm": condition.arm.key,
        "seeds": " ".join(map(str, condition.seeds)),
        "scorer": str(first.score.get("scorer")),
    }


def _counts(found: Sequence[Evaluation]) -> dict[str, Cell]:
    quadrants = Counter(each.quadrant for each in found)
    return {
        "num_items": len(_items(found)),
        "num_runs": len({each.index for each in found}),
        "num_evaluations": len(found),
        **{name: quadrants[name] for name in QUADRANTS},
        "understands": sum(each.understands for each in found),
        "executes": sum(each.executes for each in found),
    }


def _errors(name: str, rate: ClusterRate | None) -> dict[str, Cell]:
    return {
        f"{name}_se": rate.standard_error if rate else None,
        f"{name}_design_effect": rate.design_effect if rate else None,
        f"{name}_effective_n": rate.effective_size if rate else None,
    }


def _bounds(name: str, interval: tuple[float, float] | None) -> dict[str, Cell]:
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _bootstrap(sums: Sums) -> tuple[float, float] | None:
    found = resampled(sums)
    return (found.low, found.high) if found else None


def _length_cells(condition: Condition) -> dict[str, Cell]:
    """The mean length of explanations, in the unit in which it is known."""
    lengths = [each.length for each in condition.evaluations if each.length is not None]
    mean = fmean(lengths) if lengths else None
    published = condition.is_published
    return {
        "mean_explanation_tokens": None if published else mean,
        "mean_explanation_characters": mean if published else None,
    }


def _truncation_cells(condition: Condition) -> dict[str, Cell]:
    """How many evaluations hold a cut text, and the rates of the others; None where nobody knows."""
    cells: dict[str, Cell] = {"truncated": _truncated(condition, condition.evaluations)}
    whole = [each for each in condition.evaluations if not each.truncated]
    for name in _UNCUT:
        known = not condition.is_published
        sums = RATES[name.removesuffix("_untruncated")].sums(whole, _items(whole))
        cells |= rate_cells(name, rate_of(sums) if known else None)
    return cells


def _truncated(condition: Condition, found: Sequence[Evaluation]) -> int | None:
    return None if condition.is_published else sum(each.truncated for each in found)


def _ragged_note(condition: Condition) -> str:
    counts = condition.runs_of_items
    return f"{condition.label}: items have {min(counts.values())} to {max(counts.values())} runs"


def _items(found: Sequence[Evaluation]) -> list[str]:
    return list(dict.fromkeys(each.item for each in found))


def _expendable(columns: Sequence[str]) -> list[str]:
    """What a narrow terminal leaves out: what stands behind rates, then counts, then intervals."""
    shown = ("condition", *_COUNTS, "dbdk", "gap", "truncated")
    known = set(columns)
    bounds = {
        column
        for column in columns
        if column.rpartition("_")[2] in ("low", "high") and column.rpartition("_")[0] in known
    }
    later = [column for column in columns if column not in shown and column not in bounds]
    counts = ("num_evaluations", "num_runs", "understands", "executes", "truncated", "num_items")
    return [*reversed(later), *counts, "gap_low", "gap"]
