"""What a name stands for where a config names a run: the newest finished one of that name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from labkit.config.base import nearest
from labkit.config.names import ROLLOUT_COMMANDS, RUN_PREFIX
from labkit.errors import InputError, RecordError
from labkit.record.catalog import find_run, run_paths
from labkit.record.run import Run, open_run, slug_of, slugify

Kind = Literal["run", "rollouts"]
"""`run` is a training, by the model that it makes; `rollouts` a run of any command that makes some."""

_COMMANDS: dict[Kind, Sequence[str]] = {"run": ("train",), "rollouts": ROLLOUT_COMMANDS}


@dataclass(frozen=True, slots=True)
class NamedRuns:
    """The runs of runs folders: each folder is listed, and each run read, once at most."""

    _paths: dict[tuple[Kind, Path], list[Path]] = field(default_factory=dict)
    _read: dict[Path, Run] = field(default_factory=dict)

    def find(self, kind: Kind, name: str, runs_dir: Path) -> Run:
        """What a name means: `training` or `rollouts`.

        Raises:
            InputError, RecordError: as these.
        """
        return self.training(name, runs_dir) if kind == "run" else self.rollouts(name, runs_dir)

    def training(self, name: str, runs_dir: Path) -> Run:
        """The newest finished training of a name, or the one of an id.

        Raises:
            InputError: there is none of that name; or there is, but none has finished.
            RecordError: one that may be meant, by the name of its folder, cannot be read.
        """
        named = self._of_name("run", name, runs_dir)
        if not named:
            raise InputError(f"no training under {runs_dir} is called {name!r}", self._known_hint(name, runs_dir))
        return _newest_finished(named)

    def rollouts(self, name: str, runs_dir: Path) -> Run:
        """The newest finished run of a name among those that make rollouts, or else what `find_run` takes the name for:
        a path, an id or a part of one, or `last`.

        Raises:
            InputError: there is one of that name, but none that has finished. RecordError: none fits, or several do; or one
                that may be meant, by the name of its folder, cannot be read.
        """
        is_path = (Path(name) / "run.json").exists()
        named = [] if is_path else self._of_name("rollouts", name.removeprefix(RUN_PREFIX), runs_dir)
        return _newest_finished(named) if named else find_run(name, runs_dir, "eval")

    def _of_name(self, kind: Kind, name: str, runs_dir: Path) -> list[Run]:
        """The runs that have a name, or an id."""
        if (kind, runs_dir) not in self._paths:
            self._paths[kind, runs_dir] = [path for word in _COMMANDS[kind] for path in run_paths(runs_dir, word)]
        paths, slug = self._paths[kind, runs_dir], slugify(name)
        likely = [path for path in paths if path.name == name or slug_of(path.name) == slug]
        # A folder may have another name than its run; all are read only where none that looks right is.
        return self._named(name, likely) or self._named(name, paths)

    def _named(self, name: str, paths: Iterable[Path]) -> list[Run]:
        for path in paths:
            if path not in self._read:
                try:
                    self._read[path] = open_run(path)
                except RecordError:
                    if slugify(name) in path.name:
                        raise
        runs = [self._read[path] for path in paths if path in self._read]
        return [run for run in runs if name in (run.manifest.get("name"), run.id)]

    def _known_hint(self, name: str, runs_dir: Path) -> str:
        runs = [self._read[path] for path in self._paths["run", runs_dir] if path in self._read]
        names = sorted({str(run.manifest.get("name") or run.id) for run in runs})
        if not names:
            return f"{runs_dir} has no training; --runs-dir names another folder of runs"
        guess = nearest(name, names)
        return f"did you mean {RUN_PREFIX}{guess}?" if guess else f"there are: {', '.join(names[-8:])}"


def _newest_finished(runs: Sequence[Run]) -> Run:
    finished = [run for run in runs if run.status() == "done"]
    if not finished:
        raise unfinished(max(runs, key=lambda run: run.id))
    return max(finished, key=lambda run: run.id)


def unfinished(run: Run) -> InputError:
    """Why a run that is not done cannot be used."""
    what = f"the training {run.id}" if run.command == "train" else run.id
    if run.status() == "running":
        return InputError(
            f"{what} is not done: it is still at work",
            "wait for it, or name one of its steps" if run.command == "train" else "wait for it",
        )
    return InputError(f"{what} is not done: it was interrupted", f"finish it with {run.way_on}")
