"""From what a user calls a reranker to the reranker: a Python file by its ending, else an energy model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labkit.config.commands import EvalConfig, RolloutConfig
from labkit.errors import ConfigError
from labkit.rerank.energy import EnergyReranker
from labkit.rerank.python_file import PythonReranker
from labkit.rerank.reranker import Reranker, ranking_hash


def find_rerankers(references: Sequence[str], runs_dir: Path, device: str = "auto") -> list[Reranker]:
    """The rerankers that a user names, each found and looked at, none loaded.

    Args:
        runs_dir: where `run:NAME` is looked for
        device: where models are put

    Raises:
        ConfigError: two are one and the same, whatever they are called.
        InputError: there is no such model or file, or it cannot be one.
        MachineError: a model of the hub cannot be downloaded.
    """
    found: dict[str, Reranker] = {}
    for reference in references:
        reranker = _find(reference, runs_dir, device)
        same = found.setdefault(ranking_hash(reranker), reranker)
        if same is not reranker:
            names = reference if same.name == reference else f"{same.name} and {reference}"
            raise ConfigError(f"{names}: one reranker is named twice", "name each once")
    return list(found.values())


def rerankers_of(config: RolloutConfig) -> list[Reranker]:
    """Those that a config names; a sweep names none.

    Raises:
        ConfigError, InputError, MachineError: as `find_rerankers`.
    """
    references = config.rerankers if isinstance(config, EvalConfig) else ()
    return find_rerankers(references, config.runs_dir, config.model.device)


def _find(reference: str, runs_dir: Path, device: str) -> Reranker:
    if reference.endswith(".py"):
        return PythonReranker(Path(reference).expanduser(), reference)
    return EnergyReranker(reference, runs_dir, device)
