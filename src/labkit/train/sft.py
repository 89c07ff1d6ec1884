"""Supervised training of a causal language model; the loss is taken on completions, or on all tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from labkit.config.base import stable_digest
from labkit.config.commands import TrainConfig
from labkit.models.engine import EncodedPrompt
from labkit.models.torch_engine import TorchEngine
from labkit.train.evaluation import Evaluation
from labkit.train.examples import Examples
from labkit.train.method import Loss
from labkit.train.model_folder import trained_questions_file
from labkit.train.rows import Padding, Row


class Sft:
    """The `Method` of `method: sft`."""

    loss: Loss | None = None

    def __init__(
        self,
        config: TrainConfig,
        engine: TorchEngine,
        examples: Examples,
        inherited: frozenset[str] = frozenset(),
    ) -> None:
        """
        Args:
            inherited: ids of the questions that the model was trained on before

        Raises:
            InputError: the model's vocabulary is not that of the examples.
        """
        examples.check_vocabulary(engine.tokenizer)
        self.model, self.tokenizer = engine.model, engine.tokenizer
        self.measures = bool(examples.held_out)
        self._engine, self._examples = engine, examples
        self._inherited, self._batch_size = inherited, config.optimisation.batch_size
        self._max_new_tokens = config.evaluation.max_new_tokens
        longest = getattr(engine.model.config, "max_position_embeddings", engine.tokenizer.model_max_length)
        self._padding = Padding(engine.tokenizer, max_length=longest, loss_on_prompts=config.loss_on == "all")
        self._evaluation: Evaluation | None = None

    def rows_at(self, step: int) -> Sequence[Row]:
        """`Method.rows_at`."""
        return self._examples.rows_at(step, self._batch_size, self._engine)

    def tensors(self, rows: Sequence[Row], /) -> dict[str, torch.Tensor]:
        """`Method.tensors`."""
        return self._padding.tensors(rows)

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

    def notes(self) -> Sequence[str]:
        """`Method.notes`."""
        return ()

    def first_prompt(self) -> EncodedPrompt:
        """`Method.first_prompt`."""
        return self._examples.first_prompt(self._engine)

    def settings(self) -> Mapping[str, Any]:
        """How the trained model wants to be asked."""
        preset = {"prompt_preset": self._examples.preset} if self._examples.preset else {}
        return preset | {"max_new_tokens": self._max_new_tokens}

    def files(self, step: int) -> Mapping[str, Mapping[str, Any]]:
        """The questions that it has learnt from, by which an evaluation that asks them is known."""
        trained = self._inherited | self._examples.trained_questions(step * self._batch_size)
        return trained_questions_file(trained) if trained else {}
