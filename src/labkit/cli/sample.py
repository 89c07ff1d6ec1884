"""`labkit sample`: a sweep over temperatures."""

from __future__ import annotations

import typer

from labkit.cli.flags import (
    CHECKPOINT_FLAGS,
    GENERATION_FLAGS,
    MODEL_FLAGS,
    RUN_FLAGS,
    TASK_FLAGS,
    Asked,
    Flag,
    add_command,
)

FLAGS = [
    Flag("--temperature", "temperatures", float, "A temperature of the sweep; repeatable.  [0.4 0.6 0.8 1.0]", repeatable=True),
    *TASK_FLAGS, *MODEL_FLAGS, *CHECKPOINT_FLAGS, *GENERATION_FLAGS, *RUN_FLAGS,
]  # fmt: skip

HELP = """Sample rollouts at each temperature, score them, and show pass@k.

A greedy baseline is measured beside the sweep. --debug is 32 prompts, 32 rollouts, the first temperature.
"""


def register(app: typer.Typer) -> None:
    add_command(app, "sample", FLAGS, _sample, help=HELP)


def _sample(asked: Asked) -> None:
    from labkit.cli.sweep import run_sweep
    from labkit.config.commands import SampleConfig

    run_sweep(SampleConfig, "temperatures", asked)
