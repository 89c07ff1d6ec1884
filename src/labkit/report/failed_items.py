"""What `labkit run` could not carry out and left no run of: the logs of its items are all there is.

An item that began has a run, which is interrupted and says why. One that was refused before has only its log, whose name ends
in the digest of what was asked; as soon as some run asked the same, there is nothing left to tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from labkit.record.catalog import runs_that_asked
from labkit.record.files import is_locked

NUM_LOGS = 50
"""Logs that are looked at, the last written first."""
_TAIL_BYTES = 1 << 14
"""Of the end of an attempt, where its error stands."""
_HEAD_BYTES = 1 << 13
"""A head is no longer: it holds a path, which is not (`PATH_MAX` is 4096)."""
_NAME = re.compile(r"(?P<command>[a-z]+)-.*-(?P<digest>[0-9a-f]{16})\.log")
_HEAD = re.compile(rb"--- (?P<time>\S+) labkit run (?P<item>.*)")


@dataclass(frozen=True, slots=True)
class FailedItem:
    """An item whose last attempt ended in an error, without a run."""

    item: str
    """What `labkit run` called it: its config."""
    why: str
    """The error in a line."""
    log: Path


def failed_items(runs_dir: Path) -> list[FailedItem]:
    """The failed items whose logs were written last, newest first; what cannot be read is none."""
    found: list[tuple[str, str, FailedItem]] = []
    for log in _newest_logs(runs_dir / "logs"):
        name = _NAME.fullmatch(log.name)
        if name is not None and (item := _failed(log)) is not None:
            found.append((name["command"], name["digest"], item))
    digests: dict[str, set[str]] = {}
    for command, digest, _ in found:
        digests.setdefault(command, set()).add(digest)
    # All of a command at once: looking for one takes as long as for fifty, a small file a run.
    known = {command: runs_that_asked(runs_dir, command, wanted) for command, wanted in digests.items()}
    return [item for command, digest, item in found if digest not in known[command]]


def _newest_logs(folder: Path) -> list[Path]:
    try:
        times = {path: path.stat().st_mtime for path in folder.glob("*.log")}
    except OSError:  # one was removed meanwhile
        return []
    return sorted(times, key=lambda path: -times[path])[:NUM_LOGS]


def _failed(log: Path) -> FailedItem | None:
    """What the last attempt in a log says, where it ended in an error."""
    try:
        with log.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as data:
            place, found = _last_head(data)
            text = data[max(place, len(data) - _TAIL_BYTES) :].decode(errors="replace")
    except (OSError, ValueError):  # ValueError: the log is empty
        return None
    if found is None or is_locked(log):
        return None
    why = _why([line for line in text.splitlines() if line.strip()])
    return None if why is None else FailedItem(found["item"].decode(errors="replace").rstrip("\r"), why, log)


def _last_head(data: mmap) -> tuple[int, re.Match[bytes] | None]:
    """Where what the last attempt wrote begins, and its head, looked for from the end."""
    place = len(data)
    while (place := data.rfind(b"--- ", 0, place)) >= 0:
        line = data[place : place + _HEAD_BYTES]
        if (place == 0 or data[place - 1] == ord("\n")) and (found := _HEAD.match(line)):
            return place + found.end(), found
    return 0, None


def _why(lines: list[str]) -> str | None:
    """The error at the end of an attempt: its message, which stands above a hint, or the last line of a traceback."""
    if len(lines) > 1 and lines[-1].startswith("→"):
        return " ".join(lines[-2].split())
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        return " ".join(lines[-1].split())
    return None
