"""An energy model as a reranker: a sequence classifier in safetensors, of a folder, the hub, or a training run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.config.sections import ModelConfig
from labkit.errors import InputError
from labkit.models.coverage import Coverage
from labkit.models.folder import ModelFolder, find_model
from labkit.models.pairs import Pair
from labkit.rerank.reranker import Judged
from labkit.tasks.questions import QUESTIONS_VERSION

if TYPE_CHECKING:
    from labkit.models.energy import EnergyModel, PairTokens

_CHUNK = 2048
"""Candidates that are tokenised at a time: rows of like length share a batch, and memory stays bounded."""


class EnergyReranker:
    """Scores by a model that is loaded when it is asked."""

    def __init__(self, reference: str, runs_dir: Path, device: str) -> None:
        """
        Raises:
            InputError: there is no such model, it has pickles in place of safetensors, or it is no classifier.
            MachineError: it cannot be downloaded.
        """
        self._config = ModelConfig(id=reference, device=device)
        self._folder = find_model(self._config, runs_dir)
        _refuse_generator(self._folder, reference)
        self.name, self.needs_room = reference, True
        self.about: Mapping[str, Any] = {
            "kind": "energy",
            "weights": self._folder.weights_fingerprint(),
            "tokenizer": self._folder.tokenizer_fingerprint(),
            "form": self._folder.settings().get("energy"),
        }
        self.trained_questions = self._folder.trained_questions(QUESTIONS_VERSION)
        self.parents: Sequence[Mapping[str, str]] = self._folder.parents(role="reranker")
        self._coverage = Coverage()

    def judge(self, candidates: Sequence[Pair]) -> Iterator[list[Judged]]:
        """`Reranker.judge`; in batches of rows of like length, by a model that is there only meanwhile."""
        from labkit.models.energy import load_energy_model

        model = load_energy_model(self._folder, self._config)
        for start in range(0, len(candidates), _CHUNK):
            rows = self._encoded(model, candidates[start : start + _CHUNK])
            for positions, energies in model.energies(rows):
                yield [
                    _judged(start + at, energy, rows[at], model.encoder.num_unknown(rows[at]))
                    for at, energy in zip(positions, energies, strict=True)
                ]

    def _encoded(self, model: EnergyModel, candidates: Sequence[Pair]) -> list[PairTokens]:
        rows = model.encoder.encode(candidates)
        self._coverage += model.encoder.coverage(rows)
        self._coverage.refuse_unknown(
            self.name, "name a model that was trained on such texts, with the tokenizer that it was trained with"
        )
        return rows


def _judged(position: int, energy: float, row: PairTokens, num_unknown: int) -> Judged:
    return Judged(position, energy, cut=row.is_cut, num_tokens=len(row.token_ids), num_unknown=num_unknown)


def _refuse_generator(folder: ModelFolder, reference: str) -> None:
    """Refuse what says itself that it is another kind of model, before it is loaded; loading finds out the others."""
    if folder.is_classifier is False:
        raise InputError(
            f"{reference} is a {folder.architectures()[0]}, which scores nothing: its head would be random",
            "name a sequence classifier, or train one on this model: method: energy (docs/gsm8k.md)",
        )
