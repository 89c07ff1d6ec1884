"""Removing a run, so that a crash half-way leaves either the run or nothing that looks like one."""

from __future__ import annotations

import shutil

from labkit.record.files import disk_error, sync_folder
from labkit.record.run import Run

_ENDING = ".removed"


def remove(run: Run) -> None:
    """Remove a run folder for good: hidden under another name first, which readers pass over, then emptied.

    What an earlier removal that was cut short left behind in the same folder goes too.

    Raises:
        RecordError: a process is at work on the run, or the folder may not be written.
    """
    path = run.path.resolve()
    with run.locked("remove"):
        try:
            path.rename(path.with_name(f".{path.name}{_ENDING}"))
            sync_folder(path.parent)
        except OSError as error:
            raise disk_error(error, path) from None
    for hidden in path.parent.glob(f".*{_ENDING}"):
        shutil.rmtree(hidden)
