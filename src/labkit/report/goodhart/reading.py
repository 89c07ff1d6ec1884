"""Conditions: what runs say together that rest on the same base and scorer and decode in the same way.

An evaluation of an item is its explanation and its answer of one index under one seed. Runs of other seeds add evaluations;
what stands in several runs counts once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labkit.config.base import nearest
from labkit.errors import ConfigError, RecordError
from labkit.record.frames import read_verdicts
from labkit.record.identity import Arm
from labkit.record.imported import imported_from
from labkit.record.run import Run
from labkit.report.naming import config_value, rescored_text, unscored_notes
from labkit.report.pool import Part, read_part, unfinished_note
from labkit.tasks.goodhart.quadrants import Evaluation, Verdict, paired

Lengths = dict[tuple[str, int], float]
"""Characters of explanations, by prompt and index, where they are known."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Evaluations of one model under one way of decoding."""

    runs: tuple[Run, ...]
    arm: Arm
    label: str
    """What its rows are called; no other condition of a report is called so."""
    evaluations: tuple[Evaluation, ...]
    """In the order of the items; `index` counts the runs over the items from 0, whatever their seeds."""
    notes: tuple[str, ...]

    @property
    def items(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.item for each in self.evaluations))

    @property
    def runs_of_items(self) -> dict[str, int]:
        """How often each item was evaluated."""
        counts = dict.fromkeys(self.items, 0)
        for each in self.evaluations:
            counts[each.item] += 1
        return counts

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({int(run.manifest["seed"]) for run in self.runs}))

    @property
    def is_published(self) -> bool:
        """Whether it was imported: then texts, tokens and reasons of finishing are unknown."""
        return imported_from(self.runs[0]) is not None

    def without(self, items: Sequence[str]) -> Condition:
        """The condition with some items left out."""
        return replace(self, evaluations=tuple(each for each in self.evaluations if each.item not in items))


def read_conditions(runs: Sequence[Run], *, salvage: bool = False) -> list[Condition]:
    """The conditions of runs, in the order in which they are first named.

    Args:
        salvage: read past damaged lines, with a note

    Raises:
        RecordError: a record is damaged, or has no evaluations.
    """
    found = conditions_of([read_part(run, salvage=salvage) for run in runs], salvage=salvage)
    if runs and not found:
        raise _without_evaluations(runs[0])
    return found


def read_sound_part(run: Run, *, salvage: bool = False) -> Part:
    """What one run says, read and tried out: no error is left for `conditions_of` of it and others.

    Raises:
        RecordError: as `read_conditions`.
    """
    part = read_part(run, salvage=salvage)
    if not conditions_of([part], salvage=salvage):
        raise _without_evaluations(run)
    return part


def _without_evaluations(run: Run) -> RecordError:
    return RecordError(
        f"{run.id} has no item with both an explanation and an answer",
        run.way_to_end,
    )


def absent_notes(runs: Sequence[Run], conditions: Sequence[Condition]) -> list[str]:
    """A note on every run that none of the conditions rests on."""
    known = {run.id for condition in conditions for run in condition.runs}
    absent = [run for run in runs if run.id not in known]
    return [f"{error.message}: nothing of it is shown; {error.hint}" for error in map(_without_evaluations, absent)]


def without_items(conditions: Sequence[Condition], items: Sequence[str]) -> list[Condition]:
    """The conditions with some items left out; one that held no others is left out too.

    Raises:
        ConfigError: an item is in none of them, or nothing is left of any.
    """
    known = {item for condition in conditions for item in condition.items}
    for item in items:
        if item not in known:
            guess = nearest(item, known)
            hint = f"did you mean {guess!r}?" if guess else "labkit report --table dbdk_items lists them"
            raise ConfigError(f"no run has an item {item!r}", hint)
    rest = [condition.without(items) for condition in conditions] if items else list(conditions)
    found = [condition for condition in rest if condition.evaluations]
    if conditions and not found:
        raise ConfigError(f"nothing is left without {', '.join(items)}", "leave fewer items out")
    return found


def conditions_of(parts: Sequence[Part], *, salvage: bool = False) -> list[Condition]:
    """The conditions of runs that were read already; arms without a whole evaluation are none.

    Args:
        salvage: read past damaged lines of published lengths
    """
    groups: dict[tuple[str, str], list[Part]] = {}
    for part in parts:
        groups.setdefault((part.run.base_hash, part.run.score_hash), []).append(part)
    every = [condition for group in groups.values() for condition in _conditions(group, salvage)]
    return _named([condition for condition in every if condition.evaluations])


