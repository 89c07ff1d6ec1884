"""`labkit report`: tables of what runs found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

RunsDir = Annotated[
    Path, typer.Option("--runs-dir", envvar="LABKIT_RUNS_DIR", help="The folder of runs.", show_default=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values, numbers in full.")]
Ks = Annotated[
    list[int] | None,
    typer.Option("--k", "-k", min=1, help="Show pass@k and best_of_n for this k; repeatable.  [powers of two]"),
]
Salvage = Annotated[bool, typer.Option("--salvage", help="Read past damaged lines, and say how many there were.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show a traceback beside an error.")]
RUN_HELP = "A run: its path, its name, a part of the name that fits only one, or last."
RUN_OR_CSV_HELP = RUN_HELP + " Or a published table, a path that ends in .csv."
ImprovementMode = Literal["monotone", "published"]
Improvement = Annotated[
    ImprovementMode | None,
    typer.Option(
        "--improvement",
        help="Rules of normalised improvement where its formula has no value: none, or those of the published code."
        "  [monotone]",
        show_default=False,
    ),
]
CkaFile = Annotated[
    Path | None,
    typer.Option("--cka", metavar="FILE", help="CSV of CKA between single-task models.", show_default=False),
]
Layer = Annotated[int | None, typer.Option("--layer", min=0, help="Layer of CKA.  [all]", show_default=False)]
Into = Annotated[
    Path | None,
    typer.Option(
        "--into",
        metavar="FILE",
        help="Write Markdown tables into a notes file, between <!-- labkit report ARGUMENTS --> and <!-- /labkit -->;"
        "  without other arguments bring all of its tables up to date.",
        show_default=False,
    ),
]
DEFAULT_RUNS_DIR = Path("runs")
TABLE_KINDS = (
    *("pass_at_k", "training", "checks", "world_eval", "world_ni", "world_means", "world_synergy", "world_difference"),
    *("world_reciprocity", "world_cka", "representations", "cka"),
    *("dbdk", "dbdk_category", "dbdk_items", "dbdk_comparison", "dbdk_item_tests"),
    *("best_of_n", "gsm8k_rules"),
    *("comparison", "best", "overlap", "union", "equal_tokens", "comparison_arms"),
)
"""`labkit.report.overview.KINDS`, which takes longer to load than help may."""

HELP = """Show what runs found, as tables.

That is pass@k with 95 % intervals over prompts, what choosing among GSM8K candidates is worth, the last values of
training runs, what evaluations on the world measured with the normalised improvement and synergy of fine-tuned models,
what was read from hidden states, and how often Goodhart items were explained and answered.

Named runs are merged into one table, where a rollout that stands in several counts once; they must rest on the same
base and scorer; Goodhart runs on several models are compared with the first. Without names every run is shown, and those
that cannot be merged stand in tables of their own. With --against, both sides are merged so and compared over the same prompts.
Off a terminal the tables are tab-separated, with all columns and nothing cut. On a terminal, without arguments, it is one
page: what runs, what stopped and how to go on with it, what ran last and the newest table of each kind.
"""


def register(app: typer.Typer) -> None:
    app.command("report", help=HELP)(_report)


def _report(
    context: typer.Context,
    runs: Annotated[list[str] | None, typer.Argument(help=RUN_OR_CSV_HELP, show_default=False)] = None,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--table",
            metavar="KIND",
            help=f"Show this kind of table only; repeatable: {', '.join(TABLE_KINDS)}.  [all]",
            show_default=False,
        ),
    ] = None,
    ks: Ks = None,
    improvement: Improvement = None,
    splits: Annotated[
        list[str] | None,
        typer.Option(
            "--split",
            metavar="SPLIT",
            help="Split synergy by contains:TASK[,TASK…] (any of them) or kind:error|accuracy|mixed; repeatable."
            "  [contains:distance]",
            show_default=False,
        ),
    ] = None,
    cka: CkaFile = None,
    layer: Layer = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            "--tasks",
            metavar="TASK,TASK…",
            help="Tasks of reciprocity and CKA.  [all but crossing]",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="RUN",
            help="Compare with this run, which is the base; repeatable: sweeps with sweeps, or goodhart runs.",
            show_default=False,
        ),
    ] = None,
    intersect: Annotated[
        bool, typer.Option("--intersect", help="With --against: compare over the prompts that both sides have.")
    ] = False,
    arms: Annotated[
        list[str] | None,
        typer.Option(
            "--arm",
            metavar="ARM",
            help="With --against: compare this arm, twice: one of each side, such as temperature=1.  [the best]",
            show_default=False,
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="ITEM", help="Leave this Goodhart item out; repeatable.", show_default=False),
    ] = None,
    as_json: Json = False,
    as_csv: Csv = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX tables for the booktabs package.")] = False,
    salvage: Salvage = False,
    every: Annotated[bool, typer.Option("--all", help="Show the tables of every run, not the page.")] = False,
    into: Into = None,
    check: Annotated[
        bool, typer.Option("--check", help="With --into: exit code 1 if it would change the file.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    import sys

    from labkit.cli.console import say
    from labkit.cli.into import asks_for_nothing, refresh
    from labkit.report.render import chosen_format, print_tables

    format = chosen_format(json=as_json, csv=as_csv, markdown=markdown, latex=latex)
    if into is not None or check:
        refresh(context, into, check=check)
        return
    if format is None and context.obj is None and sys.stdout.isatty() and asks_for_nothing(context):
        from labkit.cli.page import print_page

        print_page(runs_dir)
        return

    from labkit.report.comparison.kinds import ComparisonOptions
    from labkit.report.overview import report, shortened
    from labkit.report.world.tables import WorldOptions, task_list

    world = WorldOptions(improvement, tuple(splits or ()), cka, layer, task_list(tasks))
    found = report(
        runs or (),
        runs_dir,
        ks=ks or (),
        salvage=salvage,
        kinds=kinds or (),
        world=world,
        against=against or (),
        without=without or (),
        comparison=ComparisonOptions(tuple(arms or ()), intersect),
    )
    if isinstance(context.obj, list):  # a block of a notes file
        context.obj.append(found)
        return
    if format is None and sys.stdout.isatty() and not kinds:
        found = shortened(found)
    if found.tables or as_json:
        print_tables(found.tables, format=format)
    elif kinds:
        say(f"there is nothing to report of kind {' or '.join(kinds)}")
    elif not found.notes:
        what = f"there is nothing to report under {runs_dir}" if runs_dir.is_dir() else f"there is no folder {runs_dir}"
        say(f"{what}; labkit sample and labkit perturb make runs")
    for note in found.notes:
        say(f"note: {note}")
