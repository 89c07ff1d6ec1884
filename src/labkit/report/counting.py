"""Rollouts counted by prompt and arm, without holding them: what statistics over prompts need to know of each.

Knows counts, not statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.record.frames import KEY, SCORED_COLUMNS, ScoredScan
from labkit.record.identity import Arm

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_PLACE = ["arm", "prompt"]
_DRAW = ["prompt", "arm", "index", "seed"]
_COUNTED = [*KEY, *SCORED_COLUMNS, "correct"]
_SUMS = ("num_rows", "num_rollouts", "num_correct", "num_truncated", "num_answered", "num_tokens")


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """What is needed of one arm; P prompts in the order of their ids, the same in every array."""

    arm: Arm
    run_ids: tuple[str, ...]
    """The runs that have rollouts of it."""
    prompts: tuple[str, ...]
    """(P,) ids, ascending"""
    num_rollouts: IntArray
    """(P,) rollouts with a verdict"""
    num_correct: IntArray
    """(P,)"""
    num_truncated: IntArray
    """(P,) rollouts cut at the token limit"""
    num_answered: IntArray
    """(P,) rollouts without an error"""
    num_tokens: IntArray
    """(P,) tokens generated in those"""
    first_correct: IntArray
    """(P,) position of the first correct rollout, by index from 0; -1 where none is"""

    @property
    def least(self) -> int:
        """Rollouts that every prompt has: the largest k of this arm."""
        return int(self.num_rollouts.min())

    @property
    def num_errors(self) -> int:
        """Rollouts with an error, which count as wrong."""
        return int((self.num_rollouts - self.num_answered).sum())

    @property
    def mean_tokens(self) -> float | None:
        """Tokens a rollout, over those without an error; None where all failed."""
        answered = int(self.num_answered.sum())
        return int(self.num_tokens.sum()) / answered if answered else None

    def solved_within(self, num_rollouts: int) -> BoolArray:
        """(P,) whether one of the first so many rollouts, by index, is correct."""
        return (self.first_correct >= 0) & (self.first_correct < num_rollouts)

    def over(self, prompts: Sequence[str]) -> ArmCounts:
        """The same arm over some of its prompts, in the order given.

        Raises:
            KeyError: it has no rollouts of one of them.
        """
        place = {prompt: number for number, prompt in enumerate(self.prompts)}
        rows = np.array([place[prompt] for prompt in prompts], dtype=np.int64)
        arrays: dict[str, IntArray] = {name: getattr(self, name)[rows] for name in (*_SUMS[1:], "first_correct")}
        return ArmCounts(self.arm, self.run_ids, tuple(prompts), **arrays)


def count_rollouts(scan: ScoredScan) -> pl.DataFrame:
    """One row for each arm and prompt of a run, sorted: `num_rows` there are, of which `num_rollouts` with a verdict, what
    is known of those, and `first_correct`, a position among them, null where none is correct."""
    counts = scan.collect(_counted(scan.rows))
    # Within one run an index stands once, so it is a position unless some are missing.
    gaps = counts.filter(pl.col("num_rollouts") != pl.col("last") + 1)["arm"].unique().to_list()
    if not gaps:
        return counts.drop("last")
    rows = scan.collect(scan.rows.filter(pl.col("arm").is_in(gaps)).select(_COUNTED))
    filled = counts.filter(~pl.col("arm").is_in(gaps))
    return pl.concat([filled, _count_in_order(rows)]).drop("last").sort(_PLACE)


def count_once(scans: Sequence[ScoredScan], arm: str) -> pl.DataFrame:
    """`count_rollouts` of one arm in runs that share its draws, each draw once."""
    wanted = pl.col("arm") == arm
    rows = [scan.collect(scan.rows.filter(wanted).select(_COUNTED)) for scan in scans]
    return _count_in_order(without_repeats(rows)).drop("last")


def without_repeats(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of all frames, each draw once; of two copies the one with a verdict stands, and an answer before an
    error."""
    if len(frames) == 1:
        return frames[0]
    together = pl.concat(frames, how="diagonal")  # each has the rankings of its own
    preferred = together.sort(pl.col("correct").is_null(), pl.col("error").is_not_null(), maintain_order=True)
    return preferred.unique(_DRAW, keep="first", maintain_order=True)


def add_up(counts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Counts of runs that share no draw, as one; positions go on from one run to the next."""
    if len(counts) == 1:
        return counts[0]
    before = pl.col("num_rollouts").cum_sum() - pl.col("num_rollouts")
    first = (pl.col("first_correct") + before).min()
    together = pl.concat(counts).group_by(_PLACE, maintain_order=True)
    return together.agg(*(pl.col(name).sum() for name in _SUMS), first_correct=first).sort(_PLACE)


def arm_counts(arm: Arm, run_ids: Sequence[str], counts: pl.DataFrame) -> ArmCounts:
    """Rows of one arm as arrays."""
    ordered = counts.sort("prompt")
    names = (*_SUMS[1:], "first_correct")
    arrays = {name: ordered[name].fill_null(-1).cast(pl.Int64).to_numpy() for name in names}
    return ArmCounts(arm, tuple(run_ids), tuple(ordered["prompt"]), **arrays)


def _counted(rows: pl.LazyFrame) -> pl.LazyFrame:
    scored, answered = pl.col("correct").is_not_null(), pl.col("error").is_null()
    # Filters within an aggregation take twice as long as columns made before it.
    prepared = rows.select(
        *_PLACE,
        "correct",
        scored=scored,
        cut=scored & (pl.col("finish_reason") == "length"),
        answered=scored & answered,
        tokens=pl.when(scored & answered).then(pl.col("num_tokens")),
        position=pl.when(pl.col("correct")).then(pl.col("index")),
        place=pl.when(scored).then(pl.col("index")),
    )
    totals = {"num_rollouts": "scored", "num_correct": "correct", "num_truncated": "cut", "num_answered": "answered"}
    return (
        prepared.group_by(_PLACE)
        .agg(
            num_rows=pl.len().cast(pl.Int64),
            **{name: pl.col(column).sum().cast(pl.Int64) for name, column in totals.items()},
            num_tokens=pl.col("tokens").sum().cast(pl.Int64),
            first_correct=pl.col("position").min(),
            last=pl.col("place").max().fill_null(-1),
        )
        .sort(_PLACE)
    )


def _count_in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Counts of rows whose indices do not run from 0 without gaps: positions stand for them."""
    ordered = rows.sort(pl.col("correct").is_null(), "index", maintain_order=True)
    return _counted(ordered.with_columns(index=pl.int_range(pl.len()).over(_PLACE)).lazy()).collect()
