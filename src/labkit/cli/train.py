"""`labkit train`: training from a config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from labkit.cli.flags import RUN_FLAGS, Asked, Flag, add_command

FLAGS = [
    Flag(
        "--model",
        "model.id",
        str,
        "Model to go on from: run:NAME, a run's folder, a model folder, a hub id, builtin:NAME.",
    ),
    Flag("--checkpoint", "model.checkpoint", str, "Its weights, where it is a run: final, last or a step.  [final]"),
    Flag("--data", "examples.path", Path, "Examples of a config that reads some: a data set's folder, a JSONL file."),
    Flag("--num-epochs", "optimisation.num_epochs", float, "Passes over the examples, instead of steps."),
    Flag("--num-steps", "optimisation.num_steps", int, "Optimiser steps.  [400]"),
    Flag("--batch-size", "optimisation.batch_size", int, "Examples a step.  [512]"),
    Flag("--learning-rate", "optimisation.learning_rate", float, "Highest learning rate.  [0.002]"),
    *RUN_FLAGS,
]
CONFIG = Annotated[Path | None, typer.Argument(metavar="CONFIG", help="YAML config, or the name of a shipped one.")]

HELP = """Train a model on prompts and answers, a data set, or rollouts.

CONFIG says what is trained on what: `labkit train templates/countdown-tiny.yaml` makes the model that comes with labkit.
Held-out accuracy is measured on the way. --debug is 20 steps. A killed training goes on with --resume from its newest
checkpoint and ends in the same weights. `method: energy` makes a reranker of the rollouts of earlier runs.
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
    if "optimisation.num_steps" in values:  # a flag stands for the epochs of a config
        values.setdefault("optimisation.num_epochs", None)
    asked = replace(asked, values=values, config=None if named is None else find_template(named))
    run = resumed_run(asked, "train")
    _refuse_no_config(asked.config, run)
    resolved = resolve_asked(TrainConfig, asked, debug=_debug, resumed=run)
    _refuse_idle_steps(resolved)
    if asked.dry_run:
        _say_plan(resolved.config, as_json=asked.json)
        return
    say("loading torch")
    from labkit.cli.training_progress import TrainingProgress
    from labkit.train.session import final_model_dir, resume, start

    with TrainingProgress() as progress:
        run = start(resolved, progress) if run is None else resume(run, resolved.config, progress)
    _print_table(run, as_json=asked.json)
    flag = "--reranker" if resolved.config.method == "energy" else "--model"
    say(f"model in {final_model_dir(run)}; other commands take it as {flag} run:{run.manifest['name'] or run.id}")
    say(f"recorded in {run.path}")


def _refuse_no_config(config: Path | None, run: object) -> None:
    from labkit.errors import ConfigError

    if config is None and run is None:
        raise ConfigError("labkit train needs a config", "labkit train templates/countdown-tiny.yaml")


def _refuse_idle_steps(resolved: Any) -> None:
    """Steps that somebody asks for beside epochs would do nothing."""
    from labkit.errors import ConfigError

    how = resolved.config.optimisation
    if how.num_epochs is not None and resolved.origins["optimisation.num_steps"].startswith("flag"):
        raise ConfigError(
            f"optimisation.num_epochs is {how.num_epochs:g}, so num_steps {how.num_steps} would do nothing",
            f"give --num-steps {how.num_steps} without --num-epochs, or leave it out",
        )


def _say_plan(config: Any, *, as_json: bool) -> None:
    from labkit.cli.console import say
    from labkit.train.examples import load_examples
    from labkit.train.parent import check_parent, find_parent, training_notes
    from labkit.train.plan import plan_training

    examples = load_examples(config.examples, config.seed, config.evaluation.num_prompts, config.runs_dir)
    plan = plan_training(config, examples.num_rows)
    parent = find_parent(config)
    check_parent(parent, examples)
    for note in training_notes(config, parent, examples):
        say(note)
    num_evaluations = len(plan.evaluation_steps) if config.evaluation.num_prompts else 0
    if as_json:
        counts = {"num_rows": plan.num_rows, "num_epochs": plan.num_epochs, "warmup_steps": plan.warmup_steps}
        happens = {"num_checkpoints": len(plan.checkpoint_steps), "num_evaluations": num_evaluations}
        batch_size = config.optimisation.batch_size
        what = {"data": examples.data_name, "num_steps": plan.num_steps, "batch_size": batch_size}
        print(json.dumps({**what, **counts, **happens}))
        return
    rows = "" if plan.num_rows is None else f", {plan.num_epochs:.4g} epochs of {plan.num_rows:,} rows"
    of = f" of data set {examples.data_name}" if config.examples.name == "dataset" else ""
    kept = "all kept" if plan.keeps_all else "the newest two kept"
    say(f"{plan.num_steps:,} steps of {config.optimisation.batch_size} examples{rows}{of}.")
    say(
        f"{len(plan.checkpoint_steps)} checkpoints, every {plan.checkpoint_every:,} steps, {kept}; "
        f"{num_evaluations} evaluations. Nothing was written."
    )


def _debug(config: Any) -> dict[str, Any]:
    """The small preset: 20 steps. An interval that is a part of the run would be every single one of them."""
    small: dict[str, Any] = {"optimisation.num_steps": DEBUG_STEPS, "optimisation.num_epochs": None}
    if isinstance(config.checkpoint_every, float):
        small["checkpoint_every"] = DEBUG_STEPS // 2
    if isinstance(config.evaluation.every, float):
        small["evaluation.every"] = DEBUG_STEPS // 2
    return small


def _print_table(run: Any, *, as_json: bool) -> None:
    from labkit.report.render import print_tables
    from labkit.report.training import training_table

    print_tables([training_table([run])], format="json" if as_json else None)
