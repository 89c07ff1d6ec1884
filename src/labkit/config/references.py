"""What a config needs before it can be carried out, and what it makes that others need.

Knows configs only: whether a thing is there already is for the caller to look up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labkit.config.base import Config
from labkit.config.commands import EvalConfig, ExtractConfig, RolloutConfig, TrainConfig
from labkit.config.data import DataConfig
from labkit.config.names import RUN_PREFIX
from labkit.config.sections import CountdownTask, GoodhartTask, Gsm8kTask, ModelConfig
from labkit.config.training import CountdownExamples, Gsm8kExamples, RolloutExamples


@dataclass(frozen=True, slots=True)
class Reference:
    """A thing outside a config: the finished run of a name, or a file or folder."""

    kind: Literal["run", "rollouts", "path"]
    """`run` is a training, by the model that it makes; `rollouts` a run of any command that makes some."""
    name: str
    """The name of the run, or the path without `.` and `..`."""
    runs_dir: str = ""
    """Where a run is looked for; empty for a path."""
    key: str = ""
    """The config key that names it, for messages; not part of what it is."""

    def made_with(self) -> list[Reference]:
        """What is made together with this, without a key: itself, and the folders that a path lies in, the nearest
        first."""
        names = [self.name, *map(str, Path(self.name).parents)] if self.kind == "path" else [self.name]
        return [Reference(self.kind, name, self.runs_dir) for name in names]


def model_path(model_id: str) -> Path | None:
    """The folder that a model's id names; None for a hub id, `builtin:` and `run:`."""
    is_run = model_id.startswith(RUN_PREFIX)
    is_path = model_id.startswith((".", "/", "~")) or (model_id.count("/") > 1 and not is_run)
    return Path(model_id).expanduser() if is_path else None


def needed_by(config: Config) -> list[Reference]:
    """The runs, files and folders that a config names as its input; hub ids and `builtin:` models are none."""
    return list(_needs(config))


def made_by(config: Config) -> list[Reference]:
    """What is there when a config has been carried out: the folder of a world, or the run of a name."""
    if isinstance(config, DataConfig):
        return [_path(config.out, "out")]
    if isinstance(config, TrainConfig) and config.name is not None:
        return [Reference("run", config.name, os.path.normpath(config.runs_dir), "name")]
    if isinstance(config, RolloutConfig) and config.name is not None:
        return [Reference("rollouts", config.name, os.path.normpath(config.runs_dir), "name")]
    return []


def _needs(config: Config) -> Iterator[Reference]:
    if isinstance(config, DataConfig):
        if config.cities.source is not None:
            yield _path(config.cities.source, "cities.source")
        return
    if isinstance(config, (RolloutConfig, TrainConfig, ExtractConfig)) and config.model is not None:
        yield from _model(config.model, config.runs_dir)
    if isinstance(config, ExtractConfig):
        yield _path(config.cities, "cities")
    if isinstance(config, TrainConfig):
        yield from _examples(config)
    if isinstance(config, RolloutConfig):
        yield from _task(config)
    if isinstance(config, EvalConfig):
        for reranker in config.rerankers:
            yield from _reranker(reranker, config.runs_dir)


def _examples(config: TrainConfig) -> Iterator[Reference]:
    examples = config.examples
    if isinstance(examples, RolloutExamples):
        for run in examples.runs:
            path = model_path(run)  # written as a path or not, as a model is
            name = run.removeprefix(RUN_PREFIX)
            place = os.path.normpath(config.runs_dir)
            yield _path(path, "examples.runs") if path else Reference("rollouts", name, place, "examples.runs")
    elif not isinstance(examples, CountdownExamples):
        if examples.path is not None:
            yield _path(examples.path, "examples.path")
        if isinstance(examples, Gsm8kExamples) and examples.validation_path is not None:
            yield _path(examples.validation_path, "examples.validation_path")


def _task(config: RolloutConfig) -> Iterator[Reference]:
    task = config.task
    if isinstance(task, (CountdownTask, GoodhartTask, Gsm8kTask)):
        if task.data is not None:
            yield _path(task.data, "task.data")
    elif task.name != "world":
        yield _path(task.path, "task.path")
    elif task.evaluations is None:
        yield _path(task.data, "task.data")
    else:
        for name in task.evaluations:
            yield _path(task.data / name, "task.evaluations")


def _model(model: ModelConfig, runs_dir: Path) -> Iterator[Reference]:
    return _weights(model.id, runs_dir, "model.id")


def _reranker(reranker: str, runs_dir: Path) -> Iterator[Reference]:
    """A Python file needs no `./` before it, as the hub has none."""
    if reranker.endswith(".py"):
        return iter([_path(Path(reranker).expanduser(), "rerankers")])
    return _weights(reranker, runs_dir, "rerankers")


def _weights(model_id: str, runs_dir: Path, key: str) -> Iterator[Reference]:
    if model_id.startswith(RUN_PREFIX):
        yield Reference("run", model_id.removeprefix(RUN_PREFIX), os.path.normpath(runs_dir), key)
    elif (path := model_path(model_id)) is not None:
        yield _path(path, key)


def _path(path: Path, key: str) -> Reference:
    return Reference("path", os.path.normpath(path), key=key)
