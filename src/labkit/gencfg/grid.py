"""The points of a section: its axes multiplied, filtered and added to, and the sum of that in words."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from labkit.config.base import nearest
from labkit.errors import ConfigError
from labkit.gencfg.matrix import Section
from labkit.gencfg.patterns import is_name, value_key
from labkit.gencfg.registry import LISTS

Point = dict[str, Any]

MAX_POINTS = 5_000_000
"""More are a mistake in an axis, and would not fit into memory."""


@dataclass(frozen=True)
class Grid:
    """The axes of a section with their values, and how they combine."""

    where: str
    """The section as messages name it."""
    axes: Mapping[str, Sequence[Any]]
    groups: Sequence[tuple[str, ...]]
    """Axes that go together; an axis of its own is a group of one."""
    include: Sequence[Mapping[str, Any]] = ()
    exclude: Sequence[Mapping[str, Any]] = ()
    add: Sequence[Mapping[str, Any]] = field(default=())

    @property
    def num_product(self) -> int:
        """Points before anything is left out or added."""
        return math.prod(len(self.axes[group[0]]) for group in self.groups)

    def points(self) -> Iterator[Point]:
        """Every point, the last axis changing fastest, then those that were added."""
        rows = [list(zip(*(self.axes[name] for name in group), strict=True)) for group in self.groups]
        names = [name for group in self.groups for name in group]
        for combination in itertools.product(*rows):
            point = dict(zip(names, itertools.chain.from_iterable(combination), strict=True))
            if self._stays(point):
                yield point
        yield from ({name: entry[name] for name in names} for entry in self.add)

    @cached_property
    def num_points(self) -> int:
        """Points that stay."""
        if not self.include and not self.exclude:
            return self.num_product + len(self.add)
        return sum(1 for _ in self.points())

    @property
    def arithmetic(self) -> str:
        """How the number of points comes about: `3 seeds × 22 models`. Of axes that go together the first is named."""
        factors = [_counted(len(self.axes[group[0]]), group[0]) for group in self.groups]
        text = " × ".join(factors) or "1"
        left_out = self.num_product + len(self.add) - self.num_points
        text += f" − {left_out} left out" if left_out else ""
        return text + (f" + {len(self.add)} added" if self.add else "")

    def _stays(self, point: Point) -> bool:
        if self.include and not any(_fits(point, entry) for entry in self.include):
            return False
        return not any(_fits(point, entry) for entry in self.exclude)


def grid_of(section: Section, where: str, lists: Mapping[str, Sequence[Any]]) -> Grid:
    """The grid of a section.

    Args:
        lists: the matrix's own lists

    Raises:
        ConfigError: an axis is empty, unknown or no list; a zip does not go up; a filter meets nothing; no point is left.
    """
    axes = {name: _axis(values, f"{where}.axes.{name}", lists) for name, values in section.axes.items()}
    grid = Grid(where, axes, _groups(section, axes, where), section.include, section.exclude, section.add)
    if grid.num_product > MAX_POINTS:
        raise ConfigError(f"{where} has {grid.num_product:,} points ({grid.arithmetic})", f"at most {MAX_POINTS:,}")
    _check_entries(grid)
    if not grid.num_points:
        raise ConfigError(f"{where}: no point is left", "look at its `include` and `exclude`")
    return grid


def _axis(values: Any, where: str, lists: Mapping[str, Sequence[Any]]) -> list[Any]:
    name = where.rsplit(".", 1)[-1]
    if not is_name(name):
        raise ConfigError(f"{where}: {name!r} cannot stand between braces", "use letters, digits and _")
    items = values if isinstance(values, list) else [values]
    found = [value for item in items for value in _item(item, where, lists)]
    if not isinstance(values, (list, Mapping)):
        raise ConfigError(f"{where} is no list (got {_shown(values)})", f"write {name}: [{_shown(values)}]")
    if not found:
        raise ConfigError(
            f"{where} is empty, so there would be no point at all", "give it a value, or leave the axis out"
        )
    _refuse_repeats(found, where)
    return found


def _item(item: Any, where: str, lists: Mapping[str, Sequence[Any]]) -> Iterable[Any]:
    """An item of an axis: a value, or what stands for several."""
    if not isinstance(item, Mapping):
        return [item]
    if set(item) == {"each"}:
        return _named_list(item["each"], where, lists)
    if set(item) == {"from", "to"} and all(type(end) is int for end in item.values()):
        if item["to"] - item["from"] >= MAX_POINTS:
            raise ConfigError(f"{where} has {item['to'] - item['from'] + 1:,} values", f"at most {MAX_POINTS:,}")
        return range(item["from"], item["to"] + 1)
    hint = "write a value, {each: NAME}, or {from: 1, to: 5}"
    raise ConfigError(f"{where}: {_shown(item)} is no item of an axis", hint)


def _named_list(name: Any, where: str, lists: Mapping[str, Sequence[Any]]) -> Sequence[Any]:
    known = {**LISTS, **lists}
    if name not in known:
        guess = nearest(str(name), known)
        hint = f"did you mean {guess}?" if guess else f"there are: {', '.join(sorted(known))}"
        raise ConfigError(f"{where}: there is no list {name}", hint)
    return known[name]


def _refuse_repeats(values: Sequence[Any], where: str) -> None:
    seen = set()
    for value in values:
        key = value_key(value)
        if key in seen:
            raise ConfigError(f"{where}: {_shown(value)} stands there twice", "leave one out")
        seen.add(key)


def _groups(section: Section, axes: Mapping[str, Sequence[Any]], where: str) -> list[tuple[str, ...]]:
    """Every axis in one group, in the order of the first axis of each."""
    zipped: dict[str, tuple[str, ...]] = {}
    for names in section.zip:
        for name in names:
            _refuse_unknown_axis(name, axes, f"{where}.zip")
            if name in zipped:
                raise ConfigError(f"{where}.zip names {name} twice", "an axis goes with one group")
            zipped[name] = names
        lengths = {name: len(axes[name]) for name in names}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise ConfigError(f"{where}.zip: axes that go together need as many values each: {counts}", "even them out")
    groups = []
    for name in axes:
        group = zipped.get(name, (name,))
        if group not in groups:
            groups.append(group)
    return groups


def _check_entries(grid: Grid) -> None:
    for kind in ("include", "exclude", "add"):
        for number, entry in enumerate(getattr(grid, kind), start=1):
            _check_entry(grid, entry, kind, f"{grid.where}.{kind}, entry {number}")
    _refuse_idle_entries(grid)


def _check_entry(grid: Grid, entry: Mapping[str, Any], kind: str, where: str) -> None:
    for name, value in entry.items():
        _refuse_unknown_axis(name, grid.axes, where)
        if kind != "add" and not any(_same(value, there) for there in grid.axes[name]):
            there = ", ".join(_shown(known) for known in grid.axes[name][:8])
            guess = nearest(str(value), [known for known in grid.axes[name] if isinstance(known, str)])
            raise ConfigError(
                f"{where}: the axis {name} has no value {_shown(value)}",
                f"did you mean {guess}?" if guess else f"it has {there}{', …' if len(grid.axes[name]) > 8 else ''}",
            )
    if kind == "add" and (missing := [name for name in grid.axes if name not in entry]):
        raise ConfigError(f"{where} says nothing of {', '.join(missing)}", "a point names every axis")


def _refuse_idle_entries(grid: Grid) -> None:
    """An exclusion that meets no point is a mistake that nobody would notice."""
    waiting = {("include", at) for at in range(len(grid.include))} | {
        ("exclude", at) for at in range(len(grid.exclude))
    }
    if len({name for group in grid.groups for name in group}) == len(grid.groups):
        return  # without zips every combination of values that exist is a point
    for point in Grid(grid.where, grid.axes, grid.groups).points():
        waiting = {(kind, at) for kind, at in waiting if not _fits(point, getattr(grid, kind)[at])}
        if not waiting:
            return
    kind, at = min(waiting)
    raise ConfigError(f"{grid.where}.{kind}, entry {at + 1}, fits no point", "correct it or leave it out")


def _refuse_unknown_axis(name: str, axes: Iterable[str], where: str) -> None:
    known = list(axes)
    if name not in known:
        guess = nearest(name, known)
        hint = f"did you mean {guess}?" if guess else f"axes here: {', '.join(known) or 'none'}"
        raise ConfigError(f"{where}: there is no axis {name}", hint)


def _fits(point: Point, entry: Mapping[str, Any]) -> bool:
    return all(_same(point[name], value) for name, value in entry.items())


def _same(left: Any, right: Any) -> bool:
    """Equal as YAML values: 1 is 1.0, and true is no number."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"


def _counted(count: int, name: str) -> str:
    """`1 seed`, `3 seeds`, `2 batches`."""
    if count != 1 and not name.endswith("s"):
        ends_in_y = name.endswith("y") and name[-2:-1] not in "aeiou"
        name = name[:-1] + "ies" if ends_in_y else name + ("es" if name.endswith(("x", "ch", "sh")) else "s")
    return f"{count:,} {name}"
