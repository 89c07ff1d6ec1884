"""Rollouts of runs that rest on the same base, pooled: who contributed, what counts, and what must be said about it.

A rollout's identity is (prompt, arm, index) under its seed. Runs of one seed share their draws, so what stands in
several of them counts once; another run seed brings further draws. Rollouts are counted where they lie and not held,
unless runs share draws or their candidates are asked for. Knows counts, not statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from labkit.errors import RecordError
from labkit.record.frames import KEY, SCORED_COLUMNS, ScoredScan, scan_scored
from labkit.record.identity import components_hash, describe_difference
from labkit.record.rankings import Ranking, read_rankings
from labkit.record.run import Ask, Run, Status
from labkit.report.counting import ArmCounts, add_up, arm_counts, count_once, count_rollouts, without_repeats
from labkit.report.naming import config_value, rescored_text, unscored_notes

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
    """Its rollouts; beside `SCORED_COLUMNS` and `correct` what else was asked for."""
    counts: pl.DataFrame
    """One row for each arm and prompt; see `count_rollouts`."""
    rankings: Mapping[str, Ranking]
    """By name those whose scores stand in the column `ranking_column(name)`."""

    @property
    def num_rows(self) -> int:
        """Rollouts there are, with a verdict or without."""
        return int(self.counts["num_rows"].sum())


@dataclass(frozen=True, slots=True)
class Pool:
    """Runs as one: counts for every arm, greedy first, then by temperature, then by sigma."""

    parts: tuple[Part, ...]
    arms: tuple[ArmCounts, ...]
    notes: tuple[str, ...]
    without_rollouts: tuple[str, ...]
    """Keys of arms that were asked for and have no rollout with a verdict yet."""

    @property
    def runs(self) -> tuple[Run, ...]:
        return tuple(part.run for part in self.parts)

    @property
    def most_rollouts(self) -> int:
        """Rollouts that every prompt of some arm has: the largest k that can be reported."""
        return max((arm.least for arm in self.arms), default=0)

    def rollouts(self, arm: str | None = None) -> pl.DataFrame:
        """The rollouts of one arm or of all, each draw once; read anew at each use."""
        return without_repeats([part.scan.read(arm) for part in self.parts])


def read_part(run: Run, *, salvage: bool = False, candidates: bool = False, texts: bool = False) -> Part:
    """Count what a pool needs of a run.

    Args:
        salvage: read past damaged lines
        candidates: with `logprob`, `text_code` (the same number for the same text), the verdict's `answer` and `rule`, and
            the scores of every stored ranking
        texts: with `text`

    Raises:
        RecordError: the record is damaged, and `salvage` is off or does not help.
    """
    columns = [*SCORED_COLUMNS, *(["logprob"] if candidates else []), *(["text"] if texts or candidates else [])]
    verdict = ["correct", *(["answer", "rule"] if candidates else [])]
    scan = scan_scored(run, columns=columns, verdict_columns=verdict, salvage=salvage)
    if not candidates:
        return part_of(run, scan)
    frame = scan.read()
    rankings = read_rankings(run, salvage=salvage, rollouts=frame)
    frame = frame.with_columns(text_code=pl.col("text").hash(seed=0).reinterpret(signed=True))
    held = _with_rankings(scan, frame if texts else frame.drop("text"), rankings)
    return part_of(run, held, {ranking.name: ranking for ranking in rankings})


def part_of(run: Run, scan: ScoredScan, rankings: Mapping[str, Ranking] | None = None) -> Part:
    """A part of rollouts that were found already; further columns do no harm."""
    return Part(run, run.ask(), run.status(), _engine_text(run), scan, count_rollouts(scan), rankings or {})


def _with_rankings(scan: ScoredScan, frame: pl.DataFrame, rankings: Sequence[Ranking]) -> ScoredScan:
    """The rows with the scores of rankings beside them, held: they are read for each arm and each table."""
    warnings = scan.warnings
    for ranking in rankings:
        scores = ranking.frame.select(*KEY, "attempt", pl.col("score").alias(ranking_column(ranking.name)))
        frame = frame.join(scores, on=[*KEY, "attempt"], how="left", maintain_order="left")
        warnings += ranking.warnings
    return replace(scan, rows=frame.lazy(), warnings=warnings)


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
    return Pool(tuple(parts), tuple(arms), tuple(_notes(parts, arms, unscored, strangers)), without)


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
    notes += [text for part in parts if (text := rescored_text(part.run))]
    notes += unscored_notes([part.run for part in parts], unscored)
    for counts in arms:
        least, most = int(counts.num_rollouts.min()), int(counts.num_rollouts.max())
        if least != most:
            notes.append(f"{counts.arm.key}: prompts have {least} to {most} rollouts; k goes up to the fewest")
    sizes = {counts.arm.key: len(counts.num_rollouts) for counts in arms}
    if len(set(sizes.values())) > 1:
        notes.append("the arms answer different prompts: " + ", ".join(f"{key} {size}" for key, size in sizes.items()))
    if strangers:
        notes.append(f"rows of arms that were never asked for are left out: {', '.join(strangers)}")
    return notes + [warning for part in parts for warning in part.scan.warnings]


def unfinished_note(part: Part) -> str:
    """How far a run has come that is not done, and how to go on."""
    count = f"{part.num_rows} of {part.ask.num_rollouts} rollouts"
    if part.status == "running":
        return f"{part.run.id} is running: {count}"
    return f"{part.run.id} was interrupted: {count}; resume with {part.run.way_on}"


def _engine_text(run: Run) -> str:
    parts = (config_value(run.manifest, f"engine.{key}") for key in ("name", "version", "noise"))
    return " ".join(str(part) for part in parts if part) or "an unknown engine"
