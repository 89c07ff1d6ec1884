"""Words about a run: values of its manifest that may be absent, and what is wrong with one that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from labkit.errors import LabkitError, RecordError
from labkit.record.run import Run

_What = TypeVar("_What")
_Read = TypeVar("_Read")

DAMAGE = (LabkitError, OSError, KeyError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What reading a run raises when people have copied, cut or edited its files; polars' own errors stay in `record`."""


def refuse_without_arms(run: Run) -> None:
    """Raise RecordError where a run never asks a model."""
    if not run.ask().arms:
        raise RecordError(f"{run.id}, made by labkit {run.command}, has no rollouts", f"labkit runs show {run.id}")


def config_value(manifest: Any, dotted: str) -> Any:
    """The value under a dotted key; None where some part of the way is missing."""
    value = manifest
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def rescored_text(run: Run) -> str | None:
    """Whose verdicts a report shows of a run that was scored again; None where it was not."""
    again = run.rescored()
    if again is None:
        return None
    left_out = f"; {again['left_out']} prompts have no gold there and are left out" if again.get("left_out") else ""
    return f"{run.id} was scored again by {again['score'].get('scorer')} at {again['time']} (verdicts {again['hash']}){left_out}"


def unscored_notes(runs: Sequence[Run], count: int, what: str = "rollouts") -> list[str]:
    """A note on rollouts without a verdict; none where the golds of a rescoring left their prompts out, which is said then.

    Args:
        runs: those that the rollouts are of
        count: how many there are
        what: what they are called
    """
    if not count or any((run.rescored() or {}).get("left_out") for run in runs):
        return []
    return [f"{count} {what} have no verdict yet and are left out; resuming the run scores them"]


def damage_text(error: Exception) -> str:
    """One line for people."""
    text = error.message if isinstance(error, LabkitError) else f"its record is damaged ({error!r})"
    return " ".join(text.split())


def first_few(names: Sequence[str], most: int = 4) -> str:
    """Names between commas, and how many more there are behind the first."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def unless_damaged(read: Callable[[_What], _Read], what: _What, name: str, notes: list[str]) -> _Read | None:
    """What `read` gives; None, with a note, where the run is damaged."""
    try:
        return read(what)
    except DAMAGE as error:
        notes.append(f"{name} was left out: {damage_text(error)}")
        return None
