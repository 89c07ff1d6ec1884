"""What has been done of a run says of the rest: seconds, and room on the disk. Loads no model."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from labkit.record.run import Run
from labkit.rollouts.plan import Batch

LONG_S = 600.0
"""Seconds from which on a run says how long it will take."""


def free_bytes(path: Path) -> int:
    """Room on the disk that holds a path, or will."""
    there = path.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def remaining_s(batches: Sequence[Batch], first_s: float) -> float:
    """Seconds that all batches but the first will take, by what the first took. A batch is decoded whole, whatever part of
    it is owed."""
    return first_s * sum(len(batch) for batch in batches[1:]) / len(batches[0])


def disk_doubt(num_bytes: float, free: int) -> str | None:
    """A sentence where so many bytes will not fit; None where they will."""
    if num_bytes <= free:
        return None
    need, room = f"{num_bytes / 1e6:,.0f} MB", f"{free / 1e6:,.0f} MB"
    return f"the disk is too small: about {need} are to be written, {room} are free"


def projection(run: Run, batches: Sequence[Batch], num_new: int, owed: int, elapsed_s: float) -> list[str]:
    """What to say once, when the first batch of a run is on disk: that it will take long, or more room than there is.

    Args:
        batches: all that were owed something, the first among them
        num_new: rollouts of the first that were owed
        owed: rollouts that were owed before it
        elapsed_s: that the first took
    """
    if not num_new or len(batches) < 2:
        return []
    said = []
    if (left_s := remaining_s(batches, elapsed_s)) > LONG_S:
        said.append(f"about {_duration(left_s)} to go: the first {num_new} of {owed} rollouts took {elapsed_s:.0f} s")
    segments = sorted(run.rows_dir.glob("*.jsonl"))
    row_bytes = segments[-1].stat().st_size / num_new if segments else 0.0
    doubt = disk_doubt(row_bytes * (owed - num_new), free_bytes(run.path))
    return [*said, doubt] if doubt else said


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
