"""What `labkit run` adds to what it carries out: `python benchmarks/run_many.py [PART…]`, parts: many, pair, index, named, ray.

`many`: 1,305 tiny evaluations of 87 tiny models, against the same calls in one process without a runner. `pair`: two
workers of one thread each against one. `index`: what is there of 5,000 runs. `named`: 400 trainings and an
evaluation of each as `run:NAME`. `ray`: a cluster on this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from labkit.execute.items import read_items
from labkit.execute.lookup import look_up
from labkit.execute.order import find_order
from labkit.models.training_run import find_training
from labkit.record.catalog import run_paths
from labkit.record.run import open_run

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

NUM_MODELS, EVALUATIONS = 87, 15
NUM_RUNS = 5000
NUM_TRAININGS = 400

# The calls of a worker, without a runner: the same items in the same order, one process, models kept in the same way.
IN_PROCESS = """
import sys, os
from pathlib import Path
from labkit.execute.items import read_items
from labkit.execute.watching import RolloutWatcher
from labkit.models.engines import Engines
from labkit.rollouts.experiment import prepare
from labkit.rollouts.session import start

sys.stderr = open(os.devnull, "w")
items, _ = read_items([Path(sys.argv[1])], {})
engines, watcher = Engines(), RolloutWatcher(lambda event: None)
for item in items:
    start(item.resolved, prepare(item.config, lambda text: None, engines=engines), watcher)
"""


def write_models(folder: Path, count: int) -> None:
    """Small random models."""
    from tiny_models import save_model
    from transformers.utils import logging

    logging.disable_progress_bar()
    for number in range(count):
        save_model(folder / f"m{number:02}", seed=number)


def write_configs(folder: Path, models: Path, num_models: int, num_evaluations: int, **task: Any) -> None:
    """Evaluations that differ in their data."""
    for model in sorted(models.iterdir())[:num_models]:
        for seed in range(num_evaluations):
            config = {
                "command": "eval", "model": {"id": str(model), "device": "cpu"},
                "task": {"name": "countdown", "preset": "short", "data_seed": seed, "num_prompts": 2} | task,
                "generation": {"max_new_tokens": 4},
            }  # fmt: skip
            path = folder / model.name / f"e{seed:02}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"# {path.name}\n{json.dumps(config)}\n")  # JSON is YAML


def timed(arguments: Sequence[str], cwd: Path) -> tuple[float, str]:
    """Wall-clock seconds of a process, and what it prints."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, env=os.environ, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    assert done.returncode == 0, done.stderr
    return seconds, done.stdout


def carried_out(cwd: Path, configs: Path, *options: str) -> tuple[float, list[dict[str, Any]]]:
    """Seconds of a `labkit run`, and the rows of its table."""
    seconds, printed = timed(["-m", "labkit", "run", str(configs), "--json", *options], cwd)
    return seconds, json.loads(printed)["tables"][0]["rows"]


def finished(runs_dir: Path) -> list[float]:
    """When the runs of a folder were finished, in seconds."""
    ends = [(open_run(path).result() or {})["finished"] for path in run_paths(runs_dir)]
    return sorted(datetime.fromisoformat(end).timestamp() for end in ends)


def spacing_s(runs_dir: Path) -> float:
    """Seconds from one finished run to the next, start-up left out."""
    ends = finished(runs_dir)
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def many(work: Path) -> None:
    """Own cost an item, and how often models are loaded."""
    configs = work / "configs"
    write_models(work / "models", NUM_MODELS)
    write_configs(configs, work / "models", NUM_MODELS, EVALUATIONS)
    (work / "plain").mkdir()
    plain_s, _ = timed(["-c", IN_PROCESS, str(configs)], work / "plain")
    run_s, rows = carried_out(work, configs)
    again_s, skipped = carried_out(work, configs)
    num_loads = sum(row["load_s"] is not None for row in rows)
    assert num_loads == NUM_MODELS and {row["state"] for row in rows} == {"done"}, num_loads
    assert {row["state"] for row in skipped} == {"skipped"}
    plain, own = spacing_s(work / "plain" / "runs"), spacing_s(work / "runs")
    whole = (run_s - plain_s) / len(rows)
    print("| what | measured | target |\n|---|---|---|")
    print(f"| models loaded for {len(rows):,} evaluations of {NUM_MODELS} models | {num_loads} | {NUM_MODELS} |")
    print(f"| an evaluation in one process without a runner | {1000 * plain:.1f} ms ({plain_s:.0f} s in all) | |")
    print(f"| an evaluation under `labkit run --jobs 1` | {1000 * own:.1f} ms ({run_s:.0f} s in all) | |")
    print(f"| own cost an item, start-up left out | {1000 * (own - plain):.1f} ms | 20 ms |")
    print(f"| own cost an item, start-up of the second process included | {1000 * whole:.1f} ms | 20 ms |")
    print(f"| the same command again, nothing owed | {again_s:.1f} s | |")


