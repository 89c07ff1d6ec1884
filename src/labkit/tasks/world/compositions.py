"""Data sets mixed from others: their rows in a random order, read and written a block at a time.

The rows of a source stand in a random order already. So a random interleaving of the sources, each read from its beginning
to its end, is a random order of all their rows, and no row has to be sought.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]

from labkit.errors import RecordError
from labkit.record.identity import draw_seed
from labkit.tasks.world.draws import Integers, permuted
from labkit.tasks.world.recipes import Part, PlannedSet
from labkit.tasks.world.sampling import BLOCK_ROWS
from labkit.tasks.world.writing import ROW_SCHEMA, shard_paths


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A finished data set that others take rows from."""

    folder: Path
    sizes: Mapping[str, int]
    """Rows of each split."""


def mixed_tables(planned: PlannedSet, split: str, sources: Mapping[str, StoredSource], seed: int) -> Iterator[pa.Table]:
    """The rows of a split, at most `BLOCK_ROWS` at once.

    Which rows a source gives depends on their number and not on the data set that takes them, so that sets which share
    a part share its rows.
    """
    parts = [part for part in planned.parts if part.sizes.get(split)]
    readers = [_PartReader(sources[part.source], split, _chosen(part, split, sources, seed)) for part in parts]
    key = draw_seed(seed, planned.name, "order", split)
    for which in _interleaving([part.sizes[split] for part in parts], key):
        found = [batch for number, reader in enumerate(readers) for batch in reader.take(int((which == number).sum()))]
        places = np.empty(len(which), np.int64)
        places[np.argsort(which, kind="stable")] = np.arange(len(which))
        yield pa.Table.from_batches(found, ROW_SCHEMA).combine_chunks().take(pa.array(places))


def _interleaving(sizes: Sequence[int], key: int) -> Iterator[Integers]:
    """Which part each row comes from, a block of rows at a time; over all rows, part p stands `sizes[p]` times."""
    ends, total = np.cumsum(sizes), sum(sizes)
    for start in range(0, total, BLOCK_ROWS):
        numbers = np.arange(start, min(start + BLOCK_ROWS, total))
        yield np.searchsorted(ends, permuted(numbers, total, key), side="right")


def _chosen(part: Part, split: str, sources: Mapping[str, StoredSource], seed: int) -> Integers | None:
    """The rows that a part takes from its source, in their order there; None is all."""
    size, whole = part.sizes[split], sources[part.source].sizes[split]
    if size == whole:
        return None
    return np.sort(permuted(np.arange(size), whole, draw_seed(seed, "part", part.source, split)))


class _PartReader:
    """Some rows of a stored split, in their order. Files are read and not mapped: mapped pages would count as memory."""

    def __init__(self, source: StoredSource, split: str, chosen: Integers | None) -> None:
        self._folder = source.folder / split
        self._batches = _chosen_batches(self._folder, chosen)
        self._rest = pa.RecordBatch.from_pylist([], ROW_SCHEMA)

    def take(self, num_rows: int) -> Iterator[pa.RecordBatch]:
        """The next so many rows.

        Raises:
            RecordError: the files are damaged, or hold fewer rows than they should.
        """
        while num_rows:
            if not self._rest.num_rows:
                self._rest = self._next()
            taken = self._rest.slice(0, num_rows)
            self._rest = self._rest.slice(taken.num_rows)
            num_rows -= taken.num_rows
            yield taken

    def _next(self) -> pa.RecordBatch:
        reason = "rows are missing"
        try:
            batch = next(self._batches, None)
        except (OSError, ValueError, KeyError) as error:  # no file, torn, or a `state.json` that names none
            batch, reason = None, str(error)
        if batch is None:
            hint = f"remove {self._folder.parent} and run labkit data build again"
            raise RecordError(f"{self._folder} is damaged: {reason}", hint) from None
        return batch


def _chosen_batches(folder: Path, chosen: Integers | None) -> Iterator[pa.RecordBatch]:
    start = 0
    for path in shard_paths(folder):
        with pa.OSFile(str(path)) as stream:
            for batch in pa.ipc.open_stream(stream):
                if chosen is None:
                    yield _plain(batch)
                    continue
                first, last = np.searchsorted(chosen, (start, start + batch.num_rows))
                if last > first:
                    yield _plain(batch.take(pa.array(chosen[first:last] - start)))
                start += batch.num_rows
                if last == len(chosen):
                    return


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Without the metadata that `datasets` writes into every file's schema."""
    return batch.replace_schema_metadata(None)
