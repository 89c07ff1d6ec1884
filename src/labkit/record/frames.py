"""Runs as polars frames: rollouts, verdicts, and both joined, over one run or thousands.

A torn last line is cut and counted; a damaged line in the middle is an error, unless salvaging. The newest attempt of a
rollout stands for it. Reading needs no lock: a run at work can be read at any moment.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from labkit.errors import RecordError
from labkit.record.files import read_lines
from labkit.record.run import Run

ROLLOUT_SCHEMA = pl.Schema(
    {
        "prompt": pl.String,
        "arm": pl.String,
        "index": pl.Int64,
        "attempt": pl.Int64,
        "seed": pl.Int64,
        "text": pl.String,
        "finish_reason": pl.String,
        "num_prompt_tokens": pl.Int64,
        "num_tokens": pl.Int64,
        "duration_s": pl.Float64,
        "logprob": pl.Float64,
        "error": pl.String,
    }
)
VERDICT_SCHEMA = pl.Schema(
    {
        "prompt": pl.String,
        "arm": pl.String,
        "index": pl.Int64,
        "attempt": pl.Int64,
        "correct": pl.Boolean,
        "reward": pl.Float64,
        "answer": pl.String,
        "rule": pl.String,
        "value": pl.Float64,
    }
)
KEY = ["prompt", "arm", "index"]
VERDICT_VALUES = ["correct", "reward", "answer", "rule", "value"]


@dataclass(frozen=True, slots=True)
class Rows:
    """A frame, and what had to be said about reading it."""

    frame: pl.DataFrame
    warnings: tuple[str, ...] = ()


def read_rollouts(run: Run, *, columns: Sequence[str] | None = None, salvage: bool = False) -> Rows:
    """The rollouts of a run, one row each, newest attempt first served.

    Args:
        columns: those wanted beside the key (`prompt`, `arm`, `index`, `attempt`); None is all of `ROLLOUT_SCHEMA`
        salvage: leave damaged lines out with a warning instead of raising

    Raises:
        RecordError: a line in the middle of a segment is damaged; names the file and the line.
    """
    wanted = _with_key(columns, ROLLOUT_SCHEMA)
    segments = sorted(run.rows_dir.glob("*.jsonl"))
    read = [read_segment(path, ROLLOUT_SCHEMA, salvage) for path in segments]
    frames = [rows.frame.select(wanted) for rows in read]
    if run.parquet_path.exists():
        frames.insert(0, _read_packed(run, wanted))
    frame = _concat(frames, ROLLOUT_SCHEMA, wanted)
    if len(frames) > 1:  # one source alone was written without repeats
        frame = newest(frame)
    return Rows(frame, tuple(warning for rows in read for warning in rows.warnings))


def read_every_row(run: Run, *, salvage: bool = False) -> Rows:
    """All rows that were written, in the order of the segments, rollouts that were made again as often as they stand
    there; those of `rows.parquet` come first, and in its order.

    Raises:
        RecordError: a line in the middle of a segment is damaged; names the file and the line.
    """
    wanted = list(ROLLOUT_SCHEMA)
    read = [read_segment(path, ROLLOUT_SCHEMA, salvage) for path in sorted(run.rows_dir.glob("*.jsonl"))]
    packed = [_read_packed(run, wanted)] if run.parquet_path.exists() else []
    frame = _concat([*packed, *(rows.frame for rows in read)], ROLLOUT_SCHEMA, wanted)
    return Rows(frame, tuple(warning for rows in read for warning in rows.warnings))


def read_verdicts(run: Run, score_hash: str, *, columns: Sequence[str] | None = None, salvage: bool = False) -> Rows:
    """The verdicts of one scorer over a run, one row a rollout: that of its last attempt."""
    wanted = _with_key(columns, VERDICT_SCHEMA)
    read = read_segment(run.scores_path(score_hash), VERDICT_SCHEMA, salvage)
    frames = [read.frame.select(wanted)]
    if run.parquet_path.exists() and verdict_column("correct", score_hash) in packed_columns(run):
        frames.insert(0, _packed_verdicts(run, score_hash, wanted))
    frames = [frame for frame in frames if frame.height]
    frame = _concat(frames, VERDICT_SCHEMA, wanted)
    repeats = len(frames) > 1 or frame["attempt"].min() != frame["attempt"].max()
    return Rows(newest(frame) if repeats else frame, read.warnings)


def _packed_verdicts(run: Run, score_hash: str, wanted: Sequence[str]) -> pl.DataFrame:
    """One scorer's verdicts in `rows.parquet`; a column that is younger than the file is null."""
    names = {verdict_column(name, score_hash): name for name in VERDICT_VALUES if name in wanted}
    there = [name for name in names if name in packed_columns(run)]
    given = verdict_column("correct", score_hash)  # never null in a verdict, as its answer may be
    packed = _read_packed(run, list(dict.fromkeys([*KEY, "attempt", given, *there])))
    younger = [pl.lit(None, VERDICT_SCHEMA[names[name]]).alias(name) for name in names if name not in there]
    return packed.filter(pl.col(given).is_not_null()).with_columns(younger).rename(names).select(wanted)


