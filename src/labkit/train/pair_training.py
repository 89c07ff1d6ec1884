"""Supervised training of a causal language model on (prompt, completion) pairs, by transformers' Trainer.

The loss is taken on completions only. Every step's data, learning rate and random state are functions of the settings
and the step, so a training that was killed and resumed on the CPU ends in the same bits as one that was not. Knows
nothing of tasks or configs, prints nothing, and reports through callbacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from transformers.utils import logging as transformers_logging

from labkit.errors import ConfigError
from labkit.train.callbacks import Evaluate, Keeper, OnLog, Reporter, training_metrics
from labkit.train.checkpoints import check_resumable, discard_beyond
from labkit.train.model_folder import save_model
from labkit.train.pairs import MicroBatches, PairsAt

_SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


@dataclass(frozen=True, slots=True)
class Optimisation:
    """How a model is trained: AdamW with warm-up and decay."""

    num_steps: int
    """Optimiser steps."""
    batch_size: int
    """Pairs in a step."""
    micro_batch_size: int | None = None
    """Pairs in memory at a time; a step adds up the gradients of several. None takes the whole batch at once."""
    learning_rate: float = 1e-3
    """The highest, at the end of the warm-up."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate goes from its highest to zero (`constant` stays)."""
    warmup_fraction: float = 0.05
    """Share of the steps in which the learning rate rises from zero."""
    weight_decay: float = 0.0
    """AdamW's, on weight matrices; norms and biases are left alone."""
    adam_beta1: float = 0.9
    """Decay of the running mean of the gradient."""
    adam_beta2: float = 0.999
    """Decay of the running mean of its square."""
    max_grad_norm: float = 1.0
    """Gradients longer than this are shortened to it; 0 leaves them."""
    bf16: bool = False
    """Compute in bfloat16 where that is safe (autocast); weights keep their own type."""

    @property
    def num_parts(self) -> int:
        """Forward passes in a step."""
        return self.batch_size // (self.micro_batch_size or self.batch_size)


def train_on_pairs(
    *,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs_at: PairsAt,
    optimisation: Optimisation,
    checkpoints_dir: Path,
    model_dir: Path | None = None,
    seed: int,
    device: str | torch.device = "cpu",
    checkpoint_every: int = 0,
    log_every: int = 10,
    evaluate_every: int = 0,
    evaluate: Evaluate | None = None,
    model_settings: Mapping[str, Any] | None = None,
    on_log: OnLog | None = None,
    on_checkpoint: Callable[[Path], None] | None = None,
    resume_from: Path | None = None,
) -> dict[str, float]:
    """Train a model in place.

    Args:
        model: new or loaded; it is changed, and left in training mode on `device`
        pairs_at: gives the `batch_size` pairs of a step (`labkit.train.pairs`)
        seed: of dropout and whatever else the model draws; global random state is restored afterwards
        device: `cpu`, or the kind of accelerator; a machine with several gives its first
        checkpoint_every: steps between checkpoints in `checkpoints_dir`; 0 writes none
        model_dir: where the trained model is written, in Hugging Face format, with safetensors and its tokenizer
        evaluate_every: steps between calls of `evaluate`; 0 never. It is not called after the last step
        model_settings: goes into `labkit.json` beside the weights, in checkpoints too
        on_checkpoint: told the folder of each checkpoint, once it is complete
        resume_from: a complete checkpoint, from `newest_checkpoint`; the training must have the same settings

    Returns:
        The last training metrics: `loss`, `learning_rate`, `grad_norm`.

    Raises:
        ConfigError: settings that do not fit together, or a loss that is no longer a number.
        RecordError: `resume_from` is not complete or was trained otherwise; or checkpoints are there and it is None.
        InputError: the pairs do not fit the model.
    """
    _check(optimisation)
    settings = {**asdict(optimisation), "seed": seed}
    if resume_from:
        check_resumable(resume_from, settings)
    discard_beyond(checkpoints_dir, resume_from)
    reporter = Reporter(evaluate, evaluate_every, on_log)
    keeper = Keeper(checkpoints_dir, tokenizer, settings, model_settings, on_checkpoint)
    with _quiet(), torch.random.fork_rng():
        trainer = Trainer(
            model=model,
            args=_arguments(optimisation, checkpoints_dir, seed, device, checkpoint_every, log_every),
            train_dataset=MicroBatches(
                pairs_at,
                tokenizer,
                num_steps=optimisation.num_steps,
                batch_size=optimisation.batch_size,
                num_parts=optimisation.num_parts,
                max_length=getattr(model.config, "max_position_embeddings", tokenizer.model_max_length),
            ),
            data_collator=_only,
            callbacks=[reporter, keeper],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
        if model_dir:
            save_model(model, tokenizer, model_settings, model_dir)
    # The Trainer's history spans attempts; this one may have begun at the last step.
    return training_metrics(next((logs for logs in reversed(trainer.state.log_history) if "loss" in logs), {}))


def _check(optimisation: Optimisation) -> None:
    size = optimisation.micro_batch_size or optimisation.batch_size
    if optimisation.batch_size % size:
        raise ConfigError(
            f"optimisation.batch_size {optimisation.batch_size} is no multiple of micro_batch_size {size}",
            "choose a divisor",
        )


def _arguments(
    optimisation: Optimisation,
    folder: Path,
    seed: int,
    device: str | torch.device,
    checkpoint_every: int,
    log_every: int,
) -> TrainingArguments:
    on_cpu = torch.device(device).type == "cpu"
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=optimisation.num_steps,
        # An item of the data set is a whole forward pass already.
        per_device_train_batch_size=1,
        gradient_accumulation_steps=optimisation.num_parts,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        learning_rate=optimisation.learning_rate,
        lr_scheduler_type=_SCHEDULERS[optimisation.schedule],
        warmup_steps=round(optimisation.warmup_fraction * optimisation.num_steps),
        weight_decay=optimisation.weight_decay,
        adam_beta1=optimisation.adam_beta1,
        adam_beta2=optimisation.adam_beta2,
        max_grad_norm=optimisation.max_grad_norm,
        bf16=optimisation.bf16,
        seed=seed,
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        save_strategy="steps" if checkpoint_every else "no",
        save_steps=checkpoint_every or optimisation.num_steps,
        logging_steps=log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
    )
    if not on_cpu:
        _ = arguments.device
        arguments._n_gpu = 1  # else the Trainer spreads every batch over all devices that it sees
    return arguments


def _only(items: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return items[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from writing to the terminal, where labkit draws its own progress."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
