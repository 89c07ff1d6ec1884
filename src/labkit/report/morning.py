"""What one wants to know in the morning: what ran, what is running, what stopped and how to go on, what it found.

The status of every run is looked up, which takes one small file each; only the newest are opened, and only what a screen can
show is read. Knows runs and tables. Does *not* know how much of it fits: that is `labkit.report.morning_page`.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from labkit.record.catalog import headless_paths, run_paths
from labkit.record.run import Run, Status, open_run, status_of
from labkit.report.failed_items import FailedItem, failed_items
from labkit.report.listing import num_lines, run_row
from labkit.report.naming import DAMAGE, damage_text
from labkit.report.newest_tables import NewestTable, newest_tables
from labkit.report.table import Cell

NUM_OPENED = 300
"""Runs that are opened, the newest ones: the tables are of these."""
NUM_LISTED = 24
"""Runs that are listed at most, and unfinished ones that are told of at most."""
_REASONS = {"KeyboardInterrupt": "interrupted by Ctrl-C", "Terminated": "it was told to end"}
_ID_TAIL = 6

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class AtWork:
    """A run that somebody works on now."""

    run: Run
    tag: str
    done: int
    asked: int | None
    rate: float | None
    """Rollouts or steps a second in this attempt; None before there are some."""
    idle_s: float
    """Seconds since something was written."""

    @property
    def left_s(self) -> float | None:
        """Seconds until it is done, at this rate."""
        return (self.asked - self.done) / self.rate if self.asked and self.rate else None


@dataclass(frozen=True, slots=True)
class Stopped:
    """A run that is neither done nor worked on."""

    run: Run
    done: int
    asked: int | None
    why: str
    resume: str
    """The command that goes on with it."""


@dataclass(slots=True)
class Morning:
    """The state of a folder of runs."""

    runs_dir: Path
    counts: Counter[str] = field(default_factory=Counter)
    """Runs by status; `damaged` is one of them."""
    newest: list[dict[str, Cell]] = field(default_factory=list)
    """The newest runs as rows, see `COLUMNS`."""
    at_work: list[AtWork] = field(default_factory=list)
    stopped: list[Stopped] = field(default_factory=list)
    failed: list[FailedItem] = field(default_factory=list)
    """What `labkit run` could not even begin."""
    damaged: list[str] = field(default_factory=list)
    """A line each."""
    warnings: list[str] = field(default_factory=list)
    """Of each run that has some the first, the newest runs first."""
    tables: list[NewestTable] = field(default_factory=list)
    ids: Sequence[str] = ()
    """Of all runs, the newest first."""

    @property
    def num_unfinished(self) -> int:
        """Runs that are told of as running or interrupted."""
        return len(self.at_work) + len(self.stopped)

    def tag(self, run_id: str) -> str:
        """What to call a run on the command line: the end of its id where that is in no other id, else all of it."""
        tail = run_id[-_ID_TAIL:]
        return tail if sum(tail in other for other in self.ids) == 1 else run_id


COLUMNS = ("created", "run", "command", "name", "task", "model", "took_s", "headline")
"""Of `Morning.newest`. `run` is what to call it on the command line."""


def look(runs_dir: Path, *, given_dir: bool = False, now: datetime | None = None) -> Morning:
    """Look at every run under a folder. Never fails: what cannot be read is told of.

    Args:
        given_dir: whether commands have to name the folder
        now: the time, for rates; that of the clock unless given
    """
    morning = Morning(runs_dir)
    paths = _tried(morning, lambda: sorted(run_paths(runs_dir), key=lambda path: path.name, reverse=True))
    morning.ids = [path.name for path in paths]
    ending = f" --runs-dir {shlex.quote(str(runs_dir))}" if given_dir else ""
    opened: list[Run] = []
    for position, path in enumerate(paths):
        try:
            status = status_of(path)
            if position < NUM_OPENED or (status != "done" and morning.num_unfinished < NUM_LISTED):
                run = open_run(path)
                _add(morning, run, status, ending, now or datetime.now(UTC))
                opened.append(run)
            morning.counts[status] += 1
        except DAMAGE as error:
            morning.counts["damaged"] += 1
            morning.damaged.append(f"{morning.tag(path.name)}: {damage_text(error).replace(f'{path}/', '')}")
    headless = _tried(morning, lambda: list(headless_paths(runs_dir)))
    morning.damaged += [f"{path.name} holds rows but no run.json" for path in headless]
    morning.failed = _tried(morning, lambda: failed_items(runs_dir))
    morning.tables = newest_tables(opened[:NUM_OPENED], morning.damaged, ending)
    return morning


def _tried(morning: Morning, read: Callable[[], list[_Found]]) -> list[_Found]:
    """What is found under the folder; nothing where it cannot be read, which is told of once."""
    try:
        return read()
    except OSError as error:
        if (line := f"{morning.runs_dir} cannot be read: {error}") not in morning.damaged:
            morning.damaged.append(line)
        return []


def _add(morning: Morning, run: Run, status: Status, ending: str, now: datetime) -> None:
    """Put a run where it belongs, or nowhere where something of it cannot be read."""
    result = run.result() or {}
    warnings = [" ".join(str(text).split()) for text in result.get("warnings", ())]
    is_listed = len(morning.newest) < NUM_LISTED
    is_told = status != "done" and morning.num_unfinished < NUM_LISTED
    if not (is_listed or is_told or warnings):
        return
    row, tag = run_row(run) if is_listed or is_told else {}, morning.tag(run.id)
    listed = [{**row, "run": tag, "took_s": _took_s(run, result)}] if is_listed else []
    if is_told and status == "running":
        idle_s = now.timestamp() - _written(run)
        morning.at_work.append(AtWork(run, tag, *_progress(row), _rate(run, row, now), idle_s))
    elif is_told:
        resume = run.way_on_as(tag) + ending
        morning.stopped.append(Stopped(run, *_progress(row), _why(run), resume))
    morning.newest += listed
    if warnings:
        more = f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else ""
        morning.warnings.append(f"{tag}{more}: {warnings[0]}")


def _progress(row: dict[str, Cell]) -> tuple[int, int | None]:
    done, asked = row.get("done"), row.get("asked")
    return int(done or 0), int(asked) if asked else None


def _took_s(run: Run, result: dict[str, Any]) -> float | None:
    """Seconds of work; of a run that is not finished, those from its beginning to what was written last."""
    timings = result.get("timings") or {}
    if (seconds := timings.get("total_s", timings.get("attempt_s"))) is not None:
        return float(seconds)
    return None if result else _written(run) - datetime.fromisoformat(run.manifest["created"]).timestamp()


def _written(run: Run) -> float:
    """When something was last written (seconds since 1970)."""
    files = (run.path / "run.json", run.events_path, run.metrics_path, *run.rows_dir.glob("*.jsonl"))
    return max(path.stat().st_mtime for path in files if path.exists())


def _rate(run: Run, row: dict[str, Cell], now: datetime) -> float | None:
    """What this attempt does in a second; None where that cannot be told yet."""
    starts = [event for event in run.events() if event.get("event") == "start"]
    if not starts or not row.get("done"):
        return None
    attempt = len(starts)
    if attempt == 1:
        made = int(row["done"] or 0)
    elif run.command in ("train", "extract"):  # how many were there before nobody has written down
        return None
    else:
        made = sum(num_lines(path) for path in run.rows_dir.glob(f"{attempt:04d}-*.jsonl"))
    elapsed_s = (now - datetime.fromisoformat(starts[-1]["time"])).total_seconds()
    return made / elapsed_s if made and elapsed_s > 0 else None


def _why(run: Run) -> str:
    """How the last attempt ended, in words."""
    last: dict[str, Any] = {}
    for event in run.events():
        if event.get("event") in ("start", "stopped", "finish", "asked"):
            last = event
    if last.get("event") == "stopped":
        reason, message = str(last.get("reason")), " ".join(str(last.get("message") or "").split())
        return _REASONS.get(reason) or (f"{reason}: {message}" if message else reason)
    if last.get("event") == "asked":
        return "asked for more"
    return "killed, or the machine stopped" if last.get("event") == "start" else "not begun"
