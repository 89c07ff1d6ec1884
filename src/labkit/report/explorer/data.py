"""The data of a page: one JSON object, which fits whatever the runs hold, and says what was left out.

Lists are positional and repeated texts stand once, because ten thousand rollouts with their keys would be mostly keys.
The page's script reads them in `page/data.js`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.errors import RecordError
from labkit.report.explorer.keeping import (
    CELL,
    MOST_TEXTS,
    chosen,
    cut,
    distinct_texts,
    fitting_chars,
    num_bytes,
    with_rollouts,
    with_verdicts,
)
from labkit.report.explorer.pairs import paired_tests
from labkit.report.explorer.problems import Describer, Description, messages_of
from labkit.report.explorer.reading import Explored, Group, RunFacts
from labkit.report.explorer.texts import Json, kept_rollouts
from labkit.report.naming import config_value
from labkit.report.table import cell_text
from labkit.stats import wilson

SCHEMA = 1
MOST_BYTES = 9_900_000
"""Bytes of a page's data; script, style and markup come on top."""
MOST_PROMPTS = 2_000
MOST_CELLS = 120_000
"""Prompts times arms on a page."""

_PROMPT_BYTES = 2_500_000
_SAID_BYTES = 1_000
"""For what is said of what was left out."""
_DIGITS = 5

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Places:
    """Where prompts and arms stand in the lists of a page."""

    prompts: Mapping[str, int]
    arms: Mapping[tuple[int, str], int]
    """By the number of the group and the key."""


@dataclass(frozen=True, slots=True)
class _Material:
    """What a page is made of, before it is known how many of the prompts it can list."""

    explored: Explored
    prompts: Sequence[tuple[str, Description, Sequence[tuple[str, str]]]]
    """Id, description and messages of those that may be listed."""
    counts: Sequence[tuple[Counts, Counts]]
    """For each arm (P,) rollouts with a verdict and (P,) correct ones, of all prompts, listed or not."""
    pairs: Sequence[Sequence[float]]
    found: Sequence[pl.DataFrame]
    """`distinct_texts` of each group."""
    texts: pl.DataFrame
    """Those among them that may be kept."""
    notes: Sequence[str]


