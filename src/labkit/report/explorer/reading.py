"""Runs as the explorer shows them: over the same prompts, in groups that share base and scorer, each draw once.

What a group's arms solved is counted by `labkit.report.pool`, so the page says what `labkit report` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from labkit.errors import RecordError
from labkit.record.frames import SCORED_COLUMNS, scan_scored
from labkit.record.rescoring import graded_prompts
from labkit.record.run import Ask, Run, Status
from labkit.report.counting import ArmCounts, without_repeats
from labkit.report.naming import config_value, refuse_without_arms
from labkit.report.pass_at_k import pool_table
from labkit.report.pool import Part, part_of, pool
from labkit.report.table import Cell

RUN = "run"
"""The column that says which of the runs a rollout is of, by its place among them."""

_HASHES = {"model", "tokenizer", "chat_template", "data", "golds"}
"""Components of a base or score that name nothing a reader would know."""

Line = Mapping[str, Any]
"""A line of `prompts.jsonl`."""


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that share base and scorer, as one."""

    name: str
    """The model; where several groups have it, with what tells them apart."""
    parts: Sequence[Part]
    arms: Sequence[ArmCounts]
    rows: Sequence[Mapping[str, Cell]]
    """What `labkit report` says of each arm."""
    ks: Sequence[int]

    def rollouts(self, prompts: Sequence[str]) -> pl.DataFrame:
        """The rollouts of some prompts, each draw once: `RUN`, the key, `seed`, `text`, `finish_reason`, `num_tokens`,
        `error`, `correct`; read anew at each use, and no text of another prompt is held."""
        wanted = pl.col("prompt").is_in(prompts)
        scans = (replace(part.scan, rows=part.scan.rows.filter(wanted)) for part in self.parts)
        return without_repeats([scan.read() for scan in scans])


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run, and how far it is."""

    run: Run
    group: str
    status: Status
    num_rollouts: int
    """Rollouts in its record, of all its prompts."""
    num_asked: int


@dataclass(frozen=True, slots=True)
class Explored:
    """Everything that goes into a page."""

    task: str
    prompts: Sequence[Line]
    """Those that every run was asked, in the order of the first."""
    groups: Sequence[Group]
    runs: Sequence[RunFacts]
    notes: Sequence[str]
    """What a reader must know to trust the page."""


def read_explored(runs: Sequence[Run], *, intersect: bool = False, salvage: bool = False) -> Explored:
    """Read what the explorer shows of some runs.

    Args:
        runs: at least one
        intersect: keep the prompts that all runs share where they were asked different ones
        salvage: read past damaged lines, with a note

    Raises:
        RecordError: a run has no rollouts or is damaged; or the runs are of different tasks, or of different prompts
            without `intersect`, or share none.
    """
    task = _common_task(runs)
    lines = [_asked_lines(run) for run in runs]
    ids = shared_prompts(runs, [list(each) for each in lines], intersect=intersect)
    parts = [_part(run, number, salvage) for number, run in enumerate(runs)]
    names = group_names(runs)
    facts = [
        RunFacts(part.run, name, part.status, part.num_rows, part.ask.num_rollouts)
        for part, name in zip(parts, names, strict=True)
    ]
    notes = _prompt_notes(runs, lines, ids)
    kept = [_only(part, ids) for part in parts]
    groups = []
    for name in dict.fromkeys(names):
        members = [part for part, of in zip(kept, names, strict=True) if of == name]
        group, said = _group(name, members)
        groups.append(group)
        notes += said if len(set(names)) == 1 else [f"{name}: {note}" for note in said]
    if not any(group.arms for group in groups):
        raise RecordError("there is no rollout with a verdict yet", "wait for the first batch, or resume the run")
    return Explored(task, [lines[0][each] for each in ids], groups, facts, notes)


def shared_prompts(runs: Sequence[Run], asked: Sequence[Sequence[str]], *, intersect: bool) -> list[str]:
    """The prompts that all runs were asked, in the order of the first.

    Raises:
        RecordError: they were asked different ones and `intersect` is off, or they share none.
    """
    shared = set(asked[0]).intersection(*asked[1:])
    if any(len(shared) != len(each) for each in asked):
        counts = ", ".join(f"{run.id} {len(each)}" for run, each in zip(runs, asked, strict=True))
        if not shared:
            raise RecordError(f"the runs share no prompt ({counts})", "name runs over the same prompts")
        if not intersect:
            raise RecordError(
                f"the runs were asked different prompts ({counts}); they share {len(shared)}",
                f"--intersect shows the {len(shared)} that all of them were asked",
            )
    return [each for each in asked[0] if each in shared]


def group_names(runs: Sequence[Run]) -> list[str]:
    """The group of each run: its model, told apart by what else differs where runs of one model cannot be merged."""
    hashes = [(run.base_hash, run.score_hash) for run in runs]
    models = [_model_name(run.manifest) for run in runs]
    first = dict(zip(reversed(hashes), reversed(runs), strict=True))
    names: dict[tuple[str, str], str] = {}
    for model in dict.fromkeys(models):
        alike = list(dict.fromkeys(key for key, name in zip(hashes, models, strict=True) if name == model))
        names |= dict(zip(alike, _told_apart(model, [first[key] for key in alike]), strict=True))
    return [names[key] for key in hashes]


def _told_apart(model: str, runs: Sequence[Run]) -> list[str]:
    if len(runs) == 1:
        return [model]
    components = [{**run.manifest["base"], **run.score} for run in runs]
    keys = [key for key in dict.fromkeys(key for each in components for key in each) if key not in _HASHES]
    differing = [key for key in keys if len({str(each.get(key)) for each in components}) > 1]
    names = [f"{model} ({', '.join(f'{key} {each.get(key)}' for key in differing)})" for each in components]
    ids = [f"{model} ({run.id})" for run in runs]
    return names if differing and len(set(names)) == len(names) else ids


def _model_name(manifest: Mapping[str, Any]) -> str:
    model = str(config_value(manifest, "config.model.id") or "an unknown model")
    checkpoint = config_value(manifest, "config.model.checkpoint")
    name = Path(model).name if model.startswith(("/", ".", "~")) else model
    return name if checkpoint in (None, "final") else f"{name} at {checkpoint}"


def _common_task(runs: Sequence[Run]) -> str:
    """Raise RecordError unless all runs have rollouts of one task."""
    for run in runs:
        refuse_without_arms(run)
    tasks = [str(config_value(run.manifest, "config.task.name") or "unknown task") for run in runs]
    for run, task in zip(runs, tasks, strict=True):
        if task != tasks[0]:
            what = f"{runs[0].id} is of the task {tasks[0]} and {run.id} of {task}: they share no prompts"
            raise RecordError(what, "name runs of one task; each task has a page of its own")
    return tasks[0]


def _asked_lines(run: Run) -> dict[str, Line]:
    """The prompts that were asked for, by id, with the golds that the verdicts in force compare with."""
    graded = {line["id"]: line for line in graded_prompts(run)}
    lines = run.prompts()[: run.ask().num_prompts]
    return {str(line["id"]): graded.get(line["id"], line) for line in lines}


def _part(run: Run, number: int, salvage: bool) -> Part:
    scan = scan_scored(run, columns=[*SCORED_COLUMNS, "text"], salvage=salvage)
    rows = scan.rows.with_columns(pl.lit(number, pl.Int64).alias(RUN))
    return part_of(run, replace(scan, rows=rows))


def _only(part: Part, ids: Sequence[str]) -> Part:
    """The part without other prompts, as if they had not been asked for."""
    asked = pl.col("prompt").is_in(ids)
    scan = replace(part.scan, rows=part.scan.rows.filter(asked))
    return replace(part, scan=scan, counts=part.counts.filter(asked), ask=Ask(len(ids), part.ask.arms))


def _group(name: str, parts: Sequence[Part]) -> tuple[Group, list[str]]:
    pooled = pool(parts)
    table = pool_table(pooled)
    ks = [int(column.removeprefix("pass@")) for column in table.columns if column[5:].isdecimal()]
    notes = [*pooled.notes, *(f"{key} has no rollouts with a verdict yet" for key in pooled.without_rollouts)]
    notes += [f"{part.run.id} recorded no texts" for part in parts if not _has_text(part)]
    return Group(name, parts, pooled.arms, table.rows, ks), notes


def _has_text(part: Part) -> bool:
    """Whether some rollout says something, where there are any."""
    found = part.scan.collect(part.scan.rows.select(num_rows=pl.len(), has=(pl.col("text") != "").any()))
    return not found["num_rows"].item() or bool(found["has"].item())


def _prompt_notes(runs: Sequence[Run], lines: Sequence[Mapping[str, Line]], ids: Sequence[str]) -> list[str]:
    notes = []
    fallen = {run.id: len(each) - len(ids) for run, each in zip(runs, lines, strict=True) if len(each) > len(ids)}
    if fallen:
        counts = ", ".join(f"{number} of {name}" for name, number in fallen.items())
        notes.append(f"only the {len(ids)} prompts that all runs were asked are here; fell out: {counts}")
    others = sum(any(each[name].get("gold") != lines[0][name].get("gold") for each in lines[1:]) for name in ids)
    if others:
        notes.append(f"{others} prompts have other golds in some runs; those of {runs[0].id} are shown")
    return notes
