"""What is wrong with points, collected: one fault of a thousand points is said once, with the first of them."""

from __future__ import annotations

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
    path: str | None
    number: int
    """From 1, within its section."""
    of_all: int | None
    """From 1, among all points that are configs; None for a script."""

    def __str__(self) -> str:
        total = self.recipe.grid.num_points
        number = f"point {self.of_all:,}" if self.of_all is not None else f"script {self.number:,}"
        within = f" ({self.number:,} of {total:,} of {self.recipe.name})" if self.of_all != self.number or total > 1 else ""
        lines = [f"{number}{within}: {Complaints.coordinates(self.point)}".removesuffix(": ")]
        return "\n  ".join([*lines, *([self.path] if self.path else [])])


class Complaints:
    """Faults by section and words, each with its first point and how many more there are."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], list[Any]] = {}
        self._num_points = 0

    @staticmethod
    def coordinates(point: Point) -> str:
        """`seed=1, model=base`."""
        return ", ".join(f"{name}={value}" for name, value in point.items())

    @staticmethod
    def place(recipe: Recipe, point: Point, path: Any, number: int, of_all: int | None) -> Place:
        """Where a point stands; a path that could not be made is left out."""
        return Place(recipe, point, path if isinstance(path, str) else None, number, of_all)

    def add(self, where: Place, error: ConfigError) -> None:
        """One fault of a point."""
        self._num_points += 1
        entry = self._found.setdefault((where.recipe.name, error.message), [where, error, 0])
        entry[2] += 1

    def refuse(self, message: str) -> None:
        """Raise a `ConfigError` if there was a fault. `{points}` of the message is how many points have one."""
        if not self._found:
            return
        shown = [_entry(*found) for found in list(self._found.values())[:MAX_SHOWN]]
        rest = sum(found[2] for found in list(self._found.values())[MAX_SHOWN:])
        if rest:
            shown.append(f"and {rest:,} more points, each wrong in its own way")
        hints = list(dict.fromkeys(found[1].hint for found in self._found.values()))
        hint = hints[0] if len(hints) == 1 else "correct the matrix"
        raise ConfigError("\n".join([message.format(points=f"{self._num_points:,}"), *shown]), hint)


def _entry(where: Place, error: ConfigError, count: int) -> str:
    more = f"\n  and {count - 1:,} more points of {where.recipe.name}" if count > 1 else ""
    said = "\n  ".join(error.message.splitlines())
    return f"{where}\n  {said}{more}"
