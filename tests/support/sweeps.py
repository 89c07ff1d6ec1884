"""Running sweeps in this process, and reading what they left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from labkit.config.base import Layer, resolve
from labkit.config.commands import PerturbConfig, SampleConfig, SweepConfig
from labkit.record.frames import KEY, read_rollouts, read_scored
from labkit.record.run import Ask, Run
from labkit.rollouts.experiment import prepare
from labkit.rollouts.plan import Batch
from labkit.rollouts.session import resume, start
from labkit.rollouts.work import Tally

SMALL = {"task.num_prompts": 5, "num_rollouts": 4, "generation.max_new_tokens": 6, "task.preset": "short"}


class Interrupted(Exception):
    """Stands for a crash at a chosen batch."""


class Watcher:
    """An observer that remembers, and may stop the run after some batches."""

    def __init__(self, stop_after: int | None = None, on_batch: Callable[[], None] | None = None) -> None:
        self.batches: list[Batch] = []
        self.new: list[int] = []
        self.owed = -1
        self.said: list[str] = []
        self._stop_after = stop_after

    def started(self, run: Run, ask: Ask, owed: int, tally: Tally) -> None:
        self.run, self.owed = run, owed

    def foreseen(self, text: str) -> None:
        self.said.append(text)

    def advanced(self, batch: Batch, num_new: int, tally: Tally) -> None:
        self.batches.append(batch)
        self.new.append(num_new)
        if self._stop_after is not None and len(self.batches) >= self._stop_after:
            raise Interrupted


def config(kind: type[SweepConfig], folder: Path, runs_dir: Path, **values: Any) -> Any:
    """A resolved small sweep on a CPU model; double underscores stand for dots."""
    given = {key.replace("__", "."): value for key, value in values.items()}
    base = {"model.id": str(folder), "model.device": "cpu", "runs_dir": str(runs_dir)}
    return resolve(kind, [Layer("test", SMALL | base | given)])


def sample(folder: Path, runs_dir: Path, watcher: Watcher | None = None, **values: Any) -> Run:
    resolved = config(SampleConfig, folder, runs_dir, **({"temperatures": [0.5, 1.0]} | values))
    return start(resolved, prepare(resolved.config, print), watcher or Watcher())


def perturb(folder: Path, runs_dir: Path, watcher: Watcher | None = None, **values: Any) -> Run:
    resolved = config(PerturbConfig, folder, runs_dir, **({"sigmas": [0.1, 0.5]} | values))
    return start(resolved, prepare(resolved.config, print), watcher or Watcher())


def go_on(run: Run, watcher: Watcher | None = None, **values: Any) -> Run:
    """Resume a run, with other wishes where given."""
    kind = PerturbConfig if run.command == "perturb" else SampleConfig
    given = {key.replace("__", "."): value for key, value in values.items()}
    resolved = resolve(kind, [Layer(f"run {run.id}", run.manifest["config"]), Layer("test", given)])
    return resume(run, resolved, print, watcher or Watcher())


def rollouts(run: Run) -> pl.DataFrame:
    """What the run holds, in a fixed order, without what time and attempts make differ."""
    frame = read_scored(run, columns=["seed", "text", "finish_reason", "num_tokens", "error"]).frame
    assert read_rollouts(run).frame.select(KEY).is_duplicated().sum() == 0
    return frame.drop("attempt").sort(KEY)


def raw_rows(run: Run) -> int:
    """Whole lines in all segments: rollouts written, repeats included."""
    return sum(path.read_bytes().count(b"\n") for path in run.rows_dir.glob("*.jsonl"))
