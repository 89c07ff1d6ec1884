"""The `labkit` command: its subcommands, its version, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from labkit import __version__
from labkit.cli import data, doctor, eval, extract, gencfg, perturb, plot, report, run, runs, sample, train
from labkit.errors import LabkitError
from labkit.execute.signals import Terminated, install_handlers

app = typer.Typer(
    name="labkit",
    help="Language-model experiments on one run record. Each command reads a config, does one thing, and writes or reads a run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (sample, perturb, eval, data, train, extract, gencfg, run, report, plot, runs, doctor):
    module.register(app)

EXIT_BUG = 70
EXIT_TERMINATED = 143


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"labkit {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line. Errors the user can act on become one box and the exit code they have."""
    # Threads that wait by spinning starve each other on a busy machine: decoding a small model beside another process
    # took 35 times as long. Set before torch is imported; a user's own choice stands.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    install_handlers()
    # A pipe that is closed early (`labkit runs list | head`) ends the process as it ends any other tool.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        app()
    except LabkitError as error:
        _show(error)
        sys.exit(error.exit_code)
    except Terminated:
        sys.exit(EXIT_TERMINATED)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        _show(
            LabkitError(
                f"this is a bug in labkit: {error!r} ({where})", "run it again with --verbose and report what it prints"
            )
        )
        sys.exit(EXIT_BUG)


def _show(error: LabkitError) -> None:
    from labkit.cli.console import show_error

    if "--verbose" in sys.argv:
        traceback.print_exc()
    show_error(error)
