"""Rollouts of runs that rest on the same base, pooled: who contributed, what counts, and what must be said about it.

A rollout's identity is (prompt, arm, index) under its seed. Runs of one seed share their draws, so what stands in
several of them counts once; another run seed brings further draws. Knows counts, not statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.errors import RecordError
from labkit.record.frames import KEY, Rows, read_scored
from labkit.record.identity import Arm, components_hash, describe_difference
from labkit.record.rankings import Ranking, read_rankings
from labkit.record.run import Ask, Run, Status
from labkit.report.naming import config_value, rescored_text

_COUNTED = ("seed", "finish_reason", "num_tokens", "error")
_DRAW = ["prompt", "arm", "index", "seed"]
_METHODS = ("greedy", "temperature", "perturbation")

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """One run's share of a pool."""

    run: Run
    ask: Ask
    status: Status
    engine: str
    """Name and version."""
    frame: pl.DataFrame
    """One row a rollout: the key, `seed`, `finish_reason`, `num_tokens`, `error`, `correct`; and what else was asked for."""
    warnings: tuple[str, ...]
    rankings: Mapping[str, Ranking]
    """By name those whose scores stand in the column `ranking_column(name)`."""


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """What is needed of one arm; P prompts in no particular order, the same in every array."""

    arm: Arm
    run_ids: tuple[str, ...]
    """The runs that have rollouts of it."""
    num_rollouts: IntArray
    """(P,) rollouts with a verdict"""
    num_correct: IntArray
    """(P,)"""
    num_truncated: IntArray
    """(P,) rollouts cut at the token limit"""
    num_errors: int
    mean_tokens: float | None
    """Tokens a rollout, over those without an error."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Runs as one: counts for every arm, greedy first, then by temperature, then by sigma."""

    runs: tuple[Run, ...]
    arms: tuple[ArmCounts, ...]
    notes: tuple[str, ...]
    rollouts: pl.DataFrame
    """The frames of the parts, each draw once."""
    rankings: tuple[Mapping[str, Ranking], ...]
    """Those of each part."""

    @property
    def most_rollouts(self) -> int:
        """Rollouts that every prompt of some arm has: the largest k that can be reported."""
        return max((int(arm.num_rollouts.min()) for arm in self.arms), default=0)


def read_part(run: Run, *, salvage: bool = False, candidates: bool = False, texts: bool = False) -> Part:
    """Read what a pool needs of a run.

    Args:
        salvage: read past damaged lines
        candidates: with `logprob`, the verdict's `answer` and `rule`, and the scores of every stored ranking
        texts: with `text`

    Raises:
        RecordError: the record is damaged, and `salvage` is off or does not help.
    """
    columns = [*_COUNTED, *(["logprob"] if candidates else []), *(["text"] if texts else [])]
    verdict = ["correct", *(["answer", "rule"] if candidates else [])]
    rows = read_scored(run, columns=columns, verdict_columns=verdict, salvage=salvage)
    frame, warnings, rankings = rows.frame, rows.warnings, read_rankings(run, salvage=salvage) if candidates else []
    for ranking in rankings:
        scores = ranking.frame.select(*KEY, "attempt", pl.col("score").alias(ranking_column(ranking.name)))
        frame = frame.join(scores, on=[*KEY, "attempt"], how="left", maintain_order="left")
        warnings += ranking.warnings
    return part_of(run, Rows(frame, warnings), {ranking.name: ranking for ranking in rankings})


def part_of(run: Run, rows: Rows, rankings: Mapping[str, Ranking] | None = None) -> Part:
    """A part of rollouts that were read already; further columns do no harm."""
    return Part(run, run.ask(), run.status(), _engine_text(run), rows.frame, rows.warnings, rankings or {})


def ranking_column(name: str) -> str:
    """The column of the scores of a ranking."""
    return f"score@{name}"


def refuse_unlike(runs: Sequence[Run]) -> None:
    """Raise RecordError unless all runs share base and scorer; says what differs, both values beside each other."""
    first = runs[0]
    for other in runs[1:]:
        for what, ours, theirs in (
            ("base", first.manifest["base"], other.manifest["base"]),
            ("score", first.score, other.score),
        ):
            if components_hash(ours) == components_hash(theirs):
                continue
            difference = describe_difference(ours, theirs)
            raise RecordError(
                f"{first.id} and {other.id} differ in their {what} and cannot be merged:\n{difference}",
                "name runs that share it, or name none: labkit report then gives each its own table",
            )


