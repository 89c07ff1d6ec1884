"""Carrying a queue out: workers are started, given items, watched, and replaced when they die."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from labkit.errors import MachineError
from labkit.execute.entries import Entry, State
from labkit.execute.items import Item
from labkit.execute.messages import Event, Outcome, request_for
from labkit.execute.pool import Pool
from labkit.execute.queue import Queue
from labkit.record.files import is_locked

_TICK_S = 0.25
"""Seconds after which a queue in which nothing happens is looked at again."""
_PATIENCE_S = 60.0
"""Seconds that a worker waits for the one before it to let go of an item: the last breath of a lost node."""
_ELSEWHERE_S = 1.0
"""Seconds between two looks at what other processes work on."""
_GROWN = -1
"""Stands for the size of a log that others have written to: the worker looks again what there is."""
_MOST_STILLBORN = 3
"""Workers in a row that end before they are ready, until the runner gives up."""


class Observer(Protocol):
    """Who watches a queue."""

    def began(self, entry: Entry) -> None:
        """An item was given to a worker."""

    def again(self, entry: Entry) -> None:
        """An attempt failed, and the item is to be tried once more."""

    def ended(self, entry: Entry) -> None:
        """An item is done, or given up."""

    def noted(self, note: str) -> None:
        """Something that a user should know."""

    def ticked(self) -> None:
        """Time has passed."""


@dataclass(slots=True)
class Counts:
    """What the workers of a queue did."""

    num_workers: int = 0
    """Workers that were started."""
    num_loads: int = 0
    """Models that were loaded."""
    load_s: float = 0.0
    """Seconds that loading them took, over all workers."""


@dataclass(slots=True)
class Runner:
    """One queue, one pool."""

    queue: Queue
    pool: Pool
    observer: Observer
    log_bytes: dict[int, int]
    """Sizes of the items' logs by position, looked up before the runs were; absent is 0."""
    retries: int = 1
    """How often an item is tried again that a dead worker or a full machine left."""
    keep_going: bool = False
    """Whether other items are started after one has failed."""
    since: str = ""
    """What the ids of runs sort after that were not there when they were looked up (`id_before`); no text is any."""
    counts: Counts = field(default_factory=Counts)
    _starting: dict[int, Entry] = field(default_factory=dict)
    """The slots whose worker is not ready yet, with the item that each was started for."""
    _idle: set[int] = field(default_factory=set)
    _busy: dict[int, Entry] = field(default_factory=dict)
    _num_stillborn: int = 0
    _looked: float = 0.0
    _is_stopping: bool = False

    def run(self) -> None:
        """Carry out what can be; afterwards every item has a last state.

        An interrupt goes on to the caller when the workers have stopped and what they did is known.

        Raises:
            MachineError: no worker can be started.
        """
        try:
            while self.queue.unfinished:
                self._look_elsewhere()
                self._hand_out()
                for event in self.pool.wait(_TICK_S):
                    self._handle(event)
                self.observer.ticked()
            self.pool.close()
        except BaseException:
            self.queue.draining = self._is_stopping = True
            for event in self.pool.interrupt():
                self._handle(event)
            for slot in list(self._busy):  # killed, because it took too long to stop
                self._ended(slot, Outcome("interrupted"))
            raise
        finally:
            self.queue.close()

    def _look_elsewhere(self) -> None:
        """Take up what other processes have let go of, done or not."""
        if time.monotonic() - self._looked < _ELSEWHERE_S:
            return
        self._looked = time.monotonic()
        for entry in self.queue.elsewhere():
            locks = [entry.item.log_path, *([] if entry.run is None else [entry.run / "lock"])]
            if not any(map(is_locked, locks)):
                self.log_bytes[entry.position] = _GROWN
                self.queue.look_again(entry.position)

    def _hand_out(self) -> None:
        """Give items to idle workers, and start workers for what is left."""
        for slot in sorted(self._idle):
            entry = self.queue.take(slot, self._fits(slot))
            if entry is not None:
                self._idle.remove(slot)
                self._give(slot, entry)
        used = self._starting.keys() | self._idle | self._busy.keys()
        if self._busy.keys() != used or len(used) < self.pool.num_slots:
            self._start_workers(self.queue.openings(self.pool.num_slots))

    def _start_workers(self, left: list[Entry]) -> None:
        """Args: left: what new workers would begin with"""
        for slot in self._starting:  # each will take one
            taken = next((entry for entry in left if self.pool.fits(slot, entry.item)), None)
            left = [entry for entry in left if entry is not taken]
        self._dismiss_who_is_in_the_way(left)
        used = self._starting.keys() | self._idle | self._busy.keys()
        free = (slot for slot in range(self.pool.num_slots) if slot not in used)
        for slot, entry in zip(list(free), left, strict=False):
            self.pool.start(slot, entry.item)
            self._starting[slot] = entry
            self.counts.num_workers += 1

    def _give(self, slot: int, entry: Entry) -> None:
        self._busy[slot] = entry
        log_bytes = self.log_bytes.get(entry.position, 0)
        patience_s = _PATIENCE_S if entry.attempts > 1 else 0.0
        request = request_for(entry.position, entry.item, log_bytes, entry.run, since=self.since, patience_s=patience_s)
        self.pool.give(slot, request)
        self.observer.began(entry)

    def _dismiss_who_is_in_the_way(self, left: Sequence[Entry]) -> None:
        """A worker that can take nothing of what waits holds a slot, and what its kind needs of a cluster."""
        waiting = [*left, *self._starting.values()]
        for slot in sorted(self._idle):
            if waiting and not any(self.pool.fits(slot, entry.item) for entry in waiting):
                self._idle.remove(slot)
                self.pool.dismiss(slot)
                self.queue.worker_gone(slot)

    def _fits(self, slot: int) -> Callable[[Item], bool]:
        return lambda item: self.pool.fits(slot, item)

    def _handle(self, event: Event) -> None:
        entry = self._busy.get(event.slot)
        if event.kind == "ready":
            self._starting.pop(event.slot, None)
            self._idle.add(event.slot)
            self._num_stillborn = 0
        elif event.kind == "loaded" and entry is not None:
            self.queue.loaded(entry.position, event.seconds, event.before_s)
            self.counts.num_loads += 1
            self.counts.load_s += event.seconds
        elif event.kind == "run" and entry is not None:
            entry.run = Path(event.run)
        elif event.kind == "progress" and entry is not None:
            entry.progress = (event.done, event.total)
        elif event.kind == "note":
            self.observer.noted(event.note)
        elif event.kind == "ended" and event.outcome is not None:
            self._ended(event.slot, event.outcome)

    def _ended(self, slot: int, outcome: Outcome) -> None:
        entry = self._busy.pop(slot, None)
        self._settle_worker(slot, outcome)
        if entry is None:
            return
        if outcome.state == "interrupted" and not self._is_stopping:  # by somebody else than the runner
            outcome = replace(outcome, state="died", message="its worker was told to end", try_again=True)
        if outcome.try_again and entry.attempts <= self.retries and not self.queue.draining:
            self.queue.again(entry.position, outcome.message)
            self.observer.again(entry)
            return
        state: State = "failed" if outcome.state == "died" else outcome.state
        run = None if outcome.run is None else Path(outcome.run)
        self.queue.ended(entry.position, state, run=run, message=outcome.message)
        if state == "running":  # it is looked at again
            return
        if state == "failed" and not self.keep_going:
            self.queue.draining = True
        self.observer.ended(entry)

    def _settle_worker(self, slot: int, outcome: Outcome) -> None:
        """What becomes of a worker whose item ended, or that ended itself."""
        if outcome.worker_is_whole:
            self._idle.add(slot)
            return
        self._idle.discard(slot)
        self.queue.worker_gone(slot)
        if outcome.state != "died":
            self.pool.dismiss(slot)
        elif self._starting.pop(slot, None) is not None:
            self._num_stillborn += 1
            if self._num_stillborn >= _MOST_STILLBORN:
                raise MachineError(
                    f"no worker can be started: {outcome.message}", "labkit doctor shows what is missing"
                )
