"""What a runner and its workers say to each other, as plain values that go through a pipe or over a network."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from labkit.config.base import Resolved, validate
from labkit.config.commands import COMMANDS
from labkit.execute.items import Item


@dataclass(frozen=True, slots=True)
class Request:
    """One item for a worker."""

    position: int
    """Of the item in the queue."""
    name: str
    """The path of its file."""
    command: str
    config: dict[str, Any]
    """Resolved: the worker reads no file, and a file that changes meanwhile changes nothing."""
    origins: dict[str, str]
    digest: str
    runs_dir: str
    log: str
    """Path of its log."""
    log_bytes: int
    """Size of the log when the runner looked for runs: a log that has grown since says that somebody has worked on it."""
    run: str | None
    """The interrupted run to go on with."""
    since: str = ""
    """What ids of runs begin with, or sort after, that were made since the runner looked for runs; no text is any."""
    patience_s: float = 0.0
    """How long to wait for another process that holds the item: one that was given up may take a while to end."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def resolved(self) -> Resolved[Any]:
        """The config, built anew."""
        return Resolved(validate(COMMANDS[self.command], self.config), self.origins)


def request_for(
    position: int, item: Item, log_bytes: int, run: Path | None, *, since: str = "", patience_s: float = 0.0
) -> Request:
    """The request that asks a worker for an item."""
    return Request(
        position=position,
        name=item.name,
        command=item.command,
        config=item.config.as_json(),
        origins=dict(item.resolved.origins),
        digest=item.digest,
        runs_dir=str(item.runs_dir),
        log=str(item.log_path),
        log_bytes=log_bytes,
        run=None if run is None else str(run),
        since=since,
        patience_s=patience_s,
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt at an item ended."""

    state: Literal["done", "skipped", "running", "failed", "interrupted", "died"]
    """`skipped`: nothing was owed; `running`: another process works on it; `died`: its worker is gone."""
    run: str | None = None
    message: str = ""
    try_again: bool = False
    """Whether another worker may fare better: this one died, its memory ran out, its disk is full."""
    worker_is_whole: bool = True
    """Whether its worker can take another item."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something a worker says, or that is noticed of it."""

    kind: Literal["ready", "loaded", "run", "progress", "ended", "note"]
    slot: int = -1
    seconds: float = 0.0
    """Of `loaded`: how long loading took."""
    before_s: float = 0.0
    """Of `loaded`: seconds from the beginning of the item until the model was there."""
    run: str = ""
    """Of `run`: the path of the run that the item is done in."""
    done: int = 0
    total: int = 0
    """Of `progress`."""
    note: str = ""
    """Of `note`: something about all workers that a user should know."""
    outcome: Outcome | None = None
    """Of `ended`. A worker that died without an item has ended, too."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Event:
        outcome = value.pop("outcome")
        return cls(**value, outcome=None if outcome is None else Outcome(**outcome))
