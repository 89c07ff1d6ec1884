"""What an extraction is going to do: which checkpoints, cities and prompts. Found out before torch is imported."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labkit.config.base import stable_digest
from labkit.config.commands import ExtractConfig
from labkit.config.world import TASKS, extraction_task
from labkit.errors import InputError
from labkit.extract.files import FINAL, some_cities
from labkit.extract.selection import Selection, select_cities
from labkit.models.folder import ModelFolder, checkpoint_folders
from labkit.tasks.world.cities import Cities, read_cities
from labkit.tasks.world.lineage import other_cities
from labkit.tasks.world.text import extraction_format, extraction_positions, extraction_prompt


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is decided before a model is loaded."""

    folders: dict[str, ModelFolder]
    """By the name of the checkpoint, in the order in which they are extracted."""
    lineage: list[dict[str, Any]]
    """Of the last of them."""
    world: str
    """Fingerprint of all cities of the world."""
    selection: Selection
    chosen: Cities
    """The N cities to extract."""
    prompt_format: str
    positions: tuple[int, int]
    """Where the last digit of the id and the separator behind it stand; `<bos>` is 0."""
    prompts: list[str]
    """N beginnings of questions, without `<bos>`."""
    layers: tuple[int, ...]
    hidden_size: int
    notes: tuple[str, ...]

    @property
    def task(self) -> str:
        """The task whose question is asked."""
        return next(name for name in TASKS if extraction_format(TASKS[name].name) == self.prompt_format)

    @property
    def num_bytes(self) -> int:
        """Of all hidden states, in float32."""
        return len(self.folders) * len(self.prompts) * 2 * len(self.layers) * self.hidden_size * 4

    def base(self) -> dict[str, Any]:
        """What the run rests on; `cities` tells worlds apart."""
        weights = {name: folder.weights_fingerprint() for name, folder in self.folders.items()}
        chosen = [self.chosen.padded_ids.tolist(), self.selection.is_train.tolist()]
        return {
            "cities": self.world,
            "chosen": stable_digest(chosen),
            "prompt_format": self.prompt_format,
            "layers": list(self.layers),
            "checkpoints": weights,
            "tokenizer": next(iter(self.folders.values())).tokenizer_fingerprint(),
        }


def plan_extraction(config: ExtractConfig, say: Callable[[str], None]) -> Plan:
    """Find the checkpoints and the cities of an extraction, and how they are asked.

    Raises:
        InputError: no such model or checkpoint, a layer that it does not have, or no such file of cities.
        ConfigError: a filter leaves too few cities.
    """
    found = checkpoint_folders(config.model, config.checkpoints, config.runs_dir)
    folders = {folder.checkpoint or FINAL: folder for folder in found}
    hidden_size = _check_layers(found[0], config.layers)
    cities = read_cities(config.cities)
    selection = select_cities(cities, config.probe, seed=config.seed, num_cities=config.num_cities)
    chosen = some_cities(cities, selection.rows)
    lineage = found[-1].lineage()
    prompt_format, note = _prompt_format(config, lineage)
    world = cities.fingerprint()
    notes = (*selection.notes, *note, *other_cities(lineage, world, str(config.cities)))
    for text in notes:
        say(text)
    return Plan(
        folders=folders,
        lineage=lineage,
        world=world,
        selection=selection,
        chosen=chosen,
        prompt_format=prompt_format,
        positions=extraction_positions(prompt_format, cities.id_digits),
        prompts=[extraction_prompt(prompt_format, padded_id) for padded_id in chosen.padded_ids],
        layers=config.layers,
        hidden_size=hidden_size,
        notes=notes,
    )


def _prompt_format(config: ExtractConfig, lineage: list[dict[str, Any]]) -> tuple[str, tuple[str, ...]]:
    """The format, and what must be said about it."""
    if config.prompt_format is not None:
        return config.prompt_format, ()
    tasks = [task for task in lineage[-1]["tasks"] if task in TASKS]
    chosen = extraction_format(extraction_task(tasks))
    if tasks:
        return chosen, ()
    return chosen, (f"nothing says which tasks the model was trained on: its prompts are {chosen}",)


def _check_layers(folder: ModelFolder, layers: tuple[int, ...]) -> int:
    """Refuse a layer that the model's configuration does not have; gives the width of its hidden states."""
    path = folder.path / "config.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    about = about.get("text_config", about)
    try:
        num_layers, hidden_size = int(about["num_hidden_layers"]), int(about["hidden_size"])
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{path} does not say how many layers the model has, or how wide they are",
            "name a model whose config.json has num_hidden_layers and hidden_size",
        ) from None
    beyond = [layer for layer in layers if layer > num_layers]
    if beyond:
        raise InputError(
            f"{folder.name} has no layer {beyond[0]}: it has {num_layers}, and layer 0, the embeddings",
            f"give layers from 0 to {num_layers}",
        )
    return hidden_size