def page_data(explored: Explored, *, salvage: bool = False) -> Json:
    """What the page's script reads, the same for the same runs, in `MOST_BYTES` at most.

    Raises:
        RecordError: there are so many arms that not one prompt fits; or verdicts are damaged, and `salvage` is off.
    """
    num_arms = sum(len(group.arms) for group in explored.groups)
    material = _material(explored, max(1, min(MOST_PROMPTS, MOST_CELLS // num_arms)), salvage)
    num_listed = len(material.prompts)
    while num_listed:
        if (data := _fitting(material, num_listed)) is not None:
            return data | {"left_out": _left_out(num_listed, len(explored.prompts), data)}
        num_listed //= 2
    what = f"the page would be larger than {MOST_BYTES:,} bytes with a single prompt, of so many arms: {num_arms:,}"
    raise RecordError(what, "name fewer runs")


def _material(explored: Explored, most_prompts: int, salvage: bool) -> _Material:
    lines = explored.prompts[:most_prompts]
    keys = [(number, counts.arm.key) for number, group in enumerate(explored.groups) for counts in group.arms]
    places = _Places(
        {str(line["id"]): place for place, line in enumerate(lines)}, {key: place for place, key in enumerate(keys)}
    )
    counts = _counts(explored)
    arms = [arm for group in explored.groups for arm in group.arms]
    path = config_value(explored.runs[0].run.manifest, "config.task.data")
    describer = Describer(explored.task, Path(path) if isinstance(path, str) else None)
    prompts = [(str(line["id"]), describer.describe(line), messages_of(line)) for line in lines]
    pairs = paired_tests(arms, [str(line["id"]) for line in explored.prompts])
    found, texts = _texts(explored, places, salvage)
    return _Material(explored, prompts, counts, pairs, found, texts, [*explored.notes, *describer.notes])


def _fitting(material: _Material, num_listed: int) -> Json | None:
    """The page's data with the first so many prompts; None where it would be too large."""
    explored = material.explored
    counts = [(rollouts[:num_listed], correct[:num_listed]) for rollouts, correct in material.counts]
    data: Json = {
        "schema": SCHEMA,
        "title": _title(explored),
        "task": explored.task,
        "num_prompts": len(explored.prompts),
        "groups": [group.name for group in explored.groups],
        "runs": [_run_json(facts) for facts in explored.runs],
        "notes": material.notes,
        "ks": sorted({k for group in explored.groups for k in group.ks}),
        "arms": [_arm_json(number, group, place) for number, group in enumerate(explored.groups)
                 for place in range(len(group.arms))],
        "counts": [[rollouts.tolist(), correct.tolist()] for rollouts, correct in counts],
        "intervals": _intervals(counts),
        "pairs": material.pairs,
        "prompts": _described(material.prompts[:num_listed]),
    }  # fmt: skip
    listed = pl.col("place") < num_listed
    kept = kept_rollouts(material.texts.filter(listed), num_listed, MOST_BYTES - _SAID_BYTES - num_bytes(data))
    num_distinct = sum(each.filter(listed).height for each in material.found)
    return None if kept is None else data | kept | {"num_distinct": num_distinct}


def _title(explored: Explored) -> str:
    """The task, with the file that it is where it is one of the user's own."""
    path = config_value(explored.runs[0].run.manifest, "config.task.path")
    return f"{explored.task} {Path(path).name}" if isinstance(path, str) else explored.task


def _run_json(facts: RunFacts) -> Json:
    return {
        "id": facts.run.id,
        "command": facts.run.command,
        "group": facts.group,
        "status": facts.status,
        "num_rollouts": facts.num_rollouts,
        "num_asked": facts.num_asked,
    }


def _arm_json(number: int, group: Group, place: int) -> Json:
    """What the report says of an arm; a rate is [value, low, high, all three as the report writes them]."""
    counts, row = group.arms[place], group.rows[place]
    plain = ("method", "value", "num_prompts", "num_rollouts", "solved", "errors", "mean_tokens")
    rates = {
        name: [row[name], row[f"{name}_low"], row[f"{name}_high"], cell_text(row, name)]
        for name in row
        if f"{name}_low" in row
    }
    return {
        "group": number,
        "key": counts.arm.key,
        "total_rollouts": int(counts.num_rollouts.sum()),
        "most_rollouts": int(counts.num_rollouts.max()),
        **{name: row[name] for name in plain},
        "rates": {name: values for name, values in rates.items() if values[0] is not None},
    }


def _counts(explored: Explored) -> list[tuple[Counts, Counts]]:
    """For each arm (P,) rollouts with a verdict and (P,) correct ones of every prompt, in the order of the prompts."""
    place = {str(line["id"]): number for number, line in enumerate(explored.prompts)}
    counts = []
    for arm in (arm for group in explored.groups for arm in group.arms):
        places = [place[prompt] for prompt in arm.prompts]
        num_rollouts, num_correct = (np.zeros(len(place), dtype=np.int64) for _ in range(2))
        num_rollouts[places], num_correct[places] = arm.num_rollouts, arm.num_correct
        counts.append((num_rollouts, num_correct))
    return counts


def _intervals(counts: Sequence[tuple[Counts, Counts]]) -> list[list[float]]:
    """[rollouts, correct, low, high] of every pair of counts that occurs: Wilson's 95 % interval."""
    pairs = {pair for rollouts, correct in counts for pair in zip(rollouts.tolist(), correct.tolist(), strict=True)}
    return [[n, c, *(round(bound, _DIGITS) for bound in wilson(c, n))] for n, c in sorted(pairs) if n]


def _described(prompts: Sequence[tuple[str, Description, Sequence[tuple[str, str]]]]) -> list[list[Any]]:
    """[id, headline, reference, facts, messages] of each prompt; long texts are cut where they would fill the page."""
    texts = [text for _, _, messages in prompts for _, text in messages]
    texts += [value for _, said, _ in prompts for _, value in said.facts]
    most = fitting_chars(texts, _PROMPT_BYTES)
    return [
        [name, said.headline, said.reference, [[fact, cut(value, most)] for fact, value in said.facts],
         [[role, cut(text, most)] for role, text in messages]]
        for name, said, messages in prompts
    ]  # fmt: skip


def _texts(explored: Explored, places: _Places, salvage: bool) -> tuple[list[pl.DataFrame], pl.DataFrame]:
    """The different texts of each group that may be on the page, and the rollouts of those that may be kept."""
    # A group without a verdict yet has no arms, and nothing on the page.
    every = [_on_page(group, number, places) for number, group in enumerate(explored.groups) if group.arms]
    found = [distinct_texts(rollouts) for rollouts in every]
    texts = pl.concat(
        with_rollouts(chosen(each, MOST_TEXTS), rollouts) for each, rollouts in zip(found, every, strict=True)
    )
    texts = texts.sort(*CELL, "solves", "rank", descending=[False, False, True, False])
    return found, with_verdicts(texts, [facts.run for facts in explored.runs], salvage=salvage)


def _left_out(num_prompts: int, num_all: int, data: Json) -> list[str]:
    """What stands in the runs and not on the page."""
    caps, num_texts = data["caps"], len(data["texts"])
    said = []
    if num_prompts < num_all:
        said.append(
            f"the first {num_prompts:,} of {num_all:,} prompts are listed, and the categories count those; pass@k, every "
            "arm's numbers and the test of two arms are over all"
        )
    if data["num_kept"] < data["num_distinct"]:
        said.append(
            f"counts are of all rollouts; of {data['num_distinct']:,} different texts {data['num_kept']:,} are kept, at "
            f"most {caps['texts']} a prompt and arm: those that solve it first, the most frequent ones of each kind"
        )
    if caps["num_cut"]:
        said.append(f"{caps['num_cut']:,} of {num_texts:,} texts are cut in the middle to {caps['chars']:,} characters")
    return said


def _on_page(group: Group, number: int, places: _Places) -> pl.DataFrame:
    """The rollouts of a group that are on the page, with the places of prompt and arm."""
    arms = {key: place for (of, key), place in places.arms.items() if of == number}
    placed = group.rollouts(list(places.prompts)).with_columns(
        place=pl.col("prompt").replace_strict(places.prompts, default=None, return_dtype=pl.Int32),
        arm_place=pl.col("arm").replace_strict(arms, default=None, return_dtype=pl.Int32),
    )
    return placed.filter(pl.col("place").is_not_null(), pl.col("arm_place").is_not_null())
