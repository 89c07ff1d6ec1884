"""`labkit train`: supervised training from a config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from labkit.cli.flags import RUN_FLAGS, Asked, Flag, add_command

FLAGS = [
    Flag("--num-steps", "optimisation.num_steps", int, "Optimiser steps.  [400]"),
    Flag("--batch-size", "optimisation.batch_size", int, "Examples a step.  [512]"),
    Flag("--learning-rate", "optimisation.learning_rate", float, "Highest learning rate.  [0.002]"),
    *RUN_FLAGS,
]
CONFIG = Annotated[Path | None, typer.Argument(metavar="CONFIG", help="YAML config, or the name of a shipped one.")]

HELP = """Train a causal model on prompts and their completions.

CONFIG says what is trained on what: `labkit train templates/countdown-tiny.yaml` makes the model that comes with labkit.
Held-out accuracy is measured on the way. --debug is 20 steps. A killed training goes on with --resume from its newest
checkpoint and ends in the same weights.
"""

DEBUG_STEPS = 20


def register(app: typer.Typer) -> None:
    add_command(app, "train", FLAGS, _train, help=HELP, without=("config",), argument=("config_path", CONFIG))


def _train(asked: Asked) -> None:
    from dataclasses import replace

    from labkit.cli.console import say
    from labkit.cli.layers import resolve_asked, resumed_run
    from labkit.config.commands import TrainConfig
    from labkit.config.templates import find_template

    values = dict(asked.values)
    named = values.pop("config_path")
    asked = replace(asked, values=values, config=None if named is None else find_template(named))
    run = resumed_run(asked, "train")
    _refuse_no_config(asked.config, run)
    resolved = resolve_asked(TrainConfig, asked, debug=_debug, resumed=run)
    if asked.dry_run:
        how = resolved.config.optimisation
        if asked.json:
            print(json.dumps({"num_steps": how.num_steps, "batch_size": how.batch_size}))
        else:
            say(f"{how.num_steps} steps of {how.batch_size} examples. Nothing was written.")
        return
    say("loading torch")
    from labkit.cli.training_progress import TrainingProgress
    from labkit.train.session import final_model_dir, resume, start

    with TrainingProgress() as progress:
        run = start(resolved, progress) if run is None else resume(run, resolved.config, progress)
    _print_table(run, as_json=asked.json)
    say(f"model in {final_model_dir(run)}")
    say(f"recorded in {run.path}")


def _refuse_no_config(config: Path | None, run: object) -> None:
    from labkit.errors import ConfigError

    if config is None and run is None:
        raise ConfigError("labkit train needs a config", "labkit train templates/countdown-tiny.yaml")


def _debug(config: Any) -> dict[str, Any]:
    """The small preset: 20 steps."""
    return {"optimisation.num_steps": DEBUG_STEPS}


def _print_table(run: Any, *, as_json: bool) -> None:
    from labkit.report.render import print_tables
    from labkit.report.training import training_table

    print_tables([training_table([run])], format="json" if as_json else None)
