"""Counting the rows of a data set that ask the same question as others do."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import polars as pl

from labkit.config.world import TaskName
from labkit.tasks.world.draws import Hashes
from labkit.tasks.world.questions import ABSENT, question_keys


class Ledger:
    """The keys of a data set's rows, eight bytes a row."""

    def __init__(self) -> None:
        self._keys: dict[str, dict[TaskName, list[Hashes]]] = defaultdict(lambda: defaultdict(list))

    def add(self, split: str, task: TaskName, keys: Hashes) -> None:
        """Remember rows of one task, by their `question_keys`."""
        self._keys[split][task].append(keys)

    def overlap(self, split: str) -> int:
        """Rows of a split that ask the same question as a training row; 0 for the training rows themselves."""
        if split == "train" or "train" not in self._keys:
            return 0
        train = self._keys["train"]
        return sum(
            int(np.isin(np.concatenate(keys), np.concatenate(train[task])).sum())
            for task, keys in self._keys[split].items()
            if task in train
        )

    def repeats(self, split: str) -> int:
        """Rows of a split that ask the same question as an earlier one."""
        found = (np.concatenate(keys) for keys in self._keys[split].values())
        return sum(len(keys) - len(np.unique(keys)) for keys in found)


def stored_keys(task: TaskName, texts: pl.Series, most_cities: int) -> Hashes:
    """The `question_keys` of stored rows of one task.

    Args:
        texts: (R,), `<bos> d i s t ( c _ 0 8 6 5 , … ) = 7 6 9 <eos>`
        most_cities: cities of the longest row that there may be; keys compare only among equal ones
    """
    asked = texts.str.split_exact("=", 1).struct.field("field_0")
    found = asked.str.extract_all("[0-9](?: [0-9])*")
    counts = found.list.len().to_numpy()
    ids = np.full((len(texts), most_cities), ABSENT, np.int64)
    digits = found.list.explode(empty_as_null=False).str.replace_all(" ", "", literal=True)
    ids[np.arange(most_cities) < counts[:, None]] = digits.cast(pl.Int64).to_numpy()
    return question_keys(task, ids)
