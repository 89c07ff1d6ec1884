"""Carrying out a plan: files that differ are replaced whole, those that do not are not touched.

Make the plan and carry it out within `locked`, so that nobody else writes in between.

Generated files can be made again, so they are not synced: after a power cut some may be empty, which the next run writes
again, or hold what they held before, which it names as edited and writes again with `--overwrite`. The manifest is synced.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from labkit.errors import LabkitError, RecordError
from labkit.gencfg.generate import GeneratedFile
from labkit.gencfg.manifest import Entry
from labkit.gencfg.paths import MANIFEST_NAME
from labkit.gencfg.plan import Plan, State
from labkit.record.files import disk_error, write_atomically

_HINT = "make room and see that the folder may be written, or choose another with --out; running it again goes on"
_TEMPORARY = re.compile(r"\.(.+)\.\d+\.tmp")


def carry_out(plan: Plan, *, overwrite: bool = False, prune: bool = False) -> None:
    """Write what the plan says.

    Args:
        overwrite: files that were edited by hand are replaced too, and with `prune` removed
        prune: files that the matrix makes no more are removed, and the folders that this leaves empty

    Raises:
        MachineError: the disk is full. RecordError: the folder may not be written.
    """
    _sweep(plan)
    removed = paths_to_remove(plan, overwrite=overwrite) if prune else []
    files = [file for file in plan.generated.files if plan.states[file.path] in _replaced(overwrite)]
    final = _final_entries(plan, removed, {file.path for file in files})
    if not files and not removed and plan.manifest.is_current(final):
        return
    plan.manifest.write(_entries_meanwhile(plan, final))
    _remove(plan.folder, removed)
    _write(plan.folder, files)
    for path in removed:
        plan.manifest.others.pop(path, None)
    plan.manifest.write(final)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second labkit from writing the same folder. The lock is on the folder itself and leaves nothing behind.

    Raises:
        RecordError: another process holds it, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _explained(error, folder) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecordError(f"another labkit gencfg is writing {folder}", "wait for it, and try again") from None
        except OSError as error:  # a file system without locks
            raise _explained(error, folder) from None
        yield
    finally:
        os.close(descriptor)


def manifest_is_current(plan: Plan) -> bool:
    """Whether `gencfg.json` lists the files of the matrix that are there."""
    return plan.manifest.is_current(_final_entries(plan, [], set()))


def paths_to_remove(plan: Plan, *, overwrite: bool) -> list[str]:
    """What `--prune` removes; of stale files, those that were edited only with `--overwrite`."""
    return plan.paths("stale", "stale and edited") if overwrite else plan.paths("stale")


def _replaced(overwrite: bool) -> tuple[State, ...]:
    return ("create", "update", "edited") if overwrite else ("create", "update")


def _final_entries(plan: Plan, removed: list[str], written: set[str]) -> dict[str, Entry]:
    """The manifest afterwards. A file that was edited keeps the digest of what labkit wrote."""
    gone = set(removed)
    kept = {
        path: entry
        for path, entry in plan.manifest.entries.items()
        if path not in gone and (path in plan.states or os.path.lexists(plan.folder / path))
    }
    for file in plan.generated.files:
        if file.path in written or plan.states[file.path] == "unchanged":
            kept[file.path] = Entry(file.group, (file.digest,))
        elif file.path in kept:
            kept[file.path] = Entry(file.group, kept[file.path].digests)
    return kept


def _entries_meanwhile(plan: Plan, final: Mapping[str, Entry]) -> dict[str, Entry]:
    """The manifest while files are replaced: both contents are labkit's."""
    before = plan.manifest.entries
    both = {**before, **final}
    for path, entry in final.items():
        if path in before and before[path].digests != entry.digests:
            both[path] = Entry(entry.group, tuple(dict.fromkeys((*before[path].digests, *entry.digests))))
    return both


def _write(folder: Path, files: list[GeneratedFile]) -> None:
    made: set[Path] = set()
    for file in files:
        path = folder / file.path
        try:
            if path.parent not in made:
                path.parent.mkdir(parents=True, exist_ok=True)
                made.add(path.parent)
        except OSError as error:
            raise _explained(error, path) from None
        try:
            write_atomically(path, file.data, sync=False, executable=file.is_script)
        except LabkitError as error:
            error.hint = _HINT
            raise


def _sweep(plan: Plan) -> None:
    """Remove what a labkit that was killed was about to rename; within the lock nobody else writes."""
    known = {*plan.states, *plan.manifest.entries, MANIFEST_NAME}
    for parent in sorted({os.path.dirname(path) for path in known}):
        with suppress(OSError):  # no such folder yet
            for name in os.listdir(plan.folder / parent):
                found = _TEMPORARY.fullmatch(name)
                if found and os.path.join(parent, found[1]) in known:
                    os.unlink(plan.folder / parent / name)


def _remove(folder: Path, paths: list[str]) -> None:
    for path in paths:
        try:
            (folder / path).unlink(missing_ok=True)
        except OSError as error:
            raise _explained(error, folder / path) from None
        with suppress(OSError):  # a folder that holds something else stays
            for parent in (folder / path).parents:
                if parent == folder:
                    break
                parent.rmdir()


def _explained(error: OSError, path: Path) -> Exception:
    found = disk_error(error, path)
    found.hint = _HINT
    return found