def pair(work: Path) -> None:
    """Two workers against one, in turns: on a shared machine the better of three goes tells."""
    best, whole = {1: 0.0, 2: 0.0}, {1: 1e9, 2: 1e9}
    write_models(work / "models", 8)
    write_configs(work / "configs", work / "models", 8, 10, num_prompts=512)
    for turn in range(6):
        jobs, folder = 1 + turn % 2, work / str(turn)
        folder.mkdir()
        seconds, rows = carried_out(folder, work / "configs", "--jobs", str(jobs))
        whole[jobs] = min(whole[jobs], seconds)
        assert {row["state"] for row in rows} == {"done"}
        # Without the first and the last tenth: neither the start nor a worker alone at the end.
        ends = finished(folder / "runs")
        low, high = len(ends) // 10, len(ends) - len(ends) // 10 - 1
        best[jobs] = max(best[jobs], (high - low) / (ends[high] - ends[low]))
    for jobs, rate in best.items():
        said = f"{rate:.1f} items a second, {whole[jobs]:.0f} s with the start"
        print(f"| {jobs} worker{'s' * (jobs > 1)} of one thread | {said} | |")
    with_start = whole[1] / whole[2]
    print(f"| two workers against one | {best[2] / best[1]:.2f} times, {with_start:.2f} with the start | 1.5 times |")


def index(work: Path) -> None:
    """Looking up what is there, where every one of 5,000 runs is asked for."""
    write_models(work / "models", 1)
    write_configs(work / "one", work / "models", 1, 1)
    carried_out(work, work / "one")
    (first,) = run_paths(work / "runs")
    write_configs(work / "all", work / "models", 1, NUM_RUNS)
    os.chdir(work)
    began = time.perf_counter()
    items, _ = read_items([work / "all"], {})
    read_s = time.perf_counter() - began
    digest = open_run(first).manifest["config_digest"]
    for number, item in enumerate(items[1:], start=1):
        folder = first.with_name(f"{first.name}{number}")
        shutil.copytree(first, folder)
        manifest = (folder / "run.json").read_text().replace(digest, item.digest)
        (folder / "run.json").write_text(manifest)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        assert {each.state for each in look_up(items)} == {"done"}
        seconds.append(time.perf_counter() - began)
    print(f"| what is there of {NUM_RUNS:,} configs among {NUM_RUNS:,} runs | {min(seconds):.2f} s | 0.6 s |")
    print(f"| reading and checking {NUM_RUNS:,} configs | {read_s:.1f} s ({1000 * read_s / NUM_RUNS:.2f} ms each) | |")


def named(work: Path) -> None:
    """Order and look-up where every model is the training of a name."""
    from queues import EVAL, TRAINING, write_config

    carried_out(work, write_config(work / "first.yaml", TRAINING, name="m000"))
    (first,) = run_paths(work / "runs")
    for number in range(NUM_TRAININGS):
        write_config(work / "trainings" / f"{number}.yaml", TRAINING, name=f"m{number:03}")
        write_config(work / "evaluations" / f"{number}.yaml", EVAL, model__id=f"run:m{number:03}")
    os.chdir(work)
    trainings, evaluations = (read_items([Path(name)], {})[0] for name in ("trainings", "evaluations"))
    digest = open_run(first).manifest["config_digest"]
    for item in trainings:
        if item.config.name == "m000":
            continue
        folder = first.with_name(first.name.replace("m000", item.config.name))
        shutil.copytree(first, folder)
        manifest = (folder / "run.json").read_text().replace(digest, item.digest).replace("m000", item.config.name)
        (folder / "run.json").write_text(manifest)
    for what, items in (("evaluations", evaluations), ("trainings and evaluations", [*trainings, *evaluations])):
        began = time.perf_counter()
        order = find_order(items)
        counts = Counter(each.state for each in look_up(items, order))
        seconds = time.perf_counter() - began
        assert counts == {"absent": NUM_TRAININGS} | ({"done": NUM_TRAININGS} if items is not evaluations else {})
        assert not any(order.missing)
        print(f"| order and what is there of {len(items)} {what} as `run:NAME` | {seconds:.2f} s | |")
    began = time.perf_counter()
    for item in evaluations[:50]:
        find_training(item.config.model.id.removeprefix("run:"), item.runs_dir)
    print(f"| one training found among {NUM_TRAININGS} by a worker | {20 * (time.perf_counter() - began):.1f} ms | |")


def ray(work: Path) -> None:
    """A task on Ray beside the same in one process."""
    write_models(work / "models", 4)
    write_configs(work / "configs", work / "models", 4, 50)
    (work / "plain").mkdir()
    timed(["-c", IN_PROCESS, str(work / "configs")], work / "plain")
    seconds, rows = carried_out(work, work / "configs", "--executor", "ray", "--address", "local", "--jobs", "1")
    assert {row["state"] for row in rows} == {"done"}
    plain, own = spacing_s(work / "plain" / "runs"), spacing_s(work / "runs")
    print(f"| {len(rows)} tasks on Ray, start of cluster and worker included | {seconds:.0f} s | |")
    print(f"| own cost a task on Ray beside the start | {1000 * (own - plain):.1f} ms | 100 ms |")


PARTS: dict[str, Callable[[Path], None]] = {"many": many, "pair": pair, "index": index, "named": named, "ray": ray}


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](Path(folder))


if __name__ == "__main__":
    main()
