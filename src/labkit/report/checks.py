"""The table of kind `checks`: what the rows of runs say against them, one finding a row."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.record.run import Run
from labkit.report.table import Cell, Table
from labkit.rollouts.findings import MOST_ROWS, Finding, as_texts, gravest_first, stored

CHECKS_KIND = "checks"

_COLUMNS = ["run", "check", "severity", "what", "count", "where"]
_MOST_NOTES = 5


def checks_table(runs: Sequence[Run], *, salvage: bool = False) -> Table:
    """Every finding about these runs and their rankings, worked out from the record as it is now.

    Raises:
        RecordError: a record is damaged, and `salvage` is off or does not help.
    """
    found = [(run, _findings(run, salvage)) for run in runs]
    rows: list[dict[str, Cell]] = [
        {"run": run.id, **finding.as_json()} for run, findings in found for finding in findings
    ]
    clean = [run.id for run, findings in found if not findings]
    notes = [f"nothing was found in {', '.join(clean)}"] if clean else []
    return Table(CHECKS_KIND, "what speaks against the rows of a run", _COLUMNS, rows, notes, expendable=["where"])


def _findings(run: Run, salvage: bool) -> list[Finding]:
    """About its rows, and about what rerankers said of them."""
    from labkit.rollouts.checks import check_run
    from labkit.rollouts.checks.rankings import rankings_findings

    return gravest_first([*check_run(run, salvage=salvage), *rankings_findings(run, salvage=salvage)])


def checks_notes(run: Run, *, again: bool, salvage: bool = False) -> list[str]:
    """The findings about a run as notes.

    Args:
        again: whether its rows are read to find out; else what its completion found stands, unless rows were written since
    """
    result = run.result() or {}
    found = None if again else stored(run, result)
    if found is None:
        if not again and "checks" not in result:
            return []
        if run.ask().num_rollouts > MOST_ROWS:
            return [f"{run.id} has too many rows to be checked unasked: labkit report {run.id} --table {CHECKS_KIND}"]
        from labkit.rollouts.checks import check_run

        found = check_run(run, salvage=salvage)
    texts = as_texts(found)
    more = len(texts) - _MOST_NOTES
    return [f"{run.id}: {text}" for text in texts[:_MOST_NOTES]] + (
        [f"{run.id}: {more} more findings: --table {CHECKS_KIND}"] if more > 0 else []
    )
