"""How long `labkit report` takes over one large compacted run and two against each other, and `labkit runs list` over
thousands of runs.

    python benchmarks/report.py [--num-rollouts 1000000] [--num-runs 5000] [--num-compared 10000000]

Prints a line a command: median seconds of five cold processes, of which start-up (`--help`), seconds of processor time on
all cores together, which say more on a busy machine, and peak memory.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from labkit.record.frames import ROLLOUT_SCHEMA, verdict_column
from labkit.record.identity import Arm, components_hash
from labkit.record.run import Ask, Run, create_run

NUM_PROMPTS = 128
TEMPERATURES = (0.4, 0.6, 0.8, 1.0)


def main() -> None:
    """Make both folders, time both commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-rollouts", type=int, default=1_000_000)
    parser.add_argument("--num-runs", type=int, default=5_000)
    parser.add_argument("--num-compared", type=int, default=10_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        large, many, sides = (Path(folder, name) for name in ("large", "many", "sides"))
        # In processes of their own: a child's peak memory counts what its parent held when it was forked.
        apart(make_large_run, large, options.num_rollouts)
        apart(make_many_runs, many, options.num_runs)
        apart(make_two_sides, sides, options.num_compared)
        measure("report", ["report"], large)
        measure("report --against", ["report", "warm", "--against", "noisy"], sides)
        measure("runs list", ["runs", "list"], many)
        measure("runs list --limit 20", ["runs", "list", "--limit", "20"], many)


def apart(make: Callable[[Path, int], None], folder: Path, count: int) -> None:
    """Call `make` in another process."""
    process = multiprocessing.get_context("spawn").Process(target=make, args=(folder, count))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{make.__name__} failed")


def make_large_run(runs_dir: Path, num_rollouts: int) -> None:
    """A finished, compacted run with four arms over 128 prompts, texts of 300 characters."""
    arms = [Arm("temperature", value) for value in TEMPERATURES]
    each = num_rollouts // (NUM_PROMPTS * len(arms))
    write_rollouts(make_run(runs_dir, Ask(NUM_PROMPTS, tuple((arm, each) for arm in arms))), num_characters=300)


def make_two_sides(runs_dir: Path, num_rollouts: int) -> None:
    """Finished, compacted runs with three temperatures and two sigmas over 2,000 prompts, texts of 20 characters."""
    num_prompts = 2000
    each = num_rollouts // (num_prompts * 5)
    warm = tuple((Arm("temperature", value), each) for value in TEMPERATURES[:3])
    noisy = tuple((Arm("perturbation", value), each) for value in (0.001, 0.003))
    for slug, arms in (("warm", warm), ("noisy", noisy)):
        write_rollouts(make_run(runs_dir, Ask(num_prompts, arms), slug), num_characters=20)


def write_rollouts(run: Run, num_characters: int) -> None:
    """Everything that a run asks for, as compaction leaves it."""
    ask, random = run.ask(), np.random.default_rng(0)
    each = ask.arms[0][1]
    prompts = [f"{number:016x}" for number in range(ask.num_prompts)]
    rates = np.repeat(random.beta(0.3, 2.0, ask.num_prompts), each)
    height = ask.num_rollouts
    grid = pl.DataFrame({"arm": [arm.key for arm, _ in ask.arms]}).join(pl.DataFrame({"prompt": prompts}), how="cross")
    frame = grid.join(pl.DataFrame({"index": range(each)}), how="cross").with_columns(
        attempt=pl.lit(1),
        seed=pl.Series(random.integers(0, 2**63 - 1, height)),
        text=pl.Series(random.integers(0, 2**60, height)).cast(pl.String).str.pad_end(num_characters, "x"),
        finish_reason=pl.Series(np.where(random.random(height) < 0.1, "length", "stop")),
        num_prompt_tokens=pl.lit(60),
        num_tokens=pl.Series(random.integers(1, 1024, height)),
        duration_s=pl.lit(0.01),
        logprob=pl.lit(None, pl.Float64),
        error=pl.lit(None, pl.String),
    )
    frame = frame.select(pl.col(name).cast(kind) for name, kind in ROLLOUT_SCHEMA.items())
    correct = random.random(height) < np.tile(rates, len(ask.arms))
    verdicts = {verdict_column("correct", run.score_hash): pl.Series(correct)}
    frame.with_columns(**verdicts).sort("arm", "prompt", "index").write_parquet(run.parquet_path, compression="zstd")
    run.finish({"arms": []}, owed=0, num_asked=height)


def make_many_runs(runs_dir: Path, num_runs: int) -> None:
    """Finished runs with manifests and results of two to three kilobytes."""
    ask = Ask(NUM_PROMPTS, tuple((Arm("temperature", value), 512) for value in TEMPERATURES))
    rates = {str(1 << k): [0.5, 0.4, 0.6] for k in range(10)}
    result = {"arms": [{"key": arm.key, "num_prompts": 128, "pass_at_k": rates} for arm, _ in ask.arms], "warnings": []}
    first = make_run(runs_dir, ask)
    with first.working():
        pass
    first.finish(result, owed=0, num_asked=ask.num_rollouts)
    names = [path.name for path in first.path.iterdir() if path.is_file()]
    files = {name: (first.path / name).read_bytes() for name in names}
    for number in range(num_runs - 1):
        path = first.path.parent / f"20260101T{number:06d}Z-model-{number:06x}"
        path.mkdir()
        (path / "rows").mkdir()
        for name, content in files.items():
            (path / name).write_bytes(content)
    sizes = [len(files[name]) for name in ("run.json", "result.json")]
    print(f"{num_runs} runs: run.json {sizes[0]} bytes, result.json {sizes[1]} bytes")


def make_run(runs_dir: Path, ask: Ask, slug: str = "model") -> Run:
    """A run folder without rollouts."""
    base, score = {"model": "abc", "task": "countdown"}, {"scorer": "countdown-exact-1"}
    origins = {f"key.number{number}": "default" for number in range(30)}
    config = {"task": {"name": "countdown"}, "model": {"id": "builtin:countdown-tiny"}, "num_rollouts": 512}
    manifest: dict[str, Any] = {
        "name": None, "seed": 42, "config": config, "origins": origins,
        "base": base, "base_hash": components_hash(base), "score": score, "score_hash": components_hash(score),
        "ask": ask.as_json(), "engine": {"name": "torch", "version": "2.13.0"},
        "provenance": {"packages": {f"package{number}": "1.0" for number in range(20)}}, "parents": [],
    }  # fmt: skip
    return create_run(runs_dir, command="sample", slug=slug, manifest=manifest, config_yaml="", prompts=[])


def measure(name: str, arguments: list[str], runs_dir: Path) -> None:
    """Time a command in five fresh processes and print the median."""
    starts, totals, peaks, busy = [], [], [], []
    for _ in range(5):
        starts.append(timed(["--help"])[0])
        seconds, peak, processor = used([*arguments, "--runs-dir", str(runs_dir), "--json"])
        totals.append(seconds)
        peaks.append(peak)
        busy.append(processor)
    line = {
        "command": name,
        "median_s": round(statistics.median(totals), 3),
        "startup_s": round(statistics.median(starts), 3),
        "processor_s": round(statistics.median(busy), 3),
        "peak_mib": round(max(peaks) / 2**20),
    }
    print(json.dumps(line))


def timed(arguments: list[str]) -> tuple[float, int]:
    """Wall seconds and peak bytes of one labkit process."""
    return used(arguments)[:2]


def used(arguments: list[str]) -> tuple[float, int, float]:
    """Wall seconds, peak bytes and processor seconds of one labkit process."""
    began = time.perf_counter()
    code = "from labkit.cli.main import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"labkit {' '.join(arguments)} failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - began, usage.ru_maxrss * unit, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
