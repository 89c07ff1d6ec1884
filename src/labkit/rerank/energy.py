"""An energy model as a reranker: a sequence classifier in safetensors, of a folder, the hub, or a training run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.config.sections import ModelConfig
from labkit.errors import InputError
from labkit.models.folder import find_model
from labkit.rerank.reranker import Candidate, Judged
from labkit.tasks.questions import QUESTIONS_VERSION

if TYPE_CHECKING:
    from labkit.models.energy import EnergyModel, PairTokens

_CHUNK = 2048
"""Candidates that are tokenised at a time: rows of like length share a batch, and memory stays bounded."""
MOST_UNKNOWN = 0.1
"""A larger share of tokens that stand for unknown text says that the tokenizer is for other texts."""


class EnergyReranker:
    """Scores by a model that is loaded when it is first asked."""

    def __init__(self, reference: str, runs_dir: Path, device: str) -> None:
        """
        Raises:
            InputError: there is no such model, it has pickles in place of safetensors, or it is no classifier.
            MachineError: it cannot be downloaded.
        """
        self._config = ModelConfig(id=reference, device=device)
        self._folder = find_model(self._config, runs_dir)
        _refuse_generator(self._folder.architectures(), reference)
        self.name = reference
        self.about: Mapping[str, Any] = {
            "kind": "energy",
            "weights": self._folder.weights_fingerprint(),
            "tokenizer": self._folder.tokenizer_fingerprint(),
            "form": self._folder.settings().get("energy"),
        }
        self.trained_questions = self._folder.trained_questions(QUESTIONS_VERSION)
        self.parents: Sequence[Mapping[str, str]] = self._folder.parents(role="reranker")
        self._model: EnergyModel | None = None
        self._num_judged = self._num_cut = self._num_tokens = self._num_unknown = 0

    def judge(self, candidates: Sequence[Candidate]) -> Iterator[list[Judged]]:
        """`Reranker.judge`; in batches of rows of like length."""
        if self._model is None:
            from labkit.models.energy import load_energy_model

            self._model = load_energy_model(self._folder, self._config)
        for start in range(0, len(candidates), _CHUNK):
            rows = self._encoded(self._model, candidates[start : start + _CHUNK])
            for positions, energies in self._model.energies(rows):
                yield [Judged(start + at, energy) for at, energy in zip(positions, energies, strict=True)]

    def remarks(self) -> Sequence[str]:
        """Texts that were too long, and text that the tokenizer does not know."""
        said = []
        if self._num_cut:
            said.append(
                f"{self.name}: {self._num_cut:,} of {self._num_judged:,} candidates were longer than the model takes and "
                "lost the beginning of their question"
            )
        if self._num_unknown:
            said.append(
                f"{self.name}: {self._num_unknown:,} of {self._num_tokens:,} tokens stand for text that its tokenizer "
                "does not know"
            )
        return said

    def _encoded(self, model: EnergyModel, candidates: Sequence[Candidate]) -> list[PairTokens]:
        from labkit.models.energy import Pair

        rows = model.encoder.encode([Pair(*candidate) for candidate in candidates])
        self._num_judged += len(rows)
        self._num_cut += sum(row.is_cut for row in rows)
        self._num_tokens += sum(len(row.token_ids) for row in rows)
        self._num_unknown += sum(map(model.encoder.num_unknown, rows))
        if self._num_unknown > MOST_UNKNOWN * self._num_tokens:
            raise InputError(
                f"{self.name}: its tokenizer does not know {self._num_unknown:,} of {self._num_tokens:,} tokens of these "
                "questions and solutions",
                "name a model that was trained on such texts, with the tokenizer that it was trained with",
            )
        return rows


def _refuse_generator(architectures: Sequence[str], reference: str) -> None:
    """Refuse what says itself that it is another kind of model, before it is loaded; loading finds out the others."""
    if architectures and not any("SequenceClassification" in name or "RewardModel" in name for name in architectures):
        raise InputError(
            f"{reference} is a {architectures[0]}, which scores nothing: its head would be random",
            "name a sequence classifier, or train one on this model: method: energy (docs/gsm8k.md)",
        )
