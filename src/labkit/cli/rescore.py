"""`labkit eval --rescore RUN`: the verdicts of a run again, without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.cli.console import say
from labkit.cli.finished import refuse_other_flags, run_with_rollouts
from labkit.cli.flags import Asked

if TYPE_CHECKING:
    from labkit.config.sections import TaskConfig
    from labkit.record.run import Run

_ALLOWED = ("rescore", "task.data", "runs_dir")
_WHAT = "--rescore takes the run as it is; task, model and rollouts stay"
_HINT = "beside it stand --data, --set task.KEY=VALUE, --dry-run, --json and --runs-dir only"


def rescore_run(asked: Asked) -> None:
    """Score the rollouts of the run that `--rescore` names again, and print what has changed."""
    from labkit.report.render import print_tables
    from labkit.report.rescoring import rescored_table
    from labkit.rollouts.rescore import rescore

    refuse_other_flags(asked, _ALLOWED, sets="task.", what=_WHAT, hint=_HINT)
    run = run_with_rollouts(asked, "rescore")
    found = rescore(run, _task(run, asked), with_data="task.data" in asked.values, write=not asked.dry_run)
    print_tables([rescored_table(run, found)], format="json" if asked.json else None)
    changed = found.changed.height
    if found.same_score and not changed:
        say("nothing has changed")
    elif asked.dry_run:
        say(f"{changed} of {found.frame.height} verdicts would be others. Nothing was written.")
    else:
        say(f"{changed} of {found.frame.height} verdicts are others now; recorded in {run.path}")


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
