"""How long `labkit report` takes over one large compacted run and over GSM8K candidates, and `labkit runs list` over
thousands of runs.

    python benchmarks/report.py [--num-rollouts 1000000] [--num-runs 5000] [--num-problems 1319] [--only candidates]

Prints a line a command: median seconds of five cold processes, of which start-up (`--help`), seconds of processor time, which a
busy machine changes less, and peak memory.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from labkit.record.catalog import run_paths
from labkit.record.compaction import compact
from labkit.record.frames import ROLLOUT_SCHEMA, verdict_column
from labkit.record.identity import Arm, components_hash
from labkit.record.rankings import RankingWriter, RolloutScore, announce_ranking
from labkit.record.rows import Rollout, RowWriter, VerdictWriter
from labkit.record.run import Ask, Run, create_run, open_run
from labkit.rollouts.grading import verdict_of
from labkit.tasks.base import Prompt
from labkit.tasks.gsm8k.task import Gsm8kScorer

NUM_PROMPTS = 128
TEMPERATURES = (0.4, 0.6, 0.8, 1.0)


def main() -> None:
    """Make both folders, time both commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-rollouts", type=int, default=1_000_000)
    parser.add_argument("--num-runs", type=int, default=5_000)
    parser.add_argument("--num-problems", type=int, default=1_319)
    parser.add_argument("--only", choices=["candidates"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        candidates = Path(folder, "candidates")
        apart(make_candidates, candidates, options.num_problems)
        measure("report of 16 candidates, JSONL", ["report", "last"], candidates)
        measure("eval --rescore of these", ["eval", "--rescore", "last"], candidates)
        apart(compact_all, candidates, 0)
        measure("report of 16 candidates, Parquet", ["report", "last"], candidates)
        if options.only:
            return
        large, many = Path(folder, "large"), Path(folder, "many")
        # In processes of their own: a child's peak memory counts what its parent held when it was forked.
        apart(make_large_run, large, options.num_rollouts)
        apart(make_many_runs, many, options.num_runs)
        measure("report", ["report"], large)
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
    each = num_rollouts // (NUM_PROMPTS * len(TEMPERATURES))
    arms = [Arm("temperature", value) for value in TEMPERATURES]
    run = make_run(runs_dir, Ask(NUM_PROMPTS, tuple((arm, each) for arm in arms)))
    prompts = [f"{number:016x}" for number in range(NUM_PROMPTS)]
    height = len(arms) * NUM_PROMPTS * each
    generator = np.random.default_rng(0)
    grid = pl.DataFrame({"arm": [arm.key for arm in arms]}).join(pl.DataFrame({"prompt": prompts}), how="cross")
    frame = grid.join(pl.DataFrame({"index": range(each)}), how="cross").with_columns(
        attempt=pl.lit(1),
        seed=pl.Series(generator.integers(0, 2**63 - 1, height)),
        text=pl.Series(generator.integers(0, 2**60, height)).cast(pl.String).str.pad_end(300, "x"),
        finish_reason=pl.Series(np.where(generator.random(height) < 0.1, "length", "stop")),
        num_prompt_tokens=pl.lit(60),
        num_tokens=pl.Series(generator.integers(1, 1024, height)),
        duration_s=pl.lit(0.01),
        logprob=pl.lit(None, pl.Float64),
        error=pl.lit(None, pl.String),
    )
    frame = frame.select(pl.col(name).cast(kind) for name, kind in ROLLOUT_SCHEMA.items())
    correct = {verdict_column("correct", run.score_hash): pl.Series(generator.random(height) < 0.2)}
    frame.with_columns(**correct).sort("arm", "prompt", "index").write_parquet(run.parquet_path, compression="zstd")
    run.finish({"arms": []}, owed=0, num_asked=height)


def make_candidates(runs_dir: Path, num_problems: int) -> None:
    """A finished run over GSM8K: 16 worked solutions a problem of 180 to 300 characters, and three rankings of them."""
    draw, arm = random.Random(0), Arm("temperature", 0.7, top_p=0.9)
    wordings = [f"Problem {number}: how many are {number} and none?" for number in range(num_problems)]
    prompts = [
        Prompt(({"role": "user", "content": wording},), gold={"answer": str(number)})
        for number, wording in enumerate(wordings)
    ]
    names = [prompt.id for prompt in prompts]
    task = {"name": "gsm8k", "preset": "plain"}
    run = make_run(runs_dir, Ask(num_problems, ((arm, 16),)), task, (prompt.as_json() for prompt in prompts))
    rates = [draw.random() for _ in prompts]
    rows = [
        solution(names[number], number, index, arm, rates[number], draw)
        for number in range(num_problems)
        for index in range(16)
    ]
    writer, verdicts = RowWriter(run.rows_dir, 1), VerdictWriter(run.scores_path(run.score_hash))
    writer.append(rows)
    verdicts.append(verdict_of(Gsm8kScorer(), prompts[at // 16], row) for at, row in enumerate(rows))
    for name in ("energy", "length", "judge"):
        ranking = RankingWriter(run, name * 3)
        ranking.append(RolloutScore(row.prompt, row.arm, row.index, 1, draw.random()) for row in rows)
        ranking.close()
        announce_ranking(run, name=name, ranking_hash=name * 3, about={})
    run.finish({"arms": []}, owed=0, num_asked=len(rows))
    lengths = [len(row.text) for row in rows]
    print(f"{len(rows)} solutions of {min(lengths)} to {max(lengths)} characters")


def solution(prompt: str, number: int, index: int, arm: Arm, rate: float, draw: random.Random) -> Rollout:
    """One candidate, marked in one of the ways in which models mark their answer."""
    given = number if draw.random() < rate else number + draw.randint(1, 4)
    mark = draw.choice(
        ["#### {}", "#### {}", "**Answer: {}**", "The total is {} pens.", "\\boxed{{{}}}", "#### ${:,}.00"]
    )
    step = "There are {} boxes of {} pens, so that makes {} * {} = {} pens in all. "
    steps = [step.format(*[draw.randint(2, 99) for _ in range(5)]) for _ in range(draw.randint(3, 4))]
    text = "".join(steps) + "\n" + mark.format(given)
    seed = draw.getrandbits(63)
    return Rollout(prompt, arm.key, index, 1, seed, text, "stop", 60, len(text) // 4, 0.1, -draw.random() * 50)


def compact_all(runs_dir: Path, _count: int) -> None:
    """Pack every run of a folder."""
    for path in run_paths(runs_dir):
        compact(open_run(path))


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


def make_run(
    runs_dir: Path, ask: Ask, task: dict[str, Any] | None = None, prompts: Iterable[dict[str, Any]] = ()
) -> Run:
    """A run folder without rollouts; of Countdown where nothing else is said."""
    task = task or {"name": "countdown"}
    scorer = Gsm8kScorer.scorer if task["name"] == "gsm8k" else "countdown-exact-1"
    base, score = {"model": "abc", "task": task["name"], "preset": task.get("preset")}, {"scorer": scorer}
    origins = {f"key.number{number}": "default" for number in range(30)}
    config: dict[str, Any] = {"task": task, "model": {"id": "builtin:countdown-tiny"}, "num_rollouts": 16}
    manifest: dict[str, Any] = {
        "name": None, "seed": 42, "config": config, "origins": origins,
        "base": base, "base_hash": components_hash(base), "score": score, "score_hash": components_hash(score),
        "ask": ask.as_json(), "engine": {"name": "torch", "version": "2.13.0"},
        "provenance": {"packages": {f"package{number}": "1.0" for number in range(20)}}, "parents": [],
    }  # fmt: skip
    command = "eval" if task["name"] == "gsm8k" else "sample"
    return create_run(runs_dir, command=command, slug="model", manifest=manifest, config_yaml="", prompts=prompts)


def measure(name: str, arguments: list[str], runs_dir: Path) -> None:
    """Time a command in five fresh processes and print the median."""
    starts, totals, busy, peaks = [], [], [], []
    for _ in range(5):
        starts.append(timed(["--help"])[0])
        seconds, cpu_s, peak = timed([*arguments, "--runs-dir", str(runs_dir), "--json"])
        totals.append(seconds)
        busy.append(cpu_s)
        peaks.append(peak)
    line = {
        "command": name,
        "median_s": round(statistics.median(totals), 3),
        "cpu_s": round(statistics.median(busy), 3),
        "startup_s": round(statistics.median(starts), 3),
        "peak_mib": round(max(peaks) / 2**20),
    }
    print(json.dumps(line))


def timed(arguments: list[str]) -> tuple[float, float, int]:
    """Wall seconds, processor seconds and peak bytes of one labkit process."""
    began = time.perf_counter()
    code = "from labkit.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"labkit {' '.join(arguments)} failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit


if __name__ == "__main__":
    main()
