"""Live progress of many items on stderr: who does what, how much is done, and when it ends. Off a terminal, a line an item."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from labkit.cli.console import say, stderr_console
from labkit.execute.entries import OPEN, Entry
from labkit.execute.queue import Queue
from labkit.execute.signals import raise_received

if TYPE_CHECKING:
    from rich.console import RenderableType

_REDRAW_S = 0.25


class QueueProgress:
    """An `Observer` of `labkit.execute.runner` that draws; it holds the terminal while the block lasts."""

    def __init__(self, queue: Queue, num_slots: int) -> None:
        self._queue = queue
        self._num_slots = num_slots
        self._console = stderr_console()
        self._live = (
            Live(console=self._console, auto_refresh=False, transient=True) if self._console.is_terminal else None
        )
        self._began = self._drawn = time.monotonic()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._finished: Counter[str] = Counter()
        self._owed = Counter(entry.item.command for entry in queue.entries if entry.state in OPEN)
        self._has_said_who_waits = False

    def __enter__(self) -> QueueProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def began(self, entry: Entry) -> None:
        """An item was given to a worker."""

    def again(self, entry: Entry) -> None:
        """An attempt failed, and the item is to be tried once more."""
        say(f"{entry.item.name}: {entry.message}\nit is tried again; log: {entry.item.log_path}")

    def ended(self, entry: Entry) -> None:
        """An item is done, or given up."""
        command = entry.item.command
        self._owed[command] -= 1
        if entry.state == "done":
            self._finished[command] += 1
            self._seconds[command] += entry.duration_s
        if self._live is None:
            num_ended = len(self._queue.entries) - self._queue.num_owed
            say(
                f"[{num_ended}/{len(self._queue.entries)}] {entry.state:<7} {entry.item.name}  {entry.duration_s:.1f} s"
            )
        if entry.state == "failed":
            say(f"{entry.item.name}: {entry.message}\nlog: {entry.item.log_path}")

    def noted(self, note: str) -> None:
        """Something that a user should know."""
        say(note)

    def ticked(self) -> None:
        """Time has passed."""
        raise_received()
        self._say_who_waits()
        if self._live is not None and time.monotonic() - self._drawn >= _REDRAW_S:
            self._drawn = time.monotonic()
            self._live.update(self._picture(), refresh=True)

    def _say_who_waits(self) -> None:
        """Once, when there is nothing else to do than to wait for other processes."""
        counts = self._queue.counts
        if counts["running"] and not (counts["at work"] or counts["ready"] or self._has_said_who_waits):
            self._has_said_who_waits = True
            say(f"waiting for other processes, which work on {counts['running']} of the items")

    def left_s(self) -> float | None:
        """Seconds until all is done, from how long items of the same command took or will take; None before any is known."""
        each_s = {command: self._seconds[command] / done for command, done in self._finished.items() if done}
        now, ahead = time.monotonic(), 0.0
        at_work = self._queue.at_work()
        for entry in at_work:
            if entry.progress is not None and entry.progress[0]:
                each_s.setdefault(entry.item.command, (now - entry.began) * entry.progress[1] / entry.progress[0])
        if not each_s:
            return None
        anyhow = sum(each_s.values()) / len(each_s)
        for command, owed in self._owed.items():
            ahead += owed * each_s.get(command, anyhow)
        for entry in at_work:  # counted as if they had just begun
            ahead -= min(now - entry.began, each_s.get(entry.item.command, anyhow))
        return max(0.0, ahead) / max(1, min(self._num_slots, self._queue.num_owed))

    def _picture(self) -> RenderableType:
        counts, total = self._queue.counts, len(self._queue.entries)
        shown = [f"{counts[state]} {state}" for state in ("done", "skipped", "failed", "blocked") if counts[state]]
        left = self.left_s()
        times = f"{_clock(time.monotonic() - self._began)} so far"
        times += "" if left is None else f", about {_clock(left)} left"
        head = f"{total - self._queue.num_owed} of {total} items: {', '.join(shown) or 'none done yet'}; {times}"
        table = Table.grid(padding=(0, 2))
        for entry in sorted(self._queue.at_work(), key=lambda entry: entry.slot or 0):
            done = "" if entry.progress is None else f"{entry.progress[0]:,} of {entry.progress[1]:,}"
            elapsed = _clock(time.monotonic() - entry.began)
            table.add_row(
                f"worker {entry.slot}", Text(entry.item.name, overflow="ellipsis", no_wrap=True), done, elapsed
            )
        return Group(Text(head), table)


def _clock(seconds: float) -> str:
    """1:02:03, or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
