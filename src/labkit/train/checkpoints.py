"""Checkpoint folders that count only when they are whole.

A trainer writes many files into `checkpoint-N`; a kill in the middle leaves some of them. The last file to be written
is the seal, after everything else has reached the disk, and a folder without it does not exist for labkit. The seal
also holds the settings of the training, so that a training is only ever resumed with its own. Knows nothing of models.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labkit.errors import RecordError
from labkit.record.files import read_json, sync_files, sync_folder, write_json_atomically

SEAL_FILE = "complete.json"
_PREFIX = "checkpoint-"


def newest_checkpoint(folder: Path) -> Path | None:
    """The complete checkpoint of the highest step in a folder; None where there is none."""
    return max(_complete(folder), key=checkpoint_step, default=None)


def checkpoint_step(checkpoint: Path) -> int:
    """Optimiser steps done at a checkpoint, from its name."""
    return int(checkpoint.name.removeprefix(_PREFIX))


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
    complete = _complete(folder)
    if resume_from is None and complete:
        raise RecordError(f"{folder} holds checkpoints of an earlier training", "resume it, or name an empty folder")
    for checkpoint in _all(folder):
        if checkpoint not in complete or (resume_from and checkpoint_step(checkpoint) > checkpoint_step(resume_from)):
            _remove(checkpoint)


def prune_checkpoints(folder: Path, *, num_kept: int) -> None:
    """Remove all complete checkpoints but the newest `num_kept`."""
    for checkpoint in sorted(_complete(folder), key=checkpoint_step)[:-num_kept]:
        _remove(checkpoint)


def _all(folder: Path) -> list[Path]:
    return [path for path in folder.glob(_PREFIX + "*") if path.name.removeprefix(_PREFIX).isdecimal()]


def _complete(folder: Path) -> list[Path]:
    return [path for path in _all(folder) if (path / SEAL_FILE).exists()]


def _remove(checkpoint: Path) -> None:
    """The seal goes first: a kill in between leaves a torn folder, never a torn one that looks whole."""
    (checkpoint / SEAL_FILE).unlink(missing_ok=True)
    sync_folder(checkpoint)
    shutil.rmtree(checkpoint)
