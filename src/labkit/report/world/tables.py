"""Every table of the world-cities experiment, from eval runs or from published tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from labkit.config.base import nearest
from labkit.config.world import TASK_NAMES
from labkit.errors import ConfigError, RecordError
from labkit.report.table import Table
from labkit.report.world.baselines import Experiment, MissingBase, experiments, with_bases
from labkit.report.world.evaluations import evaluated_table
from labkit.report.world.generalisation import CkaByLayer, generalisation_table
from labkit.report.world.improvements import improvement_table, means_table
from labkit.report.world.published import read_cka, read_published
from labkit.report.world.reading import EvaluatedRun
from labkit.report.world.reciprocity import reciprocity_table
from labkit.report.world.scores import BASE, PAIR, SINGLE, ScoredModel
from labkit.report.world.splits import default_splits, parse_split
from labkit.report.world.synergy import difference_table, differences, synergy_table
from labkit.tasks.world.metrics import HIGHEST, LOWEST, Mode

EVALUATION_KIND = "world_eval"
CKA_KIND = "world_cka"
SCORE_KINDS = ("world_ni", "world_means", "world_synergy", "world_difference", "world_reciprocity", CKA_KIND)


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """What may be chosen about these tables."""

    improvement: Mode | None = None
    """Rules of normalised improvement; None is `monotone`."""
    splits: tuple[str, ...] = ()
    """How synergy is split (`labkit.report.world.splits`); none is by distance."""
    cka: Path | None = None
    """A CSV file of CKA between single-task models."""
    layer: int | None = None
    """The layer of CKA; None is every layer there is."""
    tasks: tuple[str, ...] = ()
    """The tasks of reciprocity and CKA; none is all but crossing."""

    @property
    def mode(self) -> Mode:
        return self.improvement or "monotone"


def published_models(paths: Sequence[Path], options: WorldOptions) -> list[ScoredModel]:
    """The models of published tables, which hold improvements and no raw values.

    Raises:
        InputError: as `read_published`. ConfigError: rules of improvement are asked for, which these tables have behind
            them.
    """
    if options.improvement is not None:
        raise ConfigError("CSV files hold improvements already", "leave --improvement out; it is for runs")
    return read_published(paths)


def published_tables(paths: Sequence[Path], options: WorldOptions, cka: CkaByLayer | None) -> list[Table]:
    """The tables of published files.

    Raises:
        InputError, ConfigError: as `published_models`; or an option cannot be used.
    """
    models = published_models(paths, options)
    values = [
        score.improvement.value
        for model in models
        for score in model.scores.values()
        if score.improvement.value is not None
    ]
    beyond = [value for value in values if not LOWEST <= value <= HIGHEST]
    notes = (
        [f"{len(beyond)} cells are outside {LOWEST:g} … {HIGHEST:g}, which no rule gives: {beyond[0]:g}"]
        if beyond
        else []
    )
    return score_tables(models, models, options, cka, notes)


def with_named_bases(
    runs: Sequence[EvaluatedRun], candidates: Sequence[EvaluatedRun], options: WorldOptions
) -> list[Experiment]:
    """The experiments of eval runs that somebody named, their bases looked for among `candidates` too.

    Raises:
        RecordError: a model's base was not evaluated; names it, and the command that does it.
    """
    found = experiments(with_bases(runs, candidates), options.mode)
    missing = [each for experiment in found for each in experiment.missing]
    if missing:
        raise missing_error(missing, f"\nor see what was measured only: --table {EVALUATION_KIND}")
    return found


def missing_error(missing: Sequence[MissingBase], otherwise: str = "") -> RecordError:
    """What to raise where bases were not evaluated: names the first, and the command that does it."""
    more = f" (and {len(missing) - 1} more models)" if len(missing) > 1 else ""
    return RecordError(missing[0].text + more, f"make it: {missing[0].command}{otherwise}")


def absence_notes(kinds: Sequence[str], tables: Sequence[Table]) -> list[str]:
    """Why tables of these kinds are not among all that were made of some models, where that can be said.

    Args:
        tables: all that were made, wanted or not
    """
    there = [str(row["family"]) for table in tables if table.kind == "world_means" for row in table.rows]
    if not there:
        return []
    found = {table.kind for table in tables}
    lacking = [family for family in (SINGLE, PAIR) if family not in there]
    no_pairs = (
        f"it needs {SINGLE} and {PAIR} models, and there are none of {' and '.join(lacking)}"
        if lacking
        else f"no {PAIR} model has both its {SINGLE} models of the same seed with defined values"
    )
    reasons = {
        "world_synergy": no_pairs,
        "world_difference": no_pairs,
        "world_reciprocity": f"it needs {SINGLE} models of at least two tasks",
        CKA_KIND: "it needs CKA between single-task models: extract the models, or give a table with --cka FILE",
    }
    return [f"there is no {kind}: {reasons[kind]}" for kind in kinds if kind in reasons and kind not in found]


def experiment_tables(
    found: Sequence[Experiment], runs: Sequence[EvaluatedRun], options: WorldOptions, cka: CkaByLayer | None
) -> list[Table]:
    """What the runs measured, then the tables of every experiment; several say in their titles which.

    Args:
        runs: those to list in the table of kind `world_eval`

    Raises:
        ConfigError: an option cannot be used.
    """
    tables = [evaluated_table(runs)]
    for experiment in found:
        if any(model.mixture.name != BASE for model in experiment.models):
            own = score_tables(experiment.models, experiment.counted, options, cka, experiment.notes)
            titled = [replace(table, title=f"{table.title} ({experiment.settings})") for table in own]
            tables += titled if len(found) > 1 else own
    return tables


def score_tables(
    models: Sequence[ScoredModel],
    counted: Sequence[ScoredModel],
    options: WorldOptions,
    cka: CkaByLayer | None,
    notes: Sequence[str],
) -> list[Table]:
    """Every table that these models suffice for.

    Args:
        models: all, for the table of each
        counted: of each mixture and seed one, for means and comparisons

    Raises:
        ConfigError: a split cannot be used.
    """
    present = {model.mixture.family for model in counted}
    singles = {model.mixture.name for model in counted if model.mixture.family == SINGLE}
    splits = [parse_split(text) for text in options.splits] or default_splits(_tasks(counted))
    tables = [improvement_table(models, options.mode, notes), means_table(counted)]
    if {SINGLE, PAIR} <= present:
        found = differences(counted, options.mode)
        tables += [synergy_table(counted, found, splits), difference_table(found)] if found else []
    if len(singles) > 1:
        tables.append(reciprocity_table(counted, options.tasks))
    if cka is not None:
        tables.append(generalisation_table(counted, cka, options.tasks))
    return tables


def task_list(text: str | None) -> tuple[str, ...]:
    """Names of tasks between commas; None is none.

    Raises:
        ConfigError: there is no such task.
    """
    names = tuple(name.strip() for name in text.split(",")) if text is not None else ()
    for name in names:
        if name not in TASK_NAMES:
            guess = nearest(name, TASK_NAMES)
            hint = f"did you mean {guess!r}?" if guess else f"tasks are {', '.join(TASK_NAMES)}"
            raise ConfigError(f"there is no task {name!r}", hint)
    return names


def cka_of_file(options: WorldOptions) -> CkaByLayer | None:
    """The CKA that the options name a file for; None where they name none.

    Raises:
        InputError: as `read_cka`.
    """
    return None if options.cka is None else read_cka(options.cka, options.layer)


def _tasks(models: Sequence[ScoredModel]) -> list[str]:
    return list(dict.fromkeys(task for model in models for task in model.scores))
