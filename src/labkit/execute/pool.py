"""What a runner asks of its workers, wherever they are."""

from __future__ import annotations

from typing import Protocol

from labkit.execute.items import Item
from labkit.execute.messages import Event, Request


class Pool(Protocol):
    """Workers in numbered slots; each slot has one at a time, or none."""

    num_slots: int

    def fits(self, slot: int, item: Item) -> bool:
        """Whether the worker of a slot, or the one that could be started there, can take an item."""
        ...

    def start(self, slot: int, item: Item) -> None:
        """Start a worker that can take such an item. It says `ready` when it can take one."""
        ...

    def give(self, slot: int, request: Request) -> None:
        """Hand a ready worker an item; it will say that it `ended`, or it is noticed that the worker did."""
        ...

    def wait(self, timeout_s: float) -> list[Event]:
        """What was said and noticed since the last time, as soon as there is something, or after a while nothing."""
        ...

    def dismiss(self, slot: int) -> None:
        """Let the worker of a slot go; it has no item."""
        ...

    def interrupt(self) -> list[Event]:
        """Tell all workers to stop what they do, and wait until they have; gives what they said last."""
        ...

    def close(self) -> None:
        """Let all workers go, and leave nothing behind."""
        ...
