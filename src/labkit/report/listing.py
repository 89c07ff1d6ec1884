"""The table of kind `runs`: one row a run, newest first. Reads two small files of each, so thousands take moments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from labkit.record.catalog import headless_paths, run_paths
from labkit.record.run import Run, open_run
from labkit.report.goodhart.kinds import is_goodhart_run
from labkit.report.naming import DAMAGE, config_value, damage_text
from labkit.report.table import Cell, Table
from labkit.report.training import last_logged
from labkit.report.world.reading import is_world_run
from labkit.rollouts.findings import stored

_COLUMNS = ("run", "command", "name", "model", "task", "status", "done", "asked", "headline", "created")
_TRAINING_HEADLINE = ("loss", "eval_accuracy", "eval_pair_accuracy", "reward")
_BLOCK_BYTES = 1 << 20


def runs_table(runs_dir: Path, *, command: str | None = None, limit: int | None = None) -> Table:
    """The runs under a folder, newest first; one that cannot be read is a row with the status `damaged`.

    Args:
        command: only runs of this command
        limit: only the newest so many
    """
    paths = [path for path in run_paths(runs_dir) if command in (None, path.parent.name)]
    newest = islice(sorted(paths, key=lambda path: path.name, reverse=True), limit)
    notes: list[str] = []
    rows = list(_rows(newest, notes))
    notes += [f"{path} holds rows but no run.json: restore it from a copy" for path in headless_paths(runs_dir)]
    expendable = ("name", "created", "task", "asked", "model")
    return Table("runs", f"runs in {runs_dir}", _COLUMNS, rows, notes, expendable)


def _rows(paths: Iterator[Path], notes: list[str]) -> Iterator[dict[str, Cell]]:
    for path in paths:
        try:
            run = open_run(path)
            yield run_row(run)
            notes += _changed_note(run)
        except DAMAGE as error:
            notes.append(f"{path.name}: {damage_text(error)}")
            yield {"run": path.name, "command": path.parent.name, "status": "damaged"}


def _changed_note(run: Run) -> list[str]:
    """A remark on a finished run whose rows are not those that its completion checked."""
    result = run.result()
    if run.status_with(result) != "done" or not result or "checks" not in result or stored(run, result) is not None:
        return []
    return [f"{run.id}: its rows have changed since it was done: labkit report {run.id} --table checks"]


def run_row(run: Run) -> dict[str, Cell]:
    """One run in a line.

    Raises:
        RecordError: a file of the run is damaged.
    """
    result = run.result()
    status = run.status_with(result)
    finished = result if status == "done" else None
    done, asked = _progress(run, finished, result)
    return {
        "run": run.id,
        "command": run.command,
        "name": run.manifest.get("name"),
        "model": config_value(run.manifest, "config.model.id"),
        "task": config_value(run.manifest, "config.task.name") or config_value(run.manifest, "config.examples.name"),
        "status": status,
        "done": done,
        "asked": asked,
        "headline": _headline(run, result),
        "created": run.manifest["created"],
    }


def _progress(run: Run, finished: dict[str, Any] | None, result: dict[str, Any] | None) -> tuple[int, int | None]:
    """What a run has done and was asked for, in the unit of its command: steps, checkpoints, rollouts."""
    if run.command == "train":
        return _steps(run)
    if run.command == "extract":
        extracted = len(list((run.artifacts_dir / "representations").glob("*.safetensors")))
        return extracted, extracted if finished else None
    return _rollouts(run, finished, result)


def _steps(run: Run) -> tuple[int, int | None]:
    """Optimiser steps that a training has logged, and those it was asked for."""
    asked = run.manifest.get("num_steps") or config_value(run.manifest, "config.optimisation.num_steps")
    return last_logged(run).get("step", 0), asked


def _rollouts(run: Run, finished: dict[str, Any] | None, result: dict[str, Any] | None) -> tuple[int, int]:
    """Rollouts that a run has, and those it was asked for."""
    if finished:
        return finished["num_asked"], finished["num_asked"]
    asked = run.ask().num_rollouts
    return min(asked, _num_rows(run, result)), asked


def _num_rows(run: Run, result: dict[str, Any] | None) -> int:
    """Rollouts of an unfinished run: lines of the segments, and what was compacted before it grew.

    A rollout that was tried again after an error is counted once for each try, so the number may be a little high.
    """
    compacted = result["num_asked"] if result and run.parquet_path.exists() else 0
    return int(compacted) + sum(num_lines(path) for path in run.rows_dir.glob("*.jsonl"))


def num_lines(path: Path) -> int:
    """Line ends in a file, without holding it."""
    with path.open("rb", buffering=0) as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(_BLOCK_BYTES), b""))


def _headline(run: Run, result: dict[str, Any] | None) -> str | None:
    """The best pass@k of the largest k, the loss, how many answers on the world could be read, how many right answers to
    Goodhart items were not understood, or how well coordinates are read from hidden states."""
    if run.command == "extract":
        probes = [probe for checkpoint in (result or {}).get("checkpoints", ()) for probe in checkpoint["probes"]]
        scores = [probe["test"]["r2"] for probe in probes if probe["test"]["r2"] is not None]
        return f"probe R² {max(scores):.3f}" if scores else None
    if is_world_run(run):
        return _world_headline((result or {}).get("evaluations", ()))
    if is_goodhart_run(run):
        return _goodhart_headline((result or {}).get("quadrants") or {})
    best = []
    for arm in (result or {}).get("arms", ()):
        if arm["pass_at_k"]:
            k, values = max(arm["pass_at_k"].items(), key=lambda item: int(item[0]))
            best.append((int(k), values[0], arm["key"]))
    if best:
        k, value, arm = max(best)
        return f"pass@{k} {value:.3f} {arm}"
    if run.command != "train":
        return None
    values = (result or {}).get("metrics") or last_logged(run)
    logged = [(key, values.get(key)) for key in _TRAINING_HEADLINE]
    return ", ".join(f"{key} {value:.4g}" for key, value in logged if isinstance(value, float)) or None


def _goodhart_headline(quadrants: dict[str, dict[str, int]]) -> str | None:
    """DBDK of the arm with the most of it."""
    found = [(counts["DK"], counts["DK"] + counts["KD"], arm) for arm, counts in quadrants.items()]
    rates = [(dk / executed, dk, executed, arm) for dk, executed, arm in found if executed]
    if not rates:
        return "no right answer" if found else None
    rate, dk, executed, arm = max(rates)
    return f"DBDK {rate:.3f} ({dk}/{executed}) {arm}"


def _world_headline(evaluations: Sequence[dict[str, Any]]) -> str | None:
    """How many data sets were evaluated, and the lowest part of answers that could be read."""
    names = {each["evaluation"] for each in evaluations}
    rates = [each["parse_rate"] for each in evaluations if each.get("parse_rate") is not None]
    if not names:
        return None
    rate = f", parse rate {min(rates):.3f}" if rates else ""
    return f"{len(names)} evaluation{'s' * (len(names) > 1)}{rate}"
