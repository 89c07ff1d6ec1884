"""The steps of a training, whatever its method, by transformers' Trainer.

Every step's data, learning rate and random state are functions of
the config and the step, so a training that was killed and resumed on the CPU ends in the same bits as one that was not.
Prints nothing, and reports through callbacks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from transformers.utils import logging as transformers_logging

from labkit.config.commands import TrainConfig
from labkit.train.callbacks import Evaluate, Keeper, OnLog, Reporter, measured
from labkit.train.checkpoints import check_resumable, discard_beyond, newest_checkpoint, seal_checkpoint
from labkit.train.method import Method
from labkit.train.model_folder import save_beside, save_model
from labkit.train.optimiser import MuonWithAdamW
from labkit.train.plan import TrainingPlan
from labkit.train.rows import MicroBatches

_SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
_NUM_WORKERS = 2
"""Processes that read and tokenise rows for a GPU, for which a small model would wait; the CPU has no core to spare."""

FolderFiles = Callable[[int], Mapping[str, Mapping[str, Any]]]
"""What the folder of the model after so many steps says of it: JSON objects by the names of their files."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a training meets outside of itself."""

    checkpoints_dir: Path
    folder_files: FolderFiles
    on_log: OnLog
    """Told the step and its metrics."""
    evaluate: Evaluate | None
    """Measures the model at the steps of the plan but the last, which is the caller's; None where nothing is held out."""


def train_steps(config: TrainConfig, plan: TrainingPlan, method: Method, around: Surroundings) -> None:
    """Train the method's model in place, from the newest complete checkpoint where there is one.

    The model, new or loaded, is on its device; it is left in training mode.

    Raises:
        ConfigError: the loss is no longer a number. RecordError: the newest checkpoint is from other settings.
        InputError: an example is longer than the model's context.
    """
    folder = around.checkpoints_dir
    settings = _settings(config, plan)
    newest = newest_checkpoint(folder)
    if newest is not None:
        check_resumable(newest, settings)
    discard_beyond(folder, newest)
    evaluate_every = plan.evaluate_every if around.evaluate else 0
    evaluate = around.evaluate or dict

    def complete(checkpoint: Path) -> None:
        step = int(checkpoint.name.rpartition("-")[2])
        save_beside(method.tokenizer, around.folder_files(step), checkpoint)

    with quiet_transformers(), torch.random.fork_rng():
        if newest is None and plan.keeps_all:
            first = folder / "checkpoint-0"
            save_model(method.model, method.tokenizer, around.folder_files(0), first)
            seal_checkpoint(first, settings)
            if evaluate_every:
                around.on_log(0, measured(method.model, evaluate))
        how = config.optimisation
        trainer = Trainer(
            model=method.model,
            args=_arguments(config, plan, folder, method.model.device),
            train_dataset=_batches(config, plan, method),
            compute_loss_func=method.loss,
            data_collator=_only,
            optimizers=(MuonWithAdamW(method.model, how) if how.optimiser == "muon" else None, None),
            callbacks=[
                Reporter(evaluate, evaluate_every, around.on_log, scaled_loss=how.autocast == "float16"),
                Keeper(folder, complete, settings, keeps_all=plan.keeps_all),
            ],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=None if newest is None else str(newest))


def _batches(config: TrainConfig, plan: TrainingPlan, method: Method) -> MicroBatches[Any]:
    return MicroBatches(
        method.rows_at,
        method.tensors,
        num_steps=plan.num_steps,
        batch_size=config.optimisation.batch_size,
        num_parts=_num_parts(config),
    )


def _settings(config: TrainConfig, plan: TrainingPlan) -> dict[str, Any]:
    """What a training must share with a checkpoint to go on from it."""
    how = config.optimisation.as_json() | {"num_steps": plan.num_steps}
    return {**how, "loss_on": config.loss_on, "seed": config.seed}


def _num_parts(config: TrainConfig) -> int:
    """Forward passes in a step."""
    how = config.optimisation
    return how.batch_size // (how.micro_batch_size or how.batch_size)


def _arguments(config: TrainConfig, plan: TrainingPlan, folder: Path, device: torch.device) -> TrainingArguments:
    how, on_cpu = config.optimisation, device.type == "cpu"
    num_workers = _num_workers(config, device)
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=plan.num_steps,
        # An item of the data set is a whole forward pass already.
        per_device_train_batch_size=1,
        gradient_accumulation_steps=_num_parts(config),
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        learning_rate=how.learning_rate,
        lr_scheduler_type=_SCHEDULERS[how.schedule],
        warmup_steps=plan.warmup_steps,
        weight_decay=how.weight_decay,
        adam_beta1=how.adam_beta1,
        adam_beta2=how.adam_beta2,
        max_grad_norm=how.max_grad_norm,
        bf16=how.autocast == "bfloat16",
        fp16=how.autocast == "float16",
        seed=config.seed % 2**32,
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        dataloader_num_workers=num_workers,
        # Where Python starts processes afresh, it would send them the model, and cannot.
        dataloader_multiprocessing_context="fork" if num_workers else None,
        save_strategy="steps",
        save_steps=plan.checkpoint_every,
        logging_steps=config.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
    )
    if not on_cpu:
        _ = arguments.device
        arguments._n_gpu = 1  # else the Trainer spreads every batch over all devices that it sees
    return arguments


def _num_workers(config: TrainConfig, device: torch.device) -> int:
    if device.type != "cuda" or config.examples.name != "dataset":
        return 0
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else tokenizers warns of each process that is forked
    return _NUM_WORKERS


def _only(items: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return items[0]


@contextmanager
def quiet_transformers() -> Iterator[None]:
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
