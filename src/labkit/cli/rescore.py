"""`labkit eval --rescore RUN`: the verdicts of a run again, without a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.cli.console import say
from labkit.cli.flags import Asked

if TYPE_CHECKING:
    from labkit.config.sections import TaskConfig
    from labkit.record.run import Run

_KNOWN = {"task", "rescore", "task.data", "runs_dir"}


def rescore_run(asked: Asked) -> None:
    """Score the rollouts of the run that `--rescore` names again, and print what has changed."""
    from labkit.report.render import print_tables
    from labkit.report.rescoring import rescored_table
    from labkit.rollouts.rescore import rescore

    _refuse_other_flags(asked)
    run = _run(asked)
    found = rescore(run, _task(run, asked), with_data="task.data" in asked.values, write=not asked.dry_run)
    print_tables([rescored_table(run, found)], format="json" if asked.json else None)
    changed = found.changed.height
    if found.same_score and not changed:
        say("nothing has changed")
    elif asked.dry_run:
        say(f"{changed} of {found.frame.height} verdicts would be others. Nothing was written.")
    else:
        say(f"{changed} of {found.frame.height} verdicts are others now; recorded in {run.path}")


def _refuse_other_flags(asked: Asked) -> None:
    from labkit.errors import ConfigError

    others = sorted(set(asked.values) - _KNOWN)
    sets = [text for text in asked.sets if not text.startswith("task.")]
    if others or sets or asked.config or asked.resume or asked.debug or asked.values.get("task"):
        raise ConfigError(
            "--rescore takes the run as it is: task, model and rollouts stay",
            "beside it stand --data, --set task.KEY=VALUE, --dry-run, --json and --runs-dir only",
        )


def _run(asked: Asked) -> Run:
    from labkit.config.base import variable_name
    from labkit.errors import RecordError
    from labkit.record.catalog import find_run
    from labkit.record.imported import refuse_imported

    runs_dir = asked.values.get("runs_dir") or os.environ.get(variable_name("runs_dir")) or "runs"
    run = find_run(asked.values["rescore"], Path(runs_dir), "eval")
    refuse_imported(run)
    if not run.ask().arms:
        raise RecordError(f"{run.id}, made by labkit {run.command}, has no rollouts", "labkit runs list shows the runs")
    return run


def _task(run: Run, asked: Asked) -> TaskConfig:
    """The task of a run, with what was given now."""
    from labkit.config.base import Layer, flatten, resolve, set_layer
    from labkit.config.commands import COMMANDS

    layers = [Layer(f"run {run.id}", dict(flatten(run.manifest["config"]))), set_layer(asked.sets)]
    if data := asked.values.get("task.data"):
        has_path = run.manifest["config"]["task"]["name"] in ("jsonl", "python")
        layers.append(Layer("flag", {"task.path" if has_path else "task.data": data}))
    task: TaskConfig = resolve(COMMANDS[run.command], layers).config.task  # type: ignore[attr-defined]
    return task
