"""Scoring the rollouts of a run again: by its task's rules as they are now, or with other golds. Needs no model.

Everything is graded, whether its scorer has changed or not, and compared with the verdicts that were in force. Killed at
any moment, the earlier verdicts stand, and doing it again completes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from labkit.config.sections import CountdownTask as CountdownConfig
from labkit.config.sections import TaskConfig
from labkit.config.sections import WorldTask as WorldConfig
from labkit.errors import InputError, RecordError
from labkit.record.frames import KEY, VERDICT_SCHEMA, VERDICT_VALUES, read_rollouts, read_verdicts
from labkit.record.identity import components_hash
from labkit.record.rescoring import Golds, put_in_force
from labkit.record.rows import Rollout, Verdict
from labkit.record.run import Ask, Run
from labkit.rollouts.checks import check_run
from labkit.rollouts.findings import Finding, as_result, as_texts
from labkit.rollouts.grading import verdict_of
from labkit.rollouts.work import summarise, what_is_there
from labkit.tasks.base import CountedTask, EvaluatedTask, Prompt, Scorer, Task
from labkit.tasks.registry import load_scorer, load_task


@dataclass(frozen=True, slots=True)
class Rescoring:
    """The verdicts of a run before and after."""

    score_before: Mapping[str, Any]
    score: Mapping[str, Any]
    """What the verdicts rest on now: scorer and golds."""
    frame: pl.DataFrame
    """One row a graded rollout: the key, `attempt`, and each value of its verdict, with `_before` what it was; null where
    it had none."""
    num_left_out: int
    """Prompts of the run that the new golds say nothing of."""
    prompts: Mapping[str, Prompt]
    """Those that were graded, by id, with the golds of now."""
    notes: tuple[str, ...]
    """What the task had to say, such as a scorer that failed."""

    @property
    def same_score(self) -> bool:
        """Whether scorer and golds are those that were in force."""
        return components_hash(self.score_before) == components_hash(self.score)

    @property
    def changed(self) -> pl.DataFrame:
        """The rows whose verdict is another now."""
        same = [pl.col(name).eq_missing(pl.col(f"{name}_before")) for name in VERDICT_VALUES]
        return self.frame.filter(~pl.all_horizontal(same))


@dataclass(frozen=True, slots=True)
class _Grading:
    """By what a run is graded again."""

    scorer: Scorer
    score: Mapping[str, Any]
    prompts: Mapping[str, Prompt]
    """By id, with the golds that count; without those that have none."""
    golds: Golds | None
    """These golds, where they are others than those of the run."""
    num_left_out: int
    task: Task | None
    """The task itself, where its data had to be opened."""


def rescore(run: Run, config: TaskConfig, *, with_data: bool = False, write: bool = True) -> Rescoring:
    """Grade every rollout of a run again, and put the verdicts in force where anything has changed.

    Args:
        config: of the run's task, with other data or scorer settings where they are wanted
        with_data: whether the golds are those of the config's data; else they are those that the run holds, but for
            tasks whose file brings its own rules (`labkit.tasks.registry.load_scorer`)
        write: False only looks

    Raises:
        RecordError: the run is being worked on, has no rollouts or is damaged. InputError: the data cannot be used, or
            has none of the run's prompts.
    """
    with run.locked("rescore"):
        grading = _grading(run, config, with_data)
        rows = read_rollouts(run, columns=["text", "error"]).frame
        if not rows.height:
            raise RecordError(f"{run.id} has no rollouts to score", run.way_on)
        verdicts = list(_verdicts(rows, grading))
        found = _compared(run, grading, verdicts)
        if write:
            _write(run, grading, found, verdicts)
    return found


def _grading(run: Run, config: TaskConfig, with_data: bool) -> _Grading:
    known = {prompt.id: prompt for prompt in map(Prompt.from_json, run.prompts())}
    recorded: Mapping[str, Any] = run.manifest["score"]
    if with_data and isinstance(config, CountdownConfig):
        raise InputError(
            "the prompts of countdown hold their golds: numbers and target", "leave --data out beside --rescore"
        )
    scorer = load_scorer(config)
    if scorer is not None and (not with_data or isinstance(config, WorldConfig)):
        task = _same_world(run, config) if isinstance(config, WorldConfig) else None
        return _Grading(scorer, {**recorded, "scorer": scorer.scorer}, known, None, 0, task)
    return _by_data(run, load_task(config), known)


def _by_data(run: Run, task: Task, known: Mapping[str, Prompt]) -> _Grading:
    """Grading with the golds of a task's data, matched by what is asked."""
    preset = run.manifest["base"].get("preset")
    golds = {prompt.id: prompt.gold for prompt in task.prompts(preset=preset, offset=0, num_prompts=None)}
    prompts = {name: replace(prompt, gold=golds[name]) for name, prompt in known.items() if name in golds}
    if not prompts:
        raise InputError(
            f"none of the {len(known)} prompts of {run.id} is in these data",
            "name the data that the run was made with, or the same questions with other answers",
        )
    score = {**run.manifest["score"], "scorer": task.scorer, "golds": task.data_fingerprint}
    others = {name: prompt.gold for name, prompt in prompts.items()}
    is_as_recorded = others == {name: prompt.gold for name, prompt in known.items()}
    return _Grading(task, score, prompts, None if is_as_recorded else others, len(known) - len(prompts), task)


