"""The data of a page: one JSON object, which fits whatever the runs hold, and says what was left out.

Lists are positional and repeated texts stand once, because ten thousand rollouts with their keys would be mostly keys.
The page's script reads them in `page/data.js`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.report.explorer.keeping import (
    CELL,
    LEAST_CHARS,
    MOST_TEXTS,
    chosen,
    cut,
    distinct_texts,
    fitting_chars,
    num_bytes,
    with_rollouts,
    with_verdicts,
)
from labkit.report.explorer.problems import Describer, messages_of
from labkit.report.explorer.reading import RUN, Explored, Group, RunFacts
from labkit.report.naming import config_value
from labkit.report.table import cell_text
from labkit.stats import mcnemar_exact, wilson

SCHEMA = 1
MOST_BYTES = 9_900_000
"""Bytes of a page's data; script, style and markup come on top."""
MOST_PROMPTS = 2_000
MOST_CELLS = 120_000
"""Prompts times arms on a page."""
MOST_PAIRED_ARMS = 64
"""With more arms no p-values are worked out, one for each pair."""

_PROMPT_BYTES = 2_500_000
_SAID_BYTES = 1_000
"""For what is said of what was left out."""
_WORD_CHARS = 300
_DIGITS = 5

Json = dict[str, Any]
Counts = npt.NDArray[np.int64]


class _Words:
    """Texts that repeat, each once."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: str | None) -> int | None:
        """Where a text stands; a long one is cut, and says so."""
        if text is None:
            return None
        if len(text) > _WORD_CHARS:
            text = f"{text[:_WORD_CHARS]}… ({len(text) - _WORD_CHARS:,} more characters)"
        return self._places.setdefault(text, len(self._places))

    @property
    def texts(self) -> list[str]:
        return list(self._places)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where prompts and arms stand in the lists of a page."""

    prompts: Mapping[str, int]
    arms: Mapping[tuple[int, str], int]
    """By the number of the group and the key."""


