"""What happens beside a training: metrics are passed on, the model evaluated, checkpoints completed and sealed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from labkit.errors import ConfigError
from labkit.train.checkpoints import prune_checkpoints, seal_checkpoint

NUM_CHECKPOINTS_KEPT = 2

OnLog = Callable[[int, dict[str, float]], None]
"""Told (steps done, metrics): `loss`, `learning_rate`, `grad_norm` while training; whatever `Evaluate` returned."""

Evaluate = Callable[[], dict[str, float]]
"""Measures the model as it is; it is in evaluation mode, without gradients, and may draw random numbers."""


class Reporter(TrainerCallback):
    """Passes metrics on, evaluates, and stops a training whose loss or gradient is lost."""

    def __init__(self, evaluate: Evaluate, every: int, on_log: OnLog) -> None:
        self._evaluate = evaluate
        self._every = every
        self._on_log = on_log

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        metrics = training_metrics(logs or {})
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise ConfigError(
                    f"the {name} is {value} at step {state.global_step}", "start again with a lower --learning-rate"
                )
        if metrics:
            self._on_log(state.global_step, metrics)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **_: Any
    ) -> None:
        # The last step is left to the caller: a training that is resumed at its end has no step left to do it in.
        # A logged loss is the mean since the last log, and a resumed training knows none from before its checkpoint.
        control.should_log |= state.global_step % int(args.save_steps) == 0
        if self._every and state.global_step % self._every == 0 and state.global_step < state.max_steps:
            model.train(False)
            with torch.no_grad(), torch.random.fork_rng():
                metrics = self._evaluate()
            model.train()
            self._on_log(state.global_step, metrics)


class Keeper(TrainerCallback):
    """Seals each checkpoint that the Trainer wrote, then clears old ones away."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        self._settings = settings

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        seal_checkpoint(self._folder / f"checkpoint-{state.global_step}", self._settings)
        prune_checkpoints(self._folder, num_kept=NUM_CHECKPOINTS_KEPT)


def training_metrics(logs: Mapping[str, Any]) -> dict[str, float]:
    """What of the Trainer's log lines is a measurement of training; the summary at its end has none of these."""
    return {name: float(logs[name]) for name in ("loss", "learning_rate", "grad_norm") if name in logs}
