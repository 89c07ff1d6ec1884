"""What rerankers said of a run's rollouts: `rankings/<hash>.jsonl`, a line a rollout, and lower is better.

A file grows by whole lines, so a ranking that was killed goes on with what has no line yet. It is there for readers once
an event `ranked` names it, which comes after its last line. A run may grow after that: `Ranking.num_owed` says how many of
its rollouts the ranking lacks now. Compacting a run leaves these files as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from labkit.record.files import LineFile, json_line
from labkit.record.frames import KEY, newest, read_rollouts, read_segment
from labkit.record.run import Run

RANKING_SCHEMA = pl.Schema(
    {
        "prompt": pl.String,
        "arm": pl.String,
        "index": pl.Int64,
        "attempt": pl.Int64,
        "score": pl.Float64,
        "error": pl.String,
        "cut": pl.Boolean,
        "num_tokens": pl.Int64,
        "num_unknown": pl.Int64,
    }
)


@dataclass(frozen=True, slots=True)
class RolloutScore:
    """What a reranker said of one rollout."""

    prompt: str
    arm: str
    index: int
    attempt: int
    """Attempt that made the rollout: one that is made again is scored again."""
    score: float | None
    """Lower is better; None where the reranker gave none."""
    error: str | None = None
    """Why there is no score."""
    cut: bool | None = None
    """Whether the reranker's context was too short for all of it; None for a reranker without tokens, here and below."""
    num_tokens: int | None = None
    """That the reranker read, question included."""
    num_unknown: int | None = None
    """Tokens among them that stand for text which its tokenizer does not know."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The scores that one reranker gave to rollouts of a run."""

    name: str
    """What the user calls the reranker."""
    hash: str
    """Of everything that the scores rest on: another checkpoint is another ranking."""
    about: Mapping[str, Any]
    """What the reranker said of itself."""
    frame: pl.DataFrame
    """The fields of `RolloutScore`; `score` is null where it was not a finite number."""
    num_owed: int
    """Rollouts with a text that have no line: while there are any, the scores are those of some of the candidates."""
    warnings: tuple[str, ...] = ()
    """What had to be said about reading it."""


class RankingWriter:
    """The writer of one ranking."""

    def __init__(self, run: Run, ranking_hash: str) -> None:
        path = run.ranking_path(ranking_hash)
        path.parent.mkdir(exist_ok=True)
        self._file = LineFile(path)

    def append(self, scores: Iterable[RolloutScore]) -> None:
        """Write a batch with one sync: after this returns, a crash no longer loses it."""
        lines = b"".join(_line(score) for score in scores)
        if lines:
            self._file.append(lines)

    def close(self) -> None:
        """End the file."""
        self._file.close()


def announce_ranking(
    run: Run,
    *,
    name: str,
    ranking_hash: str,
    about: Mapping[str, Any],
    parents: Sequence[Mapping[str, str]] = (),
) -> None:
    """Say that a ranking is whole: from now on it is the one of its name.

    Args:
        parents: the runs that made the reranker, as in `run.json`
    """
    run.note("ranked", name=name, hash=ranking_hash, about=dict(about), parents=[dict(each) for each in parents])


def announced_rankings(run: Run) -> dict[str, dict[str, Any]]:
    """The newest event `ranked` of every name, in the order in which the names were first used."""
    return {event["name"]: event for event in run.events() if event.get("event") == "ranked"}


def read_rankings(run: Run, *, salvage: bool = False, rollouts: pl.DataFrame | None = None) -> list[Ranking]:
    """The newest ranking of every name, as far as its file is there; a row for each rollout that was scored.

    Args:
        salvage: leave damaged lines out with a warning instead of raising
        rollouts: those of the run with their `error`, where they have been read already

    Raises:
        RecordError: a line in the middle of a file is damaged; names the file and the line.
    """
    found = [event for event in announced_rankings(run).values() if run.ranking_path(event["hash"]).exists()]
    if found and rollouts is None:
        rollouts = read_rollouts(run, columns=["error"], salvage=salvage).frame
    return [] if rollouts is None else [_read(run, event, rollouts, salvage) for event in found]


def owed_scores(run: Run, ranking_hash: str, *, failed_too: bool = False) -> pl.DataFrame:
    """The rollouts that a ranking has no line for, with `prompt`, `arm`, `index`, `attempt` and `text`.

    Rollouts with an error have no text to score, and are not owed; nor are rows of prompts that the run does not have.

    Args:
        failed_too: whether lines that say why there is no score count as none
    """
    rows = read_rollouts(run, columns=["text", "error"]).frame
    scored = newest(read_segment(run.ranking_path(ranking_hash), RANKING_SCHEMA, salvage=False).frame)
    return _unscored(run, rows, scored.filter(pl.col("error").is_null()) if failed_too else scored).drop("error")


def _unscored(run: Run, rows: pl.DataFrame, scored: pl.DataFrame) -> pl.DataFrame:
    rest = rows.filter(pl.col("error").is_null()).join(scored, on=[*KEY, "attempt"], how="anti", maintain_order="left")
    if rest.is_empty():
        return rest
    return rest.filter(pl.col("prompt").is_in([prompt["id"] for prompt in run.prompts()]))


def _read(run: Run, event: Mapping[str, Any], rollouts: pl.DataFrame, salvage: bool) -> Ranking:
    read = read_segment(run.ranking_path(event["hash"]), RANKING_SCHEMA, salvage)
    frame = newest(read.frame)
    num_owed = _unscored(run, rollouts, frame).height
    return Ranking(event["name"], event["hash"], event["about"], frame, num_owed, read.warnings)


def _line(row: RolloutScore) -> bytes:
    """A score that JSON cannot say is null, and its name (`nan`, `inf`, `-inf`) stands for the reason."""
    score, error = row.score, row.error
    if score is not None and not math.isfinite(score):
        error, score = str(float(score)), None
    fields = {"prompt": row.prompt, "arm": row.arm, "index": row.index, "attempt": row.attempt, "score": score}
    others = {"error": error, "cut": row.cut, "num_tokens": row.num_tokens, "num_unknown": row.num_unknown}
    return json_line(fields | {name: value for name, value in others.items() if value is not None})
