"""`method: sft`: the config of a training bound to what carries it out, resuming where there is something to resume.

Knows configs and examples; what a step does stands in `pair_training`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from labkit.config.commands import TrainConfig
from labkit.train.callbacks import OnLog
from labkit.train.checkpoints import checkpoint_step, newest_checkpoint
from labkit.train.examples import Example, Examples
from labkit.train.pair_training import Optimisation, train_on_pairs
from labkit.train.pairs import Pair

__all__ = ["checkpoint_step", "newest_checkpoint", "train_sft"]


def train_sft(
    config: TrainConfig,
    *,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Examples,
    encode_prompt: Callable[[Example], Sequence[int]],
    checkpoints_dir: Path,
    device: torch.device,
    on_log: OnLog,
    evaluate: Callable[[], dict[str, float]],
) -> dict[str, float]:
    """Train `model` in place on the completions of examples, from the newest checkpoint where there is one.

    Args:
        encode_prompt: the tokens that the model sees when it is asked the example, prefill included
        evaluate: measures the model every `evaluation.every` steps but the last

    Returns:
        The last training metrics.

    Raises:
        ConfigError: the loss is no longer a number. RecordError: the newest checkpoint is from other settings.
        InputError: an example is longer than the model's context.
    """

    def pairs_at(step: int) -> list[Pair]:
        block = examples.block(step, config.optimisation.batch_size)
        return [Pair(encode_prompt(example), example.completion) for example in block]

    return train_on_pairs(
        model=model,
        tokenizer=tokenizer,
        pairs_at=pairs_at,
        optimisation=Optimisation(**config.optimisation.model_dump()),
        checkpoints_dir=checkpoints_dir,
        seed=config.seed % 2**32,
        device=device,
        checkpoint_every=config.checkpoint_every,
        log_every=config.log_every,
        evaluate_every=config.evaluation.every if examples.held_out else 0,
        evaluate=lambda model, step: evaluate(),
        on_log=on_log,
        resume_from=newest_checkpoint(checkpoints_dir),
    )