def _conditions(parts: Sequence[Part], salvage: bool) -> Iterator[Condition]:
    """One condition for each arm that these runs have rollouts of."""
    arms = {arm.key: arm for part in parts for arm, _ in part.ask.arms}
    about = {line["id"]: line["source"] for part in parts for line in part.run.prompts()}
    lengths = [_lengths(part, salvage) for part in parts]
    for key, arm in arms.items():
        own = [(part, each) for part, each in zip(parts, lengths, strict=True) if key in part.counts["arm"]]
        if own:
            yield _condition(own, arm, about)


def _condition(parts: Sequence[tuple[Part, Lengths | None]], arm: Arm, about: dict[str, dict[str, Any]]) -> Condition:
    verdicts: dict[tuple[str, int, int], Verdict] = {}
    unscored = 0
    for part, lengths in parts:
        # Greedy decoding draws nothing: under any seed it is the same text.
        seed = -1 if arm.method == "greedy" else int(part.run.manifest["seed"])
        rows = part.scan.read(arm.key).sort("index", maintain_order=True)
        for row in rows.iter_rows(named=True):
            key = row["prompt"], seed, row["index"]
            unscored += row["correct"] is None
            if row["correct"] is None or (key in verdicts and (row["error"] is not None or not verdicts[key].failed)):
                continue
            verdicts[key] = _verdict(row, about[row["prompt"]], lengths)
    draws = {draw: number for number, draw in enumerate(sorted({key[1:] for key in verdicts}))}
    numbered = {(prompt, draws[seed, index]): each for (prompt, seed, index), each in verdicts.items()}
    order = {prompt: place for place, prompt in enumerate(about)}
    # By index, then in the order of the items: `paired` keeps the order in which it first meets an item.
    keys = sorted(numbered, key=lambda key: (key[1], order[key[0]]))
    evaluations = paired(replace(numbered[key], index=key[1]) for key in keys)
    runs = tuple(part.run for part, _ in parts)
    notes = [*_notes([part for part, _ in parts]), *unscored_notes(runs, unscored, "texts")]
    return Condition(runs, arm, _own_name(runs[0]), tuple(evaluations), tuple(notes))


def _verdict(row: dict[str, Any], source: dict[str, Any], lengths: Lengths | None) -> Verdict:
    # A published file has no tokens, and perhaps no length: then nobody knows it.
    length = row["num_tokens"] if lengths is None else lengths.get((row["prompt"], row["index"]))
    failed = row["error"] is not None
    return Verdict(
        source["item"],
        source["category"],
        source["part"],
        row["index"],
        bool(row["correct"]),
        row["finish_reason"] == "length",
        failed,
        None if failed else length,
    )


def _lengths(part: Part, salvage: bool) -> Lengths | None:
    """Those of a published file, which the verdicts of imported runs hold; None for runs that were made here."""
    if imported_from(part.run) is None:
        return None
    frame = read_verdicts(part.run, part.run.score_hash, columns=["value"], salvage=salvage).frame
    rows = frame.select("prompt", "index", "value").iter_rows()
    return {(prompt, index): value for prompt, index, value in rows if value is not None}


def _notes(parts: Sequence[Part]) -> Iterator[str]:
    if len(parts) > 1:
        yield f"merged from {len(parts)} runs: {', '.join(part.run.id for part in parts)}"
    for part in parts:
        if (source := imported_from(part.run)) is None:
            yield from [unfinished_note(part)] if part.status != "done" else []
        elif part.status != "done":
            yield f"{part.run.id} was not imported whole: import {source['file']} again"
        else:
            yield f"{part.run.id} was imported from {source['file']}: verdicts as published, texts and tokens unknown"
        yield from [text] if (text := rescored_text(part.run)) else []
        yield from part.scan.warnings


def _own_name(run: Run) -> str:
    """What the user called the run, else its model."""
    return str(run.manifest.get("name") or config_value(run.manifest, "config.model.id") or run.id)


def _named(conditions: Sequence[Condition]) -> list[Condition]:
    """Each with a label of its own: the name, with the decoding where that tells two apart, else with the run."""
    found: list[Condition] = []
    for condition in conditions:
        same = [other for other in conditions if other.label == condition.label]
        if len(same) == 1:
            found.append(condition)
            continue
        keys = [other.arm.key for other in same]
        more = condition.arm.key if len(set(keys)) == len(keys) else f"{condition.arm.key}, {condition.runs[0].id}"
        found.append(replace(condition, label=f"{condition.label} ({more})"))
    return found
