"""How large the explorer of a large sweep is, how long it takes to make, and how quick it is in Chromium.

    python benchmarks/explorer.py [--num-prompts 128] [--num-arms 12] [--num-rollouts 512] [--keep FILE]

The run is written by the record's own writers, with texts of 200 to 3,000 characters that hardly repeat. Prints one line
of JSON a measurement. Without Chromium or playwright the page is made and measured, but not opened.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from labkit.record.catalog import run_paths
from labkit.record.compaction import compact
from labkit.record.identity import Arm, components_hash, draw_seed
from labkit.record.rows import Rollout, RowWriter, Verdict, VerdictWriter
from labkit.record.run import Ask, create_run, open_run

WORDS = (
    "so",
    "we",
    "take",
    "the",
    "first",
    "two",
    "numbers",
    "and",
    "add",
    "them",
    "which",
    "gives",
    "77",
    "more",
    "needed",
)


def main() -> None:
    """Make the run, make the page from lines and from Parquet, open it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-prompts", type=int, default=128)
    parser.add_argument("--num-arms", type=int, default=12)
    parser.add_argument("--num-rollouts", type=int, default=512)
    parser.add_argument("--keep", type=Path, help="where to leave the page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs_dir, out = Path(folder, "runs"), options.keep or Path(folder, "explorer.html")
        # In processes of their own: a child's peak memory counts what its parent held when it was forked.
        apart(make_run, runs_dir, options.num_prompts, options.num_arms, options.num_rollouts)
        (path,) = run_paths(runs_dir)
        tell("explorer from lines", **make_page(path, out))
        apart(compact_run, path)
        tell("explorer from Parquet", **make_page(path, out))
        open_page(out)


def apart(work: Callable[..., None], *arguments: Any) -> None:
    """Do some work in another process."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{work.__name__} failed")


def compact_run(path: Path) -> None:
    """Pack the run."""
    compact(open_run(path))


def tell(what: str, **values: Any) -> None:
    """One line of figures."""
    print(json.dumps({"what": what, **values}), flush=True)


def make_run(runs_dir: Path, num_prompts: int, num_arms: int, num_rollouts: int) -> None:
    """A finished sweep of temperatures and sigmas over Countdown problems."""
    temperatures = [Arm("temperature", (place + 1) / 10) for place in range(num_arms - num_arms // 2)]
    arms = [*temperatures, *(Arm("perturbation", (place + 1) / 1000) for place in range(num_arms // 2))]
    ask = Ask(num_prompts, tuple((arm, num_rollouts) for arm in arms))
    base, score = {"model": "abc", "task": "countdown"}, {"scorer": "countdown-exact-1"}
    manifest = {
        "name": "large", "seed": 42, "origins": {}, "parents": [], "engine": {"name": "torch", "version": "2.13.0"},
        "config": {"task": {"name": "countdown"}, "model": {"id": "builtin:countdown-tiny"}},
        "base": base, "base_hash": components_hash(base), "score": score, "score_hash": components_hash(score),
        "ask": ask.as_json(), "provenance": {},
    }  # fmt: skip
    prompts = [prompt(number) for number in range(num_prompts)]
    run = create_run(runs_dir, command="sample", slug="large", manifest=manifest, config_yaml="", prompts=prompts)
    rows, verdicts = RowWriter(run.rows_dir, 1), VerdictWriter(run.scores_path(run.score_hash))
    for batch in batches(arms, [line["id"] for line in prompts], num_rollouts):
        rows.append(row for row, _ in batch)
        verdicts.append(verdict for _, verdict in batch)
    rows.close()
    verdicts.close()
    run.finish({"arms": []}, owed=0, num_asked=ask.num_rollouts)


def prompt(number: int) -> dict[str, Any]:
    """A Countdown problem, most of which can be solved."""
    draw = random.Random(number)
    numbers = [draw.randint(1, 99) for _ in range(3)]
    target = str(abs(numbers[0] + numbers[1] - numbers[2]))
    content = f"Using the numbers {numbers}, create an equation that equals {target}. " + "Show your work. " * 20
    gold = {"numbers": numbers, "target": target}
    return {"id": f"{number:016x}", "messages": [{"role": "user", "content": content}], "prefill": "", "gold": gold}


def batches(arms: list[Arm], prompts: list[str], num_rollouts: int) -> Iterator[list[tuple[Rollout, Verdict]]]:
    """The rollouts of one prompt and arm at a time."""
    draw = random.Random(0)
    pool = [" ".join(draw.choices(WORDS, k=draw.randint(40, 600))) for _ in range(2_000)]
    for arm in arms:
        for place, name in enumerate(prompts):
            chance = (place % 10) / 15
            yield [rollout(arm, name, index, draw, pool, chance) for index in range(num_rollouts)]


def rollout(
    arm: Arm, name: str, index: int, draw: random.Random, pool: list[str], chance: float
) -> tuple[Rollout, Verdict]:
    """One rollout with its verdict; one in ten repeats a text."""
    correct = draw.random() < chance
    tail = f"{draw.randrange(10**9)}" if draw.random() < 0.9 else "1 + 2 - 3"
    text = f"{draw.choice(pool)} <answer>{tail}</answer>"
    seed = draw_seed(42, "rollout", name, index)
    row = Rollout(name, arm.key, index, 1, seed, text, "stop", 60, len(text) // 4, 0.01)
    return row, Verdict(name, arm.key, index, 1, correct, float(correct), tail, "exact" if correct else "wrong_value")


def make_page(path: Path, out: Path) -> dict[str, Any]:
    """Seconds by the clock and of both cores, start-up included, peak memory and size; medians of three processes."""
    code = "from labkit.cli.main import main; main()"
    command = [sys.executable, "-c", code, "plot", "explorer", str(path), "--out", str(out)]
    seconds, worked, peaks = [], [], []
    for _ in range(3):
        began = time.perf_counter()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(command)} failed")
        seconds.append(time.perf_counter() - began)
        worked.append(usage.ru_utime + usage.ru_stime)
        peaks.append(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
    return {
        "median_s": round(statistics.median(seconds), 2),
        "cpu_s": round(statistics.median(worked), 2),
        "peak_mib": round(max(peaks) / 2**20),
        "bytes": out.stat().st_size,
    }


def open_page(out: Path) -> None:
    """Milliseconds in Chromium until the page stands, and of what a reader does on it: medians of five."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        tell("in Chromium", skipped="playwright is not installed")
        return
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        tell("in Chromium", skipped="there is no Chromium")
        return
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = []
        for _ in range(5):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(out.resolve().as_uri())
            opened.append(page.evaluate(PAINTED))
            figures = {name: [page.evaluate(ACT, act) for _ in range(5)] for name, act in ACTS.items()}
            page.close()
        browser.close()
    tell("opens in Chromium", median_ms=round(statistics.median(opened)), slowest_ms=round(max(opened)))
    for name, times in figures.items():
        tell(name, median_ms=round(statistics.median(times)), slowest_ms=round(max(times)))


PAINTED = """() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"""
"""Milliseconds since the navigation began, taken after the first frame in which the whole page stands."""

ACT = """(act) => new Promise((done) => {
  const began = performance.now();
  new Function(act)();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})"""
"""Milliseconds from an act to the end of the frame that shows what came of it."""

_SEARCH = "const box = document.getElementById('search'); box.value = '{}'; box.dispatchEvent(new Event('input'))"
_CHOOSE = "const box = document.getElementById('{}'); box.value = '{}'; box.dispatchEvent(new Event('change'))"
ACTS = {
    "filter by category": "document.querySelector('[data-category=both]').click()",
    "every category": "document.querySelector('[data-category=all]').click()",
    "search the texts": _SEARCH.format("needed 77"),
    "search ends": _SEARCH.format(""),
    "another arm": _CHOOSE.format("arm-a", "3"),
    "sort": _CHOOSE.format("sort", "difference"),
    "matrix": "document.getElementById('view-matrix').click()",
    "list": "document.getElementById('view-list').click()",
    "open a prompt": "document.querySelector('.row').click()",
}


if __name__ == "__main__":
    main()
