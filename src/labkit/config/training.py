"""The parts of a training config: what is made, what it learns from, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from labkit.config.base import Config

Count = Annotated[int, Field(ge=1)]


class ArchitectureConfig(Config):
    """A model made from nothing."""

    family: Literal["qwen2"] = "qwen2"
    """Architecture, by its `model_type` in transformers."""
    hidden_size: Count = 128
    """Width of the residual stream."""
    intermediate_size: Count = 384
    """Width of the MLP."""
    num_hidden_layers: Count = 4
    """Layers."""
    num_attention_heads: Count = 4
    """Query heads."""
    num_key_value_heads: Count = 2
    """Key and value heads."""
    max_position_embeddings: Count = 64
    """Longest sequence, in tokens."""
    tie_word_embeddings: bool = True
    """Whether the output layer is the embedding."""
    initializer_range: Annotated[float, Field(gt=0)] = 0.02
    """Standard deviation of the first weights."""


class TokenizerConfig(Config):
    """A word-level tokenizer: one token for every integer of a range and every listed word."""

    integer_range: tuple[int, int]
    """Smallest and largest integer with a token of its own."""
    words: tuple[str, ...]
    """Other tokens: operators, tags, words."""


class CountdownExamples(Config):
    """Generated Countdown problems with their solutions, fresh at every step."""

    name: Literal["countdown"] = "countdown"
    preset: str = "short"
    """How a problem is worded; the trained model's folder names it as its own."""
    data_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the problems."""
    num_numbers: tuple[int, ...] = (3,)
    """How many numbers a problem has; several values mix."""
    number_range: tuple[int, int] = (1, 99)
    """Lowest and highest number."""
    target_range: tuple[int, int] = (10, 100)
    """Lowest and highest target."""


class PromptFileExamples(Config):
    """A JSONL file with `prompt` (or `messages`) and `answer`; shuffled anew each time round."""

    name: Literal["jsonl"]
    path: Path
    """The file; its last `evaluation.num_prompts` prompts are held out."""


def _examples_name(value: object) -> object:
    return value.get("name", "countdown") if isinstance(value, dict) else getattr(value, "name", None)


ExamplesConfig = Annotated[
    Annotated[CountdownExamples, Tag("countdown")] | Annotated[PromptFileExamples, Tag("jsonl")],
    Discriminator(
        _examples_name,
        custom_error_type="examples",
        custom_error_message="examples are named countdown or jsonl",
    ),
]


class OptimisationConfig(Config):
    """AdamW under a learning-rate schedule."""

    num_steps: Count = 400
    """Optimiser steps."""
    batch_size: Count = 512
    """Examples a step."""
    micro_batch_size: Count | None = None
    """Examples in memory at a time, a divisor of the batch size; null is the whole batch."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    """Highest learning rate."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the rate falls to 0 after the warm-up."""
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Part of the steps in which the rate rises from 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled weight decay."""
    adam_beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Decay of the first moment."""
    adam_beta2: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Decay of the second moment."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are clipped to this norm."""
    bf16: bool = False
    """Compute in bfloat16 where that is safe; the weights keep their own format."""

    @model_validator(mode="after")
    def _whole_micro_batches(self) -> OptimisationConfig:
        if self.batch_size % (self.micro_batch_size or self.batch_size):
            raise ValueError(f"batch_size {self.batch_size} is no multiple of micro_batch_size {self.micro_batch_size}")
        return self


class EvaluationConfig(Config):
    """Greedy accuracy on held-out prompts."""

    every: Count = 50
    """Optimiser steps between evaluations; the end is always evaluated."""
    num_prompts: Annotated[int, Field(ge=0)] = 128
    """Held-out prompts; 0 evaluates nothing."""
    max_new_tokens: Count = 16
    """Most tokens of an answer; the trained model's folder names it as its own."""
