"""Small data sets of a world on disk, and a small model that answers their questions, mostly wrongly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import datasets
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from labkit.config.base import stable_digest
from labkit.config.world import TASKS, TaskName
from labkit.tasks.world.manifest import Manifest, SplitRecord, splits_fingerprint, write_manifest
from labkit.tasks.world.text import loss_mask, num_tokens, prompt_text, row_text
from labkit.tasks.world.vocabulary import VOCABULARY, vocabulary_digest
from labkit.train.character_tokenizer import build_character_tokenizer

Row = tuple[TaskName, str, str]
"""Task, compact prompt, answer."""


def question(task: TaskName, number: int) -> Row:
    """A question of a task with an answer of its kind; equal numbers give equal rows."""
    num_cities = {"distance": 2, "compass": 2, "inside": 4, "crossing": 4, "perimeter": 2 + number % 4}.get(task, 3)
    ids = [f"{(number * 7 + 13 * position) % 10_000:04d}" for position in range(num_cities)]
    labels = {"compass": ["NE", "S", "W"], "inside": ["TRUE", "FALSE"], "crossing": ["TRUE", "FALSE"]}.get(task)
    answer = str(number % 50) if labels is None else labels[number % len(labels)]
    return task, prompt_text(task, ids), answer


def save_data_set(
    world: Path,
    name: str,
    rows: Sequence[Row],
    *,
    split: str = "test",
    cities: str | None = None,
    **others: Sequence[Row],
) -> Path:
    """A data set with one split of these rows, and other splits by their names."""
    splits = {split: rows, **others}
    datasets.disable_progress_bars()
    datasets.DatasetDict({key: _data_set(part) for key, part in splits.items()}).save_to_disk(world / name)
    records = {
        key: SplitRecord(num_rows=len(part), fingerprint=stable_digest(list(part)), overlap=0, repeats=0)
        for key, part in splits.items()
    }
    tasks = tuple(task for task in TASKS if any(row[0] == task for part in splits.values() for row in part))
    manifest = Manifest(
        path=world / name, name=name, tasks=tasks, tokenizer=vocabulary_digest(), id_digits=4, splits=records,
        recipe={"made": "by hand", "world": cities}, fingerprint=splits_fingerprint(records),
    )  # fmt: skip
    write_manifest(manifest, world / name)
    return world / name


def _data_set(rows: Sequence[Row]) -> datasets.Dataset:
    texts = [row_text(prompt, answer) for _, prompt, answer in rows]
    columns: Mapping[str, Sequence[object]] = {
        "text": texts,
        "task_type": [task for task, _, _ in rows],
        "token_lengths": [num_tokens(text) for text in texts],
        "loss_mask": [loss_mask(text) for text in texts],
    }
    return datasets.Dataset.from_dict(dict(columns))


def save_world(world: Path, num_rows: int = 12) -> Path:
    """Distance and compass, on Atlantis and not, and a mixture of rows that stand in the two ordinary ones as well."""
    ordinary = {task: [question(task, number) for number in range(num_rows)] for task in ("distance", "compass")}
    for first, (task, rows) in zip((1000, 2000), ordinary.items(), strict=True):
        save_data_set(world, task, rows)
        save_data_set(world, f"atlantis_{task}", [question(task, first + number) for number in range(num_rows)])
    save_data_set(world, "multi_task", [row for pair in zip(*ordinary.values(), strict=True) for row in pair])
    return world


def save_city_model(folder: Path, *, seed: int = 0) -> Path:
    """A random Qwen2 on the world's tokenizer that draws digits, directions and ends of answers, and nothing else."""
    tokenizer = build_character_tokenizer()
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=False,
        initializer_range=0.3,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = Qwen2ForCausalLM(config)
    drawn = [VOCABULARY.index(token) for token in ("<eos>", *"NESW0123456789")]
    silent = [row for row in range(len(VOCABULARY)) if row not in drawn]
    with torch.no_grad():
        model.lm_head.weight[silent] = 0.0
        model.lm_head.weight[[VOCABULARY.index(letter) for letter in "NESW"]] *= 0.6
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
