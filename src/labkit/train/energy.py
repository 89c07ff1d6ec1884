"""Training of an energy model: of a right and a wrong solution of one question the wrong one is to have the higher energy.

The loss of a pair is `-log sigmoid(E(wrong) - E(right))` (Bradley and Terry 1952; the pairwise loss of reward models,
Ouyang et al. 2022, equation 1). It looks at differences within a question only, as a choice among candidates does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus
from transformers import PreTrainedModel, Qwen2ForSequenceClassification, set_seed

from labkit.config.commands import TrainConfig
from labkit.errors import ConfigError, InputError
from labkit.models.energy import EnergyModel, Pair, PairForm, context_length, default_form, form_of, load_classifier
from labkit.models.engine import EncodedPrompt
from labkit.models.folder import QUESTIONS_FILE, ModelFolder
from labkit.models.loading import choose_device, load_tokenizer
from labkit.stats import cluster_rate, item_auc, wilson_mean
from labkit.tasks.questions import QUESTIONS_VERSION
from labkit.train.first_model import check_device, model_config, new_tokenizer, trained_form
from labkit.train.method import Loss
from labkit.train.rollout_pairs import Question, RolloutExamples, SolutionPair
from labkit.train.rows import IGNORED_LABEL, MicroBatches


class Energy:
    """The `Method` of `method: energy`."""

    def __init__(self, config: TrainConfig, parent: ModelFolder | None, examples: RolloutExamples) -> None:
        """
        Args:
            parent: an energy model, or a causal model whose body gets a new head; None makes a model from nothing

        Raises:
            ConfigError: it cannot be trained on that device as asked. InputError: the model cannot be loaded.
            MachineError: there is no such device, or not enough memory.
        """
        set_seed(config.seed % 2**32)  # the head is new
        self._energy = _loaded(config, parent) if parent else _made(config)
        self.model, self.tokenizer = self._energy.model, self._energy.tokenizer
        self.loss: Loss | None = _PairLoss(self._energy)
        self.measures = bool(examples.measured)
        self._examples = examples
        self._inherited = parent.trained_questions() if parent else frozenset()

    def batches(self, config: TrainConfig, num_steps: int, num_parts: int) -> MicroBatches[SolutionPair]:
        """`Method.batches`."""
        size = config.optimisation.batch_size
        return MicroBatches(
            lambda step: self._examples.pairs_at(step, size),
            _PairTensors(self._energy),
            num_steps=num_steps,
            batch_size=size,
            num_parts=num_parts,
        )

    def measure(self) -> dict[str, float]:
        """`eval_loss` a pair; `eval_pair_accuracy`, the share of pairs in which the right solution has the lower energy,
        ties one half; `eval_auc`, its mean over questions; both with 95 % intervals over questions.

        Raises:
            ConfigError: an energy is no number.
        """
        judged = [self._judged(question) for question in self._examples.measured]
        aucs = np.array([float(item_auc(np.concatenate(pair), _labels(pair))[0]) for pair in judged])
        num_pairs = np.array([len(right) * len(wrong) for right, wrong in judged])
        losses = [np.logaddexp(0, right[:, None] - wrong).sum() for right, wrong in judged]
        accuracy = cluster_rate(aucs * num_pairs, num_pairs)
        low, high = wilson_mean(aucs)
        return {
            "eval_loss": float(np.sum(losses) / num_pairs.sum()),
            "eval_pair_accuracy": accuracy.value,
            "eval_pair_accuracy_low": accuracy.low,
            "eval_pair_accuracy_high": accuracy.high,
            "eval_auc": float(aucs.mean()),
            "eval_auc_low": low,
            "eval_auc_high": high,
        }

    def _judged(self, question: Question) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Energies of the right and of the wrong solutions of a question."""
        solutions = [*sorted(question.right), *sorted(question.wrong)]
        rows = self._energy.encoder.encode([Pair(question.text, solution) for solution in solutions])
        energies = np.empty(len(rows))
        for positions, values in self._energy.energies(rows):
            energies[positions] = values
        if not np.isfinite(energies).all():
            raise ConfigError("an energy is no number any more", "start again with a lower --learning-rate")
        return energies[: len(question.right)], energies[len(question.right) :]

    def describe(self) -> Mapping[str, Any]:
        """`Method.describe`."""
        return {
            "name": "torch",
            "version": torch.__version__,
            "device": str(self.model.device),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "num_parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "context_length": context_length(self.model, self.tokenizer),
        }

    def base(self) -> Mapping[str, Any]:
        """`Method.base`."""
        about = {"energy": self._energy.form.as_json(), "questions": QUESTIONS_VERSION}
        return about | {"dtype": self.describe()["dtype"]}

    def first_prompt(self) -> EncodedPrompt:
        """The first right solution behind its question."""
        first = self._examples.pairs_at(0, 1)[0]
        (row,) = self._energy.encoder.encode([Pair(first.question, first.right)])
        return EncodedPrompt(str(self.tokenizer.decode(row.token_ids)), tuple(row.token_ids))

    def settings(self) -> Mapping[str, Any]:
        """How the trained model reads a question and a solution."""
        return {"energy": self._energy.form.as_json()}

    def files(self) -> Mapping[str, Mapping[str, Any]]:
        """The questions that it has learnt from, by which a ranking of them is known."""
        questions = sorted(self._inherited | set(self._examples.trained))
        prompts = sorted(each.prompt.id for each in self._examples.trained.values())
        return {QUESTIONS_FILE: {"version": QUESTIONS_VERSION, "questions": questions, "prompts": prompts}}


