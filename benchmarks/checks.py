"""How often the checks cry wolf over honest runs, how often they find what was planted, and how long they take.

`--seeds 20` plants each contamination into runs of so many seeds; `--only speed` measures the time alone.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from labkit.models.engines import Engines
from labkit.record.identity import Arm, draw_seed
from labkit.record.rows import Rollout, RowWriter, Verdict, VerdictWriter
from labkit.record.run import Run
from labkit.rollouts.checks import check_rows, check_run, subject_of
from labkit.rollouts.checks.style import ALONE, TOGETHER, Groups, strangest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from contaminated_runs import PLANTS, evaluate, plant_all, save_noisy_copy, save_problems, save_talker, suspicions
from eval_worlds import save_city_model, save_world
from recorded_runs import new_run

WORDS = "so she then has gives takes the of pens boxes and makes 12 48 6 in all = + * because each day"
BUILTIN = {"model__id": "builtin:countdown-tiny", "task__name": "countdown", "task__preset": "short"}


def settings(folder: Path, num_prompts: int) -> dict[str, dict[str, Any]]:
    """A run of each task, and the same with a model that is another one."""
    talker, other = save_talker(folder / "talker"), save_talker(folder / "other", seed=1)
    gsm8k = {
        "task__name": "gsm8k",
        "task__data": str(save_problems(folder / "problems.jsonl", num_prompts)),
        "generation__max_new_tokens": 24,
    }
    goodhart = {"task__name": "goodhart", "generation__max_new_tokens": 32}
    return {
        "countdown": {
            **BUILTIN,
            "task__num_prompts": num_prompts,
            "other": {"model__id": str(save_noisy_copy(folder / "noisy", sigma=0.05))},
        },
        "gsm8k form": {**gsm8k, "model__id": str(talker), "other": {"model__id": str(other)}},
        "gsm8k form, plain": {
            **gsm8k,
            "task__preset": "plain",
            "model__id": str(talker),
            "other": {"model__id": str(other)},
        },
        "goodhart": {**goodhart, "model__id": str(talker), "other": {"model__id": str(other)}},
    }


def world_settings(folder: Path) -> dict[str, Any]:
    return {
        "task__name": "world",
        "task__data": str(save_world(folder / "world", num_rows=60)),
        "model__id": str(save_city_model(folder / "cities")),
        "generation__max_new_tokens": 8,
    }


def honest(folder: Path, num_seeds: int) -> Iterator[tuple[str, str, Run]]:
    """Runs that nothing is wrong with: tasks x temperatures x seeds."""
    engines = Engines()
    every = {**settings(folder, 64), "world": world_settings(folder)}
    for name, given in every.items():
        values = {key: value for key, value in given.items() if key != "other"}
        for temperature in (0.0, 0.2, 0.5, 0.7, 1.0, 1.3):
            for seed in range(1 if temperature == 0 else num_seeds):
                how = {"temperature": temperature, "seed": seed, "num_rollouts": 5 if temperature else 1}
                yield name, f"T {temperature}", evaluate(folder / "runs", engines, **(values | how))


def false_alarms(folder: Path, num_seeds: int) -> Table:
    table = Table(
        "honest runs of", "runs", "runs with an alarm of contamination", "runs with style notes", "other warnings"
    )
    runs: Counter[str] = Counter()
    alarms: dict[str, Counter[str]] = {}
    for name, how, run in honest(folder, num_seeds):
        runs[name] += 1
        found = check_run(run)
        counts = alarms.setdefault(name, Counter())
        for finding in found:
            if finding.severity == "contamination":
                print(f"  {name}, {how}: {finding.text}", file=sys.stderr)
        counts["contamination"] += bool(suspicions(found))
        counts["style"] += any(finding.check == "style" and finding.severity == "note" for finding in found)
        counts["other"] += any(finding.check != "style" and finding.severity == "warning" for finding in found)
    for name, count in runs.items():
        table.add_row(name, str(count), *(str(alarms[name][kind]) for kind in ("contamination", "style", "other")))
    return table


def detections(folder: Path, num_seeds: int) -> Table:
    table = Table("task", "nothing", *PLANTS)
    engines = Engines()
    for name, given in settings(folder, 120).items():
        values = {key: value for key, value in given.items() if key != "other"}
        found: Counter[str] = Counter()
        planted: Counter[str] = Counter()
        for seed in range(num_seeds):
            how = {"temperature": 0.7, "num_rollouts": 10 if name == "goodhart" else 5, "generation__logprobs": True}
            for plant, is_found in plant_all(folder / f"{name}-{seed}", engines, values | how, given["other"], seed):
                planted[plant] += 1
                found[plant] += is_found
        table.add_row(name, *(f"{found[plant]} of {planted[plant]}" for plant in ("nothing", *PLANTS)))
    return table


def big_run(runs_dir: Path, num_prompts: int = 1319, num_rollouts: int = 16) -> Run:
    """A run of GSM8K's size with solutions of about 200 characters."""
    generator, arm = np.random.default_rng(0), Arm("temperature", 0.7)
    run = new_run(runs_dir, {arm: ["+" * num_rollouts] * num_prompts}, seed=42, base={}, score={})
    names = [f"p{number}" for number in range(num_prompts)]
    questions = [
        f"Ann has {number} boxes of 12 pens and gives 6 away. How many has she left?" for number in range(num_prompts)
    ]
    run.add_prompts(
        [
            {"id": name, "messages": [{"role": "user", "content": text}], "prefill": ""}
            for name, text in zip(names, questions, strict=True)
        ]
    )
    words = WORDS.split()
    rows, verdicts = RowWriter(run.rows_dir, 1), VerdictWriter(run.scores_path(run.score_hash))
    for index in range(num_rollouts):
        made = []
        for name in names:
            text = " ".join(generator.choice(words, int(generator.integers(30, 70)))) + "\n#### 42"
            seed = draw_seed(42, "rollout", name, index)
            made.append(
                Rollout(
                    name, arm.key, index, 1, seed, text, "stop", 30, 60, 0.1, logprob=-float(generator.exponential(40))
                )
            )
        rows.append(made)
        verdicts.append(
            Verdict(row.prompt, row.arm, index, 1, bool(generator.random() < 0.4), 0.0, "42", "hash") for row in made
        )
    rows.close()
    verdicts.close()
    run.note("start", attempt=1)
    run.finish({"arms": []}, owed=0, num_asked=run.ask().num_rollouts)
    return run


