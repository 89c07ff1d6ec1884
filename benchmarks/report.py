"""How long `labkit report` takes over one large compacted run, two against each other and GSM8K candidates, and
`labkit runs list` over thousands of runs.

    python benchmarks/report.py [--only large | sides | candidates | many] [--num-rollouts 1000000] [--num-compared 10000000]
        [--num-problems 1319] [--num-runs 5000]

Prints a line a command: median seconds of five cold processes, of which start-up (`--help`), seconds of processor time on
all cores together, which say more on a busy machine, and peak memory.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import pty
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
    """Make the folders, time the commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-rollouts", type=int, default=1_000_000)
    parser.add_argument("--num-compared", type=int, default=10_000_000)
    parser.add_argument("--num-problems", type=int, default=1_319)
    parser.add_argument("--num-runs", type=int, default=5_000)
    counts = {"large": "num_rollouts", "sides": "num_compared", "candidates": "num_problems", "many": "num_runs"}
    parser.add_argument("--only", choices=list(counts))
    options = parser.parse_args()
    for name in [options.only] if options.only else counts:
        with tempfile.TemporaryDirectory() as folder:
            measured(name, Path(folder), getattr(options, counts[name]))


def measured(name: str, folder: Path, count: int) -> None:
    """Make runs of a sort and time what is asked about them."""
    # In processes of their own: a child's peak memory counts what its parent held when it was forked.
    if name == "large":
        apart(make_large_run, folder, count)
        measure("report", ["report"], folder)
    elif name == "sides":
        apart(make_two_sides, folder, count)
        measure("report --against", ["report", "warm", "--against", "noisy"], folder)
    elif name == "candidates":
        apart(make_candidates, folder, count)
        measure("report of 16 candidates, JSONL", ["report", "last"], folder)
        measure("eval --rescore of these", ["eval", "--rescore", "last"], folder)
        apart(compact_all, folder, 0)
        measure("report of 16 candidates, Parquet", ["report", "last"], folder)
    else:
        apart(make_many_runs, folder, count)
        measure("runs list", ["runs", "list"], folder)
        measure("runs list --limit 20", ["runs", "list", "--limit", "20"], folder)
        measure("report, the page", ["report"], folder, terminal=True)


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
        write_rollouts(make_run(runs_dir, Ask(num_prompts, arms), slug=slug), num_characters=20)


def write_rollouts(run: Run, num_characters: int) -> None:
    """Everything that a run asks for, as compaction leaves it."""
    ask, generator = run.ask(), np.random.default_rng(0)
    each = ask.arms[0][1]
    prompts = [f"{number:016x}" for number in range(ask.num_prompts)]
    rates = np.repeat(generator.beta(0.3, 2.0, ask.num_prompts), each)
    height = ask.num_rollouts
    grid = pl.DataFrame({"arm": [arm.key for arm, _ in ask.arms]}).join(pl.DataFrame({"prompt": prompts}), how="cross")
    frame = grid.join(pl.DataFrame({"index": range(each)}), how="cross").with_columns(
        attempt=pl.lit(1),
        seed=pl.Series(generator.integers(0, 2**63 - 1, height)),
        text=pl.Series(generator.integers(0, 2**60, height)).cast(pl.String).str.pad_end(num_characters, "x"),
        finish_reason=pl.Series(np.where(generator.random(height) < 0.1, "length", "stop")),
        num_prompt_tokens=pl.lit(60),
        num_tokens=pl.Series(generator.integers(1, 1024, height)),
        duration_s=pl.lit(0.01),
        logprob=pl.lit(None, pl.Float64),
        error=pl.lit(None, pl.String),
    )
    frame = frame.select(pl.col(name).cast(kind) for name, kind in ROLLOUT_SCHEMA.items())
    correct = generator.random(height) < np.tile(rates, len(ask.arms))
    verdicts = {verdict_column("correct", run.score_hash): pl.Series(correct)}
    frame.with_columns(**verdicts).sort("arm", "prompt", "index").write_parquet(run.parquet_path, compression="zstd")
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
    runs_dir: Path,
    ask: Ask,
    task: dict[str, Any] | None = None,
    prompts: Iterable[dict[str, Any]] = (),
    slug: str = "model",
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
    return create_run(runs_dir, command=command, slug=slug, manifest=manifest, config_yaml="", prompts=prompts)


def measure(name: str, arguments: list[str], runs_dir: Path, *, terminal: bool = False) -> None:
    """Time a command in five fresh processes and print the median."""
    form = [] if terminal else ["--json"]
    starts, totals, busy, peaks = [], [], [], []
    for _ in range(5):
        starts.append(timed(["--help"])[0])
        seconds, processor_s, peak = timed([*arguments, "--runs-dir", str(runs_dir), *form], terminal=terminal)
        totals.append(seconds)
        busy.append(processor_s)
        peaks.append(peak)
    line = {
        "command": name,
        "median_s": round(statistics.median(totals), 3),
        "startup_s": round(statistics.median(starts), 3),
        "processor_s": round(statistics.median(busy), 3),
        "peak_mib": round(max(peaks) / 2**20),
    }
    print(json.dumps(line), flush=True)


def timed(arguments: list[str], *, terminal: bool = False) -> tuple[float, float, int]:
    """Wall seconds, processor seconds and peak bytes of one labkit process; on a terminal what it prints fits its buffer."""
    ours, theirs = pty.openpty() if terminal else (None, subprocess.DEVNULL)
    began = time.perf_counter()
    code = "from labkit.cli.main import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=theirs, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    for descriptor in (ours, theirs) if ours is not None else ():
        os.close(descriptor)
    if status:
        raise SystemExit(f"labkit {' '.join(arguments)} failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit


if __name__ == "__main__":
    main()
