"""What `labkit run` could not carry out and left no run of: the logs of its items are all there is.

An item that began has a run, which is interrupted and says why. One that was refused before has only its log, whose name ends
in the digest of what was asked; as soon as some run asked the same, there is nothing left to tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from labkit.record.catalog import runs_that_asked
from labkit.record.files import is_locked

NUM_LOGS = 50
"""Logs that are looked at, the last written first."""
_TAIL_BYTES = 1 << 14
_NAME = re.compile(r"(?P<command>[a-z]+)-.*-(?P<digest>[0-9a-f]{16})\.log")
_HEAD = re.compile(r"^--- (?P<time>\S+) labkit run (?P<item>.*)$", re.MULTILINE)


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
    found = []
    for log in _newest_logs(runs_dir / "logs"):
        name = _NAME.fullmatch(log.name)
        if name is None or (item := _failed(log)) is None:
            continue
        command, digest = name["command"], name["digest"]
        if not runs_that_asked(runs_dir, command, [digest]):
            found.append(item)
    return found


def _newest_logs(folder: Path) -> list[Path]:
    try:
        times = {path: path.stat().st_mtime for path in folder.glob("*.log")}
    except OSError:  # one was removed meanwhile
        return []
    return sorted(times, key=lambda path: -times[path])[:NUM_LOGS]


def _failed(log: Path) -> FailedItem | None:
    """What the last attempt in a log says, where it ended in an error."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return None
    heads = list(_HEAD.finditer(text))
    if not heads or is_locked(log):
        return None
    lines = [line for line in text[heads[-1].end() :].splitlines() if line.strip()]
    why = _why(lines)
    return None if why is None else FailedItem(heads[-1]["item"], why, log)


def _why(lines: list[str]) -> str | None:
    """The error at the end of an attempt: its message, which stands above a hint, or the last line of a traceback."""
    if len(lines) > 1 and lines[-1].startswith("→"):
        return " ".join(lines[-2].split())
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        return " ".join(lines[-1].split())
    return None
