"""What an extraction keeps: the cities of its rows, and a file of hidden states for each checkpoint. Needs no torch.

artifacts/cities.csv                          the cities in the order of the rows, with their split
artifacts/representations/<checkpoint>.safetensors   `representations`, (N, 2, L, H) float32
artifacts/projections/<checkpoint>.csv        every city along three axes
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from labkit.errors import InputError, RecordError
from labkit.record.files import write_atomically
from labkit.record.run import Run
from labkit.tasks.world.cities import COLUMNS, Cities, read_cities

TENSOR = "representations"
FINAL = "final"
_PREFIX = "checkpoint-"
_METADATA = "labkit"


@dataclass(frozen=True, slots=True)
class Representations:
    """Hidden states of one checkpoint: of N cities, at two tokens, after L layers, H wide."""

    values: npt.NDArray[np.float32]
    """(N, 2, L, H); the first token is the last digit of the city's id, the second the separator behind it"""
    layers: tuple[int, ...]
    """The layer of each place along the third axis."""
    cities: Cities
    """The N cities, in the order of the rows."""
    is_train: npt.NDArray[np.bool_]
    """(N,) cities that the run's probes are fitted on; they are measured on the others"""
    checkpoint: str
    """`final` or `checkpoint-N`."""
    step: int | None
    """Optimiser steps of the last training at this checkpoint; None where nobody knows."""
    prompt_format: str
    positions: tuple[int, int]
    """Where the two tokens stand; the first of the prompt is 0."""

    @property
    def city_ids(self) -> npt.NDArray[np.int64]:
        """(N,)"""
        return self.cities.ids

    def features(self, layer: int) -> npt.NDArray[np.float32]:
        """(N, 2 H): the states of both tokens after a layer, that of the last digit first.

        Raises:
            InputError: the layer was not extracted.
        """
        if layer not in self.layers:
            there = ", ".join(map(str, self.layers))
            raise InputError(f"layer {layer} was not extracted", f"layers that were: {there}")
        chosen = self.values[:, :, self.layers.index(layer)]
        return chosen.reshape(len(chosen), -1)


def load_representations(run: Run, checkpoint: str = FINAL) -> Representations:
    """The hidden states that an extraction saved.

    Args:
        checkpoint: `final`, `last` (the numbered one of the highest step), `checkpoint-N`, or N. After an extraction of
            `all`, where the last checkpoint is the final model, it is `final` too.

    Raises:
        RecordError: the run is no extraction, has no such checkpoint, or its files are missing or damaged.
    """
    if run.command != "extract":
        raise RecordError(f"{run.id} is a run of labkit {run.command} and has no representations", "labkit extract")
    name = _resolve(run, checkpoint)
    cities, is_train = read_index(index_path(run))
    return read_representations(representations_path(run, name), cities, is_train)


def saved_checkpoints(run: Run) -> list[str]:
    """Names of the checkpoints whose hidden states are there, numbered ones by step, `final` last."""
    names = [path.stem for path in representations_path(run, "any").parent.glob("*.safetensors")]
    return sorted(names, key=lambda name: (_step_of(name) is None, _step_of(name) or 0, name))


def is_whole(run: Run) -> bool:
    """Whether the extraction has finished, and still has every file: a damaged one is mended by removing it."""
    files = [checkpoint["file"] for checkpoint in (run.result() or {}).get("checkpoints", ())]
    return run.status() == "done" and all((run.path / file).exists() for file in files)


def index_path(run: Run) -> Path:
    """The cities of the rows."""
    return run.artifacts_dir / "cities.csv"


def representations_path(run: Run, checkpoint: str) -> Path:
    """The hidden states of one checkpoint."""
    return run.artifacts_dir / "representations" / f"{checkpoint}.safetensors"


def projections_path(run: Run, checkpoint: str) -> Path:
    """The cities of one checkpoint along three axes."""
    return run.artifacts_dir / "projections" / f"{checkpoint}.csv"


