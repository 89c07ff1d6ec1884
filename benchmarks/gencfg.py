"""How long `labkit gencfg` takes from a cold start: the shipped matrix, and one of a hundred thousand points.

    python benchmarks/gencfg.py [--num-points 100000] [--repeats 5]

Prints a line a case: median seconds of whole processes, and the peak memory of the largest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LARGE = """\
sections:
  evaluation:
    command: eval
    axes:
      seed: {{from: 1, to: {num_seeds}}}
      model: [base, {{each: world.pairs}}]
      evaluation: {{each: world.evaluations}}
    derive:
      run: {{of: model, table: {{base: "pt1_seed{{seed}}"}}, otherwise: "pt1_seed{{seed}}_{{model}}"}}
    path: "configs/seed{{seed}}/{{model}}/{{evaluation}}.yaml"
    base:
      seed: {seed}
      model: {{id: "run:{{run}}", checkpoint: last}}
      task: {{name: world, evaluations: ["{{evaluation}}"]}}
      temperature: 0
"""
POINTS_A_SEED = 22 * 15


def main() -> None:
    """Time both matrices: into an empty folder, again without a change, and with a key changed everywhere."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-points", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    num_seeds = -(-options.num_points // POINTS_A_SEED)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        print("| what | median | peak memory | target |\n|---|---|---|---|")
        first, again = "`labkit gencfg exp1`, 1,442 files", "the same again, unchanged"
        measure(here, "exp1", first, options.repeats, "1 s", fresh=True)
        measure(here, "exp1", again, options.repeats, "1 s")
        measure(here, "exp1 --check", "`--check`", options.repeats, "")
        repeats = max(1, options.repeats // 2)
        for seed, what, fresh in (
            (42, "created", True),
            (42, "unchanged", False),
            (43, "one key changed in all", False),
        ):
            (here / "large.yaml").write_text(LARGE.format(num_seeds=num_seeds, seed=seed))
            counted = f"{num_seeds * POINTS_A_SEED:,} points, {what}"
            measure(here, "large.yaml", counted, repeats if seed == 42 else 1, "45 s, 1 GiB", fresh=fresh)


def measure(here: Path, words: str, what: str, repeats: int, target: str, *, fresh: bool = False) -> None:
    """Print the median of some cold processes.

    Args:
        fresh: into an empty folder each time
    """
    seconds, peaks = [], []
    for _ in range(repeats):
        if fresh:
            shutil.rmtree(here / "out", ignore_errors=True)
        second, peak = timed(["gencfg", *words.split(), "--out", "out"], here)
        seconds.append(second)
        peaks.append(peak)
    print(f"| {what} | {statistics.median(seconds):.2f} s | {max(peaks) / 2**20:.0f} MiB | {target} |", flush=True)


def timed(arguments: list[str], cwd: Path) -> tuple[float, int]:
    """Wall seconds and peak bytes of one labkit process."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "labkit", *arguments], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"labkit {' '.join(arguments)} failed")
    return time.perf_counter() - began, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
