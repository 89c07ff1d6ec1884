"""Checkpoint folders that count only when they are whole.

A trainer writes many files into `checkpoint-N`; a kill in the middle leaves some of them. The last file to be written
is the seal, after everything else has reached the disk, and a folder without it does not exist for labkit. The seal
also holds the settings of the training, so that a training is only ever resumed with its own. Knows nothing of models.

A training goes on from a checkpoint that holds the state of its optimiser too; a thinned one has the weights only.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labkit.errors import RecordError
from labkit.models.training_run import SEAL_FILE, all_checkpoints, checkpoint_step, sealed_checkpoints
from labkit.record.files import read_json, sync_files, sync_folder, write_json_atomically

# The first of them says whether a checkpoint holds a training's state, so it is the first to go.
_STATE_FILES = (
    "trainer_state.json",
    "optimizer.pt",
    "scheduler.pt",
    "scaler.pt",
    "rng_state.pth",
    "training_args.bin",
)


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of the highest step in a folder that a training can go on from; None where there is none."""
    resumable = [path for path in sealed_checkpoints(folder) if (path / _STATE_FILES[0]).exists()]
    return resumable[-1] if resumable else None


def seal_checkpoint(checkpoint: Path, settings: Mapping[str, Any]) -> None:
    """Declare a checkpoint whole, once all that it holds is on the disk."""
    sync_files(checkpoint)
    write_json_atomically(checkpoint / SEAL_FILE, {"step": checkpoint_step(checkpoint), "settings": dict(settings)})
    sync_folder(checkpoint.parent)


def check_resumable(checkpoint: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that is torn or comes from a training with other settings.

    Raises:
        RecordError: names the first setting that differs.
    """
    if not (checkpoint / SEAL_FILE).exists():
        raise RecordError(f"{checkpoint} is no complete checkpoint", "name one that holds complete.json")
    sealed = read_json(checkpoint / SEAL_FILE).get("settings", {})
    for key in sorted({*settings, *sealed}):
        if sealed.get(key) != settings.get(key):
            raise RecordError(
                f"{checkpoint} was trained with {key} = {sealed.get(key)}, now it is {settings.get(key)}",
                "resume with the settings it was started with, or start a new training",
            )


def discard_beyond(folder: Path, resume_from: Path | None) -> None:
    """Clear away what a resumed training will write again: torn checkpoints, and those past `resume_from`.

    Raises:
        RecordError: the training starts from nothing, but complete checkpoints are there.
    """
    complete = sealed_checkpoints(folder)
    reached = -1 if resume_from is None else checkpoint_step(resume_from)
    if resume_from is None and any(checkpoint_step(checkpoint) for checkpoint in complete):
        raise RecordError(f"{folder} holds checkpoints of an earlier training", "resume it, or name an empty folder")
    for checkpoint in all_checkpoints(folder):
        if checkpoint not in complete or checkpoint_step(checkpoint) > reached:
            _remove(checkpoint)


def prune_checkpoints(folder: Path, *, num_kept: int) -> None:
    """Remove all complete checkpoints but the newest `num_kept`."""
    for checkpoint in sealed_checkpoints(folder)[:-num_kept]:
        _remove(checkpoint)


def thin_checkpoints(folder: Path, *, num_resumable: int) -> None:
    """Leave only the weights of all complete checkpoints but the newest `num_resumable`."""
    for checkpoint in sealed_checkpoints(folder)[:-num_resumable]:
        for name in _STATE_FILES:
            (checkpoint / name).unlink(missing_ok=True)


def _remove(checkpoint: Path) -> None:
    """The seal goes first: a kill in between leaves a torn folder, never a torn one that looks whole."""
    (checkpoint / SEAL_FILE).unlink(missing_ok=True)
    sync_folder(checkpoint)
    shutil.rmtree(checkpoint)
