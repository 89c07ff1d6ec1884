"""`labkit perturb`: a sweep over weight noise."""

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
    Flag("--sigma", "sigmas", float, "A standard deviation of the noise; repeatable.  [0.001 0.003 0.005 0.01]", repeatable=True),
    *TASK_FLAGS, *MODEL_FLAGS, *CHECKPOINT_FLAGS,
    *(flag for flag in GENERATION_FLAGS if flag.option not in ("--top-p", "--top-k")),
    *RUN_FLAGS,
]  # fmt: skip

HELP = """Put noise on the weights, decode greedily, and show pass@k.

Each rollout is another member: base weights + sigma * noise of its seed. Members are shared by all sigmas. The
unperturbed greedy baseline is measured beside the sweep; --sigma 0 measures the noise floor of decoding itself.
--debug is 32 prompts, 32 rollouts, the first sigma.
"""


def register(app: typer.Typer) -> None:
    add_command(app, "perturb", FLAGS, _perturb, help=HELP)


def _perturb(asked: Asked) -> None:
    from labkit.cli.sweep import run_sweep
    from labkit.config.commands import PerturbConfig

    run_sweep(PerturbConfig, "sigmas", asked)
