"""The data sets of a config: what each holds, how many rows, and everything that those rows depend on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from labkit.config.base import stable_digest
from labkit.config.data import DataConfig, MixtureConfig, SplitSizes
from labkit.config.world import ATLANTIS_PREFIX, MIXTURES, MULTI_TASK, TASKS, TaskName
from labkit.errors import ConfigError
from labkit.tasks.world.manifest import SPLITS, name_hint
from labkit.tasks.world.questions import SampleSettings, is_labelled, row_sizes
from labkit.tasks.world.sampling import SAMPLING_VERSION

ANYWHERE_PREFIX = "anywhere_"
COMPOSITION_VERSION = 1
"""Raised whenever the same sources would be mixed otherwise; part of every recipe of a mixture."""

Cities = Literal["ordinary", "atlantis", "anywhere"]
"""Real cities only; at least one of Atlantis in every row; any."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one data set that go into another."""

    source: str
    sizes: Mapping[str, int]
    """Rows of each split; absent where there are none."""


@dataclass(frozen=True, slots=True)
class PlannedSet:
    """A data set that a config asks for."""

    name: str
    tasks: tuple[TaskName, ...]
    """In the canonical order."""
    sizes: Mapping[str, int]
    """Rows of each split; absent where there are none."""
    recipe: Mapping[str, Any]
    """Everything that its rows depend on, and nothing else: two sets of one recipe have the same rows."""
    cities: Cities | None = None
    """Whom a sampled set's rows ask about; None for a set that is mixed from others."""
    settings: SampleSettings | None = None
    """How a sampled set is drawn."""
    parts: tuple[Part, ...] = ()
    """What a mixed set is made from."""

    @property
    def digest(self) -> str:
        """That of the recipe, as in a manifest."""
        return stable_digest(dict(self.recipe))


@dataclass(frozen=True, slots=True)
class Origin:
    """What all data sets of a world share."""

    cities: str
    """Fingerprint of the cities."""
    tokenizer: str
    """Digest of the vocabulary."""


@dataclass(slots=True)
class _Plan:
    config: DataConfig
    origin: Origin
    sets: dict[str, PlannedSet] = field(default_factory=dict)

    def add_sampled(self, prefix: str, cities: Cities, sizes: SplitSizes) -> None:
        for task in ordered(self.config.tasks):
            settings = SampleSettings(
                name=prefix + task,
                task=task,
                sizes=sizes.model_dump(),
                seed=self.config.seed,
                num_cities=row_sizes(task, self.config.hull_sizes, self.config.perimeter_sizes),
                true_ratio=self.config.true_ratio if is_labelled(task) else None,
                overlap=self.config.overlap,
            )
            recipe = self._sampled_recipe(settings, cities)
            self.sets[settings.name] = PlannedSet(settings.name, (task,), settings.sizes, recipe, cities, settings)

    def _sampled_recipe(self, settings: SampleSettings, cities: Cities) -> dict[str, Any]:
        return {
            "kind": "sampled",
            "version": SAMPLING_VERSION,
            "name": settings.name,
            "task": settings.task,
            "cities": cities,
            "world": self.origin.cities,
            "id_digits": self.config.cities.id_digits,
            "tokenizer": self.origin.tokenizer,
            "seed": settings.seed,
            "rows": dict(settings.sizes),
            "num_cities": list(settings.num_cities),
            "true_ratio": settings.true_ratio,
            "overlap": settings.overlap,
        }

    def add_composed(self, name: str, tasks: Iterable[TaskName], parts: Iterable[Part]) -> None:
        parts = tuple(parts)
        totals = {split: sum(part.sizes.get(split, 0) for part in parts) for split in SPLITS}
        recipe = {
            "kind": "mixed",
            "version": COMPOSITION_VERSION,
            "name": name,
            "world": self.origin.cities,
            "seed": self.config.seed,
            "parts": [[part.source, dict(part.sizes)] for part in parts],
            "sources": {part.source: self.sets[part.source].digest for part in parts},
        }
        sizes = {split: total for split, total in totals.items() if total}
        self.sets[name] = PlannedSet(name, ordered(tasks), sizes, recipe, parts=parts)


