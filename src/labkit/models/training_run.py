"""A training run as a source of models: found by name, with the weights that it kept at each of its steps.

Weights stand in the run's `artifacts`: `model` is what the training ended in, `checkpoints/checkpoint-N` what it was after
N steps. A checkpoint counts only when it is sealed: the seal is the last of its files to be written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from labkit.config.base import nearest
from labkit.config.names import RUN_PREFIX
from labkit.errors import InputError, RecordError
from labkit.record.catalog import run_paths
from labkit.record.run import Run, open_run, slug_of, slugify

FINAL = "final"
FINAL_FOLDER = "model"
CHECKPOINTS_FOLDER = "checkpoints"
CHECKPOINT_PREFIX = "checkpoint-"
SEAL_FILE = "complete.json"


@dataclass(frozen=True, slots=True)
class KeptWeights:
    """A folder in which a training run keeps weights."""

    path: Path
    checkpoint: str
    """`final`, or `checkpoint-N`."""


def sealed_checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints in a folder, in the order of their steps."""
    return sorted((path for path in all_checkpoints(folder) if (path / SEAL_FILE).exists()), key=checkpoint_step)


def all_checkpoints(folder: Path) -> list[Path]:
    """Every checkpoint in a folder, torn ones too."""
    return [path for path in folder.glob(CHECKPOINT_PREFIX + "*") if is_checkpoint_name(path.name)]


def is_checkpoint_name(name: str) -> bool:
    """Whether a folder's name is `checkpoint-N`."""
    return name.startswith(CHECKPOINT_PREFIX) and name.removeprefix(CHECKPOINT_PREFIX).isdecimal()


def checkpoint_step(checkpoint: Path) -> int:
    """Optimiser steps done at a checkpoint, from its name."""
    return int(checkpoint.name.removeprefix(CHECKPOINT_PREFIX))


def checkpoints_dir(run: Run) -> Path:
    """Where a training keeps its numbered checkpoints."""
    return run.artifacts_dir / CHECKPOINTS_FOLDER


def final_dir(run: Run) -> Path:
    """Where a finished training keeps its model."""
    return run.artifacts_dir / FINAL_FOLDER


def kept_weights(path: Path) -> tuple[Path, str] | None:
    """The run folder and the checkpoint (`final`, `checkpoint-N`) that a model folder belongs to; None for others."""
    path = path.resolve()
    if path.name == FINAL_FOLDER:
        artifacts, checkpoint = path.parent, FINAL
    elif is_checkpoint_name(path.name) and path.parent.name == CHECKPOINTS_FOLDER:
        artifacts, checkpoint = path.parent.parent, path.name
    else:
        return None
    run_dir = artifacts.parent
    return (run_dir, checkpoint) if artifacts.name == "artifacts" and (run_dir / "run.json").exists() else None


@dataclass(frozen=True, slots=True)
class Trainings:
    """The trainings of runs folders: each folder is listed, and each run read, once at most."""

    _paths: dict[Path, list[Path]] = field(default_factory=dict)
    _read: dict[Path, Run] = field(default_factory=dict)

    def find(self, name: str, runs_dir: Path) -> Run:
        """The newest finished training of a name, or the one of an id.

        Raises:
            InputError: there is none of that name; or there is, but none has finished.
            RecordError: one that may be meant, by the name of its folder, cannot be read.
        """
        if runs_dir not in self._paths:
            self._paths[runs_dir] = list(run_paths(runs_dir, "train"))
        paths, slug = self._paths[runs_dir], slugify(name)
        likely = [path for path in paths if path.name == name or slug_of(path.name) == slug]
        # A folder may have another name than its run; all are read only where none that looks right is.
        named = self._named(name, likely) or self._named(name, paths)
        if not named:
            raise InputError(f"no training under {runs_dir} is called {name!r}", self._known_hint(name, runs_dir))
        finished = [run for run in named if run.status() == "done"]
        if not finished:
            raise _unfinished(max(named, key=lambda run: run.id))
        return max(finished, key=lambda run: run.id)

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
        runs = [self._read[path] for path in self._paths[runs_dir] if path in self._read]
        names = sorted({str(run.manifest.get("name") or run.id) for run in runs})
        if not names:
            return f"{runs_dir} has no training; --runs-dir names another folder of runs"
        guess = nearest(name, names)
        return f"did you mean {RUN_PREFIX}{guess}?" if guess else f"there are: {', '.join(names[-8:])}"


def find_training(name: str, runs_dir: Path) -> Run:
    """`Trainings.find`, of the folder as it is now.

    Raises:
        InputError, RecordError: as `Trainings.find`.
    """
    return Trainings().find(name, runs_dir)


def open_training(path: Path) -> Run:
    """The training run of a folder.

    Raises:
        InputError: it is a run of another command.
    """
    run = open_run(path)
    if run.command != "train":
        raise InputError(f"{path} is a run of labkit {run.command} and has no model", "name a run of labkit train")
    return run


def choose_weights(run: Run, checkpoint: str) -> KeptWeights:
    """The weights of a training run: `final`, `last` (the numbered checkpoint of the highest step), or those of a step.

    Raises:
        InputError: the training has not finished, or keeps no such step. A step's weights are there before the end.
    """
    if not checkpoint.isdecimal():
        _refuse_unfinished(run)
    if checkpoint == FINAL:
        return KeptWeights(final_dir(run), FINAL)
    kept = sealed_checkpoints(checkpoints_dir(run))
    chosen = kept[-1:] if checkpoint == "last" else [path for path in kept if checkpoint_step(path) == int(checkpoint)]
    if not chosen:
        raise InputError(f"{run.path} keeps no checkpoint {_said(checkpoint)}", _steps_hint(run, kept))
    return KeptWeights(chosen[0], chosen[0].name)


def all_weights(run: Run) -> list[KeptWeights]:
    """Every numbered checkpoint in the order of its step, then the final model where no checkpoint holds the same.

    Raises:
        InputError: the training has not finished.
    """
    _refuse_unfinished(run)
    kept = sealed_checkpoints(checkpoints_dir(run))
    numbered = [KeptWeights(path, path.name) for path in kept]
    ended = (run.result() or {}).get("num_steps")
    if kept and checkpoint_step(kept[-1]) == ended:
        return numbered
    return [*numbered, KeptWeights(final_dir(run), FINAL)]


def _refuse_unfinished(run: Run) -> None:
    if run.status() != "done":
        raise _unfinished(run)


def _unfinished(run: Run) -> InputError:
    if run.status() == "running":
        return InputError(f"the training {run.id} is still at work", "wait for it, or name one of its steps")
    return InputError(f"the training {run.id} was interrupted", f"finish it with labkit train --resume {run.path}")


def _said(checkpoint: str) -> str:
    return "at all" if checkpoint == "last" else f"of step {checkpoint}"


def _steps_hint(run: Run, kept: list[Path]) -> str:
    steps = ", ".join(str(checkpoint_step(path)) for path in kept) or "none"
    all_kept = run.manifest["config"].get("keep_checkpoints") == "all"
    more = "" if all_kept else "; a training with keep_checkpoints: all keeps every one"
    return f"steps that it keeps: {steps}{more}"
