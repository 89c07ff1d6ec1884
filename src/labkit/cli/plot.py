"""`labkit plot`: figures of what runs found, drawn in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from labkit.cli.report import DEFAULT_RUNS_DIR, RUN_HELP, Ks, RunsDir, Salvage, Verbose

PASS_AT_K_HELP = """Draw pass@k over k in the terminal, one curve an arm, k on a logarithmic axis.

Named runs are merged as labkit report merges them; without names every group of runs gets a figure. Off a terminal the
figure is 100 columns wide and has no colour.
"""


def register(app: typer.Typer) -> None:
    plots = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    plots.callback()(_plot)
    plots.command("pass-at-k", help=PASS_AT_K_HELP)(_pass_at_k)
    app.add_typer(plots, name="plot", help="Draw what runs found.")


def _plot() -> None:
    """Without a callback Typer would make a group of one command into that command."""


def _pass_at_k(
    runs: Annotated[list[str] | None, typer.Argument(help=RUN_HELP, show_default=False)] = None,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    ks: Ks = None,
    width: Annotated[int | None, typer.Option("--width", min=60, help="Columns to draw on.  [the terminal's]")] = None,
    salvage: Salvage = False,
    verbose: Verbose = False,
) -> None:
    from labkit.cli.console import say
    from labkit.report.figures import pass_at_k_figure
    from labkit.report.overview import report
    from labkit.report.terminal import print_figure

    found = report(runs or (), runs_dir, ks=ks or (), salvage=salvage)
    tables = [table for table in found.tables if table.kind == "pass_at_k" and table.rows]
    for table in tables:
        print_figure(pass_at_k_figure(table), width=width)
    if not tables:
        say(f"there are no rollouts to plot under {runs_dir}; labkit sample and labkit perturb make some")
    for note in [*found.notes, *(note for table in tables for note in table.notes)]:
        say(f"note: {note}")
