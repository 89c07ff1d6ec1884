"""Normalised improvements of many models as one structure, whether they come from runs or from published tables.

A cell is (mixture, task); a matrix has the cells of one seed, or the means over seeds. Undefined cells are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from labkit.config.world import MIXTURES, TASK_NAMES, TASKS, Kind
from labkit.tasks.world.metrics import Improvement, Mean

AGGREGATED = "aggregated"
"""In the place of a seed: the mean of every cell over the seeds."""
BASE = "base"
SINGLE = "ftwb1"
PAIR = "ftwb2"


@dataclass(frozen=True, slots=True)
class Mixture:
    """The tasks that a model was fine-tuned on."""

    name: str
    """`ftwb1-3`, `ftwb2-8`; tasks that are no mixture of the registry, joined by `+`; `base` before any fine-tuning."""
    trained: tuple[str, ...]

    @property
    def family(self) -> str:
        """`base`, `ftwb1`, `ftwb2`, or how many tasks there are."""
        if self.name == BASE or self.name in MIXTURES:
            return self.name.split("-")[0]
        return f"{len(self.trained)} tasks"

    @property
    def tasks_text(self) -> str:
        return "+".join(self.trained)


Cell = tuple[Mixture, str]
"""A mixture and the task that its model was asked."""
Matrix = Mapping[Cell, float]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a normalised improvement was made from."""

    value: Mean
    baseline_atlantis: Mean
    baseline_standard: Mean
    kind: Kind


@dataclass(frozen=True, slots=True)
class Score:
    """A model on one task."""

    improvement: Improvement
    measured: Measured | None
    """None in published tables, which hold the improvement only."""


@dataclass(frozen=True, slots=True)
class ScoredModel:
    """A model with its normalised improvement on every task that it was asked."""

    name: str
    mixture: Mixture
    seed: str
    """What tells it from models of the same mixture: its training seed, or a word of a published table."""
    checkpoint: str | None
    scores: Mapping[str, Score]
    """By task, in the canonical order."""


def mixture_of(trained: Iterable[str], data: str | None = None) -> Mixture:
    """The mixture that trains these tasks; `data`, the name of the data set, decides where the registry knows it.

    A mixture's data set also holds a few rows of every other task, so its name says better what it is for.
    """
    if data in MIXTURES:
        return Mixture(data, MIXTURES[data])
    tasks = tuple(sorted(dict.fromkeys(trained), key=_task_position))
    found = next((name for name, known in MIXTURES.items() if set(known) == set(tasks)), None)
    return Mixture(found, MIXTURES[found]) if found else Mixture("+".join(tasks) or "unknown", tasks)


def in_order(tasks: Iterable[str]) -> list[str]:
    """Tasks in the canonical order, each once; unknown ones last."""
    return sorted(dict.fromkeys(tasks), key=lambda task: (_task_position(task), task))


def mixture_order(mixture: Mixture) -> tuple[int, int, str]:
    """Sorts mixtures as the registry lists them."""
    names = list(MIXTURES)
    position = -1 if mixture.name == BASE else names.index(mixture.name) if mixture.name in MIXTURES else len(names)
    return position, len(mixture.trained), mixture.name


def seed_order(seed: str) -> tuple[bool, float, str]:
    """Sorts the words of published tables first (`original`), then numbers by size."""
    return seed.isdigit(), float(seed) if seed.isdigit() else 0.0, seed


def matrices(models: Iterable[ScoredModel], family: str) -> dict[str, Matrix]:
    """The matrix of a family by seed, with the defined cells only."""
    found: dict[str, dict[Cell, float]] = {}
    for model in models:
        if model.mixture.family == family:
            row = found.setdefault(model.seed, {})
            for task, score in model.scores.items():
                if score.improvement.value is not None:
                    row[model.mixture, task] = score.improvement.value
    return {seed: found[seed] for seed in sorted(found, key=seed_order)}


def aggregate(by_seed: Mapping[str, Matrix]) -> Matrix:
    """Mean of every cell over the seeds; a cell that some seed lacks is left out."""
    matrix, *others = by_seed.values() if by_seed else [{}]
    shared = [cell for cell in matrix if all(cell in other for other in others)]
    return {cell: fmean(each[cell] for each in by_seed.values()) for cell in shared}


def with_aggregate(by_seed: Mapping[str, Matrix]) -> dict[str, Matrix]:
    """Every seed's matrix, and behind them the aggregated one where there are several."""
    return {**by_seed, **({AGGREGATED: aggregate(by_seed)} if len(by_seed) > 1 else {})}


def is_trained(cell: Cell) -> bool:
    """Whether the model was fine-tuned on the task that it is asked."""
    mixture, task = cell
    return task in mixture.trained


def gaps_note(by_seed: Mapping[str, Matrix]) -> list[str]:
    """A sentence where the seeds do not hold the same cells, so that the aggregate is over fewer."""
    everywhere, somewhere = len(aggregate(by_seed)), len({cell for matrix in by_seed.values() for cell in matrix})
    if everywhere == somewhere:
        return []
    return [f"{AGGREGATED}: {somewhere - everywhere} of {somewhere} cells are left out, which some seed lacks"]


def families(models: Sequence[ScoredModel]) -> list[str]:
    """The families of fine-tuned models there are, fewer tasks first."""
    found = {model.mixture.family: len(model.mixture.trained) for model in models if model.mixture.name != BASE}
    return sorted(found, key=lambda family: (found[family], family))


def _task_position(task: str) -> int:
    return TASK_NAMES.index(TASKS[task].name) if task in TASKS else len(TASK_NAMES)
