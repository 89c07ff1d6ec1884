"""Rollouts of runs that rest on the same base, pooled: who contributed, what counts, and what must be said about it.

A rollout's identity is (prompt, arm, index) under its seed. Runs of one seed share their draws, so what stands in
several of them counts once; another run seed brings further draws. Rollouts are counted where they lie and never held,
unless runs share draws. Knows counts, not statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from labkit.errors import RecordError
from labkit.record.frames import ScoredScan, scan_scored
from labkit.record.identity import describe_difference
from labkit.record.run import Ask, Run, Status
from labkit.report.counting import ArmCounts, add_up, arm_counts, count_once, count_rollouts
from labkit.report.naming import config_value

_METHODS = ("greedy", "temperature", "perturbation")


@dataclass(frozen=True, slots=True)
class Part:
    """One run's share of a pool."""

    run: Run
    ask: Ask
    status: Status
    engine: str
    """Name and version."""
    scan: ScoredScan
    counts: pl.DataFrame
    """One row for each arm and prompt; see `count_rollouts`."""

    @property
    def num_rows(self) -> int:
        """Rollouts there are, with a verdict or without."""
        return int(self.counts["num_rows"].sum())

    @property
    def frame(self) -> pl.DataFrame:
        """One row a rollout, read anew at each use: the key, `seed`, `finish_reason`, `num_tokens`, `error`, `correct`."""
        return self.scan.collect(self.scan.rows)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What had to be said about reading the rows."""
        return self.scan.warnings


@dataclass(frozen=True, slots=True)
class Pool:
    """Runs as one: counts for every arm, greedy first, then by temperature, then by sigma."""

    runs: tuple[Run, ...]
    arms: tuple[ArmCounts, ...]
    notes: tuple[str, ...]
    without_rollouts: tuple[str, ...] = ()
    """Keys of arms that were asked for and have no rollout with a verdict yet."""

    @property
    def most_rollouts(self) -> int:
        """Rollouts that every prompt of some arm has: the largest k that can be reported."""
        return max((arm.least for arm in self.arms), default=0)


def read_part(run: Run, *, salvage: bool = False) -> Part:
    """Count what a pool needs of a run.

    Raises:
        RecordError: the record is damaged, and `salvage` is off or does not help.
    """
    scan = scan_scored(run, salvage=salvage)
    return Part(run, run.ask(), run.status(), _engine_text(run), scan, count_rollouts(scan))


def refuse_unlike(runs: Sequence[Run]) -> None:
    """Raise RecordError unless all runs share base and scorer; says what differs, both values beside each other."""
    first = runs[0]
    for other in runs[1:]:
        for what in ("base", "score"):
            if first.manifest[f"{what}_hash"] == other.manifest[f"{what}_hash"]:
                continue
            difference = describe_difference(first.manifest[what], other.manifest[what])
            raise RecordError(
                f"{first.id} and {other.id} differ in their {what} and cannot be merged:\n{difference}",
                "name runs that share it, or name none: labkit report then gives each its own table",
            )


def pool(parts: Sequence[Part]) -> Pool:
    """Pool runs that share base and scorer; see `refuse_unlike`."""
    known = {arm.key: arm for part in parts for arm, _ in part.ask.arms}
    found = {key: _merged(owners, key) for key, owners in _owners(parts).items()}
    arms = []
    for key, arm in known.items():
        if key in found and not (scored := found[key].filter(pl.col("num_rollouts") > 0)).is_empty():
            arms.append(arm_counts(arm, [part.run.id for part in _owners(parts)[key]], scored))
    arms.sort(key=lambda counts: (_METHODS.index(counts.arm.method), counts.arm.value or 0.0, counts.arm.key))
    unscored = sum(int((counts["num_rows"] - counts["num_rollouts"]).sum()) for counts in found.values())
    strangers = sorted(set(found) - set(known))
    without = tuple(key for key in known if key not in {counts.arm.key for counts in arms})
    return Pool(
        tuple(part.run for part in parts), tuple(arms), tuple(_notes(parts, arms, unscored, strangers)), without
    )


def _merged(owners: Sequence[Part], key: str) -> pl.DataFrame:
    """The counts of one arm over the runs that have rollouts of it, each draw once."""
    alike: dict[object, list[Part]] = {}
    for part in owners:
        # Runs of one seed make the same draws; greedy decoding makes the same one always.
        alike.setdefault(None if key.startswith("greedy") else part.run.manifest["seed"], []).append(part)
    return add_up([_counts_of(parts, key) for parts in alike.values()])


def _counts_of(parts: Sequence[Part], key: str) -> pl.DataFrame:
    if len(parts) > 1:
        return count_once([part.scan for part in parts], key)
    return parts[0].counts.filter(pl.col("arm") == key)


def _owners(parts: Sequence[Part]) -> dict[str, list[Part]]:
    """The runs that have rows of an arm, by its key."""
    owners: dict[str, list[Part]] = {}
    for part in parts:
        for key in part.counts["arm"].unique(maintain_order=True):
            owners.setdefault(key, []).append(part)
    return owners


def _notes(parts: Sequence[Part], arms: Sequence[ArmCounts], unscored: int, strangers: Sequence[str]) -> list[str]:
    """What a reader of the counts must know."""
    notes = [f"merged from {len(parts)} runs: {', '.join(part.run.id for part in parts)}"] if len(parts) > 1 else []
    engines = {part.engine: part.run.id for part in parts}
    if len(engines) > 1:
        notes.append("made by different engines: " + ", ".join(f"{name} ({run})" for name, run in engines.items()))
    notes += [unfinished_note(part) for part in parts if part.status != "done"]
    if unscored:
        notes.append(f"{unscored} rollouts have no verdict yet and are left out; resuming the run scores them")
    for counts in arms:
        least, most = int(counts.num_rollouts.min()), int(counts.num_rollouts.max())
        if least != most:
            notes.append(f"{counts.arm.key}: prompts have {least} to {most} rollouts; k goes up to the fewest")
    sizes = {counts.arm.key: len(counts.num_rollouts) for counts in arms}
    if len(set(sizes.values())) > 1:
        notes.append("the arms answer different prompts: " + ", ".join(f"{key} {size}" for key, size in sizes.items()))
    if strangers:
        notes.append(f"rows of arms that were never asked for are left out: {', '.join(strangers)}")
    return notes + [warning for part in parts for warning in part.warnings]


def unfinished_note(part: Part) -> str:
    """How far a run has come that is not done, and how to go on."""
    count = f"{part.num_rows} of {part.ask.num_rollouts} rollouts"
    if part.status == "running":
        return f"{part.run.id} is running: {count}"
    return f"{part.run.id} was interrupted: {count}; resume with labkit {part.run.command} --resume {part.run.path}"


def _engine_text(run: Run) -> str:
    parts = (config_value(run.manifest, f"engine.{key}") for key in ("name", "version", "noise"))
    return " ".join(str(part) for part in parts if part) or "an unknown engine"
