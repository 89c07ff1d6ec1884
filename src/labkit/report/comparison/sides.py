"""Two sides aligned over prompts: what every table and figure of a comparison rests on.

Each side is merged as a report merges runs. Across the sides only prompts and scorer must agree; whatever else differs is
what the comparison is about, and is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labkit.config.base import nearest
from labkit.errors import ConfigError, RecordError
from labkit.record.identity import canonical_number, describe_difference
from labkit.record.rescoring import graded_prompts
from labkit.record.run import Run
from labkit.report.counting import ArmCounts
from labkit.report.naming import config_value, first_few
from labkit.report.pool import Pool, pool, read_part, refuse_unlike

_FEW_PROMPTS = 30
_DRAWS = ("seed", "engine.name", "engine.version")
"""What lies outside the base of a run and yet makes its rollouts what they are, by key of the manifest."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side: its runs as a pool, and its arms over the prompts of the comparison."""

    name: str
    """`A`, or `B`, the base."""
    pool: Pool
    """All that its runs hold, other prompts included."""
    arms: tuple[ArmCounts, ...]
    """The arms that are compared, in the order of the pool; baselines only where there is nothing else."""
    baselines: tuple[ArmCounts, ...]
    """Greedy decoding and unperturbed weights (`sigma=0`) over the same prompts, where the runs have them."""

    @property
    def most_rollouts(self) -> int:
        """Rollouts that every prompt has of some arm: the largest k of this side."""
        return max(arm.least for arm in self.arms)


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides over the same prompts in the same order."""

    prompts: tuple[str, ...]
    """(P,) ids, ascending; every array of every arm follows them"""
    a: Side
    b: Side
    notes: tuple[str, ...]

    @property
    def both(self) -> tuple[Side, Side]:
        return self.a, self.b

    @property
    def most_rollouts(self) -> int:
        """The largest k for which each side has an arm."""
        return min(side.most_rollouts for side in self.both)

    def only(self, arms: Sequence[str]) -> Sides:
        """With one arm a side: the first key is of A, the second of B; none is all arms.

        Raises:
            ConfigError: other than two keys, or a side has no such arm.
        """
        if not arms:
            return self
        if len(arms) != 2:
            raise ConfigError(
                f"--arm was given {'once' if len(arms) == 1 else f'{len(arms)} times'}",
                "give it twice: an arm of A, then one of B",
            )
        a, b = (_with_arm(side, key) for side, key in zip(self.both, arms, strict=True))
        return replace(self, a=a, b=b)


def align(runs_a: Sequence[Run], runs_b: Sequence[Run], *, intersect: bool = False, salvage: bool = False) -> Sides:
    """Two sets of runs over the same prompts.

    Args:
        runs_a, runs_b: at least one each, merged within a side
        intersect: compare over the prompts that both sides have, where they are not the same; and where no arm of a side
            has all of these yet, over those that every arm of it has
        salvage: read past damaged lines, with a note

    Raises:
        RecordError: runs within a side cannot be merged; the sides share a run, have other tasks, scorers or prompts, or
            one has no rollouts; a record is damaged.
    """
    _refuse_shared_runs(runs_a, runs_b)
    for runs in (runs_a, runs_b):
        refuse_unlike(runs)
    _refuse_other_task(runs_a[0], runs_b[0])
    pools = [pool([read_part(run, salvage=salvage) for run in runs]) for runs in (runs_a, runs_b)]
    for name, pooled in zip("AB", pools, strict=True):
        if not pooled.arms:
            raise RecordError(f"side {name} has no rollouts: {_ids(pooled.runs)}", pooled.runs[0].way_to_end)
    prompts, fallen = _shared_prompts(*pools, intersect=intersect)
    if intersect:
        for name, pooled in zip("AB", pools, strict=True):
            prompts = _had_by_an_arm(name, pooled, prompts, fallen)
    _refuse_other_scorer(runs_a[0], runs_b[0], prompts)
    notes: list[str] = [*_differences(runs_a, runs_b), *fallen]
    a, b = (_side(name, pooled, prompts, notes) for name, pooled in zip("AB", pools, strict=True))
    if len(prompts) < _FEW_PROMPTS:
        notes.append(
            f"only {len(prompts)} prompts: intervals over so few are rough, and only large effects can be shown"
        )
    return Sides(prompts, a, b, tuple(notes))


def _side(name: str, pooled: Pool, prompts: tuple[str, ...], notes: list[str]) -> Side:
    wanted = set(prompts)
    whole = [arm if arm.prompts == prompts else arm.over(prompts) for arm in pooled.arms if wanted <= {*arm.prompts}]
    keys = {arm.arm.key for arm in whole}
    for arm in pooled.arms:
        if arm.arm.key not in keys:
            there = len(wanted & {*arm.prompts})
            notes.append(f"{arm.arm.key} ({name}) takes no part: it has {there} of the {len(prompts)} prompts so far")
    notes += [f"{key} ({name}) takes no part: it has no rollouts yet" for key in pooled.without_rollouts]
    swept = [arm for arm in whole if not _is_baseline(arm)]
    baselines = [arm for arm in whole if _is_baseline(arm)]
    if not whole:
        hint = f"{pooled.runs[0].way_to_end}; --intersect compares over the prompts that every arm has"
        raise RecordError(_lacking(name, pooled.arms, prompts), hint)
    if not swept and all(arm.arm.method == "greedy" for arm in whole):
        notes.append(f"side {name} has greedy decoding alone, one rollout a prompt: only k = 1 can be compared")
    return Side(name, pooled, tuple(swept or baselines), tuple(baselines))


def _had_by_an_arm(name: str, pooled: Pool, prompts: tuple[str, ...], notes: list[str]) -> tuple[str, ...]:
    """The prompts, where an arm of the side has them all; else those that every arm of it has, with a note."""
    arms = [arm for arm in pooled.arms if not _is_baseline(arm)] or list(pooled.arms)
    if any(set(prompts) <= {*arm.prompts} for arm in arms):
        return prompts
    had = set(prompts).intersection(*(arm.prompts for arm in arms))
    lacking = _lacking(name, arms, prompts)
    if len(had) < 2:
        what = f"{lacking}; prompts that every arm has: {len(had)}"
        raise RecordError(what, pooled.runs[0].way_to_end)
    notes.append(f"{lacking}; compared over the {len(had)} prompts that all of them have")
    return tuple(prompt for prompt in prompts if prompt in had)


def _lacking(name: str, arms: Sequence[ArmCounts], prompts: Sequence[str]) -> str:
    """How many of the prompts each arm of a side has, none of which has all."""
    counts = first_few([f"{arm.arm.key} {len({*prompts} & {*arm.prompts})}" for arm in arms])
    return f"no arm of side {name} has rollouts of all {len(prompts)} prompts yet: {counts}"


def _is_baseline(arm: ArmCounts) -> bool:
    """Whether nothing is varied in an arm: greedy decoding, or weights with noise of size 0."""
    return arm.arm.method == "greedy" or (arm.arm.method == "perturbation" and not arm.arm.value)


def _with_arm(side: Side, key: str) -> Side:
    arms = {arm.arm.key: arm for arm in (*side.arms, *side.baselines)}
    key = _canonical(key)
    if key not in arms:
        guess = nearest(key, list(arms))
        hint = f"did you mean {guess!r}? " if guess else ""
        raise ConfigError(f"side {side.name} has no arm {key!r}", f"{hint}its arms: {', '.join(arms)}")
    return replace(side, arms=(arms[key],))


def _canonical(key: str) -> str:
    """A key as arms have it where somebody writes `temperature=1.0`."""

    def part(text: str) -> str:
        name, sign, value = text.partition("=")
        try:
            return f"{name.strip()}{sign}{canonical_number(float(value))}"
        except (ValueError, OverflowError):
            return text.strip()

    return ",".join(map(part, key.split(",")))


def _refuse_shared_runs(runs_a: Sequence[Run], runs_b: Sequence[Run]) -> None:
    shared = {run.path.resolve() for run in runs_a} & {run.path.resolve() for run in runs_b}
    if shared:
        names = first_few(sorted(path.name for path in shared))
        raise RecordError(f"on both sides: {names}", "name different runs before and after --against")


def _refuse_other_task(a: Run, b: Run) -> None:
    tasks = [
        config_value(run.manifest, "base.task") or config_value(run.manifest, "config.task.name") for run in (a, b)
    ]
    if tasks[0] != tasks[1]:
        what = f"{a.id} is about {tasks[0]}, {b.id} about {tasks[1]}"
        raise RecordError(what, "name runs of one task on both sides")


def _refuse_other_scorer(a: Run, b: Run, prompts: Sequence[str]) -> None:
    """Right answers may come from files that differ elsewhere; those to the compared prompts must be the same."""
    ours, theirs = ({k: v for k, v in run.score.items() if k != "golds"} for run in (a, b))
    difference = describe_difference(ours, theirs)
    if not difference and a.score != b.score:
        golds_a, golds_b = _golds(a), _golds(b)
        num_other = sum(golds_a.get(prompt) != golds_b.get(prompt) for prompt in prompts)
        difference = f"the right answers of {num_other} of {len(prompts)} prompts" if num_other else ""
    if difference:
        raise RecordError(
            f"{a.id} and {b.id} were scored differently and cannot be compared:\n{difference}",
            "name runs that share their scorer and its right answers",
        )


def _golds(run: Run) -> dict[str, Any]:
    return {line["id"]: line.get("gold") for line in graded_prompts(run)}


def _shared_prompts(a: Pool, b: Pool, *, intersect: bool) -> tuple[tuple[str, ...], list[str]]:
    """The prompts to compare over, and a note on those that fell out."""
    ids_a, ids_b = ({prompt for arm in side.arms for prompt in arm.prompts} for side in (a, b))
    shared = tuple(sorted(ids_a & ids_b))
    if ids_a == ids_b:
        if len(shared) < 2:
            raise RecordError("the sides have a single prompt", "a comparison needs at least two, better 100")
        return shared, []
    counts = f"{len(ids_a - ids_b)} prompts only A has, {len(ids_b - ids_a)} only B has"
    if len(shared) < 2:
        raise RecordError(
            f"the sides answer different prompts: {counts}, {len(shared)} both have",
            "name runs over the same prompts; the same questions in another wording (--preset) are other prompts",
        )
    if not intersect:
        hint = f"--intersect compares over the {len(shared)} prompts that both sides have"
        raise RecordError(f"the sides answer different prompts: {counts}", hint)
    return shared, [f"compared over the {len(shared)} prompts that both sides have; left out: {counts}"]


def _differences(runs_a: Sequence[Run], runs_b: Sequence[Run]) -> Iterator[str]:
    """What differs between the sides, a line for each key, A first."""
    yield f"A: {_ids(runs_a)}; B, the base: {_ids(runs_b)}; a difference is A minus B"
    names = [config_value(run.manifest, "config.model.id") for run in (runs_a[0], runs_b[0])]
    if names[0] != names[1]:
        yield f"the sides differ in their model: {names[0]}  |  {names[1]}"
    for line in describe_difference(runs_a[0].manifest["base"], runs_b[0].manifest["base"]).splitlines():
        yield f"the sides differ in {line}"
    for key in _DRAWS:
        values = [_values(runs, key) for runs in (runs_a, runs_b)]
        if values[0] != values[1]:
            yield f"the sides differ in {key}: {values[0]}  |  {values[1]}"


def _values(runs: Sequence[Run], key: str) -> str:
    return ", ".join(dict.fromkeys(str(config_value(run.manifest, key)) for run in runs))


def _ids(runs: Sequence[Run]) -> str:
    return first_few([run.id for run in runs])
