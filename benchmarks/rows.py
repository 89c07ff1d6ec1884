"""What it costs to write a rollout and its verdict: `python benchmarks/rows.py [FOLDER]`.

Batches of 512 as the sweep writes them: rows with a sync each batch, verdicts without. The target is 10 µs a row
beside the sync, so that the record costs less than 1 % of a batch that decodes in half a second.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import labkit.record.files as files
from labkit.record.rows import Rollout, RowWriter, Verdict, VerdictWriter

BATCH = 512
TARGET_US = 10


def batch_of(first: int, num_characters: int) -> tuple[list[Rollout], list[Verdict]]:
    """A batch of rollouts with texts of a length, and their verdicts."""
    text = ('(44 + 19) * 35 =\n"x" é ' * num_characters)[:num_characters]
    rows = [
        Rollout(f"{index % 128:016x}", "sigma=0.001", index // 128, 1, 2**62 + index, text, "stop", 48, 12, 0.000976)
        for index in range(first, first + BATCH)
    ]
    verdicts = [Verdict(row.prompt, row.arm, row.index, 1, False, 0.1, "(44+19)*35", "tags") for row in rows]
    return rows, verdicts


def write(folder: Path, batches: list[tuple[list[Rollout], list[Verdict]]]) -> float:
    """Seconds that the batches take."""
    rows, verdicts = RowWriter(folder, 1), VerdictWriter(folder / "scores.jsonl")
    began = time.perf_counter()
    for some_rows, some_verdicts in batches:
        rows.append(some_rows)
        verdicts.append(some_verdicts)
    seconds = time.perf_counter() - began
    rows.close()
    verdicts.close()
    return seconds


def measure(parent: Path, num_batches: int, num_characters: int, sync: Callable[[int], None]) -> tuple[float, int]:
    """Median µs a row over five runs, and the syncs of one."""
    batches = [batch_of(BATCH * at, num_characters) for at in range(num_batches)]
    syncs, seconds = 0, []

    def counted(descriptor: int) -> None:
        nonlocal syncs
        syncs += 1
        sync(descriptor)

    original, files._sync_data = files._sync_data, counted
    try:
        for _ in range(5):
            with tempfile.TemporaryDirectory(dir=parent) as folder:
                seconds.append(write(Path(folder), batches))
    finally:
        files._sync_data = original
    return statistics.median(seconds) / (num_batches * BATCH) * 1e6, syncs // 5


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(tempfile.gettempdir()), help="where to write")
    parser.add_argument("--num-batches", type=int, default=40)
    asked = parser.parse_args()
    print(f"{asked.num_batches} batches of {BATCH} rows and verdicts in {asked.folder}; target {TARGET_US} µs a row")
    print(f"{'text':>8} {'µs a row':>9} {'with sync':>10} {'syncs':>6} {'ms a sync':>10}")
    for num_characters in (20, 200, 2000):
        bare, _ = measure(asked.folder, asked.num_batches, num_characters, lambda descriptor: None)
        synced, syncs = measure(asked.folder, asked.num_batches, num_characters, files._sync_data)
        each_ms = max(0.0, (synced - bare) * BATCH * asked.num_batches / syncs / 1000)
        print(f"{num_characters:>8} {bare:>9.1f} {synced:>10.1f} {syncs:>6} {each_ms:>10.2f}")


if __name__ == "__main__":
    main()
