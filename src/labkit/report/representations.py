"""What extractions found: the table of kind `representations`, and of kind `cka`, how alike models are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from labkit.errors import InputError, RecordError
from labkit.extract.files import Representations, load_representations
from labkit.extract.similarity import Prepared, prepare
from labkit.record.run import Run
from labkit.report.naming import config_value, first_few
from labkit.report.table import Cell, Table
from labkit.tasks.world.filters import select

COMPARED_CITIES = "region:^(?!Atlantis) && city_id:^[1-9]"
"""The published choice: cities that exist, with an id of full width."""

_ABOUT = ("run", "model", "tasks", "seed")
_PROBES = (
    "num_train", "num_test", "train_r2", "test_r2", "test_r2_x", "test_r2_y", "test_mae", "test_error_mean", "test_error_median",
)  # fmt: skip
_GENERALISATION = ("baseline_n", "baseline_mean", "atlantis_n", "atlantis_mean", "p_value")
_COLUMNS = (*_ABOUT, "asked", "checkpoint", "step", "layer", *_PROBES, *_GENERALISATION)
_EXPENDABLE = (
    "run", "tasks", "seed", "test_r2_x", "test_r2_y", "test_mae", "baseline_n", "num_train", "step", "train_r2",
    "test_error_mean", "atlantis_n", "num_test", "asked", "test_error_median", "p_value", "baseline_mean",
)  # fmt: skip
_CKA_COLUMNS = (
    *(f"{name}_{side}" for side in "ab" for name in (*_ABOUT, "checkpoint")), "layer", "num_cities", "cka", "procrustes",
)  # fmt: skip


def representation_table(runs: Sequence[Run]) -> Table:
    """How well coordinates are read from the hidden states of extractions: a row for each checkpoint and layer.

    `test_…` is about the cities that the probe was not fitted on; errors are in tenths of a degree. `baseline_mean` and
    `atlantis_mean` are the mean errors of the probe of generalisation on held-out cities of its own kind and on those
    that it must generalise to; `p_value` is that of a Mann-Whitney test between the two.

    Raises:
        RecordError: a run is no extraction, or its result is damaged.
    """
    rows: list[dict[str, Cell]] = []
    notes: list[str] = []
    warned: dict[str, list[str]] = {}
    for run in runs:
        _refuse_other_command(run)
        result = run.result()
        if result is None or run.status() != "done":
            notes.append(_unfinished(run))
            continue
        try:
            rows += [row for checkpoint in result["checkpoints"] for row in _checkpoint_rows(run, result, checkpoint)]
        except (KeyError, TypeError, AttributeError) as error:
            raise RecordError(f"{run.result_path} is damaged: {error!r}", "extract again") from None
        for warning in dict.fromkeys([*result.get("warnings", []), *_reasons(result)]):
            warned.setdefault(warning, []).append(run.id)
    notes += [f"{_these(ids, len(runs))}: {warning}" for warning, ids in warned.items()]
    return Table("representations", "coordinates read from hidden states", _COLUMNS, rows, notes, _EXPENDABLE)


def cka_table(
    runs: Sequence[Run], *, layer: int | None = None, checkpoint: str = "final", cities: str = COMPARED_CITIES
) -> Table:
    """How alike the hidden states of every two extractions are: a row for each pair and layer, each pair once.

    The rows of both sides are the cities that both extracted and the filter takes, in the order of their ids.

    Args:
        layer: None is every layer that both have
        checkpoint: `final`, `last`, `checkpoint-N` or N, of every run
        cities: which cities are compared

    Raises:
        RecordError: a run is no extraction. ConfigError: the filter is malformed.
    """
    notes: list[str] = []
    sides = []
    for run in sorted({run.path.resolve(): run for run in runs}.values(), key=lambda run: run.id):
        _refuse_other_command(run)
        side = _side(run, checkpoint, cities, notes)
        if side is not None:
            sides.append(side)
    pairs = _pairs(sides, layer, notes)
    found = {}
    for number in sorted({number for *_, layers in pairs for number in layers}):
        ready = _ReadySides(number)  # of one layer at a time: those of all would not fit into memory
        for first, second, layers in pairs:
            if number in layers:
                found[first.run.id, second.run.id, number] = ready.compare(first, second, notes)
    rows = [
        _pair_about(first, second) | found[first.run.id, second.run.id, number]
        for first, second, layers in pairs
        for number in layers
    ]
    expendable = [f"{name}_{side}" for name in ("run", "checkpoint", "seed", "tasks") for side in "ab"] + ["num_cities"]
    return Table("cka", "how alike hidden states are", _CKA_COLUMNS, rows, notes, expendable)


@dataclass(frozen=True, slots=True)
class _Side:
    """One extraction, ready to be compared."""

    run: Run
    world: str
    """Fingerprint of all cities of its world."""
    representations: Representations
    ids: npt.NDArray[np.int64]
    """(M,) ids of the cities to compare, ascending"""
    rows: npt.NDArray[np.int64]
    """(M,) their rows"""


def _side(run: Run, checkpoint: str, cities: str, notes: list[str]) -> _Side | None:
    """What is compared of a run; None, with a note, where it cannot be."""
    try:
        representations = load_representations(run, checkpoint)
    except RecordError as error:
        notes.append(f"{run.id} is left out: {error.message}; {error.hint}")
        return None
    chosen = np.flatnonzero(select(representations.cities, cities))
    ids = representations.city_ids[chosen]
    order = np.argsort(ids)
    return _Side(run, str(config_value(run.manifest, "base.cities")), representations, ids[order], chosen[order])


def _pairs(sides: Sequence[_Side], layer: int | None, notes: list[str]) -> list[tuple[_Side, _Side, list[int]]]:
    """Every two sides of one world, with the layers to compare; what cannot be compared is noted."""
    found = []
    for first, second in combinations(sides, 2):
        pair = f"{first.run.id} and {second.run.id}"
        common = sorted({*first.representations.layers} & {*second.representations.layers})
        layers = [number for number in common if layer in (None, number)]
        if first.world != second.world:
            notes.append(f"{pair} are not compared: their worlds have other cities")
        elif not layers:
            there = ", ".join(map(str, common)) or "none"
            wanted = "no layer in common" if layer is None else f"layer {layer} not in common; in common: {there}"
            notes.append(f"{pair} are not compared: they have {wanted}")
        else:
            found.append((first, second, layers))
    return found


class _ReadySides:
    """Sides of one layer, each made ready once for all comparisons on the same cities."""

    def __init__(self, layer: int) -> None:
        self._layer = layer
        self._ready: dict[tuple[str, bytes], Prepared] = {}

    def compare(self, first: _Side, second: _Side, notes: list[str]) -> dict[str, Cell]:
        """The numbers of a pair; none, with a note, where there are none to be had."""
        ids = np.intersect1d(first.ids, second.ids, assume_unique=True)
        about: dict[str, Cell] = {"layer": self._layer, "num_cities": len(ids)}
        try:
            x, y = self._side(first, ids), self._side(second, ids)
            return about | {"cka": x.cka(y), "procrustes": x.procrustes(y)}
        except InputError as error:
            notes.append(f"{first.run.id} and {second.run.id}, layer {self._layer}: {error.message}")
            return about

    def _side(self, side: _Side, ids: npt.NDArray[np.int64]) -> Prepared:
        key = (side.run.id, ids.tobytes())
        if key not in self._ready:
            rows = side.rows[np.searchsorted(side.ids, ids)]
            self._ready[key] = prepare(side.representations.features(self._layer)[rows])
        return self._ready[key]


def _pair_about(first: _Side, second: _Side) -> dict[str, Cell]:
    found: dict[str, Cell] = {}
    for side, letter in ((first, "a"), (second, "b")):
        about = _about(side.run) | {"checkpoint": side.representations.checkpoint}
        found |= {f"{name}_{letter}": value for name, value in about.items()}
    return found


def _about(run: Run) -> dict[str, Cell]:
    """The run, and the model as its lineage has it; the tasks are those of its last training."""
    lineage = run.manifest.get("lineage") or [{}]
    last = lineage[-1]
    model = last.get("name") or config_value(run.manifest, "config.model.id")
    tasks = "+".join(map(str, last.get("tasks") or [])) or None
    return {"run": run.id, "model": model, "tasks": tasks, "seed": last.get("seed")}


def _checkpoint_rows(run: Run, result: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> list[dict[str, Cell]]:
    generalisations = {line["layer"]: line for line in checkpoint["generalisation"]}
    rows: list[dict[str, Cell]] = []
    for probe in checkpoint["probes"]:
        about = _about(run) | {"asked": result["task"], "checkpoint": checkpoint["name"], "step": checkpoint["step"]}
        numbers: dict[str, Cell] = {key: probe[key] for key in ("layer", "num_train", "num_test")}
        for part in ("train", "test"):
            numbers |= {f"{part}_{key}": value for key, value in probe[part].items()}
        found = generalisations[probe["layer"]]
        for kind in ("baseline", "atlantis"):
            numbers |= {f"{kind}_{key}": value for key, value in (found[kind] or {}).items()}
        rows.append(about | numbers | {"p_value": found["p_value"]})
    return rows


def _reasons(result: Mapping[str, Any]) -> list[str]:
    """Why some checkpoint has no probe of generalisation, each reason once, and which lasso did not arrive."""
    found = [line["reason"] for checkpoint in result["checkpoints"] for line in checkpoint["generalisation"]]
    reasons = [f"no probe of generalisation: {reason}" for reason in dict.fromkeys(found) if reason]
    unfinished = [
        f"{checkpoint['name']}, layer {probe['layer']}: the probe did not converge"
        for checkpoint in result["checkpoints"]
        for probe in checkpoint["probes"]
        if not probe["converged"]
    ]
    return reasons + unfinished


def _these(ids: Sequence[str], num_runs: int) -> str:
    """Which runs a note is about."""
    if len(ids) == 1:
        return ids[0]
    return f"{len(ids)} runs" if len(ids) == num_runs else f"{len(ids)} of {num_runs} runs ({first_few(ids)})"


def _unfinished(run: Run) -> str:
    if run.status() == "running":
        return f"{run.id} is running"
    return f"{run.id} was interrupted; go on with {run.way_on}"


def _refuse_other_command(run: Run) -> None:
    if run.command != "extract":
        raise RecordError(f"{run.id} is a run of labkit {run.command}, not of labkit extract", "labkit runs list")
