"""From what a command line said to a config: the layers in their order."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from labkit.cli.flags import Asked
from labkit.config.base import (
    Config,
    Layer,
    Resolved,
    environment_layers,
    file_layer,
    flatten,
    resolve,
    set_layer,
    variable_name,
)
from labkit.config.commands import COMMANDS
from labkit.errors import ConfigError, RecordError
from labkit.record.catalog import find_run
from labkit.record.imported import refuse_imported
from labkit.record.run import Run

ConfigT = TypeVar("ConfigT", bound=Config)

_NAMED_TASKS = ("countdown", "goodhart", "gsm8k", "world")


def resolve_asked(
    schema: type[ConfigT], asked: Asked, *, debug: Callable[[ConfigT], Mapping[str, Any]], resumed: Run | None = None
) -> Resolved[ConfigT]:
    """Default < file < environment < `--debug` < flag. A resumed run stands in for file and environment: it was asked
    once, and what has changed around it since is nobody's wish.

    Args:
        debug: the small preset, by dotted key, of the config as it is without it
    """
    if resumed is not None:
        below = [Layer(f"run {resumed.id}", dict(flatten(resumed.manifest["config"])))]
    else:
        below = [] if asked.config is None else [_checked_file(schema, asked)]
        schemas: list[type[Config]] = [schema, *(other for other in COMMANDS.values() if other is not schema)]
        below += environment_layers(os.environ, schemas)
    flags = [Layer("flag", task_values(asked.values)), set_layer(asked.sets)]
    if not asked.debug:
        return resolve(schema, [*below, *flags])
    small = debug(resolve(schema, [*below, *flags]).config)
    return resolve(schema, [*below, Layer("--debug", small), *flags])


def resumed_run(asked: Asked, command: str) -> Run | None:
    """The run that `--resume` names, None without it.

    Raises:
        RecordError: there is no such run, or it belongs to another command. ConfigError: a config is given beside it.
    """
    if asked.resume is None:
        return None
    run = find_run(asked.resume, runs_dir_of(asked), command)
    if run.command != command:
        raise RecordError(f"{run.id} is a run of labkit {run.command}", f"labkit {run.command} --resume {run.id}")
    refuse_imported(run)
    if asked.config is not None:
        raise ConfigError(
            "a resumed run has its config already", "leave the config out beside --resume; flags may change it"
        )
    return run


def given_runs_dir(asked: Asked) -> Path | None:
    """The runs folder that a flag or the environment names."""
    given = asked.values.get("runs_dir") or os.environ.get(variable_name("runs_dir"))
    return Path(given) if given else None


def runs_dir_of(asked: Asked) -> Path:
    """Where a run is looked for that was named: no config says it yet."""
    return given_runs_dir(asked) or Path("runs")


def task_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The task of a command line as config values: a name, or a file that is a task."""
    plain = {key: value for key, value in values.items() if key != "task"}
    task = values.get("task")
    if task is None:
        return plain
    for ending, name in ((".py", "python"), (".jsonl", "jsonl")):
        if task.endswith(ending):
            return {"task.name": name, "task.path": task} | plain
    if task not in _NAMED_TASKS:
        raise ConfigError(
            f"there is no task {task!r}", "name countdown, goodhart, gsm8k, world, a .py file, or a .jsonl file"
        )
    return {"task.name": task} | plain


def _checked_file(schema: type[Config], asked: Asked) -> Layer:
    assert asked.config is not None
    layer = file_layer(asked.config)
    if any(key.startswith("sections.") for key in layer.values):
        raise ConfigError(f"{asked.config} is a matrix of many configs", f"labkit gencfg {asked.config} writes them")
    wanted = schema.model_fields["command"].default
    command = layer.values.get("command", wanted)
    if command != wanted:
        raise ConfigError(
            f"{asked.config} is a config for labkit {command}", f"labkit {command} --config {asked.config}"
        )
    return layer
