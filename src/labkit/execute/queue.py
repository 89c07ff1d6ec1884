"""Which item comes next, for whom. Knows what is owed and who has which model loaded; starts nothing itself.

Items of one model come one after another on the worker that has it loaded. Another worker takes another model, the one
with most items first, and helps with a model that is loaded elsewhere only when that ends sooner than loading it takes.
"""

from __future__ import annotations

import heapq
import os
import time
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from labkit.config.data import DataConfig
from labkit.execute.entries import MET, OPEN, Entry, State
from labkit.execute.items import Item
from labkit.execute.lookup import Found
from labkit.execute.order import Order


@dataclass(slots=True)
class _Model:
    """The items of one model."""

    ready: list[int] = field(default_factory=list)
    """A heap of positions: the items come in their order."""
    rank: tuple[int, int, str] | None = None
    """Its place among the models that wait for a worker: those with many items come first, those of earlier ones before
    others. None where a worker has it loaded, or nothing is ready."""
    holders: set[int] = field(default_factory=set)
    """Slots that have it loaded."""
    load_s: float | None = None
    """How long loading it took; None until it has been loaded."""
    num_done: int = 0
    done_s: float = 0.0
    """Seconds of the items done, without loading."""


class Queue:
    """The items of one `labkit run`."""

    def __init__(
        self,
        items: Sequence[Item],
        order: Order,
        found: Sequence[Found],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.entries = [Entry(position, item, order.needs[position], item.model) for position, item in enumerate(items)]
        self.draining = False
        """Whether nothing new is started any more."""
        self._clock = clock
        self._waiting = order.waiting()
        self._models: dict[str, _Model] = {}
        # Both sorted, the next one first.
        self._free: list[tuple[int, int, str]] = []
        self._alone: list[tuple[int, int]] = []
        self._loaded: dict[int, str] = {}
        self._warm: set[int] = set()
        self._start_s = 0.0
        self._folders: set[str] = set()
        self._counts: Counter[State] = Counter()
        self._counts["waiting"] = len(items)
        self._at_work: dict[int, Entry] = {}
        self._elsewhere: dict[int, Entry] = {}
        self._set_out(found, order)

    def _set_out(self, found: Sequence[Found], order: Order) -> None:
        for entry, what in zip(self.entries, found, strict=True):
            entry.run = what.run
            if what.state == "done":
                self._set(entry, "skipped")
        for entry, what, missing in zip(self.entries, found, order.missing, strict=True):
            if entry.state == "waiting" and what.state == "running":
                self._set(entry, "running")
            elif entry.state == "waiting" and missing:
                self._close(entry, "blocked", "; ".join(missing))
        for entry in self.entries:
            self._open(entry)

    @property
    def unfinished(self) -> bool:
        """Whether something is at work, here or elsewhere, or may still be started."""
        return bool(self._at_work or ((self._counts["ready"] or self._elsewhere) and not self.draining))

    @property
    def counts(self) -> Counter[State]:
        """How many items are in each state."""
        return self._counts.copy()

    @property
    def num_owed(self) -> int:
        """Items that are neither done nor given up."""
        return sum(self._counts[state] for state in OPEN)

    def at_work(self) -> list[Entry]:
        """What workers do now."""
        return list(self._at_work.values())

    def elsewhere(self) -> list[Entry]:
        """What other processes were at work on."""
        return list(self._elsewhere.values())

    def take(self, slot: int, fits: Callable[[Item], bool] = lambda item: True) -> Entry | None:
        """The next item for a worker, which is at work on it from now on; None where there is none for it now.

        Args:
            fits: whether the worker can take an item
        """
        position = None if self.draining else self._choose(slot, fits)
        if position is None:
            return None
        entry = self.entries[position]
        self._set(entry, "at work")
        entry.slot, entry.began, entry.progress = slot, self._clock(), None
        entry.attempts += 1
        self._let_go(slot, entry.model)
        if entry.model is None:
            del self._alone[bisect_left(self._alone, self._rank_alone(position))]
            self._folders |= _folders(entry.item)
        else:
            heapq.heappop(self._models[entry.model].ready)
            self._models[entry.model].holders.add(slot)
            self._loaded[slot] = entry.model
            self._rank(entry.model)
        return entry

    def openings(self, most: int) -> list[Entry]:
        """Items that new workers would begin with, one for each of as many workers as there is work for now."""
        if self.draining:
            return []
        alone = list(islice(self._startable(), most))
        helped = [_rank_of(name, model) for name, model in self._held() if self._worth(model, self._start_s)]
        models = sorted([*self._free[:most], *helped])
        ranked = [*alone, *(self._models[name].ready[0] for *_, name in models)]
        return [self.entries[position] for position in ranked[:most]]

    def loaded(self, position: int, load_s: float, before_s: float) -> None:
        """The model of an item is in memory.

        Args:
            load_s: seconds that loading it took
            before_s: seconds from the beginning of the item until it was there; a new worker imports torch in them
        """
        entry = self.entries[position]
        entry.began += before_s  # the item's own time begins
        entry.duration_s += before_s
        self._start_s = max(self._start_s, before_s)
        entry.load_s = (entry.load_s or 0.0) + load_s
        if entry.model is not None:
            self._models[entry.model].load_s = load_s

    def ended(self, position: int, state: State, *, run: Path | None = None, message: str = "") -> None:
        """An item is no longer at work; those that wait for it become ready, or blocked. What another process works on
        stays `running` until it is looked at again, and so do those that wait for it."""
        entry = self._finish_attempt(position)
        entry.run, entry.message = run or entry.run, message
        if entry.slot is not None:
            self._warm.add(entry.slot)
        if entry.model is not None and state == "done":
            self._models[entry.model].num_done += 1
            self._models[entry.model].done_s += self._clock() - entry.began
        if state in MET:
            self._set(entry, state)
            for waiting in self._waiting[position]:
                self._open(self.entries[waiting])
        elif state in ("interrupted", "running"):  # what waits for it can be done later
            self._set(entry, state)
            entry.attempts -= state == "running"
        else:
            self._close(entry, state, message)

    def again(self, position: int, message: str) -> None:
        """An item is to be tried once more."""
        entry = self._finish_attempt(position)
        entry.message = message
        self._set(entry, "waiting")
        self._open(entry)

    def look_again(self, position: int) -> None:
        """No other process works on an item any more: a worker is to see what is owed of it."""
        self._set(self.entries[position], "waiting")
        self._open(self.entries[position])

    def worker_gone(self, slot: int) -> None:
        """A worker ended, and its model with it."""
        self._warm.discard(slot)
        self._let_go(slot, None)

    def close(self) -> None:
        """What was not started never will be."""
        for entry in self.entries:
            if entry.state in ("waiting", "ready"):
                self._set(entry, "not started")

    def _set(self, entry: Entry, state: State) -> None:
        self._counts[entry.state] -= 1
        self._counts[state] += 1
        entry.state = state
        for name, entries in (("at work", self._at_work), ("running", self._elsewhere)):
            if state == name:
                entries[entry.position] = entry
            else:
                entries.pop(entry.position, None)

    def _finish_attempt(self, position: int) -> Entry:
        entry = self.entries[position]
        entry.duration_s += self._clock() - entry.began
        entry.progress = None
        self._folders -= _folders(entry.item)
        return entry

    def _open(self, entry: Entry) -> None:
        """Make an item ready whose needs are met."""
        if entry.state != "waiting" or any(self.entries[need].state not in MET for need in entry.needs):
            return
        self._set(entry, "ready")
        if entry.model is None:
            insort(self._alone, self._rank_alone(entry.position))
        else:
            heapq.heappush(self._models.setdefault(entry.model, _Model()).ready, entry.position)
            self._rank(entry.model)

    def _close(self, entry: Entry, state: State, message: str) -> None:
        """Give an item up, and with it those that wait for it."""
        self._set(entry, state)
        entry.message = message
        given_up = [entry]
        while given_up:
            need = given_up.pop()
            for waiting in (self.entries[position] for position in self._waiting[need.position]):
                if waiting.state == "waiting":
                    self._set(waiting, "blocked")
                    waiting.message = f"needs {need.item.name}, which is {need.state}"
                    given_up.append(waiting)

    def _let_go(self, slot: int, model: str | None) -> None:
        """A worker no longer has its model, unless it is this one."""
        if (before := self._loaded.get(slot)) not in (None, model):
            del self._loaded[slot]
            self._models[str(before)].holders.discard(slot)
            self._rank(str(before))

    def _choose(self, slot: int, fits: Callable[[Item], bool]) -> int | None:
        own = self._loaded.get(slot)
        if own is not None and (mine := self._models[own].ready) and fits(self.entries[mine[0]].item):
            return mine[0]
        for position in self._startable():
            if fits(self.entries[position].item):
                return position
        for *_, name in self._free:
            if fits(self.entries[self._models[name].ready[0]].item):
                return self._models[name].ready[0]
        start_s = 0.0 if slot in self._warm else self._start_s
        helped = [
            _rank_of(name, model)
            for name, model in self._held()
            if fits(self.entries[model.ready[0]].item) and self._worth(model, start_s)
        ]
        return self._models[min(helped)[-1]].ready[0] if helped else None

    def _startable(self) -> Iterator[int]:
        """Data sets and trainings that are ready: those for whom most others wait come first."""
        for _, position in self._alone:
            if not self._folders or not _folders(self.entries[position].item) & self._folders:
                yield position

    def _rank_alone(self, position: int) -> tuple[int, int]:
        return -len(self._waiting[position]), position

    def _held(self) -> list[tuple[str, _Model]]:
        """The models that workers have loaded and of which something is ready."""
        return [(name, self._models[name]) for name in set(self._loaded.values()) if self._models[name].ready]

    def _rank(self, name: str) -> None:
        """Put a model in its place among those that wait for a worker, or take it off."""
        model = self._models[name]
        if model.rank is not None:
            del self._free[bisect_left(self._free, model.rank)]
        model.rank = _rank_of(name, model) if model.ready and not model.holders else None
        if model.rank is not None:
            insort(self._free, model.rank)

    def _worth(self, model: _Model, start_s: float) -> bool:
        """Whether the items end sooner when one more worker loads this model than without it.

        Args:
            start_s: seconds that this worker needs beforehand
        """
        if model.load_s is None:
            return False
        so_far = [self._clock() - entry.began for entry in self._at_work.values() if entry.slot in model.holders]
        each_s = model.done_s / model.num_done if model.num_done else max(so_far, default=0.0)
        num_holders = len(model.holders)
        saved_s = each_s * len(model.ready) * (1 / num_holders - 1 / (num_holders + 1))
        return saved_s > max(model.load_s, start_s)


def _rank_of(name: str, model: _Model) -> tuple[int, int, str]:
    return -len(model.ready), model.ready[0], name


def _folders(item: Item) -> set[str]:
    """Folders that two items may not write at once: the world that data sets are built in."""
    return {os.path.abspath(item.config.out)} if isinstance(item.config, DataConfig) else set()
