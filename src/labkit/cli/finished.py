"""Commands that take a finished run as it is: which run, and which flags may stand beside the one that names it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from labkit.cli.flags import Asked

if TYPE_CHECKING:
    from labkit.record.run import Run


def run_with_rollouts(asked: Asked, key: str) -> Run:
    """The run that a flag names.

    Args:
        key: of the flag in `asked.values`

    Raises:
        RecordError: there is no such run, it was imported, or its command makes no rollouts.
    """
    from labkit.cli.layers import runs_dir_of
    from labkit.errors import RecordError
    from labkit.record.catalog import find_run
    from labkit.record.imported import refuse_imported

    run = find_run(asked.values[key], runs_dir_of(asked), "eval")
    refuse_imported(run)
    if not run.ask().arms:
        raise RecordError(f"{run.id}, made by labkit {run.command}, has no rollouts", "labkit runs list shows the runs")
    return run


def refuse_other_flags(asked: Asked, allowed: Collection[str], *, sets: str | None, what: str, hint: str) -> None:
    """Refuse flags that would do nothing.

    Args:
        allowed: keys of `asked.values`
        sets: what keys of --set begin with that may stand there; None allows none
        what: why others are refused; they are named behind it

    Raises:
        ConfigError: there are others.
    """
    from labkit.errors import ConfigError

    others = sorted(key for key, value in asked.values.items() if key not in allowed and value is not None)
    others += [f"--set {text}" for text in asked.sets if sets is None or not text.startswith(sets)]
    common = {"--config": asked.config, "--resume": asked.resume, "--debug": asked.debug}
    others += [name for name, value in common.items() if value]
    if others:
        raise ConfigError(f"{what}: {', '.join(others)} would do nothing", hint)
