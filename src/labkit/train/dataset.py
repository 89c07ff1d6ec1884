"""A data set on disk as training examples: Hugging Face format, memory-mapped, in an order that each epoch draws anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from labkit.config.base import stable_digest
from labkit.config.training import DatasetExamples as DatasetConfig
from labkit.config.world import TASKS
from labkit.errors import InputError
from labkit.models.engine import EncodedPrompt
from labkit.record.identity import draw_seed
from labkit.tasks.base import Prompt, Score, Task
from labkit.tasks.world.draws import Stream
from labkit.tasks.world.manifest import FILE_NAME, Manifest, read_manifest
from labkit.tasks.world.scoring import SCORER, score_prompt
from labkit.tasks.world.task import city_prompt
from labkit.train.plan import steps_per_epoch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from labkit.models.torch_engine import TorchEngine
    from labkit.train.rows import Row

_SPLITS = ("train", "validation")
_COLUMNS = ("text", "task_type")
_FEW_STEPS = 10
"""An epoch of fewer steps gets a note: a batch size for larger data leaves a model next to no updates."""


class HasVocabulary(Protocol):
    """A tokenizer, of transformers or of tokenizers."""

    def get_vocab(self) -> dict[str, int]:
        """The ids of its tokens, those that were added among them."""
        ...


class CityQuestions:
    """Scores answers to questions about cities."""

    scorer = SCORER

    def score(self, prompt: Prompt, text: str) -> Score:
        """Measure an answer by the rules of its question's task."""
        return score_prompt(prompt, text)


class DatasetExamples:
    """The rows of a data set's `train`; held out are some of its `validation`, drawn with the seed."""

    preset: str | None = None
    parents: Sequence[Mapping[str, str]] = ()
    scorer = SCORER

    def __init__(self, config: DatasetConfig, seed: int, num_held_out: int) -> None:
        self.path = config.path
        self.manifest = _manifest(config.path)
        splits = {name: _split(config.path, name, self.manifest) for name in _SPLITS}
        self._train = splits["train"].select_columns(["text"])
        self.num_rows: int | None = len(self._train)
        self._seed = seed
        self._order: tuple[int, npt.NDArray[np.uint32]] = (-1, np.empty(0, np.uint32))
        self._validation = splits["validation"][:]
        self.held_out: Sequence[Prompt] = self._prompts(num_held_out) if num_held_out else []
        self.task: Task | CityQuestions = CityQuestions()
        self.fingerprint = self._fingerprint(splits)
        self.data_name = self.manifest.name if self.manifest else self.path.resolve().name
        self.cities = self.manifest.cities if self.manifest else None
        there = set(self._validation["task_type"])
        known = tuple(name for name in TASKS if name in there)
        self.tasks: Sequence[str] = self.manifest.tasks if self.manifest else known

    def notes(self, batch_size: int) -> Sequence[str]:
        found = []
        num_rows = len(self._train)
        num_steps = steps_per_epoch(num_rows, batch_size)
        if not self.manifest:
            found.append(f"{self.path} has no {FILE_NAME}: nothing says which vocabulary its rows were written for")
        if num_steps < _FEW_STEPS:
            only = "1 step" if num_steps == 1 else f"{num_steps} steps"
            found.append(f"an epoch is only {only}: {num_rows:,} rows at optimisation.batch_size {batch_size:,}")
        return found

    def rows_at(self, step: int, size: int, engine: TorchEngine) -> Sequence[Row]:
        return _rows(self.texts(step, size), engine.tokenizer)

    def first_prompt(self, engine: TorchEngine) -> EncodedPrompt:
        row = self.rows_at(0, 1, engine)[0]
        ids = list(row.token_ids[: row.num_prompt_tokens])
        return EncodedPrompt(str(engine.tokenizer.decode(ids)), tuple(ids))

    def trained_questions(self, num_examples: int) -> frozenset[str]:
        """None are named: the splits of a data set ask no question twice, or its manifest says how many."""
        return frozenset()

    def validation_rows(self, tokenizer: PreTrainedTokenizerBase) -> Sequence[Row]:
        return _rows(self._validation["text"], tokenizer)

    def texts(self, step: int, size: int) -> list[str]:
        """The texts of one optimiser step (counted from 0); the last step of an epoch has what is left."""
        epoch, position = divmod(step, steps_per_epoch(len(self._train), size))
        order = self._order_of(epoch)[position * size : (position + 1) * size]
        texts: list[str] = self._train[order.tolist()]["text"]
        return texts

    def check_vocabulary(self, tokenizer: HasVocabulary) -> None:
        digest = tokenizer_digest(tokenizer)
        if self.manifest and self.manifest.tokenizer != digest:
            raise InputError(
                f"the model's tokenizer is not that of {self.path}: vocabulary {digest}, the data set's is "
                f"{self.manifest.tokenizer}",
                "train a model that has `tokenizer: {name: characters}`, or one that goes on from such a model",
            )

    def _order_of(self, epoch: int) -> npt.NDArray[np.uint32]:
        if self._order[0] != epoch:
            order = Stream(draw_seed(self._seed, "epoch", epoch)).order(len(self._train))
            self._order = (epoch, order.astype(np.uint32))
        return self._order[1]

    def _prompts(self, num_prompts: int) -> list[Prompt]:
        chosen = Stream(draw_seed(self._seed, "held out")).order(len(self._validation["text"]))[:num_prompts]
        return [self._prompt(row) for row in sorted(chosen.tolist())]

    def _prompt(self, row: int) -> Prompt:
        text, task = (self._validation[column][row] for column in _COLUMNS)
        where = f"{self.path}, validation row {row}"
        return city_prompt(text, task, where, {"row": row, "split": "validation"})

    def _fingerprint(self, splits: dict[str, Any]) -> str:
        if self.manifest:
            return self.manifest.fingerprint
        return stable_digest({name: split._fingerprint for name, split in splits.items()})


def tokenizer_digest(tokenizer: HasVocabulary) -> str:
    """Digest of a tokenizer's tokens in the order of their ids, as data sets name theirs."""
    vocabulary = tokenizer.get_vocab()
    return stable_digest(sorted(vocabulary, key=lambda token: vocabulary[token]))


def _rows(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Sequence[Row]:
    from labkit.train.rows import text_rows  # loads torch, which a dry run does without

    return text_rows(texts, tokenizer)


def _manifest(folder: Path) -> Manifest | None:
    """What a data set of labkit's says of itself; None for one that comes from elsewhere."""
    if (folder / "dataset_dict.json").is_file() and not (folder / FILE_NAME).exists():
        return None
    return read_manifest(folder)


def _split(folder: Path, name: str, manifest: Manifest | None) -> Any:
    """A split as a memory-mapped `datasets.Dataset`, checked for its columns and its size."""
    from datasets import Dataset, load_from_disk  # type: ignore[import-untyped]

    try:
        split = load_from_disk(folder / name)
    except FileNotFoundError:
        there = ", ".join(sorted(path.parent.name for path in folder.glob("*/state.json"))) or "none"
        raise InputError(f"{folder} has no split {name!r}", f"a training needs both; it has {there}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / name} cannot be read: {error}", "build or copy the data set again") from None
    assert isinstance(split, Dataset)
    for column in _COLUMNS:
        if column not in split.column_names:
            raise InputError(f"{folder / name} has no column {column!r}", "a row has its text and its task_type")
    expected = manifest.splits[name].num_rows if manifest and name in manifest.splits else len(split)
    if len(split) != expected or not expected:
        raise InputError(
            f"{folder / name} has {len(split)} rows, and should have {expected or 'some'}",
            "build or copy the data set again",
        )
    return split
