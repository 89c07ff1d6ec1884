"""A training run as a source of models: found by name, with the weights that it kept at each of its steps.

Weights stand in the run's `artifacts`: `model` is what the training ended in, `checkpoints/checkpoint-N` what it was after
N steps. A checkpoint counts only when it is sealed: the seal is the last of its files to be written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labkit.errors import InputError
from labkit.record.named_runs import NamedRuns, unfinished
from labkit.record.run import Run, open_run

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


def find_training(name: str, runs_dir: Path) -> Run:
    """`NamedRuns.training`, of the folder as it is now.

    Raises:
        InputError, RecordError: as `NamedRuns.training`.
    """
    return NamedRuns().training(name, runs_dir)


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
        raise unfinished(run)


def _said(checkpoint: str) -> str:
    return "at all" if checkpoint == "last" else f"of step {checkpoint}"


def _steps_hint(run: Run, kept: list[Path]) -> str:
    steps = ", ".join(str(checkpoint_step(path)) for path in kept) or "none"
    all_kept = run.manifest["config"].get("keep_checkpoints") == "all"
    more = "" if all_kept else "; a training with keep_checkpoints: all keeps every one"
    return f"steps that it keeps: {steps}{more}"
