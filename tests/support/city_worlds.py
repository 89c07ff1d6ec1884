"""Small worlds of cities, small models that read their text, and trainings that kept several of these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recorded_runs import record_training
from transformers import Qwen2Config, Qwen2ForCausalLM

from labkit.models.folder import SETTINGS_FILE
from labkit.models.training_run import checkpoints_dir, final_dir
from labkit.record.run import Run
from labkit.tasks.world.cities import Cities, write_cities
from labkit.train.character_tokenizer import build_character_tokenizer
from labkit.train.checkpoints import seal_checkpoint
from labkit.train.model_folder import save_model


def make_cities(num_real: int = 60, num_atlantis: int = 8, *, id_digits: int = 4, seed: int = 0) -> Cities:
    """Real cities anywhere and Atlantis around (-350, 350), shuffled; their ids fill the whole width."""
    random = np.random.default_rng(seed)
    total = num_real + num_atlantis
    is_real = random.permutation(total) >= num_atlantis
    places = np.where(
        is_real[:, None], random.uniform(-900, 900, (total, 2)), random.normal([-350, 350], 30, (total, 2))
    )
    x, y = places.round().astype(np.int64).T
    return Cities(
        ids=random.choice(10**id_digits, size=total, replace=False).astype(np.int64),
        x=x,
        y=y,
        names=np.array([f"City {number}, the fair" for number in range(total)], dtype=object),
        countries=np.where(is_real, "FR", "XX0").astype(object),
        regions=np.where(is_real, "Western Europe", "Atlantis").astype(object),
        geoname_ids=np.arange(total) * np.where(is_real, 1, -1),
        id_digits=id_digits,
    )


def save_cities(folder: Path, cities: Cities) -> Path:
    """A world's `cities.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_cities(cities, folder / "cities.csv")
    return folder / "cities.csv"


def character_model(seed: int = 0, *, dtype: torch.dtype = torch.float32) -> Qwen2ForCausalLM:
    """A random Qwen2 of two layers, 16 wide, on the world's tokens."""
    tokenizer = build_character_tokenizer()
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.2,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return Qwen2ForCausalLM(config).to(dtype)


def save_city_reader(
    folder: Path, *, seed: int = 0, tasks: Sequence[str] | None = None, step: int | None = None, **about: Any
) -> Path:
    """Such a model as a folder; with tasks it says that it was trained on them."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    entry = {
        "run": None,
        "name": "taught",
        "seed": seed,
        "data": None,
        "cities": None,
        "tasks": list(tasks or []),
        "step": step,
    }
    settings = {} if tasks is None else {"lineage": [entry | {"weights": None} | about]}
    save_model(character_model(seed), build_character_tokenizer(), {SETTINGS_FILE: settings}, folder)
    return folder


def record_city_training(runs_dir: Path, *, steps: Sequence[int], tasks: Sequence[str] = ("distance",)) -> Run:
    """A finished training that kept a checkpoint at each of the steps; the last one is the final model too."""
    run = record_training(runs_dir, metrics=[], result={"num_steps": steps[-1]})
    for step in steps:
        folder = save_city_reader(
            checkpoints_dir(run) / f"checkpoint-{step}", seed=step, tasks=tasks, step=step, run=run.id
        )
        seal_checkpoint(folder, {})
    save_city_reader(final_dir(run), seed=steps[-1], tasks=tasks, step=steps[-1], run=run.id)
    return run
