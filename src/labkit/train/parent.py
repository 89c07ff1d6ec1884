"""The model that a training goes on from, as far as it can be judged before it is loaded."""

from __future__ import annotations

from labkit.config.commands import TrainConfig
from labkit.models.folder import ModelFolder, find_model
from labkit.tasks.world.lineage import other_cities
from labkit.train.examples import TrainingData


def find_parent(config: TrainConfig) -> ModelFolder | None:
    """Its folder; None for a training that begins with nothing.

    Raises:
        InputError: there is no such model.
    """
    return find_model(config.model, config.runs_dir) if config.model else None


def check_parent(parent: ModelFolder | None, examples: TrainingData) -> None:
    """Refuse a model whose vocabulary is not that of the examples, by its tokenizer's file and without transformers.

    Raises:
        InputError: it is another one.
    """
    path = parent.path / "tokenizer.json" if parent else None
    if path is None or not path.is_file():
        return
    from tokenizers import Tokenizer

    examples.check_vocabulary(Tokenizer.from_file(str(path)))


def training_notes(config: TrainConfig, parent: ModelFolder | None, examples: TrainingData) -> list[str]:
    """Facts that the user should see once."""
    lineage = parent.lineage() if parent else []
    return [
        *examples.notes(config.optimisation.batch_size),
        *other_cities(lineage, examples.cities, examples.data_name),
    ]
