"""Finding runs: every folder under a runs folder, or the one that a user means. There is no index to go stale."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from labkit.config.names import RUN_PREFIX
from labkit.errors import RecordError
from labkit.record.run import Run, open_run, slugify

_MOST_LISTED = 4
_ASKED = re.compile(rb'^ "config_digest": "([0-9a-f]{16})"', re.MULTILINE)
"""The key where it stands in a `run.json`, found without parsing the rest. Its indentation is that of the top level, and
no text of JSON holds a line break, so nothing else looks like it."""


def find_run(reference: str, runs_dir: Path, command: str | None = None) -> Run:
    """The run a user means: a path, an id, the name that it was given, any part of an id that fits one run only, or
    `last`. The earlier of these wins over the later; `run:` may stand before a name.

    Args:
        command: runs of other commands are passed over as long as one of this command fits; None is any

    Raises:
        RecordError: none fits, or several do.
    """
    if (Path(reference) / "run.json").exists():
        return open_run(Path(reference))
    paths = list(run_paths(runs_dir))
    wanted = [path for path in paths if command in (None, path.parent.name)]
    if reference == "last":
        if not wanted:
            what = "run" if command is None else f"run of labkit {command}"
            raise RecordError(f"there is no {what} under {runs_dir} yet", "labkit runs list shows the runs there are")
        return open_run(max(wanted, key=lambda path: path.name))
    asked = reference.removeprefix(RUN_PREFIX)
    # One of another command is found last, so that the caller can say what is wrong with it.
    fits = _fitting(asked, wanted) or _fitting(asked, paths)
    if not fits:
        raise RecordError(f"no run {reference!r} under {runs_dir}", "labkit runs list shows the runs there are")
    if len(fits) > 1:
        ids = sorted(path.name for path in fits)
        more = ", …" if len(ids) > _MOST_LISTED else ""
        raise RecordError(
            f"{len(ids)} runs fit {reference!r}", f"give more of one's id: {', '.join(ids[:_MOST_LISTED])}{more}"
        )
    return open_run(fits[0])


def find_runs(references: Iterable[str], runs_dir: Path, command: str | None = None) -> list[Run]:
    """`find_run` of every run that a user names, each once.

    Raises:
        RecordError: as `find_run`.
    """
    found = [find_run(reference, runs_dir, command) for reference in references]
    return list({run.path.resolve(): run for run in found}.values())


def run_paths(runs_dir: Path, command: str | None = None) -> Iterator[Path]:
    """Every run folder under a runs folder, of one command or whatever its command."""
    if not runs_dir.is_dir():
        return
    for folder in _folders(runs_dir):
        if command not in (None, os.path.basename(folder)):
            continue
        for path in _folders(folder):
            if os.path.exists(f"{path}/run.json"):
                yield Path(path)


def runs_that_asked(runs_dir: Path, command: str, digests: Collection[str], since: str = "") -> dict[str, list[Path]]:
    """The run folders of a command by the digest of what was asked (`asked_digest`), the oldest first; only
    those of `digests`. Reads one small file a run, so thousands take moments.

    Args:
        since: a run id or the beginning of one, which begins with its time: older runs are not read
    """
    found: dict[str, list[Path]] = {}
    for path in _folders(runs_dir / command, since) if (runs_dir / command).is_dir() else []:
        try:
            with open(f"{path}/run.json", "rb") as stream:
                digest = _ASKED.search(stream.read())
        except OSError:  # no run yet, or one that is being removed
            continue
        if digest and (word := digest[1].decode()) in digests:
            found.setdefault(word, []).append(Path(path))
    return found


def headless_paths(runs_dir: Path) -> Iterator[Path]:
    """Folders that hold rows but have lost their `run.json`."""
    if runs_dir.is_dir():
        for command in _folders(runs_dir):
            for path in map(Path, _folders(command)):
                if not (path / "run.json").exists() and any(path.glob("rows/*.jsonl")):
                    yield path


def _fitting(asked: str, paths: Iterable[Path]) -> list[Path]:
    """The run folders of an id, else those of a name, else those with such a part in their id."""
    if not asked:
        return []
    parts = [path for path in paths if asked in path.name or slugify(asked) in path.name]
    return (
        [path for path in parts if path.name == asked]
        or [path for path in parts if given_name(path) == asked]
        or [path for path in parts if asked in path.name]
    )


def given_name(path: Path) -> str | None:
    """What the user called a run; None where nothing says so."""
    try:
        name = open_run(path).manifest.get("name")
    except RecordError:
        return None
    return name if isinstance(name, str) else None


def _folders(path: Path | str, since: str = "") -> list[str]:
    """Folders in a folder, by name; hidden ones, such as a run that is being removed, are none.

    Args:
        since: names before this one are left out
    """
    return sorted(
        entry.path
        for entry in os.scandir(path)
        if entry.name >= since and not entry.name.startswith(".") and entry.is_dir()
    )
