"""`labkit report`: tables of what runs found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunsDir = Annotated[
    Path, typer.Option("--runs-dir", envvar="LABKIT_RUNS_DIR", help="The folder of runs.", show_default=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values, numbers in full.")]
Ks = Annotated[
    list[int] | None,
    typer.Option("--k", "-k", min=1, help="Show pass@k for this k; repeatable.  [powers of two up to the rollouts]"),
]
Salvage = Annotated[bool, typer.Option("--salvage", help="Read past damaged lines, and say how many there were.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show a traceback beside an error.")]
RUN_HELP = "A run: its path, its name, a part of the name that fits only one, or last."
DEFAULT_RUNS_DIR = Path("runs")

HELP = """Show what runs found, as tables.

That is pass@k with 95 % intervals over prompts, and the last values of training runs.

Named runs are merged into one table, where a rollout that stands in several counts once; they must rest on the same
base and scorer. Without names every run is shown, and those that cannot be merged stand in tables of their own.
Off a terminal the tables are tab-separated, with all columns and nothing cut.
"""


def register(app: typer.Typer) -> None:
    app.command("report", help=HELP)(_report)


def _report(
    runs: Annotated[list[str] | None, typer.Argument(help=RUN_HELP, show_default=False)] = None,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    ks: Ks = None,
    as_json: Json = False,
    as_csv: Csv = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX tables for the booktabs package.")] = False,
    salvage: Salvage = False,
    verbose: Verbose = False,
) -> None:
    from labkit.cli.console import say
    from labkit.report.render import chosen_format, print_tables

    format = chosen_format(json=as_json, csv=as_csv, markdown=markdown, latex=latex)

    from labkit.report.overview import report

    found = report(runs or (), runs_dir, ks=ks or (), salvage=salvage)
    if found.tables or as_json:
        print_tables(found.tables, format=format)
    elif not found.notes:
        say(f"there is nothing to report under {runs_dir}; labkit sample and labkit perturb make runs")
    for note in found.notes:
        say(f"note: {note}")
