"""`labkit eval --rerank RUN`: rerankers score a finished run, whose model is not loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.cli.flags import Asked

if TYPE_CHECKING:
    from labkit.cli.sweep import ShowResult
    from labkit.record.run import Run

_OPTIONS = {"rerank": "--rerank", "rerankers": "--reranker", "model.device": "--device", "runs_dir": "--runs-dir"}


def rerank(asked: Asked, *, show: ShowResult) -> None:
    """Let the rerankers that were named, else those that the run knows, score what they have not scored yet.

    Args:
        show: prints the result of the run
    """
    from labkit.cli.console import say
    from labkit.config.base import variable_name
    from labkit.record.catalog import find_run

    _refuse_others(asked)
    runs_dir = Path(asked.values.get("runs_dir") or os.environ.get(variable_name("runs_dir")) or "runs")
    run = find_run(asked.values["rerank"], runs_dir, "eval")
    references = list(asked.values.get("rerankers") or _known(run))
    _refuse_nothing(run, references)
    say(f"ranking {run.id}")
    from labkit.cli.progress import SweepProgress
    from labkit.rerank.finding import find_rerankers
    from labkit.rerank.session import rank_again

    rerankers = find_rerankers(references, runs_dir, asked.values.get("model.device", "auto"))
    with SweepProgress() as progress:
        warnings = rank_again(run, rerankers, progress.ranked)
    for warning in warnings:
        say(warning)
    show(run, as_json=asked.json)
    say(f"recorded in {run.path}")


def _known(run: Run) -> Sequence[str]:
    """The rerankers that the run was asked for, and those that have ranked it since."""
    from labkit.record.rankings import announced_rankings

    return list(dict.fromkeys([*run.manifest["config"].get("rerankers", ()), *announced_rankings(run)]))


def _refuse_others(asked: Asked) -> None:
    from labkit.errors import ConfigError

    others = [key for key, value in asked.values.items() if key not in _OPTIONS and value is not None]
    common = {"--set": asked.sets, "--config": asked.config, "--debug": asked.debug, "--resume": asked.resume}
    others += [name for name, value in {**common, "--dry-run": asked.dry_run}.items() if value]
    if others:
        raise ConfigError(
            f"--rerank scores a run as it is: {', '.join(others)} would do nothing",
            f"beside it stand only {', '.join(list(_OPTIONS.values())[1:])} and --json",
        )


def _refuse_nothing(run: Run, references: Sequence[str]) -> None:
    from labkit.errors import ConfigError, RecordError

    if run.command not in ("eval", "sample", "perturb"):
        raise RecordError(f"{run.id} is a run of labkit {run.command} and has no rollouts", "name an evaluation")
    if not references:
        raise ConfigError(f"which reranker is to rank {run.id}?", "--reranker run:NAME, a folder, or a Python file")
