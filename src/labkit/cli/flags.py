"""Flags as data: which config key each one sets. A command's signature is made from a list of them.

Keeping flags apart from config classes lets `-h` answer without importing pydantic, and keeps one wording for a flag
that several commands share.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer


@dataclass(frozen=True, slots=True)
class Flag:
    """One option of the command line and the dotted config key it sets."""

    option: str
    key: str
    kind: Any
    help: str
    repeatable: bool = False

    @property
    def parameter(self) -> str:
        return self.option.lstrip("-").replace("-", "_")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line said."""

    values: Mapping[str, Any]
    """By dotted config key, only what was given."""
    sets: Sequence[str]
    config: Path | None
    debug: bool
    dry_run: bool
    resume: str | None
    json: bool
    verbose: bool


MODEL_FLAGS = [
    Flag("--model", "model.id", str, "Hub id, folder, run:NAME, or builtin:NAME.  [builtin:countdown-tiny]"),
    Flag("--revision", "model.revision", str, "Branch, tag or commit of a hub id."),
    Flag("--dtype", "model.dtype", str, "auto, float32, bfloat16 or float16; auto is as saved."),
    Flag("--device", "model.device", str, "auto, cpu, cuda, cuda:1, mps."),
    Flag("--device-map", "model.device_map", str, "Spread the model over devices: auto, balanced, sequential."),
]
CHECKPOINT_FLAGS = [
    Flag("--checkpoint", "model.checkpoint", str, "Weights of a training run: final, last, or a step.  [final]"),
]
TASK_FLAGS = [
    Flag(
        "--task",
        "task",
        str,
        "countdown, gsm8k, goodhart, world, a Python file with prompts() and score(), or a JSONL file.",
    ),
    Flag(
        "--data",
        "task.data",
        Path,
        "File of problems, else generated (countdown) or downloaded (gsm8k); folder of a world.",
    ),
    Flag("--split", "task.split", str, "train, validation or test; a file also has all.  [test]"),
    Flag("--offset", "task.offset", int, "Prompts to pass over.  [0]"),
    Flag("--num-prompts", "task.num_prompts", int, "Prompts to take.  [128]"),
    Flag(
        "--preset",
        "task.preset",
        str,
        "Wording of the prompt: published, short; gsm8k: instruct, plain.  [the model's own]",
    ),
]
GENERATION_FLAGS = [
    Flag("--num-rollouts", "num_rollouts", int, "Rollouts a prompt and setting.  [512]"),
    Flag(
        "--max-new-tokens",
        "generation.max_new_tokens",
        int,
        "Most tokens a rollout.  [the model's own, else 1024; world: 30]",
    ),
    Flag("--top-p", "generation.top_p", float, "Nucleus of the draw.  [1.0]"),
    Flag("--top-k", "generation.top_k", int, "Draw among this many tokens; 0 is all.  [0]"),
    Flag("--batch-size", "generation.batch_size", int, "Most rollouts decoded at once.  [512]"),
]
RUN_FLAGS = [
    Flag("--seed", "seed", int, "Seed of the run.  [42]"),
    Flag("--name", "name", str, "Word for the run's folder."),
    Flag("--runs-dir", "runs_dir", Path, "Folder of runs.  [env LABKIT_RUNS_DIR, else ./runs]"),
]

_COMMON: dict[str, tuple[Any, Any, Any]] = {
    "config": (Path | None, typer.Option("--config", help="YAML file of config values."), None),
    "sets": (list[str], typer.Option("--set", metavar="KEY=VALUE", help="Any config key; repeatable."), []),
    "debug": (bool, typer.Option("--debug", help="The small preset of this experiment."), False),
    "dry_run": (bool, typer.Option("--dry-run", help="Say what would be done and how long it takes; write nothing."), False),
    "resume": (str | None, typer.Option("--resume", metavar="RUN", help="Go on with a run: its name, path, or last."), None),
    "json": (bool, typer.Option("--json", help="Print the result as JSON."), False),
    "verbose": (bool, typer.Option("--verbose", help="Show a traceback beside an error."), False),
}  # fmt: skip


def add_command(
    app: typer.Typer,
    name: str,
    flags: Sequence[Flag],
    body: Callable[[Asked], None],
    *,
    help: str,
    without: Sequence[str] = (),
    argument: tuple[str, Any] | None = None,
) -> None:
    """Add a command whose options are `flags` and the common ones.

    Args:
        without: common options that this command does not have
        argument: name and annotation of a positional argument, given to the body as `values[name]`
    """

    def command(**given: Any) -> None:
        values = {flag.key: _plain(given[flag.parameter]) for flag in flags if given[flag.parameter] not in (None, [])}
        if argument is not None:
            values[argument[0]] = given[argument[0]]
        common = {key: given.get(key, default) for key, (_, _, default) in _COMMON.items()}
        body(Asked(values, **common))

    parameters = [] if argument is None else [_parameter(argument[0], argument[1], None)]
    for flag in flags:
        kind = list[flag.kind] | None if flag.repeatable else flag.kind | None  # type: ignore[name-defined]
        parameters.append(_parameter(flag.parameter, Annotated[kind, typer.Option(flag.option, help=flag.help)], None))
    for key, (kind, option, default) in _COMMON.items():
        if key not in without:
            parameters.append(_parameter(key, Annotated[kind, option], default))
    # Typer reads both: the signature for the order, the annotations for the types.
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app.command(name, help=help)(command)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _plain(value: Any) -> Any:
    """Config values are JSON: paths are texts there."""
    return str(value) if isinstance(value, Path) else value