class _PairLoss:
    """The loss of P pairs, from the model's outputs for 2 P rows."""

    def __init__(self, energy: EnergyModel) -> None:
        self._energy = energy

    def __call__(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        right, wrong = self._energy.energy(outputs.logits).view(-1, 2).unbind(1)  # (P,) each
        losses = softplus(right - wrong) * (labels != IGNORED_LABEL)  # (P,)
        return losses.sum() / (len(labels) if num_items_in_batch is None else num_items_in_batch)


class _PairTensors:
    """Makes tensors of P pairs: 2 P rows, each right solution before its wrong one, and a label for each pair."""

    def __init__(self, energy: EnergyModel) -> None:
        self._energy = energy

    def tensors(self, pairs: Sequence[SolutionPair]) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask` (2 P, T), `labels` (P,)."""
        texts = [Pair(pair.question, solution) for pair in pairs for solution in (pair.right, pair.wrong)]
        tensors = self._energy.tensors(self._energy.encoder.encode(texts))
        return tensors | {"labels": torch.zeros(len(pairs), dtype=torch.long)}


def _labels(pair: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> list[bool]:
    right, wrong = pair
    return [True] * len(right) + [False] * len(wrong)


def _loaded(config: TrainConfig, parent: ModelFolder) -> EnergyModel:
    assert config.model is not None  # else there is no parent
    check_device(config, config.model.device)
    tokenizer = load_tokenizer(parent, needs_template=False)
    changes = {} if parent.is_classifier else {"num_labels": 1}
    model, new = load_classifier(parent, trained_form(config.model), **changes)
    _refuse_broken_body(model, new, parent)
    return EnergyModel(model, tokenizer, _form(config, form_of(parent, tokenizer)))


def _refuse_broken_body(model: PreTrainedModel, new: Sequence[str], parent: ModelFolder) -> None:
    """A head may be new, and a pooler, which is part of one; a body may not."""
    body = [name for name in new if name.startswith(f"{model.base_model_prefix}.") and "pooler" not in name]
    if body:
        raise InputError(
            f"{parent.name} lacks {len(body)} weights, such as {body[0]}", "do the weights belong to this config.json?"
        )


def _made(config: TrainConfig) -> EnergyModel:
    check_device(config, config.device)
    assert config.architecture is not None and config.tokenizer is not None  # the config class sees to it
    tokenizer = new_tokenizer(config.tokenizer, config.architecture.max_position_embeddings)
    shape = model_config(config.architecture, tokenizer, num_labels=1)
    model: PreTrainedModel = Qwen2ForSequenceClassification(shape)  # type: ignore[no-untyped-call]
    model.to(device=choose_device(config.device))  # type: ignore[call-arg]
    return EnergyModel(model, tokenizer, _form(config, default_form(tokenizer)))


def _form(config: TrainConfig, default: PairForm) -> PairForm:
    """The form that the config asks for, else that of the model."""
    return default if config.pair_template is None else PairForm(config.pair_template, default.higher_is_better)
