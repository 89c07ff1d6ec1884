"""What the configs of a matrix need of each other and of the world around them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from labkit.config.base import Config
from labkit.config.references import Reference, made_by, needed_by
from labkit.errors import ConfigError, LabkitError
from labkit.record.catalog import run_paths
from labkit.record.run import open_run


class Needs:
    """Every distinct reference of the configs, and which config makes what."""

    def __init__(self) -> None:
        self.needed: dict[Reference, set[str]] = {}
        """Things that are named as input, with the sections that name them."""
        self.made: dict[Reference, str] = {}
        """Things that configs make, with the path of the first config that does."""
        self.made_twice: dict[Reference, str] = {}
        """Things that another config makes as well, with its path."""
        self._inputs: dict[str, list[Reference]] = {}

    def add(self, config: Config, group: str, path: str) -> None:
        """Take note of one config."""
        inputs = [replace(reference, key="") for reference in needed_by(config)]
        for reference in inputs:
            self.needed.setdefault(reference, set()).add(group)
        outputs = [replace(reference, key="") for reference in made_by(config)]
        for reference in outputs:
            if self.made.setdefault(reference, path) != path:
                self.made_twice[reference] = path
        if outputs:
            self._inputs[path] = inputs

    def maker(self, needed: Reference) -> str | None:
        """The path of the config that makes a thing, or the folder it lies in; None if none does."""
        made = self._made(needed)
        return None if made is None else self.made[made]

    def missing(self, folders: Collection[Path], runs_dir: str | None = None) -> dict[Reference, set[str]]:
        """Things that no config makes and that are not there, with the sections that need them.

        Args:
            folders: where relative paths are looked for
            runs_dir: a folder of runs beside those that the configs name
        """
        open_ends = {ref: groups for ref, groups in self.needed.items() if self.maker(ref) is None}
        finished: dict[tuple[str, str], set[str]] = {}
        found = {}
        for reference, groups in open_ends.items():
            if reference.kind != "path":
                sort = (reference.kind, reference.runs_dir)
                if sort not in finished:
                    places = [folder / name for folder in folders for name in (reference.runs_dir, runs_dir) if name]
                    finished[sort] = _finished_runs(places, trainings=reference.kind == "run")
                there = reference.name in finished[sort]
            else:
                there = any((folder / reference.name).exists() for folder in folders)
            if not there:
                found[reference] = groups
        return found

    def refuse_two_makers(self) -> None:
        """Raise a `ConfigError` if something that a config needs is made by two others, naming them."""
        for needed in self.needed:
            made = self._made(needed)
            if made in self.made_twice:
                what = made.name if made.kind == "path" else f"run:{made.name}"
                raise ConfigError(
                    f"two configs make {what}, which others need:\n  {self.made[made]}\n  {self.made_twice[made]}",
                    "give each an `out` of its own" if made.kind == "path" else "give each a `name` of its own",
                )

    def _made(self, needed: Reference) -> Reference | None:
        """What some config makes that a needed thing is, or lies in."""
        return next((made for made in needed.made_with() if made in self.made), None)

    def refuse_cycles(self) -> None:
        """Raise a `ConfigError` if configs wait for each other, naming them."""
        waits_for = {
            path: [maker for reference in inputs if (maker := self.maker(reference)) is not None]
            for path, inputs in self._inputs.items()
        }
        cycle = _cycle(waits_for)
        if cycle:
            around = " needs\n  ".join([*cycle, cycle[0]])
            raise ConfigError(
                f"configs wait for each other, so none can be carried out:\n  {around}",
                "a training cannot go on from what comes after it: look at `name` and `model.id`",
            )


def _finished_runs(places: Collection[Path], *, trainings: bool) -> set[str]:
    """Names and ids of the finished trainings, or of all other finished runs, under some runs folders."""
    names = set()
    for runs in dict.fromkeys(map(os.path.abspath, places)):
        for path in run_paths(Path(runs)):
            if (path.parent.name == "train") != trainings:
                continue
            try:
                run = open_run(path)
                if run.status() == "done":
                    names |= {run.id, str(run.manifest.get("name"))}
            except LabkitError:  # a damaged run is no reason not to write configs
                continue
    return names


def _cycle(waits_for: Mapping[str, list[str]]) -> list[str]:
    """One cycle of a graph, or nothing; without recursion, because chains may be long."""
    finished: set[str] = set()
    for start in waits_for:
        path: list[str] = []
        stack: list[tuple[str, Iterator[str]]] = []
        if start not in finished:
            path, stack = [start], [(start, iter(waits_for[start]))]
        on_path = set(path)
        while stack:
            node, following = stack[-1]
            after = next(following, None)
            if after is None:
                stack.pop()
                on_path.discard(path.pop())
                finished.add(node)
            elif after in on_path:
                return path[path.index(after) :]
            elif after not in finished:
                path.append(after)
                on_path.add(after)
                stack.append((after, iter(waits_for.get(after, ()))))
    return []
