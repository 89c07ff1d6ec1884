"""What is there already of what is asked: runs, found by the digest of the config that made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labkit.execute.items import Item
from labkit.record.catalog import runs_that_asked
from labkit.record.run import open_run, status_of

State = Literal["absent", "done", "running", "interrupted"]


@dataclass(frozen=True, slots=True)
class Found:
    """What is there of an item."""

    state: State
    run: Path | None = None
    """The run that asked the same; None where there is none."""


def look_up(items: Sequence[Item]) -> list[Found]:
    """What is there of each item. A data set says itself what is there of it, so it counts as absent here."""
    asked: dict[tuple[Path, str], set[str]] = {}
    for item in items:
        asked.setdefault((item.runs_dir, item.command), set()).add(item.digest)
    runs = {
        (runs_dir, command, digest): paths
        for (runs_dir, command), digests in asked.items()
        for digest, paths in runs_that_asked(runs_dir, command, digests).items()
    }
    return [_best(item.command, runs.get((item.runs_dir, item.command, item.digest), [])) for item in items]


def look_again(runs_dir: Path, command: str, digest: str) -> Found:
    """What is there of one item by now."""
    return _best(command, runs_that_asked(runs_dir, command, {digest}).get(digest, []))


def _best(command: str, paths: Sequence[Path]) -> Found:
    """Of several runs that asked the same one that is done, or at work, or else the newest."""
    found = {_state(command, path): path for path in paths}
    for state in ("done", "running", "interrupted"):
        if state in found:
            return Found(state, found[state])
    return Found("absent")


def _state(command: str, path: Path) -> State:
    if command != "extract" or (state := status_of(path)) != "done":
        return status_of(path)
    from labkit.extract.files import is_whole

    return state if is_whole(open_run(path)) else "interrupted"
