"""Rows of a data set on disk: which of them are asked, and what they hold. Files are mapped, not loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from labkit.errors import InputError
from labkit.tasks.world.draws import GOLDEN, mixed

if TYPE_CHECKING:
    from labkit.tasks.world.manifest import Manifest

_COLUMNS = ("text", "task_type")


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Some rows of a split, in the order in which they were asked for."""

    rows: Sequence[int]
    """Where each stands in the split."""
    texts: Sequence[str]
    tasks: Sequence[str]
    """The name of each row's task."""


def chosen_rows(num_rows: int, fingerprint: str, offset: int, num_chosen: int) -> npt.NDArray[np.int64]:
    """Rows drawn without replacement, the same on every machine.

    They are a window of one fixed order of all rows, so a wider window holds a narrower one at the same offset.

    Args:
        num_rows: of the split
        fingerprint: of the data set, which is the seed
        offset: rows of the order to pass over
        num_chosen: most rows after that

    Returns:
        (N,), N of at most `num_chosen`.
    """
    key = int.from_bytes(hashlib.blake2b(fingerprint.encode(), digest_size=8).digest(), "little")
    numbers = np.arange(1, num_rows + 1, dtype=np.uint64)
    order = np.argsort(mixed(numbers * GOLDEN + np.uint64(key)), kind="stable")
    return order[offset : offset + num_chosen]


def read_stored(manifest: Manifest, split: str, rows: npt.NDArray[np.int64]) -> StoredRows:
    """Rows of one split of a data set.

    Raises:
        InputError: the files are missing, damaged, or not those that the manifest was written for.
    """
    folder = manifest.path / split
    table = _mapped(folder)
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(f"{folder} has no column {missing[0]!r}", _rebuild(manifest.path))
    if table.num_rows != manifest.splits[split].num_rows:
        expected = manifest.splits[split].num_rows
        raise InputError(f"{folder} has {table.num_rows} rows, its manifest says {expected}", _rebuild(manifest.path))
    texts, tasks = (table[name].take(rows).to_pylist() for name in _COLUMNS)
    if any(type(value) is not str for value in (*texts, *tasks)):
        raise InputError(f"{folder} holds a row whose text or task_type is no text", _rebuild(manifest.path))
    return StoredRows(rows.tolist(), texts, tasks)


def _mapped(folder: Path) -> Any:
    """The Arrow table of a split as `datasets` saves one: stream files, listed in `state.json`."""
    import pyarrow as pa  # type: ignore[import-untyped]

    try:
        names = [file["filename"] for file in json.loads((folder / "state.json").read_bytes())["_data_files"]]
        tables = [pa.ipc.open_stream(pa.memory_map(str(folder / name))).read_all() for name in names]
        return pa.concat_tables(tables)
    except (OSError, ValueError, KeyError, TypeError) as error:  # pyarrow's own errors are ValueErrors
        raise InputError(f"cannot read the rows of {folder}: {error}", _rebuild(folder.parent)) from None


def _rebuild(folder: Path) -> str:
    return f"remove {folder} and build it again: labkit data build"