SCORED_COLUMNS = ("seed", "finish_reason", "num_tokens", "error")
"""What readers of scored rollouts have beside the key, unless they ask for more."""


@dataclass(frozen=True, slots=True)
class ScoredScan:
    """What `read_scored` gives, not yet read where it stands in Parquet: a count of millions of rows needs no room for
    them."""

    run: Run
    rows: pl.LazyFrame
    """The key and the columns that were asked for."""
    warnings: tuple[str, ...] = ()

    def read(self, arm: str | None = None) -> pl.DataFrame:
        """The rows, of one arm or of all; see `collect`."""
        return self.collect(self.rows if arm is None else self.rows.filter(pl.col("arm") == arm))

    def collect(self, query: pl.LazyFrame) -> pl.DataFrame:
        """Carry out a query over `rows`, a piece of the file at a time.

        Raises:
            RecordError: the file is damaged.
        """
        try:
            return query.collect(engine="streaming")
        except pl.exceptions.PolarsError:
            raise _parquet_damage(self.run) from None


def read_scored(
    run: Run,
    *,
    columns: Sequence[str] = SCORED_COLUMNS,
    verdict_columns: Sequence[str] = ("correct",),
    salvage: bool = False,
) -> Rows:
    """Rollouts with `correct` beside them, by the scorer in force.

    A rollout with an error is wrong. One that has no verdict yet has `correct` null: the run is being written, or was
    interrupted between the two, and resuming adds the verdict; or scoring again left its prompt out.

    Args:
        columns: of the rollout, beside the key
        verdict_columns: of the verdict, `correct` among them
        salvage: leave damaged lines out with a warning instead of raising
    """
    scan = scan_scored(run, columns=columns, verdict_columns=verdict_columns, salvage=salvage)
    return Rows(scan.read(), scan.warnings)


def scan_scored(
    run: Run,
    *,
    columns: Sequence[str] = SCORED_COLUMNS,
    verdict_columns: Sequence[str] = ("correct",),
    salvage: bool = False,
) -> ScoredScan:
    """`read_scored`, without reading rows from Parquet before they are asked for."""
    score_hash = run.score_hash
    wanted = [*_with_key(columns, ROLLOUT_SCHEMA), *verdict_columns]
    packed = {verdict_column(name, score_hash): name for name in verdict_columns}
    has_lines = any(run.rows_dir.glob("*.jsonl")) or run.scores_path(score_hash).exists()
    if run.parquet_path.exists() and not has_lines and set(packed) <= set(packed_columns(run)):
        scanned = pl.scan_parquet(run.parquet_path).rename(packed).select(wanted)
        return ScoredScan(run, _errors_are_wrong(run, scanned, columns))
    rows = read_rollouts(run, columns=columns, salvage=salvage)
    verdicts = read_verdicts(run, score_hash, columns=verdict_columns, salvage=salvage)
    frame = rows.frame.join(verdicts.frame, on=[*KEY, "attempt"], how="left")
    return ScoredScan(run, _errors_are_wrong(run, frame.lazy(), columns), rows.warnings + verdicts.warnings)


