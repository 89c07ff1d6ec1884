"""Training of an energy model: of a right and a wrong solution of one question the wrong one is to have the higher energy.

The loss of a pair is `-log sigmoid(E(wrong) - E(right))` (Bradley and Terry 1952; the pairwise loss of reward models,
Ouyang et al. 2022, equation 1). It looks at differences within a question only, as a choice among candidates does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus
from transformers import PreTrainedModel, Qwen2ForSequenceClassification, set_seed

from labkit.config.commands import TrainConfig
from labkit.config.training import RolloutExamples as RolloutConfig
from labkit.errors import ConfigError, InputError
from labkit.models.coverage import Coverage
from labkit.models.energy import (
    EnergyModel,
    Pair,
    PairEncoder,
    PairForm,
    context_length,
    default_form,
    form_of,
    load_classifier,
)
from labkit.models.engine import EncodedPrompt
from labkit.models.folder import ModelFolder
from labkit.models.loading import load_tokenizer
from labkit.stats import cluster_rate, item_auc, mean_item_auc
from labkit.tasks.questions import QUESTIONS_VERSION
from labkit.train.first_model import check_device, made_model, trained_form
from labkit.train.method import Loss
from labkit.train.model_folder import trained_questions_file
from labkit.train.rollout_pairs import Question, RolloutExamples, SolutionPair
from labkit.train.rows import IGNORED_LABEL

_HINT = "go on from a model that knows such texts; of one made from nothing, add their words to tokenizer.words"


class Energy:
    """The `Method` of `method: energy`."""

    def __init__(self, config: TrainConfig, parent: ModelFolder | None, examples: RolloutExamples) -> None:
        """
        Args:
            parent: an energy model, or a causal model whose body gets a new head; None makes a model from nothing

        Raises:
            ConfigError: it cannot be trained on that device as asked. InputError: the model cannot be loaded,
                or its tokenizer is for other texts.
            MachineError: there is no such device, or not enough memory.
        """
        set_seed(config.seed % 2**32)  # the head is new
        self._energy = _loaded(config, parent) if parent else _made(config)
        self.model, self.tokenizer = self._energy.model, self._energy.tokenizer
        self.loss: Loss | None = _PairLoss(self._energy)
        self.measures = bool(examples.measured)
        self._examples = examples
        self._batch_size = config.optimisation.batch_size
        self._inherited = parent.trained_questions(QUESTIONS_VERSION) if parent else frozenset()
        self._coverage = _coverage(self._energy.encoder, [*examples.trained.values(), *examples.measured])
        self._coverage.refuse_unknown(parent.name if parent else "the new model", _HINT)

    def rows_at(self, step: int) -> Sequence[SolutionPair]:
        """`Method.rows_at`."""
        return self._examples.pairs_at(step, self._batch_size)

    def tensors(self, rows: Sequence[SolutionPair], /) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask` (2 P, T) of P pairs, each right solution before its wrong one, and a label for each
        pair, `labels` (P,)."""
        texts = [Pair(pair.question, solution) for pair in rows for solution in (pair.right, pair.wrong)]
        tensors = self._energy.tensors(self._energy.encoder.encode(texts))
        return tensors | {"labels": torch.zeros(len(rows), dtype=torch.long)}

    def measure(self) -> dict[str, float]:
        """`eval_loss` a pair; `eval_pair_accuracy`, the share of pairs in which the right solution has the lower energy,
        ties one half; `eval_auc`, its mean over questions; both with 95 % intervals over questions.

        Raises:
            ConfigError: an energy is no number.
        """
        judged = self._judged(self._examples.measured)
        aucs = np.array([float(item_auc(np.concatenate(pair), _labels(pair))[0]) for pair in judged])
        num_pairs = np.array([len(right) * len(wrong) for right, wrong in judged])
        losses = [np.logaddexp(0, right[:, None] - wrong).sum() for right, wrong in judged]
        accuracy, auc = cluster_rate(aucs * num_pairs, num_pairs), mean_item_auc(aucs)
        assert auc is not None  # every question has solutions of both kinds
        return {
            "eval_loss": float(np.sum(losses) / num_pairs.sum()),
            "eval_pair_accuracy": accuracy.value,
            "eval_pair_accuracy_low": accuracy.low,
            "eval_pair_accuracy_high": accuracy.high,
            "eval_auc": auc.value,
            "eval_auc_low": auc.low,
            "eval_auc_high": auc.high,
        }

    def _judged(self, questions: Sequence[Question]) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
        """Energies of the right and of the wrong solutions of each question."""
        rows = self._energy.encoder.encode([pair for question in questions for pair in _solutions(question)])
        energies = np.empty(len(rows))
        for positions, values in self._energy.energies(rows):
            energies[positions] = values
        if not np.isfinite(energies).all():
            raise ConfigError("an energy is no number any more", "start again with a lower --learning-rate")
        parts = np.split(
            energies, np.cumsum([len(side) for each in questions for side in (each.right, each.wrong)])[:-1]
        )
        return list(zip(parts[::2], parts[1::2], strict=True))

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

    def notes(self) -> Sequence[str]:
        """Solutions that are too long, and text that the tokenizer does not know."""
        return self._coverage.remarks("the energy model")

    def files(self, step: int) -> Mapping[str, Mapping[str, Any]]:
        """The questions that it learns from, by which a ranking of them is known."""
        return trained_questions_file(self._inherited | set(self._examples.trained))


class _PairLoss:
    """The loss of P pairs, from the model's outputs for 2 P rows."""

    def __init__(self, energy: EnergyModel) -> None:
        self._energy = energy

    def __call__(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        right, wrong = self._energy.energy(outputs.logits).view(-1, 2).unbind(1)  # (P,) each
        losses = softplus(right - wrong) * (labels != IGNORED_LABEL)  # (P,)
        return losses.sum() / (len(labels) if num_items_in_batch is None else num_items_in_batch)


def _solutions(question: Question) -> list[Pair]:
    """The right ones first."""
    return [Pair(question.text, solution) for side in (question.right, question.wrong) for solution in sorted(side)]


def _coverage(encoder: PairEncoder, questions: Iterable[Question]) -> Coverage:
    """How much of all solutions the model reads; some thousands a second are encoded."""
    found = Coverage()
    for question in questions:
        found += encoder.coverage(encoder.encode(_solutions(question)))
    return found


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
    model, tokenizer = made_model(config, Qwen2ForSequenceClassification, num_labels=1)
    return EnergyModel(model, tokenizer, _form(config, default_form(tokenizer)))


def _form(config: TrainConfig, default: PairForm) -> PairForm:
    """The form that the config asks for, else that of the model."""
    assert isinstance(config.examples, RolloutConfig)  # the config class sees to it
    template = config.examples.pair_template
    return default if template is None else PairForm(template, default.higher_is_better)
