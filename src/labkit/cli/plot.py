"""`labkit plot`: figures of what runs found, drawn in the terminal or written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from labkit.cli import plot_comparisons, plot_sweeps
from labkit.cli.plot_output import Json, Out, Width, check_out, show
from labkit.cli.report import (
    DEFAULT_RUNS_DIR,
    RUN_HELP,
    RUN_OR_CSV_HELP,
    CkaFile,
    Improvement,
    Layer,
    RunsDir,
    Salvage,
    Verbose,
)

HEATMAP_HELP = """Draw a matrix of models and tasks of the world-cities experiment.

improvement is the normalised improvement, difference that of models of two tasks minus what is expected from the better
single-task model, and cka how alike the hidden states of single-task models are. Without names it is about every eval run.
Tasks that a model was trained on carry a T.
"""

TRAINING_HELP = """Draw what trainings logged over their steps, one curve a run, one figure a metric.

Without names it is about every training.
"""

EXPLORER_HELP = """Write a page in which every prompt of some runs can be looked at, two arms against each other.

It is one HTML file that needs no network: counts of all rollouts, and of each prompt and arm at most eight texts with their
verdicts. The runs may be of several models; they have to be of one task and over the same prompts.
"""


def register(app: typer.Typer) -> None:
    plots = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    plot_sweeps.register(plots)
    plot_comparisons.register(plots)
    plots.command("heatmap", short_help="Models by tasks of the world experiment", help=HEATMAP_HELP)(_heatmap)
    plots.command("training", short_help="What trainings logged over their steps", help=TRAINING_HELP)(_training)
    plots.command("explorer", short_help="A page of every prompt and its rollouts", help=EXPLORER_HELP)(_explorer)
    app.add_typer(plots, name="plot", help="Draw what runs found.")


def _heatmap(
    runs: Annotated[list[str] | None, typer.Argument(help=RUN_OR_CSV_HELP, show_default=False)] = None,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    value: Annotated[Literal["improvement", "difference", "cka"], typer.Option(help="What is drawn.")] = "improvement",
    family: Annotated[
        Literal["ftwb1", "ftwb2"] | None,
        typer.Option(help="Models of one task or of two.  [two, where there are some]", show_default=False),
    ] = None,
    seed: Annotated[
        str, typer.Option(metavar="SEED", help="One seed, aggregated (the mean of each cell), or all, one by one.")
    ] = "aggregated",
    improvement: Improvement = None,
    cka: CkaFile = None,
    layer: Layer = None,
    out: Out = None,
    width: Width = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    from labkit.cli.console import say
    from labkit.report.world.pictures import heatmaps
    from labkit.report.world.tables import WorldOptions

    check_out(out, as_json=as_json)
    options = WorldOptions(improvement, cka=cka, layer=layer)
    found, notes = heatmaps(runs or (), runs_dir, options, value=value, family=family, seed=seed)
    show(found, out, width, as_json=as_json)
    for note in notes:
        say(f"note: {note}")


def _training(
    runs: Annotated[list[str] | None, typer.Argument(help=RUN_HELP, show_default=False)] = None,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", metavar="NAME", show_default=False,
            help="A metric to draw; repeatable.  [loss, learning_rate, and what evaluations measured]",
        ),
    ] = None,
    out: Out = None,
    width: Width = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:  # fmt: skip
    from labkit.cli.console import say
    from labkit.errors import ConfigError
    from labkit.report.overview import training_runs
    from labkit.report.training_figures import training_figures

    check_out(out, as_json=as_json)
    found, notes = training_runs(runs or (), runs_dir)
    figures = training_figures(found, metrics or ()) if found else []
    if not figures:
        nothing = "nothing was logged yet" if found else f"there is no training to plot under {runs_dir}"
        if out is not None:
            raise ConfigError(f"{nothing}, so {out} is not written", "labkit runs list shows the runs there are")
        say(nothing)
    show(figures, out, width, as_json=as_json)
    for note in notes:
        say(f"note: {note}")


def _explorer(
    runs: Annotated[list[str], typer.Argument(help=RUN_HELP, show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page to write, .html.", show_default=False)],
    intersect: Annotated[
        bool, typer.Option("--intersect", help="Of runs over different prompts, show those that all were asked.")
    ] = False,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    salvage: Salvage = False,
    verbose: Verbose = False,
) -> None:
    from labkit.cli.console import say
    from labkit.record.catalog import find_runs
    from labkit.report.explorer.page import check_page_path, save_explorer

    check_page_path(out)
    for note in save_explorer(find_runs(runs, runs_dir), out, intersect=intersect, salvage=salvage):
        say(f"note: {note}")
    say(f"wrote {out}")
