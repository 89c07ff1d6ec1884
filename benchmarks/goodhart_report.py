"""How long `labkit report` takes over five Goodhart conditions of 20 items and 5 runs, with all comparisons.

    python benchmarks/goodhart_report.py

Verdicts are drawn at random, so that nearly every item differs between conditions: the most patterns that the swap test counts.
Prints a line a command: median seconds of five cold processes, of which start-up (`--help`), and peak memory.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
from pathlib import Path

from report import timed

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from goodhart_runs import record_condition

MODELS, NUM_ITEMS, NUM_RUNS = "abcde", 20, 5


def main() -> None:
    """Make the runs, time the commands."""
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for model in MODELS:
            outcomes = {f"item{n}": "".join(draw.choice("bkdn") for _ in range(NUM_RUNS)) for n in range(NUM_ITEMS)}
            runs.append(record_condition(Path(folder), outcomes, model=model))
        measure("report, overview", ["report"], folder)
        measure("report, every run by name", ["report", *(run.id for run in runs)], folder)


def measure(name: str, arguments: list[str], runs_dir: str) -> None:
    """Time a command in five fresh processes and print the median."""
    starts = [timed(["--help"])[0] for _ in range(5)]
    seconds, _, peaks = zip(*(timed([*arguments, "--json", "--runs-dir", runs_dir]) for _ in range(5)), strict=True)
    line = {
        "command": name,
        "median_s": round(statistics.median(seconds), 3),
        "startup_s": round(statistics.median(starts), 3),
        "peak_mib": round(max(peaks) / 2**20),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