def _same_world(run: Run, config: WorldConfig) -> Task:
    """The world that a run was made with, which says where its questions stand."""
    task = load_task(config)
    if task.data_fingerprint != run.manifest["score"].get("golds"):
        raise InputError(
            f"the data sets of {config.data} are not those that {run.id} was asked from",
            "name the folder they are in now with --data; for another world evaluate anew",
        )
    return task


def _verdicts(rows: pl.DataFrame, grading: _Grading) -> Iterator[Verdict]:
    unused: Any = {"seed": None, "finish_reason": "", "num_prompt_tokens": 0, "num_tokens": 0, "duration_s": 0.0}
    for row in rows.iter_rows(named=True):
        prompt = grading.prompts.get(row["prompt"])
        if prompt is not None:
            yield verdict_of(grading.scorer, prompt, Rollout(**row, **unused))


def _compared(run: Run, grading: _Grading, verdicts: list[Verdict]) -> Rescoring:
    fields = {name: [getattr(verdict, name) for verdict in verdicts] for name in VERDICT_SCHEMA}
    after = pl.DataFrame(fields, schema=VERDICT_SCHEMA)
    before = read_verdicts(run, run.score_hash, salvage=True).frame  # what is damaged is made again
    frame = after.join(before, on=[*KEY, "attempt"], how="left", suffix="_before", maintain_order="left")
    notes = () if grading.task is None else tuple(grading.task.notes)
    return Rescoring(run.score, grading.score, frame, grading.num_left_out, grading.prompts, notes)


def _write(run: Run, grading: _Grading, found: Rescoring, verdicts: list[Verdict]) -> None:
    if not found.same_score or found.changed.height:
        put_in_force(run, found.score, verdicts, grading.golds, found.num_left_out)
    result = run.result()
    if result is None:
        return  # resuming works it out
    figures = _figures(run, grading, found.frame) | _checked_again(run, result)
    if any(result.get(key) != value for key, value in figures.items()):
        run.amend(figures)


def _figures(run: Run, grading: _Grading, frame: pl.DataFrame) -> dict[str, Any]:
    """What `result.json` says of the verdicts, over the prompts that have any."""
    position = {name: at for at, name in enumerate(grading.prompts)}
    ask = Ask(len(position), run.ask().arms)
    figures: dict[str, Any] = summarise(ask, what_is_there(run, ask, position)[1])
    if isinstance(grading.task, EvaluatedTask) and len(ask.arms) == 1:
        ((arm, _),) = ask.arms
        of_arm = frame.filter(pl.col("arm") == arm.key)
        figures["evaluations"] = list(grading.task.summarise(list(grading.prompts.values()), of_arm).evaluations)
    if isinstance(grading.task, CountedTask):
        figures |= grading.task.counts(list(grading.prompts.values()), frame)
    return figures


def _checked_again(run: Run, result: Mapping[str, Any]) -> dict[str, Any]:
    """The findings under the verdicts in force, in place of those that a result holds."""
    if "checks" not in result:
        return {}
    findings = check_run(run)
    before = as_texts([Finding(**line) for line in result["checks"]["findings"]])
    others = [line for line in result.get("warnings", ()) if line not in before]
    return {"checks": as_result(run, findings), "warnings": [*others, *as_texts(findings)]}
