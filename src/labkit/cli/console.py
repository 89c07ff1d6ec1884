"""Where words go: data to stdout, talk to stderr, errors in one box."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

    from labkit.errors import LabkitError
    from labkit.record.run import Run


def stderr_console() -> Console:
    """The console for talk. Rich reads NO_COLOR, FORCE_COLOR and TERM itself."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """One line of talk, or a few."""
    from labkit.report.screen_text import clean_lines

    print(clean_lines(text), file=sys.stderr, flush=True)


def progress_bar(*columns: ProgressColumn) -> Progress:
    """A bar on stderr with a description, a count and the time left, and `columns` before that; none off a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = stderr_console()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        *columns,
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def show_error(error: LabkitError) -> None:
    """What happened, where, and what to do about it."""
    from rich.panel import Panel
    from rich.text import Text

    from labkit.report.screen_text import clean_lines

    console = stderr_console()
    body = Text(clean_lines(error.message))
    if error.hint:
        body.append(clean_lines(f"\n→ {error.hint}"), style="bold")
    if console.is_terminal:
        console.print(Panel(body, title="labkit", title_align="left", border_style="red", expand=False))
    else:  # a box wrapped at a guessed width would break paths that scripts look for
        say("labkit: " + body.plain)


def say_how_to_resume(run: Run | None, error: BaseException | None) -> None:
    """After a run ended early: the command that goes on with it. A refusal, or a config that cannot work, has none."""
    from labkit.errors import ConfigError, RecordError

    if run is not None and error is not None and not isinstance(error, (ConfigError, RecordError)):
        say(f"interrupted; go on with: {run.way_on}")
