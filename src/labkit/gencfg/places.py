"""Which path and which content every point has: no two may have the same."""

from __future__ import annotations

from collections.abc import Iterable

from labkit.config.base import Config
from labkit.errors import ConfigError
from labkit.gencfg.complaints import Complaints, Place
from labkit.gencfg.paths import folders_above


class Places:
    """The paths and contents that are taken, with the points that have them."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints
        self._by_path: dict[str, Place] = {}
        self._by_content: dict[bytes, Place] = {}

    def take(self, path: str, config: Config | None, place: Place) -> bool:
        """Note a point's path, and its config if it is one; False, with a complaint, where another has it.

        Paths that differ only in capitals are one file on some machines.
        """
        other = self._by_path.setdefault(path.casefold(), place)
        if other is not place:
            said = f"the path is that of another point: {other.recipe.name} {other.coordinates}".strip()
            self._complaints.add(place, ConfigError(said, _hint_of_path(other, place)), "path")
            return False
        if config is None:
            return True
        other = self._by_content.setdefault(bytes.fromhex(config.digest()), place)
        if other is not place:
            said = f"the config is that of another point: {other.path}"
            self._complaints.add(place, ConfigError(said, _hint_of_content(other, place)), "config")
        return other is place

    def refuse_files_above_files(self, paths: Iterable[str]) -> None:
        """Complain of paths that would have to be a file and a folder."""
        for folder in sorted({folder.casefold() for path in paths for folder in folders_above(path)}):
            if folder in self._by_path:
                error = ConfigError("the path is a folder of other points", "choose another path")
                self._complaints.add(self._by_path[folder], error)


def _hint_of_path(first: Place, second: Place) -> str:
    if first.recipe is not second.recipe:
        return "give the two sections paths of their own"
    return f"put {_differing(first, second)} into `path`"


def _hint_of_content(first: Place, second: Place) -> str:
    if first.recipe is not second.recipe:
        return "leave one of the two out"
    return f"use {_differing(first, second)} in `base`, or leave one of the points out"


def _differing(first: Place, second: Place) -> str:
    """The axes in which two points differ, as a pattern names them."""
    names = [name for name in second.point if first.point.get(name) != second.point[name]]
    return " and ".join(f"{{{name}}}" for name in names)
