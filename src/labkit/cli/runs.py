"""`labkit runs`: list, show, watch, compare, import, compact and remove runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from labkit.cli.report import DEFAULT_RUNS_DIR, RUN_HELP, Csv, Json, RunsDir, Verbose

if TYPE_CHECKING:
    from labkit.record.run import Run
    from labkit.report.watching import Snapshot

RunArgument = Annotated[str, typer.Argument(help=RUN_HELP)]
EXIT_INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    runs = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    runs.command("list", help="List runs, the newest first, with what each one found.")(_list)
    runs.command("show", help="Show a run: config and origins, base, what was asked, what happened, results.")(_show)
    runs.command("watch", help="Follow a run until it is done or interrupted. Ctrl-C ends the watching only.")(_watch)
    runs.command("diff", help="Show what differs between two runs, both values beside each other.")(_diff)
    runs.command("import", help="Make a run of a published result file. The same file is imported once.")(_import)
    runs.command("compact", help="Pack finished runs into one Parquet file each, checked before any row goes.")(
        _compact
    )
    runs.command("rm", help="Remove runs for good, after asking. A run at work is refused.")(_rm)
    app.add_typer(runs, name="runs", help="List, show, watch, compare, import, compact and remove runs.")


def _list(
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    command: Annotated[str | None, typer.Option("--command", help="Only runs of this command, such as sample.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the newest so many.")] = None,
    as_json: Json = False,
    as_csv: Csv = False,
    verbose: Verbose = False,
) -> None:
    from labkit.cli.console import say
    from labkit.report.listing import runs_table
    from labkit.report.render import chosen_format, print_tables

    format = chosen_format(json=as_json, csv=as_csv)
    table = runs_table(runs_dir, command=command, limit=limit)
    if not table.rows and format is None:
        for note in table.notes:
            say(f"note: {note}")
        say(f"there are no runs under {runs_dir}; labkit sample and labkit perturb make some")
        return
    print_tables([table], format=format)


def _show(
    run: RunArgument, runs_dir: RunsDir = DEFAULT_RUNS_DIR, as_json: Json = False, verbose: Verbose = False
) -> None:
    import json

    from rich.console import Console

    from labkit.record.catalog import find_run
    from labkit.report.inspection import events_text, facts, origins, run_as_json

    found = find_run(run, runs_dir)
    if as_json:
        print(json.dumps(run_as_json(found), ensure_ascii=False))
        return
    places = origins(found)
    sections = facts(found) | {"events": events_text(found)}
    console = Console(highlight=False)
    for title, lines in sections.items():
        if not lines:
            continue
        console.print(title, style="bold", markup=False)
        width = max(map(len, lines))
        for key, value in lines.items():
            place = f"  ({places[key]})" if title == "config" and key in places else ""
            print(f"  {key:<{width}}  {value}{place}")
        print()


def _watch(run: RunArgument = "last", runs_dir: RunsDir = DEFAULT_RUNS_DIR, verbose: Verbose = False) -> None:
    from labkit.cli.console import say
    from labkit.record.catalog import find_run

    found = find_run(run, runs_dir)
    try:
        last = (_watch_live if sys.stdout.isatty() else _watch_lines)(found)
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if last.status == "interrupted":
        say(f"{found.id} is not running; go on with: {found.way_on}")


def _diff(
    first: Annotated[str, typer.Argument(metavar="A", help=RUN_HELP)],
    second: Annotated[str, typer.Argument(metavar="B", help="The run to compare it with.")],
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    as_json: Json = False,
    as_csv: Csv = False,
    verbose: Verbose = False,
) -> None:
    from labkit.record.catalog import find_run
    from labkit.report.inspection import difference_table
    from labkit.report.render import chosen_format, print_tables

    format = chosen_format(json=as_json, csv=as_csv)
    table = difference_table(find_run(first, runs_dir), find_run(second, runs_dir))
    if not table.rows and format is None:
        print("no difference")
        return
    print_tables([table], format=format)


def _import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A published result.")],
    form: Annotated[Literal["goodhart"], typer.Option("--as", help="What it is a result of.")],
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    name: Annotated[str | None, typer.Option("--name", help="A name for the run.  [that of the file]")] = None,
    verbose: Verbose = False,
) -> None:
    from labkit.cli.console import say
    from labkit.rollouts.importing import NOTE, import_goodhart

    run, is_new = import_goodhart(file, runs_dir, name)
    known = run.manifest.get("name")
    kept = f", as {known}: the name {name} is not used" if name not in (None, known) else ""
    say(NOTE if is_new else f"{file} was imported before{kept}")
    say(f"recorded in {run.path}")


def _compact(
    runs: Annotated[list[str] | None, typer.Argument(help=RUN_HELP, show_default=False)] = None,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    all_runs: Annotated[bool, typer.Option("--all", help="Compact every finished run.")] = False,
    verbose: Verbose = False,
) -> None:
    from labkit.cli.console import say
    from labkit.errors import ConfigError
    from labkit.record.catalog import find_runs
    from labkit.report.packing import finished_runs, is_loose, pack
    from labkit.report.render import print_tables

    notes: list[str] = []

    if bool(runs) == all_runs:
        raise ConfigError("runs compact needs to know which runs", "name runs, or give --all, not both")
    chosen = finished_runs(runs_dir, notes) if all_runs else find_runs(runs or (), runs_dir)
    loose = [run for run in chosen if is_loose(run)]
    if loose:
        print_tables([pack(loose)])
    for run in chosen:
        if run not in loose and not all_runs:
            say(f"{run.id} has nothing to compact")
    if all_runs and not loose:
        say(f"nothing to compact under {runs_dir}")
    for note in notes:
        say(f"note: {note}")


def _rm(
    runs: Annotated[list[str], typer.Argument(help=RUN_HELP)],
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    verbose: Verbose = False,
) -> None:
    from labkit.cli.console import say
    from labkit.errors import ConfigError
    from labkit.record.catalog import find_runs
    from labkit.record.removal import remove
    from labkit.record.run import refuse_if_running

    chosen = find_runs(runs, runs_dir)
    for run in chosen:
        refuse_if_running(run)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(f"nobody is there to confirm the removal of {len(chosen)} runs", "add --yes")
        for run in chosen:
            say(f"  {run.path}  ({run.status()})")
        if not typer.confirm("Remove for good?", err=True):
            raise typer.Exit(1)
    for run in chosen:
        remove(run)
        say(f"removed {run.path}")


def _watch_lines(run: Run) -> Snapshot:
    """Print a line at every change."""
    from labkit.report.watching import watch

    return watch(run, lambda snapshot: print(snapshot.text, flush=True))


def _watch_live(run: Run) -> Snapshot:
    """Redraw one place of the terminal at every change."""
    from rich.console import Console, Group
    from rich.live import Live

    from labkit.report.render import drawn
    from labkit.report.watching import watch

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False) as live:

        def show(snapshot: Snapshot) -> None:
            live.update(Group(snapshot.summary, drawn(snapshot.table, console.width)), refresh=True)

        return watch(run, show)