def some_cities(cities: Cities, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Cities:
    """The cities of some rows."""
    columns = [field.name for field in fields(cities) if field.name != "id_digits"]
    return replace(cities, **{name: getattr(cities, name)[rows] for name in columns})


def write_index(path: Path, cities: Cities, is_train: npt.NDArray[np.bool_]) -> None:
    """Write `cities.csv`: the columns of the world's own, and `split`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, "split"])
    splits = ["train" if fitted else "test" for fitted in is_train]
    writer.writerows(zip(*(column.tolist() for column in cities.columns().values()), splits, strict=True))
    write_atomically(path, out.getvalue().encode())


def read_index(path: Path) -> tuple[Cities, npt.NDArray[np.bool_]]:
    """The cities of a run's rows, and which of them its probes are fitted on.

    Raises:
        RecordError: the file is missing or damaged.
    """
    try:
        cities = read_cities(path)
        with path.open(newline="", encoding="utf-8") as stream:
            splits = [row.get("split") for row in csv.DictReader(stream)]
    except (InputError, OSError) as error:
        raise RecordError(f"{path} cannot be read: {error}", "extract again, or restore it from a copy") from None
    if not set(splits) <= {"train", "test"}:
        raise RecordError(f"{path} is damaged: a city has no split", "extract again, or restore it from a copy")
    return cities, np.array([split == "train" for split in splits])


def write_representations(path: Path, values: npt.NDArray[np.float32], about: dict[str, Any]) -> None:
    """Write (N, 2, L, H) hidden states as safetensors; `about` goes into its metadata, as JSON under `labkit`."""
    from safetensors.numpy import save

    # One entry: safetensors writes several in an order of its own, and equal states should be equal files.
    metadata = {_METADATA: json.dumps(about, sort_keys=True)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, save({TENSOR: np.ascontiguousarray(values, dtype=np.float32)}, metadata))


def read_representations(path: Path, cities: Cities, is_train: npt.NDArray[np.bool_]) -> Representations:
    """Read what `write_representations` wrote.

    Raises:
        RecordError: the file is missing, damaged, or does not have a row for each city.
    """
    from safetensors import SafetensorError, safe_open

    again = "remove the file and go on with labkit extract --resume, or restore it from a copy"
    try:
        with safe_open(path, framework="numpy") as stored:
            about = json.loads((stored.metadata() or {})[_METADATA])
            values = stored.get_tensor(TENSOR)
        layers, positions = tuple(about["layers"]), tuple(about["positions"])
        checkpoint, step, prompt_format = (about[key] for key in ("checkpoint", "step", "prompt_format"))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{path} cannot be read: {error}", again) from None
    if values.ndim != 4 or values.shape[:3] != (len(cities), 2, len(layers)):
        raise RecordError(f"{path} has the shape {values.shape}, which does not fit {len(cities)} cities", again)
    return Representations(values, layers, cities, is_train, checkpoint, step, prompt_format, positions)


def _resolve(run: Run, checkpoint: str) -> str:
    """The name of the checkpoint that a word means."""
    names = saved_checkpoints(run)
    numbered = [name for name in names if _step_of(name) is not None]
    wanted = f"{_PREFIX}{checkpoint}" if checkpoint.isdecimal() else checkpoint
    if wanted in names:
        return wanted
    is_whole = run.manifest["config"].get("checkpoints") == "all" and run.status() == "done"
    if numbered and (wanted == "last" or (wanted == FINAL and is_whole)):
        return numbered[-1]
    there = ", ".join(names) if names else f"none yet; {run.way_on}"
    raise RecordError(f"{run.id} has no representations of {checkpoint}", f"those it has: {there}")


def _step_of(name: str) -> int | None:
    digits = name.removeprefix(_PREFIX)
    return int(digits) if name != digits and digits.isdecimal() else None
