"""How long `labkit report` takes over the runs of a whole world-cities experiment, and over published tables.

    python benchmarks/world_report.py

3 bases and 84 fine-tuned models, 15 evaluations each (21 entries a result, `multi_task` having one a task). Prints a line
a command: median seconds of five cold processes, of which start-up (`--help`), and peak memory.
"""

from __future__ import annotations

import csv
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from report import timed

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from evaluated_worlds import (
    base_lineage,
    evaluation,
    record_evaluations,
    standard_means,
    tuned_lineage,
)

from labkit.config.world import MIXTURES, MULTI_TASK, TASK_NAMES
from labkit.record.files import read_json, write_json_atomically
from labkit.record.run import Run

SEEDS = (1, 2, 3)


def main() -> None:
    """Make the runs and the tables, time the commands."""
    with tempfile.TemporaryDirectory() as folder:
        runs_dir, files = Path(folder, "runs"), make_tables(Path(folder))
        runs = [make_run(runs_dir, lineage) for seed in SEEDS for lineage in lineages(seed)]
        print(f"{len(runs)} runs, result.json {runs[0].result_path.stat().st_size} bytes")
        measure("report, overview", ["report", "--json"], runs_dir)
        measure("report, every run by name", ["report", *(run.id for run in runs), "--json"], runs_dir)
        measure("report, published tables", ["report", *files, "--json"], runs_dir)
        for suffix in ("svg", "png", "html"):
            out = ["--out", str(Path(folder, f"x.{suffix}"))]
            measure(f"plot heatmap, {suffix}", ["plot", "heatmap", "--value", "difference", *out], runs_dir)
        measure("plot heatmap", ["plot", "heatmap", "--value", "difference"], runs_dir)


def measure(name: str, arguments: list[str], runs_dir: Path) -> None:
    """Time a command in five fresh processes and print the median."""
    starts = [timed(["--help"])[0] for _ in range(5)]
    seconds, _, peaks = zip(*(timed([*arguments, "--runs-dir", str(runs_dir)]) for _ in range(5)), strict=True)
    line = {
        "command": name,
        "median_s": round(statistics.median(seconds), 3),
        "startup_s": round(statistics.median(starts), 3),
        "peak_mib": round(max(peaks) / 2**20),
    }
    print(json.dumps(line))


def lineages(seed: int) -> list[list[dict[str, Any]]]:
    """A base, 7 models of one task and 21 of two."""
    return [base_lineage(seed), *(tuned_lineage(mixture, seed) for mixture in MIXTURES)]


def make_run(runs_dir: Path, lineage: list[dict[str, Any]]) -> Run:
    """An eval run with all 15 evaluations."""
    means: Mapping[str, float] = standard_means()
    run = record_evaluations(runs_dir, lineage, means, num_rows=10_000)
    result = read_json(run.result_path)
    result["evaluations"] += [evaluation(MULTI_TASK, task, means[task], num_rows=1_430) for task in TASK_NAMES]
    write_json_atomically(run.result_path, result)
    return run


def make_tables(folder: Path) -> list[str]:
    """Both published tables, with made-up numbers."""
    paths = []
    for family, heading in (("ftwb1", "trained_task"), ("ftwb2", "trained_pair")):
        path = folder / f"{family}.csv"
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["seed", f"{family}_id", heading, *TASK_NAMES])
            for seed in ("original", "seed1", "seed2", "seed3"):
                for name, tasks in MIXTURES.items():
                    if name.startswith(family):
                        writer.writerow([seed, name.split("-")[1], "+".join(tasks), *[0.5] * len(TASK_NAMES)])
        paths.append(str(path))
    return paths


if __name__ == "__main__":
    main()
