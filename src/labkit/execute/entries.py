"""How each item of a queue stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labkit.execute.items import Item

State = Literal[
    "waiting", "ready", "at work", "done", "skipped", "running", "failed", "blocked", "interrupted", "not started"
]
"""`running` is an item that another process works on, or did when it was looked at last; `blocked` one whose need was not
met."""

MET: tuple[State, ...] = ("done", "skipped")
"""States of an item that nothing is owed of."""

OPEN: tuple[State, ...] = ("waiting", "ready", "at work", "running")
"""States of an item that may still be done."""


@dataclass(slots=True)
class Entry:
    """An item and how it stands."""

    position: int
    item: Item
    needs: tuple[int, ...]
    model: str | None
    """Of the item (`Item.model`)."""
    state: State = "waiting"
    run: Path | None = None
    """Its run, as soon as it is known."""
    attempts: int = 0
    """How often it was given to a worker."""
    slot: int | None = None
    """The worker that is at work on it, or was."""
    began: float = 0.0
    """When its last attempt began, by the monotonic clock in seconds."""
    duration_s: float = 0.0
    """Of all attempts."""
    load_s: float | None = None
    """Seconds that loading its model took; None where it was loaded already, or needs none."""
    message: str = ""
    """Why it failed, or what it waits for."""
    progress: tuple[int, int] | None = None
    """Rollouts, steps, rows or checkpoints: done, and asked."""
