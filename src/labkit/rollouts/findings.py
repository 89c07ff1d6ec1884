"""What checks found, and how a run's result keeps it. Light: a report of many runs reads nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from labkit.record.run import Run

MOST_ROWS = 250_000
"""Rollouts that are checked without being asked to: more take seconds, and gigabytes."""

Severity = Literal["contamination", "warning", "note"]
"""`contamination`: rows that the run's own model cannot have written, or prompts that it knew. `warning`: figures that may
say something else than they seem to. `note`: worth a look."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found."""

    check: str
    """Name of the check."""
    severity: Severity
    what: str
    """A sentence."""
    count: int
    """Rows or prompts that it is about."""
    where: str = ""
    """The first of them."""

    @property
    def text(self) -> str:
        """The finding as one line."""
        mark = "contamination? " if self.severity == "contamination" else ""
        return f"{mark}{self.check}: {self.what}" + (f" (first: {self.where})" if self.where else "")

    def as_json(self) -> dict[str, Any]:
        """The form in `result.json` and in reports."""
        return {
            "check": self.check,
            "severity": self.severity,
            "what": self.what,
            "count": self.count,
            "where": self.where,
        }


def gravest_first(findings: Sequence[Finding]) -> list[Finding]:
    """Contamination before warnings before notes."""
    order = ("contamination", "warning", "note")
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def stored(run: Run, result: Mapping[str, Any]) -> list[Finding] | None:
    """What the completion found that wrote a result; None where it checked nothing, or rows were written since."""
    kept = result.get("checks")
    size = rows_bytes(run)
    if not isinstance(kept, dict) or (size is not None and kept.get("rows_bytes") != size):
        return None
    return [Finding(**line) for line in kept["findings"]]


def as_result(run: Run, findings: Sequence[Finding]) -> dict[str, Any]:
    """The section `checks` of `result.json`, from which `stored` reads."""
    return {"rows_bytes": rows_bytes(run), "findings": [finding.as_json() for finding in findings]}


def rows_bytes(run: Run) -> int | None:
    """Bytes of all segments; None once they are packed, which compaction does to rows that were checked."""
    sizes = [path.stat().st_size for path in run.rows_dir.glob("*.jsonl")]
    return sum(sizes) if sizes or not run.parquet_path.exists() else None


def as_texts(findings: Sequence[Finding]) -> list[str]:
    """The findings as the lines of a result's `warnings`; notes are none."""
    return [finding.text for finding in findings if finding.severity != "note"]
