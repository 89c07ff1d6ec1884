"""The table of kind `goodhart`: how often a model knew, did, both or neither, by category and over all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from labkit.record.frames import read_scored
from labkit.record.run import Run
from labkit.report.table import Cell, Table
from labkit.tasks.goodhart.quadrants import QUADRANTS, Evaluation, Verdict, paired

_COLUMNS = ["category", "num_items", "num_evaluations", "understands", "executes", *QUADRANTS, "truncated"]


def goodhart_table(run: Run) -> Table:
    """Counts of an eval run over the task `goodhart`.

    Raises:
        RecordError: the record is damaged.
    """
    found = paired(_verdicts(run))
    groups = {category: [each for each in found if each.category == category] for category in _categories(found)}
    rows = [_row(category, group) for category, group in {**groups, "all": found}.items()]
    notes = [f"{name}: {meaning}" for name, meaning in QUADRANTS.items()]
    notes.append("truncated: the explanation or the answer ended at the limit of tokens")
    return Table("goodhart", f"goodhart, {run.id}", _COLUMNS, rows, notes)


def _verdicts(run: Run) -> list[Verdict]:
    about = {line["id"]: line["source"] for line in run.prompts()}
    frame = read_scored(run, columns=["finish_reason"]).frame.sort("index", maintain_order=True)
    return [
        Verdict(
            about[row["prompt"]]["item"],
            about[row["prompt"]]["category"],
            about[row["prompt"]]["part"],
            row["index"],
            bool(row["correct"]),
            row["finish_reason"] == "length",
        )
        for row in frame.iter_rows(named=True)
    ]


def _categories(found: Sequence[Evaluation]) -> list[str]:
    return list(dict.fromkeys(each.category for each in found))


def _row(category: str, found: Sequence[Evaluation]) -> dict[str, Cell]:
    counts = Counter(each.quadrant for each in found)
    return {
        "category": category,
        "num_items": len({each.item for each in found}),
        "num_evaluations": len(found),
        "understands": sum(each.understands for each in found),
        "executes": sum(each.executes for each in found),
        **{name: counts[name] for name in QUADRANTS},
        "truncated": sum(each.truncated for each in found),
    }