def series(num_seeds: int) -> Table:
    """How far honest series stray: prompts of any level and spread, rows in any order, 100 series a seed and shape."""
    table = Table("prompts x rollouts", "series", f"{TOGETHER} standard errors", f"{ALONE} standard errors", "farthest")
    for num_prompts, num_rollouts in ((40, 4), (80, 6), (300, 5), (1319, 2)):
        reached = []
        for seed in range(num_seeds):
            generator = np.random.default_rng(seed)
            for _ in range(100):
                prompts = np.tile(np.arange(num_prompts), num_rollouts)
                level = np.sort(generator.normal(0, 5, num_prompts))[prompts]
                spread = np.sort(generator.exponential(1, num_prompts))[prompts]
                found = strangest(level + spread * generator.exponential(1, len(prompts)), Groups(prompts, None, True))
                reached.append(abs(found.z) if found else 0.0)
        counts = [str(sum(each >= bound for each in reached)) for bound in (TOGETHER, ALONE)]
        table.add_row(f"{num_prompts} x {num_rollouts}", str(len(reached)), *counts, f"{max(reached):.2f}")
    return table


def speed(folder: Path) -> Table:
    """The checks of 1,319 prompts with 16 candidates."""
    run = big_run(folder / "runs")
    reading, checking = [], []
    for _ in range(5):
        began = time.perf_counter()
        subject = subject_of(run)
        read = time.perf_counter()
        check_rows(subject)
        reading.append(read - began)
        checking.append(time.perf_counter() - read)
    table = Table("21,104 rollouts", "seconds", "target")
    table.add_row("reading the record", f"{statistics.median(reading):.2f}", "")
    table.add_row("checks", f"{statistics.median(checking):.2f}", "0.5")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--only", choices=["honest", "planted", "series", "speed"])
    asked = parser.parse_args()
    makers: dict[str, Callable[[Path], Table]] = {
        "honest": lambda folder: false_alarms(folder, asked.seeds),
        "planted": lambda folder: detections(folder, asked.seeds),
        "series": lambda _: series(asked.seeds),
        "speed": speed,
    }
    console = Console(width=160)
    with tempfile.TemporaryDirectory() as folder:
        for name, make in makers.items():
            if asked.only in (None, name):
                (Path(folder) / name).mkdir()
                console.print(make(Path(folder) / name))


if __name__ == "__main__":
    main()
