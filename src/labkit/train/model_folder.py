"""A trained model as a folder: Hugging Face format, safetensors, tokenizer, and what labkit asks of it beside them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from labkit.models.folder import QUESTIONS_FILE
from labkit.record.files import sync_files, write_json_atomically
from labkit.tasks.questions import QUESTIONS_VERSION


def save_model(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, files: Mapping[str, Mapping[str, Any]], folder: Path
) -> None:
    """Under another name first, so that a model folder is whole or not there."""
    unfinished = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    save_beside(tokenizer, files, unfinished)
    sync_files(unfinished)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def save_beside(tokenizer: PreTrainedTokenizerBase, files: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """What a model needs beside its weights: the tokenizer, and JSON files that say how it wants to be asked."""
    tokenizer.save_pretrained(folder)
    for name, content in files.items():
        write_json_atomically(folder / name, dict(content))


def trained_questions_file(questions: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """What `ModelFolder.trained_questions` reads, by the name of its file.

    Args:
        questions: ids, by `question_id`
    """
    return {QUESTIONS_FILE: {"version": QUESTIONS_VERSION, "questions": sorted(questions)}}
