"""How long the command line takes from a cold start: help, readers on a small folder of runs, and the first experiment."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = ("sample", "perturb", "train", "report", "plot", "runs", "doctor")


def median_s(arguments: list[str], cwd: Path, repeats: int) -> float:
    """Median wall-clock seconds of whole processes; the first one warms the disk cache and does not count."""
    seconds = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "labkit", *arguments],
            cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ,
        )  # fmt: skip
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cwd = Path(folder)
        first = median_s(["perturb", "--sigma", "0.001", "--debug"], cwd, 5)
        slowest = max((median_s([command, "-h"], cwd, 5), command) for command in COMMANDS)
        print("| what | median | target |\n|---|---|---|")
        print(f"| `labkit perturb --sigma 0.001 --debug`, start to table | {first:.1f} s | 15 s |")
        print(f"| `labkit --help` | {1000 * median_s(['--help'], cwd, 9):.0f} ms | 300 ms |")
        print(f"| slowest `-h` ({slowest[1]}) | {1000 * slowest[0]:.0f} ms | 300 ms |")
        for arguments in (["report"], ["runs", "list"], ["plot", "pass-at-k"]):
            print(f"| `labkit {' '.join(arguments)}`, six runs | {median_s(arguments, cwd, 5):.2f} s | 1 s |")


if __name__ == "__main__":
    main()
