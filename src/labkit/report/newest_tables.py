"""The newest table of each kind, for a look at everything: each is made of few runs, and none of more rows than take a moment.

They are the tables that `labkit report` makes of the same runs; what is too large for a look is told of by its command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labkit.record.run import Run
from labkit.report.comparison.kinds import is_sweep
from labkit.report.goodhart.kinds import RATES_KIND, is_goodhart_run
from labkit.report.naming import config_value, unless_damaged
from labkit.report.table import Cell, Table
from labkit.report.training import training_row, training_table
from labkit.report.world.reading import is_world_run

MOST_ROLLOUTS = 50_000
"""Of each run in a pass@k table, packed or not; of a larger one is shown what it wrote down when it ended."""
MOST_RUNS = 20
"""In a pass@k table, the newest ones."""
MOST_CANDIDATES = 25_000
"""Of a table of ways of choosing, which takes a second."""
_MOST_METRICS_BYTES = 20_000_000
_NUM_TRAININGS = 4
_NUM_CONDITIONS = 4


@dataclass(frozen=True, slots=True)
class NewestTable:
    """A table, and how to see all of its kind."""

    kind: str
    table: Table | None
    """None where making it would take too long."""
    command: str
    when: str
    """The id of its newest run, which sorts by time."""
    left_out: str = ""
    """What could stand in it and does not; nothing where it has everything."""


_Made = tuple[Run, Table | None]
"""The newest run that a table is of, and the table."""
_Make = Callable[[Sequence[Run], list[str], list[str]], _Made | None]
"""Of runs, the newest first; what cannot be read, and what is left out, are added to the lists."""


def newest_tables(runs: Sequence[Run], notes: list[str], ending: str = "") -> list[NewestTable]:
    """The newest table of each kind that these runs have, the newest first.

    Args:
        runs: the newest first
        notes: what cannot be read is added to them
        ending: what commands end in
    """
    makers: dict[str, _Make] = {
        "pass_at_k": _pass_at_k,
        "best_of_n": _best_of_n,
        RATES_KIND: _goodhart,
        "world_means": _world,
        "representations": _extraction,
        "training": _trainings,
    }
    found = []
    for kind, make in makers.items():
        left_out: list[str] = []
        if made := _unless_damaged(make, runs, kind, notes, left_out):
            about, table = made
            if table is None or table.rows:
                command = f"labkit report --table {kind}{ending}"
                found.append(NewestTable(kind, table, command, about.id, left_out[0] if left_out else ""))
    return sorted(found, key=lambda each: each.when, reverse=True)


def _unless_damaged(make: _Make, runs: Sequence[Run], kind: str, notes: list[str], left_out: list[str]) -> _Made | None:
    def made(runs: Sequence[Run]) -> _Made | None:
        return make(runs, notes, left_out)

    return unless_damaged(made, runs, f"the table {kind}", notes)


def _pass_at_k(runs: Sequence[Run], notes: list[str], left_out: list[str]) -> _Made | None:
    """Everything that can be merged with the newest run of graded rollouts, or what that run found alone."""
    sweeps = [run for run in runs if is_sweep(run)]
    if not sweeps:
        return None
    first = next((run for run in sweeps if run.result()), sweeps[0])
    base = (first.base_hash, first.score_hash)
    group = [run for run in sweeps if (run.base_hash, run.score_hash) == base]
    chosen = _small_enough(group, notes)
    num_shown = len(chosen) if first in chosen else 1
    if num_shown < len(group):
        left_out.append(f"without {len(group) - num_shown} of {len(group)} runs")
    if first not in chosen:
        return first, _as_finished(first)
    from labkit.report.sweeps import grouped_tables

    tables = grouped_tables(chosen, (), notes, kinds=["pass_at_k"], salvage=False)
    if not tables:
        return None
    return first, tables[0]


def _small_enough(runs: Sequence[Run], notes: list[str]) -> list[Run]:
    """The newest runs that can be read in a look; too large ones are passed over."""
    chosen: list[Run] = []
    for run in runs:
        ask = unless_damaged(Run.ask, run, run.id, notes)
        if ask is not None and ask.num_rollouts <= MOST_ROLLOUTS and len(chosen) < MOST_RUNS:
            chosen.append(run)
    return chosen


def _as_finished(run: Run) -> Table | None:
    """The rates that a run wrote down when it ended; None where it has none."""
    arms = [arm for arm in (run.result() or {}).get("arms", ()) if arm.get("pass_at_k")]
    ks = sorted({int(k) for arm in arms for k in arm["pass_at_k"]})
    rows: list[dict[str, Cell]] = []
    for arm in arms:
        row: dict[str, Cell] = {"arm": arm["key"]} | {key: arm.get(key) for key in _COUNTS}
        for k, (value, low, high) in arm["pass_at_k"].items():
            row |= {f"pass@{k}": value, f"pass@{k}_low": low, f"pass@{k}_high": high}
        rows.append(row)
    rates = [f"pass@{k}{end}" for k in ks for end in ("", "_low", "_high")]
    words = [config_value(run.manifest, key) for key in ("config.task.name", "config.model.id")]
    title = ", ".join(["pass@k", *(str(word) for word in words if word), run.id])
    same = len({row["num_prompts"] for row in rows}) == 1  # else rates below each other are over other prompts
    expendable = [*(f"pass@{k}" for k in ks[1:-1]), *(["num_prompts"] if same else []), "solved"]
    return Table("pass_at_k", title, ("arm", *_COUNTS, *rates), rows, expendable=expendable) if rows else None


_COUNTS = ("num_prompts", "num_rollouts", "solved")


def _best_of_n(runs: Sequence[Run], notes: list[str], left_out: list[str]) -> _Made | None:
    """The newest finished run that has candidates to choose among."""
    for run in runs:
        if config_value(run.manifest, "config.task.name") != "gsm8k" or run.command == "train":
            continue
        if not run.result() or max((count for _, count in run.ask().arms), default=0) < 2:
            continue
        if run.ask().num_rollouts > MOST_CANDIDATES:
            return run, None
        from labkit.report.sweeps import grouped_tables

        tables = grouped_tables([run], (), notes, kinds=["best_of_n"], salvage=False)
        return (run, tables[0]) if tables else None
    return None


def _goodhart(runs: Sequence[Run], notes: list[str], left_out: list[str]) -> _Made | None:
    """The newest conditions that were judged alike."""
    asked = [run for run in runs if is_goodhart_run(run) and run.result()]
    alike = [run for run in asked if run.score_hash == asked[0].score_hash][:_NUM_CONDITIONS]
    if not alike:
        return None
    from labkit.report.goodhart.tables import grouped_tables

    tables = grouped_tables(alike, lambda *kinds: RATES_KIND in kinds, notes)
    return (alike[0], tables[0]) if tables else None


def _world(runs: Sequence[Run], notes: list[str], left_out: list[str]) -> _Made | None:
    """The means of the newest experiment that has fine-tuned models."""
    asked = [run for run in runs if is_world_run(run) and run.result()]
    if not asked:
        return None
    from labkit.report.world.baselines import experiments
    from labkit.report.world.improvements import means_table
    from labkit.report.world.reading import read_evaluated
    from labkit.report.world.scores import BASE

    read = [unless_damaged(read_evaluated, run, run.id, notes) for run in reversed(asked)]
    found = experiments([run for run in read if run is not None], "monotone")
    tuned = [each for each in found if any(model.mixture.name != BASE for model in each.models)]
    if not tuned:
        return None
    newest = max(tuned, key=lambda each: max(run.run.id for run in each.runs))
    return max((run.run for run in newest.runs), key=lambda run: run.id), means_table(newest.counted)


def _extraction(runs: Sequence[Run], notes: list[str], left_out: list[str]) -> _Made | None:
    newest = next((run for run in runs if run.command == "extract" and run.result()), None)
    if newest is None:
        return None
    from labkit.report.representations import representation_table

    return newest, representation_table([newest])


def _trainings(runs: Sequence[Run], notes: list[str], left_out: list[str]) -> _Made | None:
    trained = [run for run in runs if run.command == "train"][:_NUM_TRAININGS]
    if sum(run.metrics_path.stat().st_size for run in trained if run.metrics_path.exists()) > _MOST_METRICS_BYTES:
        return trained[0], None
    sound = [run for run in trained if unless_damaged(training_row, run, run.id, notes) is not None]
    return (sound[0], training_table(sound)) if sound else None
