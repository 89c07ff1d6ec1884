"""The world as a task: questions about cities from data sets on disk, each data set an evaluation of its own.

A question that stands in several data sets is one prompt, which says where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.config.base import stable_digest
from labkit.config.world import TASKS, evaluation_names
from labkit.errors import InputError
from labkit.tasks.base import Prompt, Score, Summary
from labkit.tasks.world.lineage import other_cities
from labkit.tasks.world.manifest import Manifest, check_world_folder, data_set_folders, name_hint, read_manifest
from labkit.tasks.world.scoring import SCORER, score_prompt
from labkit.tasks.world.stored_rows import StoredRows, chosen_rows, read_stored
from labkit.tasks.world.text import split_row

if TYPE_CHECKING:
    import polars as pl

MOST_ROWS = 10_000
"""Rows of an evaluation that are asked where nobody says how many."""


class WorldScorer:
    """The grading of answers, which needs no more than the truth in the prompt."""

    scorer = SCORER

    def score(self, prompt: Prompt, text: str) -> Score:
        """Read the answer after the prompt's `=` and measure it by the rules of its task (`scoring.score_row`)."""
        return score_prompt(prompt, text)


class WorldTask(WorldScorer):
    """The rows of some evaluations, each of which is a data set of the world's folder."""

    name = "world"
    max_new_tokens = 30  # the longest answer has 7 digits, or FALSE; the published code had 20 and 30
    known_text_only = True

    def __init__(self, data: Path, evaluations: Sequence[str] | None = None, split: str = "test") -> None:
        """Open the data sets.

        Args:
            data: the folder of the world
            evaluations: names of its data sets; None is every usual evaluation that is there
            split: which split of each

        Raises:
            InputError: there is no such data set or split, or no evaluation at all; says what there is.
        """
        self._data, self._split = data, split
        names = _usual(data) if evaluations is None else tuple(dict.fromkeys(evaluations))
        if not names:
            raise InputError(f"there are no evaluations in {data}", f"make some: labkit data build CONFIG --out {data}")
        self._sets = {name: _open(data, name, split) for name in names}
        fingerprints = {name: manifest.fingerprint for name, manifest in self._sets.items()}
        self.data_fingerprint = stable_digest({"split": split, "evaluations": fingerprints})
        self._origins = {name: stable_digest([split, fingerprint]) for name, fingerprint in fingerprints.items()}
        self.notes: Sequence[str] = ()

    @property
    def evaluations(self) -> tuple[str, ...]:
        """The names of the data sets."""
        return tuple(self._sets)

    def prompts(self, *, preset: str | None, offset: int, num_prompts: int | None) -> list[Prompt]:
        """The distinct questions among `num_prompts` rows of every evaluation, the shorter ones first.

        The rows are drawn by the data set's fingerprint; None is up to 10,000 of each.

        Raises:
            InputError: a preset is named; an evaluation has no rows after the offset; its files cannot be read; or a
                question has two answers.
        """
        if preset is not None:
            raise InputError(f"the world has no preset {preset!r}", "leave it out: its data sets hold the wording")
        found: dict[str, Prompt] = {}
        for name, manifest in self._sets.items():
            num_rows = manifest.splits[self._split].num_rows
            rows = chosen_rows(num_rows, manifest.fingerprint, offset, num_prompts or MOST_ROWS)
            if not len(rows):
                where = f"{manifest.path}: split {self._split!r}"
                raise InputError(f"{where} has {num_rows} rows, none after an offset of {offset}", "lower --offset")
            self._add(found, name, read_stored(manifest, self._split, rows))
        # Prompts of one length are batches without padding. The sort is stable, so their order is always the same.
        return [found[question] for question in sorted(found, key=len)]

    def _add(self, found: dict[str, Prompt], evaluation: str, stored: StoredRows) -> None:
        for row, text, task in zip(stored.rows, stored.texts, stored.tasks, strict=True):
            where = f"{self._sets[evaluation].path}, {self._split} row {row}"
            prompt = city_prompt(text, task, where, {"evaluations": {evaluation: [row]}})
            known = found.setdefault(prompt.messages[0]["content"], prompt)
            if known.gold != prompt.gold:
                self._refuse_two_truths(known, evaluation, row, prompt.gold["truth"])
            elif known is not prompt:
                known.source["evaluations"].setdefault(evaluation, []).append(row)

    def _refuse_two_truths(self, known: Prompt, evaluation: str, row: int, truth: str) -> None:
        other, (other_row, *_) = next(iter(known.source["evaluations"].items()))
        question = known.messages[0]["content"]
        raise InputError(
            f"{question} is {known.gold['truth']} in row {other_row} of {other} and {truth} in row {row} of {evaluation}",
            f"the data sets of {self._data} are of different worlds: build all of them again with labkit data build",
        )

    def doubts(self, lineage: Sequence[Mapping[str, Any]]) -> Sequence[str]:
        """A warning where the model learnt of other cities."""
        asked = dict.fromkeys(manifest.cities for manifest in self._sets.values())
        return [text for cities in asked for text in other_cities(lineage, cities, str(self._data))]

    def joined(self, known: Prompt, prompt: Prompt) -> Prompt:
        """The question with its rows in both selections."""
        places: dict[str, list[int]] = dict(known.source["evaluations"])
        for evaluation, rows in prompt.source["evaluations"].items():
            places[evaluation] = sorted({*places.get(evaluation, ()), *rows})
        return replace(prompt, source={"evaluations": places})

    def summarise(self, prompts: Sequence[Prompt], verdicts: pl.DataFrame) -> Summary:
        """The metric and the parse rate of every evaluation (`evaluations.summarise`)."""
        from labkit.tasks.world.evaluations import summarise

        return summarise(self._origins, prompts, verdicts)


def city_prompt(stored: str, task: str, where: str, source: Mapping[str, Any]) -> Prompt:
    """The prompt of a stored row, whose gold is its `task` and `truth`.

    Args:
        where: the row, for the message of an error
        source: that of the prompt

    Raises:
        InputError: the row has no `=`, or its task is none.
    """
    if task not in TASKS:
        raise InputError(f"{where}: there is no task {task!r}", f"tasks are {', '.join(TASKS)}")
    question, truth = split_row(stored)
    return Prompt(({"role": "user", "content": question},), gold={"task": task, "truth": truth}, source=source)


def _usual(data: Path) -> tuple[str, ...]:
    check_world_folder(data)
    there = {folder.name for folder in data_set_folders(data)}
    return tuple(name for name in evaluation_names() if name in there)


def _open(data: Path, name: str, split: str) -> Manifest:
    check_world_folder(data)
    there = [folder.name for folder in data_set_folders(data)]
    if name not in there:
        guess = name_hint(name, there)
        what = f"{data} has {', '.join(there)}" if there else f"{data} has no data sets"
        hint = f"{what}; labkit data build CONFIG --out {data} makes more"
        raise InputError(f"there is no data set {data / name}", f"{guess} {hint}" if guess.endswith("?") else hint)
    manifest = read_manifest(data / name)
    if split not in manifest.splits:
        known = ", ".join(manifest.splits)
        raise InputError(f"{data / name} has no split {split!r}", f"choose one with --split: {known}")
    return manifest
