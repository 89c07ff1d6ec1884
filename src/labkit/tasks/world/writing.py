"""Rows on disk as `datasets.DatasetDict.save_to_disk` writes them, in memory that does not grow with their number.

The library writes the files, `DatasetDict` all but the rows and its own `ArrowWriter` these; what is done here is to name
the files in `state.json`, because `save_to_disk` would need all rows at once or write them twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import datasets  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from datasets.arrow_writer import ArrowWriter  # type: ignore[import-untyped]

from labkit.config.base import stable_digest

FEATURES = datasets.Features(
    {
        "text": datasets.Value("string"),
        "task_type": datasets.Value("string"),
        "token_lengths": datasets.Value("int32"),
        "loss_mask": datasets.Value("string"),
    }
)
ROW_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("text", pa.string()),
        pa.field("task_type", pa.string()),
        pa.field("token_lengths", pa.int32()),
        pa.field("loss_mask", pa.string()),
    ]
)
"""The columns of a row, in their order."""

SHARD_ROWS = 1 << 20
"""Rows of a file, a whole number of blocks."""
_BATCH_ROWS = 1000  # of an Arrow record batch; that of `save_to_disk`, whose readers look rows up by batch


@dataclass(frozen=True, slots=True)
class SplitSource:
    """Where the rows of a split come from."""

    num_rows: int
    tables: Iterable[pa.Table]
    """The rows with `ROW_SCHEMA`, in tables none of which crosses a multiple of `SHARD_ROWS`."""


def write_splits(folder: Path, splits: Mapping[str, SplitSource], advanced: Callable[[int], None]) -> dict[str, str]:
    """Write a folder that `datasets.DatasetDict.load_from_disk` reads.

    Args:
        advanced: is told the number of rows of each table that was written

    Returns:
        for each split the hash of its rows, which neither the files nor the libraries' versions change

    Raises:
        OSError: the disk is full, or the folder may not be written.
    """
    empty = datasets.Dataset.from_dict({name: [] for name in FEATURES}, features=FEATURES)
    with _no_progress_bars():
        datasets.DatasetDict(dict.fromkeys(splits, empty)).save_to_disk(str(folder))
    return {name: _write_split(folder / name, name, source, advanced) for name, source in splits.items()}


def shard_paths(folder: Path) -> list[Path]:
    """The files that hold the rows of a split, in their order."""
    state = json.loads((folder / "state.json").read_bytes())
    return [folder / file["filename"] for file in state["_data_files"]]


def _write_split(folder: Path, name: str, source: SplitSource, advanced: Callable[[int], None]) -> str:
    num_shards = -(-source.num_rows // SHARD_ROWS)
    names = [f"data-{number:05d}-of-{num_shards:05d}.arrow" for number in range(num_shards)]
    content = _ContentHash()
    tables = iter(source.tables)
    for number, file_name in enumerate(names):
        left = min(SHARD_ROWS, source.num_rows - number * SHARD_ROWS)
        with _arrow_writer(folder / file_name) as writer:
            while left:
                table = next(tables)
                content.update(table)
                writer.write_table(table, _BATCH_ROWS)
                left -= table.num_rows
                advanced(table.num_rows)
    fingerprint = content.digest()
    state = json.loads((folder / "state.json").read_bytes())
    state |= {"_data_files": [{"filename": name} for name in names], "_fingerprint": fingerprint, "_split": name}
    # The whole folder is synced and renamed when it is done; a file of it needs neither.
    (folder / "state.json").write_text(json.dumps(state, indent=2, sort_keys=True))
    return fingerprint


@contextmanager
def _arrow_writer(path: Path) -> Iterator[ArrowWriter]:
    with path.open("wb") as stream:
        writer = ArrowWriter(features=FEATURES, stream=stream)
        yield writer
        writer.finalize(close_stream=False)


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    if datasets.are_progress_bars_disabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()


class _ContentHash:
    """A hash of rows that does not depend on how they are cut into tables."""

    def __init__(self) -> None:
        self._hashes = [hashlib.blake2b(digest_size=16) for _ in range(2 * len(ROW_SCHEMA))]

    def update(self, table: pa.Table) -> None:
        for number, column in enumerate(table.combine_chunks().columns):
            lengths, content = self._hashes[2 * number : 2 * number + 2]
            for array in column.chunks:
                if pa.types.is_string(array.type):
                    offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
                    lengths.update(np.diff(offsets).astype("<i4").tobytes())
                    content.update(array.buffers()[2][int(offsets[0]) : int(offsets[-1])])
                else:
                    content.update(array.to_numpy().astype("<i4").tobytes())

    def digest(self) -> str:
        return stable_digest([part.hexdigest() for part in self._hashes])
