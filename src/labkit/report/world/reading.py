"""What eval runs over the world task found, read from `run.json` and `result.json` alone: never from the rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.config.world import Kind
from labkit.errors import RecordError
from labkit.record.run import Run
from labkit.report.naming import config_value


@dataclass(frozen=True, slots=True)
class Training:
    """One step of a model's lineage: the training that gave it its weights, or the folder that they came from."""

    run: str | None
    """Id of the training run; None for weights that no run of ours made."""
    name: str | None
    seed: int | None
    data: str | None
    """The data set that it learned from."""
    tasks: tuple[str, ...]
    step: int | None
    """Optimiser steps behind the weights."""
    weights: str | None
    """Fingerprint of the weights."""

    def is_same(self, other: Training) -> bool:
        """Whether both are the same weights: the same step of the same run, or where one has no run, one fingerprint."""
        if self.run is not None and other.run is not None:
            return (self.run, self.step) == (other.run, other.step)
        return self.weights is not None and self.weights == other.weights


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One task of one data set, as one run measured it."""

    run: str
    """Id of the eval run."""
    evaluation: str
    """Name of the data set."""
    task: str
    asked: str
    """Hash of the data set, the split and the rows that were asked."""
    kind: Kind
    num_rows: int
    mean: float
    """Unreadable answers count at the task's failure value."""
    std: float
    """Population standard deviation (ddof 0) of the rows' values; several rollouts of a row are averaged first."""
    values: Mapping[str, Any]
    """Everything that the result says of it."""


@dataclass(frozen=True, slots=True)
class EvaluatedRun:
    """One eval run over the world task."""

    run: Run
    lineage: tuple[Training, ...]
    """Oldest training first; at least one."""
    checkpoint: str | None
    decoding: str
    """How it was decoded, such as `greedy, at most 30 tokens`."""
    evaluations: tuple[Evaluation, ...]

    @property
    def model(self) -> Training:
        """What gave the evaluated weights."""
        return self.lineage[-1]

    @property
    def model_name(self) -> str:
        """What the evaluated model is called: the name of its training, else what the run was given."""
        named = self.model.name or self.model.run or config_value(self.run.manifest, "config.model.id")
        return str(named or self.run.id)


def is_world_run(run: Run) -> bool:
    """Whether this is an eval run over the world task."""
    return run.command == "eval" and config_value(run.manifest, "config.task.name") == "world"


def read_evaluated(run: Run) -> EvaluatedRun:
    """The evaluations of a run. A run that has not finished once has none.

    Raises:
        RecordError: the record lacks a field, or holds a value of another kind.
    """
    lineage = read_lineage(run)
    result = run.result() or {}
    try:
        evaluations = tuple(_evaluation(run.id, entry) for entry in result.get("evaluations", ()))
    except (KeyError, TypeError, ValueError) as error:
        what = f"{run.result_path} is damaged: an evaluation cannot be read ({error!r})"
        raise RecordError(what, "restore it from a copy, or run the evaluation again") from None
    return EvaluatedRun(run, lineage, run.manifest.get("checkpoint"), _decoding(run), evaluations)


def _decoding(run: Run) -> str:
    try:
        arms = " and ".join(str(arm["key"]) for arm in run.manifest["ask"]["arms"])
    except (KeyError, TypeError) as error:
        what = f"{run.path} is damaged: how it decodes cannot be read ({error!r})"
        raise RecordError(what, "restore run.json from a copy") from None
    return f"{arms}, at most {config_value(run.manifest, 'base.max_new_tokens')} tokens"


def read_lineage(run: Run) -> tuple[Training, ...]:
    """The trainings behind a run's model, the oldest first; at least one.

    Raises:
        RecordError: the manifest has no lineage, or a damaged one.
    """
    try:
        lineage = tuple(_training(entry) for entry in run.manifest["lineage"])
    except (KeyError, TypeError, ValueError) as error:
        what = f"{run.path} is damaged: the lineage of its model cannot be read ({error!r})"
        raise RecordError(what, "restore run.json from a copy") from None
    if not lineage:
        raise RecordError(f"{run.path} is damaged: the lineage of its model is empty", "restore run.json from a copy")
    return lineage


def read_all(runs: Sequence[Run]) -> list[EvaluatedRun]:
    """`read_evaluated` of every run, in the order of their names, which is that of their making.

    Raises:
        RecordError: as `read_evaluated`.
    """
    return [read_evaluated(run) for run in sorted(runs, key=lambda run: run.id)]


def _training(entry: Mapping[str, Any]) -> Training:
    plain = {key: entry[key] for key in ("run", "name", "seed", "data", "step", "weights")}
    return Training(tasks=tuple(str(task) for task in entry["tasks"]), **plain)


def _evaluation(run_id: str, entry: Mapping[str, Any]) -> Evaluation:
    mean, std = float(entry["mean"]), float(entry["std"])
    if entry["kind"] not in ("error", "accuracy") or not (math.isfinite(mean) and math.isfinite(std) and mean >= 0):
        raise ValueError(f"{entry['evaluation']}, {entry['task']}: kind {entry['kind']}, mean {mean}, std {std}")
    return Evaluation(
        run_id,
        str(entry["evaluation"]),
        str(entry["task"]),
        str(entry["asked"]),
        entry["kind"],
        int(entry["num_rows"]),
        mean,
        std,
        entry,
    )
