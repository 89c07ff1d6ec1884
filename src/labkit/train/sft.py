"""Supervised training of a causal language model; the loss is taken on completions, or on all tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.config.base import stable_digest
from labkit.config.commands import TrainConfig
from labkit.models.engine import EncodedPrompt
from labkit.models.torch_engine import TorchEngine
from labkit.train.evaluation import Evaluation
from labkit.train.examples import Examples
from labkit.train.method import Loss
from labkit.train.rows import MicroBatches, Padding, Row


class Sft:
    """The `Method` of `method: sft`."""

    loss: Loss | None = None

    def __init__(self, config: TrainConfig, engine: TorchEngine, examples: Examples) -> None:
        """
        Raises:
            InputError: the model's vocabulary is not that of the examples.
        """
        examples.check_vocabulary(engine.tokenizer)
        self.model, self.tokenizer = engine.model, engine.tokenizer
        self.measures = bool(examples.held_out)
        self._engine, self._examples = engine, examples
        self._max_new_tokens = config.evaluation.max_new_tokens
        longest = getattr(engine.model.config, "max_position_embeddings", engine.tokenizer.model_max_length)
        self._padding = Padding(engine.tokenizer, max_length=longest, loss_on_prompts=config.loss_on == "all")
        self._evaluation: Evaluation | None = None

    def batches(self, config: TrainConfig, num_steps: int, num_parts: int) -> MicroBatches[Row]:
        """`Method.batches`."""
        size = config.optimisation.batch_size
        return MicroBatches(
            lambda step: self._examples.rows_at(step, size, self._engine),
            self._padding,
            num_steps=num_steps,
            batch_size=size,
            num_parts=num_parts,
        )

    def measure(self) -> dict[str, float]:
        """`Evaluation`."""
        if self._evaluation is None:
            self._evaluation = Evaluation(self._engine, self._examples, self._padding, self._max_new_tokens)
        return self._evaluation()

    def describe(self) -> Mapping[str, Any]:
        """`Method.describe`."""
        return {"name": self._engine.name, "version": self._engine.version, **self._engine.describe()}

    def base(self) -> Mapping[str, Any]:
        """`Method.base`."""
        about = self._engine.describe()
        return {
            "chat_template": stable_digest(about["chat_template"]),
            "preset": self._examples.preset,
            "dtype": about["dtype"],
            "max_new_tokens": self._max_new_tokens,
        }

    def first_prompt(self) -> EncodedPrompt:
        """`Method.first_prompt`."""
        return self._examples.first_prompt(self._engine)

    def settings(self) -> Mapping[str, Any]:
        """How the trained model wants to be asked."""
        preset = {"prompt_preset": self._examples.preset} if self._examples.preset else {}
        return preset | {"max_new_tokens": self._max_new_tokens}

    def files(self) -> Mapping[str, Mapping[str, Any]]:
        """`Method.files`."""
        return {}
