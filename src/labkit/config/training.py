"""The parts of a training config: what is made, what it learns from, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from labkit.config.base import Config
from labkit.config.names import is_pair_template

Count = Annotated[int, Field(ge=1)]


def _interval(value: float) -> float:
    if value >= 1 if isinstance(value, int) else 0 < value < 1:
        return value
    raise ValueError("should be a whole number of steps, or a part of the run between 0 and 1")


Interval = Annotated[int | float, AfterValidator(_interval)]
"""Optimiser steps, or a part of the run below 1, rounded up to whole steps."""


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


class WordTokenizerConfig(Config):
    """A word-level tokenizer: one token for every integer of a range and every listed word."""

    name: Literal["words"] = "words"
    integer_range: tuple[int, int]
    """Smallest and largest integer with a token of its own."""
    words: tuple[str, ...]
    """Other tokens: operators, tags, words."""


class CharacterTokenizerConfig(Config):
    """The 98 tokens of the world-cities experiment: four specials and the printable ASCII characters but the space."""

    name: Literal["characters"]


def _tokenizer_name(value: object) -> object:
    return value.get("name", "words") if isinstance(value, dict) else getattr(value, "name", None)


TokenizerConfig = Annotated[
    Annotated[WordTokenizerConfig, Tag("words")] | Annotated[CharacterTokenizerConfig, Tag("characters")],
    Discriminator(
        _tokenizer_name,
        custom_error_type="tokenizer",
        custom_error_message="a tokenizer's name is words or characters",
    ),
]


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


class Gsm8kExamples(Config):
    """Word problems with their worked solutions, asked as `labkit eval gsm8k` asks them; shuffled anew each time round."""

    name: Literal["gsm8k"]
    path: Path | None = None
    """A JSONL file in the published form; null is the published training split."""
    validation_path: Path | None = None
    """A file of the same form whose first `evaluation.num_prompts` problems are held out; null holds out the last ones of
    `path`, to which generated problems may be near."""
    preset: Literal["instruct", "plain"] = "plain"
    """How a problem is worded; the trained model's folder names it as its own."""


class DatasetExamples(Config):
    """A data set on disk in Hugging Face format, as `labkit data build` makes it; shuffled anew each epoch."""

    name: Literal["dataset"]
    path: Path
    """The folder of the data set: splits `train` and `validation`, with the columns `text` and `task_type`."""


def _pair_template(value: str) -> str:
    if not is_pair_template(value):
        raise ValueError("should hold {question} and {solution}, each once")
    return value


class RolloutExamples(Config):
    """Right and wrong solutions of the same questions, from earlier runs."""

    name: Literal["rollouts"]
    runs: Annotated[tuple[str, ...], Field(min_length=1)]
    """Finished runs of one task: names, each of which stands for the newest run that has it, ids or paths."""
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Part of the questions that nothing is learnt from, the same ones whatever the runs and the seed; `evaluation.num_prompts`
    of them are measured on."""
    pairs_per_question: Count = 16
    """Most pairs of a right and a wrong solution that a question gives, drawn with the seed."""
    pair_template: Annotated[str, AfterValidator(_pair_template)] | None = None
    """How `{question}` and `{solution}` are joined; null is as the model's folder says, else the tokenizer's own pair where
    it puts a token between the two, else a blank line. The trained model's folder names it."""


def _examples_name(value: object) -> object:
    return value.get("name", "countdown") if isinstance(value, dict) else getattr(value, "name", None)


ExamplesConfig = Annotated[
    Annotated[CountdownExamples, Tag("countdown")]
    | Annotated[PromptFileExamples, Tag("jsonl")]
    | Annotated[Gsm8kExamples, Tag("gsm8k")]
    | Annotated[DatasetExamples, Tag("dataset")]
    | Annotated[RolloutExamples, Tag("rollouts")],
    Discriminator(
        _examples_name,
        custom_error_type="examples",
        custom_error_message="examples are named countdown, jsonl, gsm8k, dataset or rollouts",
    ),
]


class OptimisationConfig(Config):
    """An optimiser under a learning-rate schedule."""

    num_steps: Count = 400
    """Optimiser steps."""
    num_epochs: Annotated[float, Field(gt=0)] | None = None
    """Passes over the examples; given, it stands for `num_steps`."""
    optimiser: Literal["adamw", "muon"] = "adamw"
    """`muon` orthogonalises the updates of the matrices between the embeddings and the output, and leaves the rest to
    AdamW; small models learn in fewer steps with it."""
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
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    """Steps in which the rate rises from 0; given, it stands for `warmup_fraction`."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled weight decay."""
    adam_beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Decay of the first moment."""
    adam_beta2: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Decay of the second moment."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are clipped to this norm."""
    autocast: Literal["bfloat16", "float16"] | None = None
    """Compute in this format where that is safe; the weights keep their own. `float16` needs a GPU."""

    @model_validator(mode="after")
    def _whole_micro_batches(self) -> OptimisationConfig:
        if self.batch_size % (self.micro_batch_size or self.batch_size):
            raise ValueError(f"batch_size {self.batch_size} is no multiple of micro_batch_size {self.micro_batch_size}")
        return self


class EvaluationConfig(Config):
    """Loss and greedy accuracy on held-out prompts."""

    every: Interval = 50
    """Optimiser steps between evaluations, or a part of the run; the end is always evaluated."""
    num_prompts: Annotated[int, Field(ge=0)] = 128
    """Held-out prompts; 0 evaluates nothing."""
    max_new_tokens: Count = 16
    """Most tokens of an answer; the trained model's folder names it as its own."""
