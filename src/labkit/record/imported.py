"""Runs that were not made here but read from a published file: where from, and what cannot be done with them."""

from __future__ import annotations

from typing import Any

from labkit.errors import RecordError
from labkit.record.run import Run

UNKNOWN = "unknown"
"""The finish reason of a rollout whose file does not say how it ended."""


def imported_from(run: Run) -> dict[str, Any] | None:
    """`file`, `sha256` and `form` of the file that a run was imported from; None for a run that was made here."""
    provenance = run.manifest.get("provenance")
    found = provenance.get("imported") if isinstance(provenance, dict) else None
    return found if isinstance(found, dict) else None


def refuse_imported(run: Run) -> None:
    """Raise RecordError where a run cannot be gone on with, because it was imported."""
    if (source := imported_from(run)) is not None:
        raise RecordError(
            f"{run.id} was imported from {source.get('file')}: there is no model and no text to go on with",
            "labkit report shows what it holds; labkit eval makes a run of your own",
        )
