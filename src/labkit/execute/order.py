"""What must be carried out before what: a data set before the training that reads it, a training before its evaluation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.config.references import Reference, made_by, needed_by
from labkit.errors import ConfigError, LabkitError
from labkit.execute.items import Item, several
from labkit.execute.lookup import Found
from labkit.record.named_runs import NamedRuns


@dataclass(frozen=True, slots=True)
class Order:
    """The needs of N items, by their positions."""

    needs: tuple[tuple[int, ...], ...]
    """For each item those that must be done before it."""
    missing: tuple[tuple[str, ...], ...]
    """For each item what it needs that neither is there nor is made by any of them, in words."""

    def waiting(self) -> list[list[int]]:
        """For each item those that wait for it."""
        found: list[list[int]] = [[] for _ in self.needs]
        for position, needs in enumerate(self.needs):
            for need in needs:
                found[need].append(position)
        return found

    def sequence(self) -> list[int]:
        """Positions such that each comes after all that it needs, else as they are."""
        depth: dict[int, int] = {}

        def depth_of(position: int) -> int:
            if position not in depth:
                depth[position] = 1 + max(map(depth_of, self.needs[position]), default=0)
            return depth[position]

        return sorted(range(len(self.needs)), key=depth_of)


def find_order(items: Sequence[Item]) -> Order:
    """Who needs whom.

    Raises:
        ConfigError: items need each other in a circle, or a run is needed that several of them make; shows which.
    """
    makers = _makers(items)
    there = _There()
    needs, missing, errors = [], [], []
    for item in items:
        found: set[int] = set()
        absent = []
        for reference in needed_by(item.config):
            made_here = _made_here(reference, makers)
            found.update(made_here)
            if len(made_here) > 1 and reference.kind != "path":
                errors.append(_ambiguous(item, reference, [items[maker].name for maker in made_here]))
            if not made_here and (why := there.absence(reference)) is not None:
                absent.append(f"{reference.key}: {why}")
        needs.append(tuple(sorted(found)))
        missing.append(tuple(absent))
    if circle := _circle(needs):
        errors.append(_circle_text(items, circle))
    if errors:
        raise several(errors)
    return Order(tuple(needs), tuple(missing))


def _makers(items: Sequence[Item]) -> dict[Reference, list[int]]:
    makers: dict[Reference, list[int]] = {}
    for position, item in enumerate(items):
        for made in made_by(item.config):
            makers.setdefault(_key(made), []).append(position)
    return makers


def _key(reference: Reference) -> Reference:
    """The same thing is equal from whatever folder its path is written, and whichever key names it."""
    if reference.kind == "path":
        return Reference("path", os.path.abspath(reference.name))
    return Reference(reference.kind, reference.name, os.path.abspath(reference.runs_dir))


def _made_here(reference: Reference, makers: dict[Reference, list[int]]) -> list[int]:
    """Who makes it."""
    return next((makers[key] for key in _key(reference).made_with() if key in makers), [])


class _There:
    """What is on this disk, looked up once."""

    def __init__(self) -> None:
        self._known: dict[Reference, str | None] = {}
        self._runs = NamedRuns()

    def absence(self, reference: Reference) -> str | None:
        """Why something cannot be used, in words; None where it is there."""
        key = _key(reference)
        if key not in self._known:
            self._known[key] = self._look_up(reference)
        return self._known[key]

    def _look_up(self, reference: Reference) -> str | None:
        if reference.kind == "path":
            return None if os.path.exists(reference.name) else f"there is no {reference.name}"
        try:
            self._runs.find(reference.kind, reference.name, Path(reference.runs_dir))
        except LabkitError as error:
            return error.message
        return None


def _circle(needs: Sequence[Sequence[int]]) -> list[int]:
    """Positions of which each needs the next, and the last the first; empty where there is no such circle."""
    left = {position: set(found) for position, found in enumerate(needs)}
    while free := [position for position, found in left.items() if not found & left.keys()]:
        for position in free:
            del left[position]
    if not left:
        return []
    path = [min(left)]
    while (following := min(left[path[-1]] & left.keys())) not in path:
        path.append(following)
    return path[path.index(following) :]


def _circle_text(items: Sequence[Item], circle: Sequence[int]) -> str:
    return "\n".join(["these configs need each other:", *_circle_lines(items, circle)])


def _circle_lines(items: Sequence[Item], circle: Sequence[int]) -> Iterator[str]:
    for position, following in zip(circle, [*circle[1:], circle[0]], strict=True):
        made = {_key(reference) for reference in made_by(items[following].config)}
        need = next(each for each in needed_by(items[position].config) if _key_made(each, made))
        what = need.name if need.kind == "path" else f"run:{need.name}"
        yield f"  {items[position].name} needs {what} ({need.key}), which {items[following].name} makes"


def _key_made(reference: Reference, made: set[Reference]) -> bool:
    return bool(_made_here(reference, {key: [0] for key in made}))


def _ambiguous(item: Item, reference: Reference, makers: Sequence[str]) -> str:
    return f"{item.name} needs run:{reference.name} ({reference.key}), which {' and '.join(makers)} all make"


def refuse_missing(items: Sequence[Item], order: Order, found: Sequence[Found]) -> None:
    """Refuse to start where an item that is not done needs something that is not there.

    Raises:
        ConfigError: names every item and what it lacks.
    """
    lines = [
        f"{item.name}: {what}, and none of these configs makes it"
        for item, absent, there in zip(items, order.missing, found, strict=True)
        for what in absent
        if there.state != "done"
    ]
    if lines:
        error = several(lines)
        raise ConfigError(error.message, "make it first, or add its config; --keep-going carries out the others")
