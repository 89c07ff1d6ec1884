"""Which runs a report is about, and the tables they make.

Named runs must fit together, and whatever is wrong with one is an error. Without names it is an overview that never
fails: runs that cannot be merged stand in tables of their own, and those that cannot be read are mentioned.

What reads rollouts is imported where there are some: polars and scipy take longer than all the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labkit.config.base import nearest
from labkit.errors import ConfigError, RecordError
from labkit.record.catalog import find_runs, run_paths
from labkit.record.run import Run, open_run
from labkit.report.checks import CHECKS_KIND, checks_notes, checks_table
from labkit.report.comparison.kinds import KINDS as COMPARISON_KINDS
from labkit.report.comparison.kinds import ComparisonOptions, refuse_misfits
from labkit.report.goodhart.kinds import COMPARISON_KIND, ITEM_TESTS_KIND, is_goodhart_run, refuse_unused_options
from labkit.report.goodhart.kinds import DETAILS as GOODHART_DETAILS
from labkit.report.goodhart.kinds import KINDS as GOODHART_KINDS
from labkit.report.naming import unless_damaged
from labkit.report.table import Table
from labkit.report.training import training_row, training_table
from labkit.report.world.baselines import experiments, missing_notes, unfinished_notes
from labkit.report.world.extractions import CKA_PAIRS_KIND, EXTRACTION_KINDS, chosen_cka, extraction_tables
from labkit.report.world.generalisation import CkaByLayer
from labkit.report.world.reading import EvaluatedRun, is_world_run, read_all, read_evaluated
from labkit.report.world.splits import parse_split
from labkit.report.world.tables import (
    CKA_KIND,
    EVALUATION_KIND,
    SCORE_KINDS,
    WorldOptions,
    absence_notes,
    cka_of_file,
    experiment_tables,
    published_tables,
    with_named_bases,
)

CANDIDATE_KINDS = ("best_of_n", "gsm8k_rules")
"""Tables of the candidates of one prompt beside each other."""
KINDS = (
    "pass_at_k",
    "training",
    CHECKS_KIND,
    EVALUATION_KIND,
    *SCORE_KINDS,
    *EXTRACTION_KINDS,
    *GOODHART_KINDS,
    *CANDIDATE_KINDS,
    *COMPARISON_KINDS,
)
"""Every kind of table that a report can have."""

_LONG_KINDS = {EVALUATION_KIND: "model", "world_ni": "model", "world_difference": "mixture"}
"""Tables of many rows a model, with the column that names it."""
_MANY_MODELS = 10
_MOST_CHECKED = 50_000
"""Rollouts of named runs that are checked again for a report that does not ask for it: about a second."""


@dataclass(frozen=True, slots=True)
class Report:
    """Tables, and what could not become one."""

    tables: list[Table]
    notes: list[str]


@dataclass(slots=True)
class _Sorted:
    """Runs by what can be said of them."""

    sweeps: list[Run] = field(default_factory=list)
    training: list[Run] = field(default_factory=list)
    world: list[Run] = field(default_factory=list)
    extractions: list[Run] = field(default_factory=list)
    goodhart: list[Run] = field(default_factory=list)

    @property
    def with_rows(self) -> list[Run]:
        """Runs that have rollouts."""
        return [*self.sweeps, *self.world, *self.goodhart]

    def add(self, run: Run) -> None:
        """Put a run where it belongs."""
        if run.command == "train":
            self.training.append(run)
        elif run.command == "extract":
            self.extractions.append(run)
        elif is_goodhart_run(run):
            self.goodhart.append(run)
        else:
            (self.world if is_world_run(run) else self.sweeps).append(run)


class _Asked:
    """What the caller wants. Options that cannot be used are refused here: the overview takes later errors for damage."""

    def __init__(
        self,
        runs_dir: Path,
        ks: Sequence[int],
        salvage: bool,
        kinds: Sequence[str],
        world: WorldOptions,
        against: Sequence[str],
        without: Sequence[str],
        comparison: ComparisonOptions,
    ) -> None:
        self.runs_dir, self.ks, self.salvage, self.kinds, self.world = runs_dir, ks, salvage, kinds, world
        self.against, self.without = find_runs(against, runs_dir), without
        self.comparison = comparison
        self.cka = cka_of_file(world)
        self.splits = [parse_split(text) for text in world.splits]

    def wants(self, *kinds: str) -> bool:
        """Whether a table of one of these kinds is to be made."""
        return not self.kinds or not set(kinds).isdisjoint(self.kinds)

    def wants_at_a_glance(self, kind: str) -> bool:
        """Whether it is to be made of runs that nobody named: details only where they are asked for by kind."""
        return kind in self.kinds or (not self.kinds and kind not in GOODHART_DETAILS)


def report(
    references: Sequence[str],
    runs_dir: Path,
    *,
    ks: Sequence[int] = (),
    salvage: bool = False,
    kinds: Sequence[str] = (),
    world: WorldOptions | None = None,
    against: Sequence[str] = (),
    without: Sequence[str] = (),
    comparison: ComparisonOptions | None = None,
) -> Report:
    """The tables of what `references` name, merged, or of all runs under `runs_dir`, grouped.

    Args:
        references: runs, and published tables: paths that end in `.csv`
        kinds: the kinds of table to make; none is all
        world: options of the tables of the world-cities experiment
        against: runs that those of `references` are compared with
        without: Goodhart items to leave out
        comparison: how sweeps are compared with `against`

    Raises:
        RecordError: a named run is unknown, damaged, does not fit the others, cannot be compared, or lacks its baseline.
        InputError: a named CSV file cannot be used. ConfigError: a k is too large, or an option cannot be used.
    """
    _check_kinds(kinds)
    comparison = comparison or ComparisonOptions()
    asked = _Asked(runs_dir, ks, salvage, kinds, world or WorldOptions(), against, without, comparison)
    files = [Path(reference) for reference in references if reference.endswith(".csv")]
    names = [reference for reference in references if not reference.endswith(".csv")]
    if against and not names:
        raise ConfigError("--against needs the runs to compare", "name them: labkit report RUN --against BASE")
    if not against and (comparison.given or not set(COMPARISON_KINDS).isdisjoint(kinds)):
        what = "--arm and --intersect say" if comparison.given else f"a table of kind {' or '.join(kinds)} says"
        raise ConfigError(f"{what} how two sides compare, and there is one", "labkit report RUN --against BASE")
    published = published_tables(files, asked.world, asked.cka) if files else []
    if names:
        found = _named(find_runs(names, runs_dir), asked)
    else:
        found = Report([], []) if files else _overview(asked)
    every = [*published, *found.tables]
    tables = [table for table in every if asked.wants(table.kind)]
    return Report(tables, found.notes + absence_notes(kinds, every))


def shortened(found: Report) -> Report:
    """A report for people's eyes: without the tables that list many models one by one, and with a note on how to get
    them."""
    long = [table for table in found.tables if _num_models(table) > _MANY_MODELS or table.kind in GOODHART_DETAILS]
    notes = [
        f"{table.kind} lists {len(table.rows)} rows, too many to read here; see them with --table {table.kind}"
        for table in long
    ]
    return Report([table for table in found.tables if table not in long], found.notes + notes)


def world_runs(runs_dir: Path, notes: list[str]) -> list[EvaluatedRun]:
    """Every eval run over the world task that can be read, oldest first; the others are noted."""
    found = []
    for path in run_paths(runs_dir):
        if path.parent.name == "eval" and (run := unless_damaged(open_run, path, path.name, notes)) is not None:
            found += [run] if is_world_run(run) else []
    return read_undamaged(found, notes)


def training_runs(references: Sequence[str], runs_dir: Path) -> tuple[list[Run], list[str]]:
    """The named training runs, or every one under `runs_dir` that can be read; and notes on the others.

    Raises:
        RecordError: a named run is unknown, damaged, or no training.
    """
    notes: list[str] = []
    named = find_runs(references, runs_dir, "train")
    for run in named:
        if run.command != "train":
            raise RecordError(f"{run.id}, made by labkit {run.command}, is no training", "name runs of labkit train")
    paths = [] if references else [path for path in run_paths(runs_dir) if path.parent.name == "train"]
    read = [unless_damaged(_readable, path, path.name, notes) for path in paths]
    return [*named, *(run for run in read if run is not None)], notes


def _readable(path: Path) -> Run:
    """A training run whose log can be read."""
    run = open_run(path)
    training_row(run)
    return run


def read_undamaged(runs: Sequence[Run], notes: list[str]) -> list[EvaluatedRun]:
    """What eval runs found, oldest first; those that cannot be read are noted."""
    read = [unless_damaged(read_evaluated, run, run.id, notes) for run in sorted(runs, key=lambda run: run.id)]
    return [run for run in read if run is not None]


def _check_kinds(kinds: Sequence[str]) -> None:
    for kind in kinds:
        if kind not in KINDS:
            guess = nearest(kind, KINDS)
            hint = f"did you mean {guess!r}?" if guess else f"there are: {', '.join(KINDS)}"
            raise ConfigError(f"there is no table of kind {kind!r}", hint)


def _named(runs: Sequence[Run], asked: _Asked) -> Report:
    notes: list[str] = []
    by_sort = _Sorted()
    for run in runs:
        by_sort.add(run)
    tables = []
    refuse_unused_options(by_sort.goodhart, asked.without)
    refuse_misfits(runs, asked.against, asked.comparison, asked.kinds)
    if by_sort.goodhart:
        from labkit.report.goodhart.tables import named_tables

        tables += named_tables(
            by_sort.goodhart, asked.against, asked.wants, notes, without=asked.without, salvage=asked.salvage
        )
    if asked.against and not by_sort.goodhart:
        from labkit.report.sweeps import compared_tables

        tables += compared_tables(
            runs, asked.against, asked.comparison, ks=asked.ks, kinds=asked.kinds, salvage=asked.salvage
        )
    elif by_sort.sweeps:
        from labkit.report.sweeps import merged_tables

        tables += merged_tables(by_sort.sweeps, asked.ks, kinds=asked.kinds, salvage=asked.salvage)
    with_rows = [*by_sort.with_rows, *asked.against]
    if CHECKS_KIND in asked.kinds and with_rows:
        tables.append(checks_table(with_rows, salvage=asked.salvage))
    elif not asked.kinds:
        again = sum(run.ask().num_rollouts for run in with_rows) <= _MOST_CHECKED
        notes += [note for run in with_rows for note in checks_notes(run, again=again, salvage=asked.salvage)]
    if by_sort.training:
        tables.append(training_table(by_sort.training))
    if by_sort.extractions:
        tables += extraction_tables(by_sort.extractions, asked.world.layer, with_cka=asked.wants(CKA_PAIRS_KIND))
    if by_sort.world:
        runs_read = read_all(by_sort.world)
        # Bases that were not named: without them there is no number at all, so they are looked for.
        found = with_named_bases(runs_read, world_runs(asked.runs_dir, []), asked.world) if _scores(asked) else []
        notes += unfinished_notes(runs_read)
        tables += experiment_tables(found, runs_read, asked.world, _cka(asked, by_sort.extractions, notes))
    return Report(tables, notes)


def _overview(asked: _Asked) -> Report:
    notes: list[str] = []
    by_sort = _Sorted()
    for path in run_paths(asked.runs_dir):
        if (run := unless_damaged(open_run, path, path.name, notes)) is not None:
            by_sort.add(run)
    tables = []
    refuse_unused_options(by_sort.goodhart, asked.without)
    if by_sort.goodhart and any(map(asked.wants_at_a_glance, GOODHART_KINDS)):
        from labkit.report.goodhart.tables import grouped_tables as goodhart_tables

        tables += goodhart_tables(
            by_sort.goodhart, asked.wants_at_a_glance, notes, without=asked.without, salvage=asked.salvage
        )
    if {COMPARISON_KIND, ITEM_TESTS_KIND} & set(asked.kinds):
        notes.append("which runs are compared must be said: labkit report A B, or labkit report B --against A")
    if asked.ks or (by_sort.sweeps and asked.wants("pass_at_k", *CANDIDATE_KINDS)):
        from labkit.report.sweeps import grouped_tables

        tables += grouped_tables(by_sort.sweeps, asked.ks, notes, kinds=asked.kinds, salvage=asked.salvage)
    tables += _checks_of_all(by_sort.with_rows, asked, notes)
    training = [run for run in by_sort.training if unless_damaged(training_row, run, run.id, notes) is not None]
    tables += [training_table(training)] if training else []

    def of_extractions(runs: Sequence[Run]) -> list[Table]:
        return extraction_tables(runs, asked.world.layer, with_cka=CKA_PAIRS_KIND in asked.kinds)

    def cka(runs: Sequence[Run]) -> CkaByLayer | None:
        return _cka(asked, runs, notes)

    if by_sort.extractions and asked.wants(*EXTRACTION_KINDS):
        tables += unless_damaged(of_extractions, by_sort.extractions, "the table of extractions", notes) or []
    if by_sort.world:
        runs = read_undamaged(by_sort.world, notes)
        found = experiments(runs, asked.world.mode)
        notes += [*unfinished_notes(runs), *missing_notes(found)]
        matrices = unless_damaged(cka, by_sort.extractions, "CKA", notes)
        tables += experiment_tables(found, runs, asked.world, matrices)
    return Report(tables, notes)


def _checks_of_all(runs: Sequence[Run], asked: _Asked, notes: list[str]) -> list[Table]:
    """The table of what was found about every run, where it is asked for; else notes on what their completions found."""

    def table(run: Run) -> Table:
        return checks_table([run], salvage=asked.salvage)

    def texts(run: Run) -> list[str]:
        return checks_notes(run, again=False, salvage=asked.salvage)

    if CHECKS_KIND in asked.kinds:
        found = [unless_damaged(table, run, run.id, notes) for run in runs]
        return [each for each in found if each is not None and each.rows]
    if not asked.kinds:
        notes += [note for run in runs for note in unless_damaged(texts, run, run.id, []) or []]  # noted already
    return []


def _scores(asked: _Asked) -> bool:
    """Whether a table is wanted that needs baselines."""
    return asked.wants(*SCORE_KINDS)


def _cka(asked: _Asked, extractions: Sequence[Run], notes: list[str]) -> CkaByLayer | None:
    """CKA from the file that was named, else from extractions, where a table of it is asked for by its kind: reading
    hidden states takes a while."""
    if asked.cka is not None or not extractions or CKA_KIND not in asked.kinds:
        return asked.cka
    return chosen_cka(extractions, asked.world.layer, notes)


def _num_models(table: Table) -> int:
    column = _LONG_KINDS.get(table.kind)
    return len({row[column] for row in table.rows}) if column else 0
