"""The page that `labkit report` is without arguments, on a terminal."""

from __future__ import annotations

from pathlib import Path


def print_page(runs_dir: Path) -> None:
    """Print one screen about a folder of runs."""
    from rich.console import Console

    from labkit.cli.console import say
    from labkit.cli.into import has_named_folder
    from labkit.report.morning import look
    from labkit.report.morning_page import page

    morning = look(runs_dir, given_dir=has_named_folder(runs_dir))
    if not (morning.counts or morning.damaged or morning.failed):
        what = f"there is nothing to report under {runs_dir}" if runs_dir.is_dir() else f"there is no folder {runs_dir}"
        say(f"{what}; labkit sample and labkit perturb make runs")
        return
    console = Console(highlight=False)
    for line in page(morning, console.width, console.height):
        console.print(line, no_wrap=True, overflow="ignore", crop=False)
