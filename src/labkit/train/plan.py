"""How long a training is, and at which of its steps something happens: arithmetic on its config, and nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from labkit.config.commands import TrainConfig
from labkit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """The steps of a training."""

    num_steps: int
    """Optimiser steps."""
    warmup_steps: int
    """Steps in which the learning rate rises."""
    checkpoint_every: int
    """Steps between checkpoints; the last step always has one."""
    keeps_all: bool
    """Whether every checkpoint is kept, and one of step 0 beside them."""
    evaluate_every: int
    """Steps between evaluations; the last step always has one, and step 0 where there is a checkpoint of it."""
    num_rows: int | None = None
    """Examples in the training data; None where they are generated without end."""
    num_epochs: float | None = None
    """Passes over the examples."""

    @property
    def checkpoint_steps(self) -> list[int]:
        """The steps of all checkpoints that are written."""
        return [*([0] if self.keeps_all else []), *_multiples(self.checkpoint_every, self.num_steps)]

    @property
    def evaluation_steps(self) -> list[int]:
        """The steps of all evaluations."""
        return [*([0] if self.keeps_all else []), *_multiples(self.evaluate_every, self.num_steps)]


def plan_training(config: TrainConfig, num_rows: int | None) -> TrainingPlan:
    """The plan of a training over data with so many rows; None is data without end.

    With `num_epochs` there are ceil(num_rows / batch_size) steps an epoch, so its last step may be short.

    Raises:
        ConfigError: epochs of examples that have no end.
    """
    how = config.optimisation
    num_steps = how.num_steps
    if how.num_epochs is not None:
        if num_rows is None:
            raise ConfigError(
                f"optimisation.num_epochs is {how.num_epochs:g}, but {config.examples.name} examples are generated "
                "without end",
                "give optimisation.num_steps",
            )
        num_steps = math.ceil(_exact(how.num_epochs) * steps_per_epoch(num_rows, how.batch_size))
    warmup = how.warmup_steps
    return TrainingPlan(
        num_steps=num_steps,
        warmup_steps=round(how.warmup_fraction * num_steps) if warmup is None else warmup,
        checkpoint_every=interval_steps(config.checkpoint_every, num_steps),
        keeps_all=config.keep_checkpoints == "all",
        evaluate_every=interval_steps(config.evaluation.every, num_steps),
        num_rows=num_rows,
        num_epochs=None if num_rows is None else num_steps / steps_per_epoch(num_rows, how.batch_size),
    )


def steps_per_epoch(num_rows: int, batch_size: int) -> int:
    """Steps in one pass over the rows, of which the last may have fewer."""
    return -(-num_rows // batch_size)


def interval_steps(interval: float, num_steps: int) -> int:
    """An interval in whole steps: a part of the run below 1 is rounded up."""
    return interval if isinstance(interval, int) else math.ceil(_exact(interval) * num_steps)


def _exact(value: float) -> Fraction:
    """The number as it was written, 0.035 and not the nearest binary fraction, which could be rounded up wrongly."""
    return Fraction(repr(value))


def _multiples(every: int, last: int) -> list[int]:
    return [*range(every, last, every), last]
