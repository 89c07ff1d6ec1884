"""Which models a heatmap is about: those of named runs or published tables, or of every eval run there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from labkit.errors import ConfigError, RecordError
from labkit.record.catalog import find_runs, run_paths
from labkit.record.run import Run, open_run
from labkit.report.figures import Heatmap
from labkit.report.naming import unless_damaged
from labkit.report.overview import world_runs
from labkit.report.world.baselines import experiments, missing_notes, unfinished_notes
from labkit.report.world.extractions import chosen_cka
from labkit.report.world.generalisation import CkaByLayer
from labkit.report.world.heatmaps import Value, cka_heatmaps, score_heatmaps
from labkit.report.world.reading import is_world_run, read_all
from labkit.report.world.scores import AGGREGATED, BASE, PAIR, SINGLE, ScoredModel, families
from labkit.report.world.tables import WorldOptions, cka_of_file, missing_error, published_models, with_named_bases


def heatmaps(
    references: Sequence[str],
    runs_dir: Path,
    options: WorldOptions,
    *,
    value: Value = "improvement",
    family: str | None = None,
    seed: str = AGGREGATED,
) -> tuple[list[Heatmap], list[str]]:
    """The heatmaps that were asked for, and notes; experiments that were asked other questions stand apart.

    Args:
        references: runs, or published tables: paths that end in `.csv`; none is every run under `runs_dir`

    Raises:
        RecordError: a named run is unknown, damaged or lacks its baseline. InputError: a CSV file cannot be used.
        ConfigError: there is nothing to draw, or options do not fit each other.
    """
    notes: list[str] = []
    if value == "cka":
        if family is not None or seed != AGGREGATED or options.improvement is not None:
            raise ConfigError("a heatmap of CKA has no family, seed or rules of improvement", "leave the option out")
        if references and options.cka is not None:
            raise ConfigError("a heatmap of CKA is of runs or of a table", "name either extractions or --cka FILE")
        found = cka_of_file(options) or _extracted(references, runs_dir, options.layer, notes)
        return cka_heatmaps(found), notes
    if options.cka is not None or options.layer is not None:
        raise ConfigError("--cka and --layer are for heatmaps of CKA", "add --value cka, or leave them out")
    drawn: list[Heatmap] = []
    groups = _groups(references, runs_dir, options, notes)
    for settings, models in groups:
        notes += _other_family(models, value, family)
        own = score_heatmaps(models, value, family=family, seed=seed, mode=options.mode)
        drawn += own if len(groups) == 1 else [replace(each, title=f"{each.title} ({settings})") for each in own]
    return drawn, notes


def _other_family(models: Sequence[ScoredModel], value: Value, family: str | None) -> list[str]:
    """A sentence on models that the family chosen by default leaves out."""
    if family is not None or value != "improvement":
        return []
    others = [name for name in families(models)[:-1] if name in (SINGLE, PAIR)]
    return [f"there are {name} models too: --family {name}" for name in others]


def _groups(
    references: Sequence[str], runs_dir: Path, options: WorldOptions, notes: list[str]
) -> list[tuple[str, list[ScoredModel]]]:
    """Models that may be drawn together, with what they were asked."""
    files = [Path(reference) for reference in references if reference.endswith(".csv")]
    if files:
        if len(files) < len(references):
            raise ConfigError("a heatmap is of runs or of published tables", "name either runs or CSV files")
        return [("", published_models(files, options))]
    if references:
        runs = find_runs(references, runs_dir, "eval")
        for run in runs:
            if not is_world_run(run):
                what = f"{run.id}, made by labkit {run.command}, is no evaluation on the world"
                raise RecordError(what, "name runs of labkit eval world, or CSV files")
        found = with_named_bases(read_all(runs), world_runs(runs_dir, []), options)
    else:
        found = experiments(world_runs(runs_dir, notes), options.mode)
        notes += missing_notes(found)
    missing = [each for experiment in found for each in experiment.missing]
    tuned = [each for each in found if any(model.mixture.name != BASE for model in each.counted)]
    if not tuned and missing:
        raise missing_error(missing)
    if not tuned and (unfinished := unfinished_notes(run for each in found for run in each.runs)):
        raise RecordError("there is no improvement yet", "; ".join(unfinished))
    if not tuned:
        what = f"there are no fine-tuned models with their base among the eval runs under {runs_dir}"
        raise ConfigError(what, "labkit eval world --model run:NAME evaluates a model")
    notes += [note for each in tuned for note in each.notes]
    return [(each.settings, each.counted) for each in tuned]


def _extracted(references: Sequence[str], runs_dir: Path, layer: int | None, notes: list[str]) -> CkaByLayer:
    found: list[Run] = []
    tables = [name for name in references if name.endswith(".csv")]
    if tables:
        raise ConfigError(f"{tables[0]} is no extraction", f"a table of CKA is given with --cka {tables[0]}")
    if references:
        found = find_runs(references, runs_dir, "extract")
    else:
        for path in run_paths(runs_dir):
            if path.parent.name == "extract":
                run = unless_damaged(open_run, path, path.name, notes)
                found += [run] if run is not None else []
    cka = chosen_cka(found, layer, notes) if found else {}
    if not cka:
        raise ConfigError(
            "there are no extractions of two single-task models of one base and seed",
            "make some with labkit extract, or name a table with --cka FILE",
        )
    return cka
