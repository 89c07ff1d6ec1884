"""What happens beside a training: metrics are passed on, the model evaluated, checkpoints completed and sealed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    PreTrainedModel,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from labkit.errors import ConfigError
from labkit.train.checkpoints import prune_checkpoints, seal_checkpoint, thin_checkpoints

NUM_CHECKPOINTS_KEPT = 2
"""Checkpoints that a killed training can go on from."""

OnLog = Callable[[int, dict[str, float]], None]
"""Told (steps done, metrics): `loss`, `learning_rate`, `grad_norm` while training; whatever `Evaluate` returned."""

Evaluate = Callable[[], dict[str, float]]
"""Measures the model as it is; it is in evaluation mode, without gradients, and may draw random numbers."""

CompleteCheckpoint = Callable[[Path], None]
"""Writes into a checkpoint folder what a model needs beside its weights."""


class Reporter(TrainerCallback):
    """Passes metrics on, evaluates, and stops a training whose loss or gradient is lost."""

    def __init__(self, evaluate: Evaluate, every: int, on_log: OnLog, *, scaled_loss: bool = False) -> None:
        """
        Args:
            every: steps between evaluations; 0 evaluates nothing
            scaled_loss: whether the loss is scaled for half precision; a gradient that overflows is then no error, since
                the step is left out and the scale lowered
        """
        self._evaluate = evaluate
        self._every = every
        self._on_log = on_log
        self._scaled_loss = scaled_loss

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        state.log_history.clear()  # `metrics.jsonl` has it; the Trainer would write all of it into every checkpoint
        metrics = training_metrics(logs or {})
        if self._scaled_loss and not math.isfinite(metrics.get("grad_norm", 0.0)):
            del metrics["grad_norm"]
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
            self._on_log(state.global_step, measured(model, self._evaluate))


class Keeper(TrainerCallback):
    """Completes and seals each checkpoint that the Trainer wrote, then clears away what older ones need no longer."""

    def __init__(
        self, folder: Path, complete: CompleteCheckpoint, settings: Mapping[str, Any], *, keeps_all: bool
    ) -> None:
        self._folder = folder
        self._complete = complete
        self._settings = settings
        self._keeps_all = keeps_all

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        checkpoint = self._folder / f"checkpoint-{state.global_step}"
        self._complete(checkpoint)
        seal_checkpoint(checkpoint, self._settings)
        if self._keeps_all:
            thin_checkpoints(self._folder, num_resumable=NUM_CHECKPOINTS_KEPT)
        else:
            prune_checkpoints(self._folder, num_kept=NUM_CHECKPOINTS_KEPT)


def measured(model: PreTrainedModel, evaluate: Evaluate) -> dict[str, float]:
    """An evaluation in the middle of a training, which notices nothing of it."""
    model.train(False)
    with torch.no_grad(), torch.random.fork_rng():
        metrics = evaluate()
    model.train()
    return metrics


def training_metrics(logs: Mapping[str, Any]) -> dict[str, float]:
    """What of the Trainer's log lines is a measurement of training; the summary at its end has none of these."""
    return {name: float(logs[name]) for name in ("loss", "learning_rate", "grad_norm") if name in logs}
