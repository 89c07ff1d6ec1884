"""What the first batch of a run says of the rest: seconds, and room on the disk. Loads no model."""

from __future__ import annotations

import shutil
from pathlib import Path

from labkit.record.run import Run

LONG_S = 600.0
"""Seconds from which on a run says how long it will take."""


def free_bytes(path: Path) -> int:
    """Room on the disk that holds a path, or will."""
    there = path.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def projection(run: Run, num_new: int, owed: int, elapsed_s: float) -> list[str]:
    """What to say once, when the first batch of a run is on disk: that it will take long, or more room than there is.

    Args:
        num_new: rollouts of the first batch
        owed: rollouts that were owed before it
    """
    if not num_new or owed <= num_new:
        return []
    said, rest = [], (owed - num_new) / num_new
    if (left_s := rest * elapsed_s) > LONG_S:
        said.append(f"about {_duration(left_s)} to go: the first {num_new} of {owed} rollouts took {elapsed_s:.0f} s")
    segments = sorted(run.rows_dir.glob("*.jsonl"))
    need, free = rest * segments[-1].stat().st_size if segments else 0.0, free_bytes(run.path)
    if need > free:
        said.append(
            f"the disk is too small: about {need / 1e6:,.0f} MB are still to be written, {free / 1e6:,.0f} MB are free"
        )
    return said


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
