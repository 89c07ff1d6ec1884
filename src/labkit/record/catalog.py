"""Finding runs: every folder under a runs folder, or the one that a user means. There is no index to go stale."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from labkit.errors import RecordError
from labkit.record.run import Run, open_run


def find_run(reference: str, runs_dir: Path, command: str | None = None) -> Run:
    """The run a user means: a path, a whole name, any part of a name that fits one run only, or `last`.

    Args:
        command: `last` is the last run of this command; None is the last of any

    Raises:
        RecordError: none fits, or several do.
    """
    if (Path(reference) / "run.json").exists():
        return open_run(Path(reference))
    paths = list(run_paths(runs_dir))
    if reference == "last":
        paths = [path for path in paths if command in (None, path.parent.name)]
        if not paths:
            what = "run" if command is None else f"run of labkit {command}"
            raise RecordError(f"there is no {what} under {runs_dir} yet", "labkit runs list shows the runs there are")
        return open_run(max(paths, key=lambda path: path.name))
    fits = [path for path in paths if path.name == reference] or [path for path in paths if reference in path.name]
    if len(fits) == 1 and reference:
        return open_run(fits[0])
    if not fits or not reference:
        raise RecordError(f"no run {reference!r} under {runs_dir}", "labkit runs list shows the runs there are")
    names = ", ".join(sorted(path.name for path in fits)[:5])
    raise RecordError(f"{len(fits)} runs fit {reference!r}: {names}", "give more of the name")


def find_runs(references: Iterable[str], runs_dir: Path, command: str | None = None) -> list[Run]:
    """`find_run` of every run that a user names, each once.

    Raises:
        RecordError: as `find_run`.
    """
    found = [find_run(reference, runs_dir, command) for reference in references]
    return list({run.path.resolve(): run for run in found}.values())


def run_paths(runs_dir: Path) -> Iterator[Path]:
    """Every run folder under a runs folder, whatever its command."""
    if not runs_dir.is_dir():
        return
    for command in _folders(runs_dir):
        for path in _folders(command):
            if os.path.exists(f"{path}/run.json"):
                yield Path(path)


def headless_paths(runs_dir: Path) -> Iterator[Path]:
    """Folders that hold rows but have lost their `run.json`."""
    if runs_dir.is_dir():
        for command in _folders(runs_dir):
            for path in map(Path, _folders(command)):
                if not (path / "run.json").exists() and any(path.glob("rows/*.jsonl")):
                    yield path


def _folders(path: Path | str) -> list[str]:
    """Folders in a folder, by name; hidden ones, such as a run that is being removed, are none."""
    return sorted(entry.path for entry in os.scandir(path) if not entry.name.startswith(".") and entry.is_dir())
