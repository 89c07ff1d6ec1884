"""What it costs to build data sets of a world: `python benchmarks/world_data.py [FOLDER]`.

One set of a million rows for each task, each in a process of its own so that its peak memory is its own, and `multi_task` over
seven sets of 100,000 rows, from which its time at full size is extrapolated. The target is 30 s for a million distance rows.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from labkit.config.base import Layer, resolve
from labkit.config.data import DataConfig
from labkit.config.world import MULTI_TASK, TASK_NAMES
from labkit.tasks.world.building import build_world, plan_world
from labkit.tasks.world.recipes import PlannedSet

TARGET_S = 30
FULL_MULTI_TASK_ROWS = 7_070_896


class Stopwatch:
    """An observer that prints a line for each data set."""

    def __init__(self) -> None:
        self._began = 0.0

    def started(self, planned: PlannedSet) -> None:
        self._began = time.perf_counter()

    def advanced(self, num_rows: int) -> None: ...

    def doing(self, what: str) -> None: ...

    def finished(self, planned: PlannedSet, built: bool) -> None:
        seconds, num_rows = time.perf_counter() - self._began, sum(planned.sizes.values())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        line = f"{planned.name:>14} {num_rows:>10,} {seconds:>8.2f} {num_rows / seconds:>12,.0f} {peak:>9.0f}"
        if planned.name == MULTI_TASK:
            line += f"   at full size {FULL_MULTI_TASK_ROWS * seconds / num_rows:.0f} s"
        print(line, flush=True)


def build(out: Path, num_rows: int, only: list[str]) -> None:
    """Build data sets in this process."""
    values = {"out": str(out), "ordinary.train": num_rows, "mixture": None, "only": only}
    build_world(plan_world(resolve(DataConfig, [Layer("flag", values)]).config, print), Stopwatch())


def measure(parent: Path, num_rows: int, *only: str) -> None:
    """Build data sets in a process and a folder of their own."""
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        words = [sys.executable, __file__, folder, "--num-rows", str(num_rows), "--only", *only]
        subprocess.run(words, check=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(tempfile.gettempdir()), help="where to write")
    parser.add_argument("--num-rows", type=int, default=1_000_000, help="training rows of each set")
    parser.add_argument("--only", nargs="+", help="build these here, without a process of their own")
    asked = parser.parse_args()
    if asked.only:
        build(asked.folder / "world", asked.num_rows, asked.only)
        return
    print(f"in {asked.folder}; target {TARGET_S} s for 1,000,000 rows of distance")
    print(f"{'data set':>14} {'rows':>10} {'seconds':>8} {'rows a second':>12} {'peak MiB':>9}")
    for task in TASK_NAMES:
        measure(asked.folder, asked.num_rows, task)
    measure(asked.folder, asked.num_rows // 10, MULTI_TASK)


if __name__ == "__main__":
    main()