def read_many(
    runs: Iterable[Run],
    *,
    columns: Sequence[str] = SCORED_COLUMNS,
    salvage: bool = False,
) -> Rows:
    """`read_scored` over any number of runs, one below the other, with the column `run` in front.

    For scripts and notebooks (docs/record.md); the reports count without holding rows.
    A rollout that stands in several runs stands here several times; `prompt`, `arm`, `index` and `seed` together tell
    draws apart.
    """
    read = [(run.id, read_scored(run, columns=columns, salvage=salvage)) for run in runs]
    wanted = {name: ROLLOUT_SCHEMA[name] for name in _with_key(columns, ROLLOUT_SCHEMA)}
    empty = pl.DataFrame(schema={"run": pl.String, **wanted, "correct": pl.Boolean})
    frames = [rows.frame.select(pl.lit(name).alias("run"), *empty.columns[1:]) for name, rows in read]
    return Rows(pl.concat([empty, *frames]), tuple(warning for _, rows in read for warning in rows.warnings))


def newest(frame: pl.DataFrame) -> pl.DataFrame:
    """One row for each rollout: that of its last attempt."""
    return frame.sort("attempt", maintain_order=True).unique(KEY, keep="last", maintain_order=True)


def verdict_column(name: str, score_hash: str) -> str:
    """The column of `rows.parquet` that holds a verdict's value."""
    return f"{name}@{score_hash}"


def packed_columns(run: Run) -> list[str]:
    """The columns of `rows.parquet`.

    Raises:
        RecordError: the file is damaged.
    """
    try:
        return list(pl.read_parquet_schema(run.parquet_path))
    except pl.exceptions.PolarsError:
        raise _parquet_damage(run) from None


def _read_packed(run: Run, columns: list[str]) -> pl.DataFrame:
    try:
        return pl.read_parquet(run.parquet_path, columns=columns)
    except pl.exceptions.PolarsError:
        raise _parquet_damage(run) from None


def _parquet_damage(run: Run) -> RecordError:
    return RecordError(f"{run.parquet_path} is damaged", "restore the file from a copy")


def _with_key(columns: Sequence[str] | None, schema: pl.Schema) -> list[str]:
    return list(schema) if columns is None else [*KEY, "attempt", *columns]


def _concat(frames: Sequence[pl.DataFrame], schema: pl.Schema, wanted: Sequence[str]) -> pl.DataFrame:
    return pl.concat(frames) if frames else pl.DataFrame(schema={name: schema[name] for name in wanted})


def _errors_are_wrong(run: Run, rows: pl.LazyFrame, columns: Sequence[str]) -> pl.LazyFrame:
    # Scoring again gives every rollout a verdict but those of prompts without a gold, which count neither way.
    if "error" not in columns or (run.rescored() or {}).get("left_out"):
        return rows
    return rows.with_columns(correct=pl.when(pl.col("error").is_not_null()).then(False).otherwise(pl.col("correct")))


def read_segment(path: Path, schema: pl.Schema, salvage: bool) -> Rows:
    """The rows of one file; none where it is missing.

    Raises:
        RecordError: a line in the middle is damaged, and `salvage` is false; names the file and the line.
    """
    data, torn_bytes = read_lines(path)
    warnings = [f"{path}: a torn last line ({torn_bytes} bytes) was left out"] if torn_bytes else []
    if not data:
        return Rows(pl.DataFrame(schema=schema), tuple(warnings))
    frame = _parse(data, schema)
    if frame is None:
        data, damaged = _without_damage(data, schema)
        if damaged and not salvage:
            raise RecordError(
                f"{path}, line {damaged[0]} is damaged",
                "restore the file from a copy; or remove the line and --resume, which makes its rollout again; "
                "labkit report RUN --salvage reads past it",
            )
        warnings += [f"{path}, line {number}: damaged, left out" for number in damaged]
        frame = _parse(data, schema) if data else pl.DataFrame(schema=schema)
        if frame is None:
            raise RecordError(f"{path} is damaged", "restore the file from a copy")
    return Rows(frame, tuple(warnings))


def _parse(data: bytes, schema: pl.Schema) -> pl.DataFrame | None:
    """The frame of whole lines, or None where some line is not a row of the schema."""
    try:
        frame = pl.read_ndjson(io.BytesIO(data), schema=schema)
    except pl.exceptions.PolarsError:
        return None
    whole = frame.height == data.count(b"\n") and not any(frame[name].null_count() for name in (*KEY, "attempt"))
    return frame if whole else None


def _without_damage(data: bytes, schema: pl.Schema) -> tuple[bytes, list[int]]:
    """The lines that parse, and the numbers (from 1) of those that do not."""
    good, damaged = [], []
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        if _is_object(line) and _parse(line, schema) is not None:
            good.append(line)
        else:
            damaged.append(number)
    return b"".join(good), damaged


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
