"""After completion: rows and verdicts in one Parquet file, checked before the segments go."""

from __future__ import annotations

import io
import os

import polars as pl

from labkit.errors import CheckFailed, RecordError
from labkit.record.files import disk_error, sync_folder
from labkit.record.frames import KEY, VERDICT_VALUES, packed_columns, read_rollouts, read_verdicts, verdict_column
from labkit.record.run import Run


def compact(run: Run) -> int:
    """Pack a finished run; gives the number of rollouts in the Parquet file.

    Sorted by arm, prompt and index, with dictionary-coded ids, a rollout takes a tenth of its JSON line. A run that
    grows later gets new segments beside the file, and compacting again joins them.

    Raises:
        RecordError: the run is at work or not done. CheckFailed: what was written does not read back the same.
    """
    if run.status() != "done":
        raise RecordError(f"{run.path} is not done", run.way_to_end)
    with run.locked("compact"):
        frame = _packed(run)
        # Through memory: polars' own writer reports a full disk as an error without a number.
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="zstd", statistics=True)
        temporary = run.path / ".rows.parquet.tmp"
        try:
            with temporary.open("wb") as stream:
                stream.write(buffer.getbuffer())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise disk_error(error, run.parquet_path) from None
        written = pl.read_parquet(temporary)
        if written.height != frame.height or _content_hash(written) != _content_hash(frame):
            temporary.unlink()
            what = f"{run.parquet_path} does not read back as it was written"
            raise CheckFailed(what, "nothing was removed; try again")
        temporary.replace(run.parquet_path)
        sync_folder(run.path)
        for path in (*run.rows_dir.glob("*.jsonl"), *(run.path / "scores").glob("*.jsonl")):
            path.unlink()
        run.note("compacted", rollouts=frame.height)
    return frame.height


def _packed(run: Run) -> pl.DataFrame:
    frame = read_rollouts(run).frame
    for score_hash in _score_hashes(run):
        verdicts = read_verdicts(run, score_hash).frame
        renamed = verdicts.rename({name: verdict_column(name, score_hash) for name in VERDICT_VALUES})
        frame = frame.join(renamed, on=[*KEY, "attempt"], how="left")
    return frame.sort("arm", "prompt", "index")


def _score_hashes(run: Run) -> list[str]:
    found = {path.stem for path in (run.path / "scores").glob("*.jsonl")}
    if run.parquet_path.exists():
        prefix = verdict_column("correct", "")
        found |= {name.removeprefix(prefix) for name in packed_columns(run) if name.startswith(prefix)}
    return sorted(found)


def _content_hash(frame: pl.DataFrame) -> int:
    return int(frame.hash_rows(seed=0).sum())
