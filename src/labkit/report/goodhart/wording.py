"""What a comparison shows, in a sentence made from its numbers: no more than they say."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.report.goodhart.comparison import Pair, Row
from labkit.report.goodhart.measures import COMPARED
from labkit.report.naming import first_few

FEW_ITEMS = 30
"""With fewer clusters, intervals that rest on their spread are rough."""
_ALPHA = 0.05


def comparison_notes(pairs: Sequence[Pair], rows: Sequence[Row]) -> list[str]:
    """The finding on DBDK for each condition, then the warnings."""
    of_dbdk = [row for row in rows if row["measure"] == "dbdk"]
    is_alone = sum(row["p_permutation"] is not None for row in of_dbdk) == 1
    notes = [_sentence(pair, row, is_alone) for pair, row in zip(pairs, of_dbdk, strict=True)]
    held = [str(row["condition"]) for row in of_dbdk if _interval(row) is not None and _holds_zero(row)]
    notes += [f"warning: the interval of the difference in dbdk holds 0 ({condition})" for condition in held]
    if (num_items := len(pairs[0].items)) < FEW_ITEMS:
        notes.append(
            f"warning: {num_items} items; intervals over fewer than {FEW_ITEMS} are rough, and more runs do not help"
        )
    return [*notes, _COLUMNS_NOTE]


_COLUMNS_NOTE = (
    "difference has a paired bootstrap interval over items; p_permutation swaps whole items and is the test to lead with "
    "(p_holm over conditions); newcombe, z, Fisher and McNemar take answers for independent and are too sure"
)


def _sentence(pair: Pair, row: Row, is_alone: bool) -> str:
    a, b = pair.base.label, pair.other.label
    counts = f"{_share(row, 'b')} with {b}, {_share(row, 'a')} with {a}"
    if not isinstance(row["difference"], float):
        why = "a condition has no right answer" if not (row["n_a"] and row["n_b"]) else "one item is too few"
        return f"Nothing can be said of DBDK with {b} against {a} ({counts}): {why}"
    parts = [f"{_verdict(row, a, b)} ({counts}; {_difference(row)})"]
    parts += _about_denominators(pair, row)
    if row["num_both"]:
        parts.append(_on_both(row, a, b))
    if isinstance(row["mde"], float):
        parts.append(
            f"with {row['num_items']} items the study can detect differences of about {100 * row['mde']:.0f} points"
            f"{'' if is_alone else ' by one test alone'}; "
            f"3 points would take about {row['items_for_3_points']} items"
        )
    return ". ".join(part[0].upper() + part[1:] for part in parts)


def _verdict(row: Row, a: str, b: str) -> str:
    """Evidence where the adjusted test and the interval both say so; the test alone where there is no interval."""
    p_value = row["p_holm"] if isinstance(row["p_holm"], float) else 1.0
    if row["difference"] == 0 and row["count_a"] == row["count_b"] and row["n_a"] == row["n_b"]:
        return f"no difference in DBDK between {b} and {a} was observed"
    if p_value > _ALPHA and (_interval(row) is None or _holds_zero(row)):
        return f"there is no evidence that DBDK differs between {b} and {a}"
    if p_value <= _ALPHA and not _holds_zero(row):
        direction = "higher" if float(row["difference"] or 0) > 0 else "lower"
        return f"there is evidence that DBDK is {direction} with {b} than with {a}"
    return f"the evidence that DBDK differs between {b} and {a} is mixed: test and interval disagree"


def _difference(row: Row) -> str:
    value = f"difference {_points(row['difference'])} points"
    interval = ""
    if isinstance(row["difference_low"], float):
        interval = (
            f", 95 % paired interval over items {_points(row['difference_low'])} to {_points(row['difference_high'])}"
        )
    adjusted = f", {row['p_holm']:.2g} after Holm" if row["p_holm"] != row["p_permutation"] else ""
    return f"{value}{interval}, permutation p = {row['p_permutation']:.2g}{adjusted}"


def _on_both(row: Row, a: str, b: str) -> str:
    """The comparison that no denominator can move."""
    difference = ""
    if isinstance(row["both_difference"], float):
        low, high = row["both_difference_low"], row["both_difference_high"]
        ends = f", {_points(low)} to {_points(high)}" if isinstance(low, float) else ""
        difference = f" (difference {_points(row['both_difference'])} points{ends})"
    counts = f"{row['both_b']} with {b} and {row['both_a']} with {a}"
    return f"of the {row['num_both']} evaluations that both executed, DK are {counts}{difference}"


def _about_denominators(pair: Pair, row: Row) -> list[str]:
    """Why a rate moves whose count does not: fewer answers, or more, were right."""
    if row["count_a"] != row["count_b"] or row["n_a"] == row["n_b"]:
        return []
    change = int(row["n_b"] or 0) - int(row["n_a"] or 0)
    a, b = (sums[0] for sums in pair.sums(COMPARED["p_executes"]))
    moved = [f"{item} {x} to {y}" for item, x, y in zip(pair.items, a, b, strict=True) if x != y]
    kind = "fewer" if change < 0 else "more"
    answers = f"{abs(change)} {kind} {'answer was' if abs(change) == 1 else 'answers were'} right"
    return [
        f"the number of right answers without understanding is the same ({row['count_a']}): the rate moves because "
        f"{answers} ({first_few(moved)})"
    ]


def _interval(row: Row) -> tuple[float, float] | None:
    low, high = row["difference_low"], row["difference_high"]
    return (low, high) if isinstance(low, float) and isinstance(high, float) else None


def _holds_zero(row: Row) -> bool:
    """Whether the interval of the difference, if it has one, holds 0."""
    ends = _interval(row)
    return ends is not None and ends[0] <= 0 <= ends[1]


def _share(row: Row, side: str) -> str:
    return f"{row[f'count_{side}']}/{row[f'n_{side}']}"


def _points(value: object) -> str:
    return f"{100 * value:+.1f}" if isinstance(value, float) else "–"