def planned_sets(config: DataConfig, origin: Origin) -> dict[str, PlannedSet]:
    """Every data set of a config by name, those that others are made from before these."""
    plan = _Plan(config, origin)
    plan.add_sampled("", "ordinary", config.ordinary)
    plan.add_sampled(ATLANTIS_PREFIX, "atlantis", config.atlantis)
    if config.anywhere is not None:
        plan.add_sampled(ANYWHERE_PREFIX, "anywhere", config.anywhere)
    tasks = ordered(config.tasks)
    plan.add_composed(MULTI_TASK, tasks, (Part(task, config.ordinary.model_dump()) for task in tasks))
    if config.mixture is not None:
        for name, trained in MIXTURES.items():
            if set(trained) <= set(tasks):
                plan.add_composed(name, trained, mixture_parts(config, config.mixture, trained))
    return plan.sets


def mixture_parts(config: DataConfig, mixture: MixtureConfig, trained: Iterable[TaskName]) -> list[Part]:
    """What a fine-tuning set is mixed from: for each trained task ordinary rows and rows with Atlantis, and as reminders
    rows with Atlantis of every task, whether trained or not."""
    parts = []
    for task in trained:
        parts.append(Part(task, proportional(config.ordinary, mixture.ordinary)))
        parts.append(Part(ATLANTIS_PREFIX + task, proportional(config.atlantis, mixture.atlantis)))
    reminders = proportional(config.atlantis, mixture.reminders)
    return parts + [Part(ATLANTIS_PREFIX + task, reminders) for task in ordered(config.tasks) if reminders]


def proportional(sizes: SplitSizes, num_train: int) -> dict[str, int]:
    """Rows of each split when `num_train` training rows are taken: the same part of every split, rounded down."""
    whole: dict[str, int] = sizes.model_dump()
    taken = {split: number * num_train // sizes.train for split, number in whole.items()}
    return {split: number for split, number in taken.items() if number}


def selected(plan: Mapping[str, PlannedSet], only: Iterable[str] | None) -> dict[str, PlannedSet]:
    """The data sets to build, with what they are made from.

    Raises:
        ConfigError: a name is none of the config's.
    """
    if only is None:
        return dict(plan)
    wanted: set[str] = set()
    for name in only:
        if name not in plan:
            hint = name_hint(name, list(plan)) or f"it has {', '.join(plan)}"
            raise ConfigError(f"the config makes no data set {name!r}", hint)
        wanted |= {name, *(part.source for part in plan[name].parts)}
    return {name: planned for name, planned in plan.items() if name in wanted}


def ordered(tasks: Iterable[str]) -> tuple[TaskName, ...]:
    """Tasks in the canonical order."""
    known = set(tasks)
    return tuple(task.name for task in TASKS.values() if task.name in known)


def row_bytes(planned: PlannedSet) -> float:
    """About how many bytes a row takes on disk: text, mask, name of the task, length and offsets."""
    if planned.settings is None:
        return 0.0
    task, digits = TASKS[planned.settings.task], int(planned.recipe["id_digits"])
    num_cities = sum(planned.settings.num_cities) / 2
    num_tokens = len(task.text_name) + 5 + num_cities * (digits + 3) + (4 if task.kind == "error" else 3)
    return 3 * num_tokens + len(task.name) + 24


def estimated_bytes(planned: PlannedSet, plan: Mapping[str, PlannedSet]) -> int:
    """About how much room a data set takes."""
    parts = planned.parts or (Part(planned.name, planned.sizes),)
    return round(sum(row_bytes(plan[part.source]) * sum(part.sizes.values()) for part in parts))
