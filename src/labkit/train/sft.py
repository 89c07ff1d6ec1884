"""Supervised training of a causal language model on the completions of prompts, by transformers' Trainer.

The loss is taken on completions only. Every step's data, learning rate and random state are functions of the config
and the step, so a training that was killed and resumed on the CPU ends in the same bits as one that was not. Prints
nothing, and reports through callbacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from transformers.utils import logging as transformers_logging

from labkit.config.commands import TrainConfig
from labkit.train.callbacks import Evaluate, Keeper, OnLog, Reporter
from labkit.train.checkpoints import check_resumable, discard_beyond, newest_checkpoint
from labkit.train.examples import Example, Examples
from labkit.train.pairs import MicroBatches, Pair

_SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


def train_sft(
    config: TrainConfig,
    *,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Examples,
    encode_prompt: Callable[[Example], Sequence[int]],
    checkpoints_dir: Path,
    on_log: OnLog,
    evaluate: Evaluate,
) -> None:
    """Train `model` in place, from the newest complete checkpoint where there is one.

    Args:
        model: new or loaded, on its device; it is left in training mode
        encode_prompt: the tokens that the model sees when it is asked the example, prefill included
        on_log: told the step and its metrics
        evaluate: measures the model every `evaluation.every` steps but the last, which is the caller's

    Raises:
        ConfigError: the loss is no longer a number. RecordError: the newest checkpoint is from other settings.
        InputError: an example is longer than the model's context.
    """
    how = config.optimisation
    settings = {**how.as_json(), "seed": config.seed}
    newest = newest_checkpoint(checkpoints_dir)
    if newest is not None:
        check_resumable(newest, settings)
    discard_beyond(checkpoints_dir, newest)

    def pairs_at(step: int) -> list[Pair]:
        block = examples.block(step, how.batch_size)
        return [Pair(encode_prompt(example), example.completion) for example in block]

    with quiet_transformers(), torch.random.fork_rng():
        trainer = Trainer(
            model=model,
            args=_arguments(config, checkpoints_dir, model.device),
            train_dataset=MicroBatches(
                pairs_at,
                tokenizer,
                num_steps=how.num_steps,
                batch_size=how.batch_size,
                num_parts=_num_parts(config),
                max_length=getattr(model.config, "max_position_embeddings", tokenizer.model_max_length),
            ),
            data_collator=_only,
            callbacks=[
                Reporter(evaluate, config.evaluation.every if examples.held_out else 0, on_log),
                Keeper(checkpoints_dir, settings),
            ],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=None if newest is None else str(newest))


def _num_parts(config: TrainConfig) -> int:
    """Forward passes in a step."""
    how = config.optimisation
    return how.batch_size // (how.micro_batch_size or how.batch_size)


def _arguments(config: TrainConfig, folder: Path, device: torch.device) -> TrainingArguments:
    how, on_cpu = config.optimisation, device.type == "cpu"
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=how.num_steps,
        # An item of the data set is a whole forward pass already.
        per_device_train_batch_size=1,
        gradient_accumulation_steps=_num_parts(config),
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        learning_rate=how.learning_rate,
        lr_scheduler_type=_SCHEDULERS[how.schedule],
        warmup_steps=round(how.warmup_fraction * how.num_steps),
        weight_decay=how.weight_decay,
        adam_beta1=how.adam_beta1,
        adam_beta2=how.adam_beta2,
        max_grad_norm=how.max_grad_norm,
        bf16=how.autocast == "bfloat16",
        fp16=how.autocast == "float16",
        seed=config.seed % 2**32,
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        save_strategy="steps",
        save_steps=config.checkpoint_every,
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
