"""What is wrong with points, collected: one sort of fault of a thousand points is said once, with the first of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from labkit.errors import ConfigError
from labkit.gencfg.grid import Point
from labkit.gencfg.recipe import Recipe

MAX_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where a point stands."""

    recipe: Recipe
    point: Point
    path: str | ConfigError
    """Its path, or why it has none."""
    number: int
    """From 1, within its section."""
    of_all: int | None
    """From 1, among all points that are configs; None for a script."""

    def __str__(self) -> str:
        kind = f"point {self.of_all:,}" if self.of_all is not None else "script"
        number = f"{kind} ({self.recipe.name}, {self.number:,} of {self.recipe.grid.num_points:,})"
        lines = [f"{number}: {self.coordinates}" if self.point else number]
        return "\n  ".join([*lines, *([self.path] if isinstance(self.path, str) else [])])

    @property
    def coordinates(self) -> str:
        """`seed=1, model=base`."""
        shown = {name: value if isinstance(value, str) else json.dumps(value) for name, value in self.point.items()}
        return ", ".join(f"{name}={value}" for name, value in shown.items())


class Complaints:
    """Faults by section and words, each with its first point and how many more there are."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], list[Any]] = {}
        self.num_points = 0
        """How many faults there are, which is one for each point that has any."""

    def add(self, where: Place, error: ConfigError, sort: str = "") -> None:
        """One fault of a point. Faults of a section that are of one sort, or say the same, are told once."""
        self.num_points += 1
        entry = self._found.setdefault((where.recipe.name, sort or error.message), [where, error, 0])
        entry[2] += 1

    def refuse(self, what: str, num_points: int) -> None:
        """Raise a `ConfigError` that begins with `what` if one of so many points has a fault."""
        if not self._found:
            return
        faults = list(self._found.values())
        hints = {error.hint for _, error, _ in faults}
        shown = [_entry(*fault, with_hint=len(hints) > 1) for fault in faults[:MAX_SHOWN]]
        rest = sum(count for _, _, count in faults[MAX_SHOWN:])
        if rest:
            shown.append(f"and {rest:,} more points, each wrong in its own way")
        hint = "correct the matrix" if len(hints) > 1 else hints.pop()
        one = "is" if self.num_points == 1 else "are"
        counted = f"nothing is written, because {self.num_points:,} of {num_points:,} points {one} wrong"
        raise ConfigError("\n".join([f"{what}: {counted}", *shown]), hint)


def _entry(where: Place, error: ConfigError, count: int, *, with_hint: bool) -> str:
    points = "point" if count == 2 else "points"
    more = f"\n  and {count - 1:,} more {points} of {where.recipe.name}" if count > 1 else ""
    said = "\n  ".join([*error.message.splitlines(), *([f"→ {error.hint}"] if with_hint else [])])
    return f"{where}\n  {said}{more}"