def page_data(explored: Explored, *, salvage: bool = False) -> Json:
    """What the page's script reads, the same for the same runs."""
    num_arms = sum(len(group.arms) for group in explored.groups)
    prompts = explored.prompts[: max(1, min(MOST_PROMPTS, MOST_CELLS // num_arms))]
    keys = [(number, counts.arm.key) for number, group in enumerate(explored.groups) for counts in group.arms]
    places = _Places(
        {str(line["id"]): place for place, line in enumerate(prompts)}, {key: place for place, key in enumerate(keys)}
    )
    counts = [_prompt_counts(group, arm.arm.key, places) for group in explored.groups for arm in group.arms]
    notes = list(explored.notes)
    described = _described(explored, prompts, notes)
    data: Json = {
        "schema": SCHEMA,
        "title": _title(explored),
        "task": explored.task,
        "num_prompts": len(explored.prompts),
        "groups": [group.name for group in explored.groups],
        "runs": [_run_json(facts) for facts in explored.runs],
        "notes": notes,
        "ks": sorted({k for group in explored.groups for k in group.ks}),
        "arms": [_arm_json(number, group, place) for number, group in enumerate(explored.groups)
                 for place in range(len(group.arms))],
        "counts": [[rollouts.tolist(), correct.tolist()] for rollouts, correct in counts],
        "intervals": _intervals(counts),
        "pairs": _pairs(counts),
        "prompts": described,
    }  # fmt: skip
    data |= _rollouts(explored, places, MOST_BYTES - _SAID_BYTES - num_bytes(data), salvage)
    return data | {"left_out": _left_out(len(prompts), len(explored.prompts), data)}


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


def _prompt_counts(group: Group, arm: str, places: _Places) -> tuple[Counts, Counts]:
    """(P,) rollouts with a verdict, and (P,) correct ones, of the prompts of the page."""
    scored = group.rollouts.filter((pl.col("arm") == arm) & pl.col("correct").is_not_null())
    by_prompt = scored.group_by("prompt").agg(pl.len(), pl.col("correct").sum())
    num_rollouts, num_correct = (np.zeros(len(places.prompts), dtype=np.int64) for _ in range(2))
    for prompt, rollouts, correct in by_prompt.iter_rows():
        if (place := places.prompts.get(prompt)) is not None:
            num_rollouts[place], num_correct[place] = rollouts, correct
    return num_rollouts, num_correct


def _intervals(counts: Sequence[tuple[Counts, Counts]]) -> list[list[float]]:
    """[rollouts, correct, low, high] of every pair of counts that occurs: Wilson's 95 % interval."""
    pairs = {pair for rollouts, correct in counts for pair in zip(rollouts.tolist(), correct.tolist(), strict=True)}
    return [[n, c, *(round(bound, _DIGITS) for bound in wilson(c, n))] for n, c in sorted(pairs) if n]


def _pairs(counts: Sequence[tuple[Counts, Counts]]) -> list[list[float]]:
    """[arm, arm, p] of every pair of arms: McNemar's exact test over the prompts that both have rollouts of."""
    if len(counts) > MOST_PAIRED_ARMS:
        return []
    found: list[list[float]] = []
    for (a, (n_a, c_a)), (b, (n_b, c_b)) in combinations(enumerate(counts), 2):
        both = (n_a > 0) & (n_b > 0)
        only_a = int((both & (c_a > 0) & (c_b == 0)).sum())
        only_b = int((both & (c_b > 0) & (c_a == 0)).sum())
        found.append([a, b, float(f"{mcnemar_exact(only_a, only_b):.4g}")])
    return found


def _described(explored: Explored, prompts: Sequence[Mapping[str, Any]], notes: list[str]) -> list[list[Any]]:
    """[id, headline, reference, facts, messages] of each prompt; long texts are cut where they would fill the page."""
    path = config_value(explored.runs[0].run.manifest, "config.task.data")
    describer = Describer(explored.task, Path(path) if isinstance(path, str) else None)
    descriptions = [describer.describe(line) for line in prompts]
    turns = [messages_of(line) for line in prompts]
    texts = [text for messages in turns for _, text in messages]
    texts += [value for each in descriptions for _, value in each.facts]
    most = fitting_chars(texts, _PROMPT_BYTES)
    notes += describer.notes
    return [
        [str(line["id"]), said.headline, said.reference, [[name, cut(value, most)] for name, value in said.facts],
         [[role, cut(text, most)] for role, text in messages]]
        for line, said, messages in zip(prompts, descriptions, turns, strict=True)
    ]  # fmt: skip


def _rollouts(explored: Explored, places: _Places, num_bytes_left: int, salvage: bool) -> Json:
    """The kept rollouts, as many and as long as fit: `texts`, `words`, `kept` and what was left out."""
    runs = [facts.run for facts in explored.runs]
    every = [_on_page(group, number, places) for number, group in enumerate(explored.groups)]
    found = [distinct_texts(rollouts) for rollouts in every]
    texts = pl.concat(
        with_rollouts(chosen(each, MOST_TEXTS), rollouts) for each, rollouts in zip(found, every, strict=True)
    )
    texts = texts.sort(*CELL, "solves", "rank", descending=[False, False, True, False])
    texts = with_verdicts(texts, runs, salvage=salvage)
    most_texts = MOST_TEXTS
    while True:
        data, whole = _kept(chosen(texts, most_texts), len(places.prompts))
        room = num_bytes_left - num_bytes(data)
        most_chars = fitting_chars(whole, room)
        if most_chars >= LEAST_CHARS or most_texts == 1:
            break
        most_texts //= 2
    cuts = [cut(text, most_chars) for text in whole]
    caps = {"texts": most_texts, "chars": most_chars, "num_cut": sum(isinstance(each, tuple) for each in cuts)}
    sizes = {
        "num_kept": sum(len(cell[2]) for cells in data["kept"] for cell in cells),
        "num_distinct": sum(each.height for each in found),
    }
    return data | {"texts": cuts, "caps": caps, **sizes}


def _left_out(num_prompts: int, num_all: int, data: Json) -> list[str]:
    """What stands in the runs and not on the page."""
    caps, num_texts = data["caps"], len(data["texts"])
    said = []
    if num_prompts < num_all:
        said.append(
            f"the first {num_prompts:,} of {num_all:,} prompts are listed; pass@k and every arm's numbers are over all"
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
    placed = group.rollouts.with_columns(
        place=pl.col("prompt").replace_strict(places.prompts, default=None, return_dtype=pl.Int32),
        arm_place=pl.col("arm").replace_strict(arms, return_dtype=pl.Int32),
    )
    return placed.filter(pl.col("place").is_not_null())


def _kept(texts: pl.DataFrame, num_prompts: int) -> tuple[Json, list[str]]:
    """Rollouts by prompt and arm, and their different texts.

    A prompt's `kept` has for each arm with rollouts [arm, number of different texts, rollouts]; a rollout is [text,
    verdict, rule, answer, finish reason, tokens, index, copies, run, error, value], with null where there is none.
    """
    words = _Words()
    whole: dict[str, int] = {}
    kept: list[dict[int, list[Any]]] = [{} for _ in range(num_prompts)]
    for row in texts.iter_rows(named=True):
        text = row["text"] or None  # an empty one is as good as none
        cell = kept[row["place"]].setdefault(row["arm_place"], [row["num_right"] + row["num_wrong"], []])
        values = [
            None if text is None else whole.setdefault(text, len(whole)),
            None if row["correct"] is None else int(row["correct"]),
            *(words.place(row[name]) for name in ("rule", "answer", "finish_reason")),
            *(row[name] for name in ("num_tokens", "index", "copies", RUN)),
            words.place(row["error"]),
            row["value"],
        ]
        while values[-1] is None:
            values.pop()
        cell[1].append(values)
    listed = [[[arm, *cell] for arm, cell in sorted(cells.items())] for cells in kept]
    return {"words": words.texts, "kept": listed}, list(whole)