def pool(parts: Sequence[Part]) -> Pool:
    """Pool runs that share base and scorer; see `refuse_unlike`."""
    rollouts = parts[0].frame if len(parts) == 1 else without_repeats([part.frame for part in parts])
    per_prompt = _count(rollouts.filter(pl.col("correct").is_not_null()))
    known = {arm.key: arm for part in parts for arm, _ in part.ask.arms}
    owners = _owners(parts)
    arms = [
        _arm_counts(known[str(key)], owners[str(key)], counts)
        for (key,), counts in per_prompt.group_by("arm")
        if key in known
    ]
    arms.sort(key=lambda counts: (_METHODS.index(counts.arm.method), counts.arm.value or 0.0, counts.arm.key))
    notes, runs = _notes(parts, rollouts, arms, known), tuple(part.run for part in parts)
    return Pool(runs, tuple(arms), tuple(notes), rollouts, tuple(part.rankings for part in parts))


def without_repeats(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """All rollouts, each draw once; of two copies the one with a verdict stands, and an answer before an error."""
    together = pl.concat(frames, how="diagonal")  # each has the rankings of its own
    preferred = together.sort(pl.col("correct").is_null(), pl.col("error").is_not_null(), maintain_order=True)
    return preferred.unique(_DRAW, keep="first", maintain_order=True)


def _count(scored: pl.DataFrame) -> pl.DataFrame:
    """One row for each prompt and arm. Sorted, so that sums of floats do not depend on the order of threads."""
    answered = pl.col("error").is_null()
    return (
        scored.group_by("arm", "prompt")
        .agg(
            num_rollouts=pl.len().cast(pl.Int64),
            num_correct=pl.col("correct").sum().cast(pl.Int64),
            num_truncated=(pl.col("finish_reason") == "length").sum().cast(pl.Int64),
            num_answered=answered.sum().cast(pl.Int64),
            num_tokens=pl.col("num_tokens").filter(answered).sum(),
        )
        .sort("arm", "prompt")
    )


def _arm_counts(arm: Arm, run_ids: Sequence[str], counts: pl.DataFrame) -> ArmCounts:
    answered = int(counts["num_answered"].sum())
    return ArmCounts(
        arm,
        tuple(run_ids),
        num_rollouts=counts["num_rollouts"].to_numpy(),
        num_correct=counts["num_correct"].to_numpy(),
        num_truncated=counts["num_truncated"].to_numpy(),
        num_errors=int(counts["num_rollouts"].sum()) - answered,
        mean_tokens=int(counts["num_tokens"].sum()) / answered if answered else None,
    )


def _owners(parts: Sequence[Part]) -> dict[str, list[str]]:
    owners: dict[str, list[str]] = {}
    for part in parts:
        for key in part.frame["arm"].unique():
            owners.setdefault(key, []).append(part.run.id)
    return owners


def _notes(
    parts: Sequence[Part], rollouts: pl.DataFrame, arms: Sequence[ArmCounts], known: dict[str, Arm]
) -> list[str]:
    """What a reader of the counts must know."""
    notes = [f"merged from {len(parts)} runs: {', '.join(part.run.id for part in parts)}"] if len(parts) > 1 else []
    engines = {part.engine: part.run.id for part in parts}
    if len(engines) > 1:
        notes.append("made by different engines: " + ", ".join(f"{name} ({run})" for name, run in engines.items()))
    notes += [unfinished_note(part) for part in parts if part.status != "done"]
    notes += [text for part in parts if (text := rescored_text(part.run))]
    left_out = sum((part.run.rescored() or {}).get("left_out", 0) for part in parts)
    if not left_out and (unscored := rollouts["correct"].null_count()):
        notes.append(f"{unscored} rollouts have no verdict yet and are left out; resuming the run scores them")
    for counts in arms:
        least, most = int(counts.num_rollouts.min()), int(counts.num_rollouts.max())
        if least != most:
            notes.append(f"{counts.arm.key}: prompts have {least} to {most} rollouts; k goes up to the fewest")
    sizes = {counts.arm.key: len(counts.num_rollouts) for counts in arms}
    if len(set(sizes.values())) > 1:
        notes.append("the arms answer different prompts: " + ", ".join(f"{key} {size}" for key, size in sizes.items()))
    if strangers := sorted(set(rollouts["arm"].unique()) - set(known)):
        notes.append(f"rows of arms that were never asked for are left out: {', '.join(strangers)}")
    return notes + [warning for part in parts for warning in part.warnings]


def unfinished_note(part: Part) -> str:
    """How far a run has come that is not done, and how to go on."""
    count = f"{part.frame.height} of {part.ask.num_rollouts} rollouts"
    if part.status == "running":
        return f"{part.run.id} is running: {count}"
    return f"{part.run.id} was interrupted: {count}; resume with labkit {part.run.command} --resume {part.run.path}"


def _engine_text(run: Run) -> str:
    parts = (config_value(run.manifest, f"engine.{key}") for key in ("name", "version", "noise"))
    return " ".join(str(part) for part in parts if part) or "an unknown engine"
