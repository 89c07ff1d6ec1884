"""What would change on disk: every file that should be there against every file that is.

Reads; `labkit.gencfg.write` writes. A file that labkit did not write, or that somebody edited since, is never in the way
of a plan silently: it is foreign, or edited.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from labkit.errors import RecordError
from labkit.gencfg.generate import Generated, GeneratedFile, digest_of
from labkit.gencfg.manifest import Entry, Manifest, read_manifest
from labkit.gencfg.paths import MANIFEST_NAME, folders_above
from labkit.gencfg.yaml_writer import yaml_leaves

State = Literal["create", "update", "unchanged", "edited", "stale", "stale and edited", "foreign"]
STATES: tuple[State, ...] = get_args(State)
_MAX_NAMED = 20


@dataclass(slots=True)
class Plan:
    """The state of every file that the matrix makes, or once made."""

    generated: Generated
    manifest: Manifest
    states: dict[str, State] = field(default_factory=dict)
    """By path: those that should be there in the order of the matrix, then those that should not."""
    changed_keys: Counter[str] = field(default_factory=Counter)
    """How many files that are there already have another value of a key."""
    unasked: Counter[str] = field(default_factory=Counter)
    """Files of sections that are off this time, by section; they are left alone."""

    @property
    def folder(self) -> Path:
        """The output folder."""
        return self.manifest.folder

    def paths(self, *states: State) -> list[str]:
        """The paths of these states."""
        return [path for path, state in self.states.items() if state in states]

    def counts(self) -> dict[str, Counter[State]]:
        """How many files of each section are in which state."""
        groups = {file.path: file.group for file in self.generated.files}
        found: dict[str, Counter[State]] = {name: Counter() for name in self.generated.groups}
        for path, state in self.states.items():
            group = groups[path] if path in groups else self.manifest.entries[path].group
            found.setdefault(group, Counter())[state] += 1
        return found


def make_plan(generated: Generated, folder: Path, *, allow_foreign: bool = False) -> Plan:
    """Hold a matrix against a folder.

    Args:
        allow_foreign: whether files that labkit did not write may stand where it would write; such a plan is to be
            read, and not to be carried out

    Raises:
        RecordError: files that labkit did not write stand where it would write, or the manifest cannot be read.
    """
    plan = Plan(generated, read_manifest(folder, generated.file.name))
    for file in generated.files:
        current = _read(folder / file.path)
        state = plan.states[file.path] = _state(file, current, plan.manifest.entries.get(file.path))
        if state == "unchanged" and file.is_script and not os.access(folder / file.path, os.X_OK):
            plan.states[file.path] = "update"
            plan.changed_keys.update(["the right to run"])
        elif current and state in ("update", "edited"):
            plan.changed_keys.update(_changed_keys(current, file))
    _refuse_obstacles(plan, [] if allow_foreign else plan.paths("foreign"))
    _add_unwanted(plan)
    return plan


def _state(file: GeneratedFile, current: bytes | None, entry: Entry | None) -> State:
    """The state of a file that should be there."""
    if not current:  # an empty file is one that a power cut left
        return "create"
    if current == file.data:
        return "unchanged"
    if entry is None:
        return "foreign"
    return "update" if digest_of(current) in entry.digests else "edited"


def _read(path: Path) -> bytes | None:
    """A file's content, or None where there is none. A folder in its place is no file to overwrite."""
    try:
        with open(path, "rb", buffering=0) as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise RecordError(
            f"{path} is a folder, where a file should stand", "move it away, or choose another --out"
        ) from None
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}", "choose another folder with --out") from None


def _changed_keys(current: bytes, file: GeneratedFile) -> Collection[str]:
    """The keys in which two texts differ; of a script only that it does."""
    if not file.path.endswith(".yaml"):
        return {"the text"}
    old = yaml_leaves(current.decode(errors="replace"))
    new = yaml_leaves(file.data.decode())
    return {key for key in {*old, *new} if old.get(key) != new.get(key)} or {"the comments"}


def _refuse_obstacles(plan: Plan, foreign: Collection[str]) -> None:
    taken = [path for path in (file.path for file in plan.generated.files) if path in plan.manifest.others]
    if taken:
        whose = plan.manifest.others[taken[0]]
        hint = "give one of the two matrices paths of its own, or another --out"
        raise RecordError(f"files of the matrix {whose} stand in the way:\n{named(taken)}", hint)
    blocked = {path for file in plan.generated.files for path in folders_above(file.path)}
    stand = [*foreign, *(path for path in sorted(blocked) if (plan.folder / path).is_file())]
    if stand:
        what = "file stands" if len(stand) == 1 else "files stand"
        raise RecordError(
            f"nothing is written, because {len(stand):,} {what} in the way in {plan.folder}:\n{named(stand)}",
            f"move them away, or choose another --out; {MANIFEST_NAME} says which files are labkit's",
        )


def _add_unwanted(plan: Plan) -> None:
    """Files of the manifest that the matrix makes no more; those of sections that are off are not asked for."""
    for path, entry in plan.manifest.entries.items():
        if path in plan.states:
            continue
        if entry.group in plan.generated.recipes and entry.group not in plan.generated.groups:
            if os.path.lexists(plan.folder / path):
                plan.unasked[entry.group] += 1
            continue
        current = _read(plan.folder / path)
        if current is not None:
            plan.states[path] = "stale" if digest_of(current) in entry.digests else "stale and edited"


def named(paths: Collection[str]) -> str:
    """The first of many paths, a line each."""
    lines = [f"  {path}" for path in list(paths)[:_MAX_NAMED]]
    rest = len(paths) - len(lines)
    return "\n".join([*lines, *([f"  and {rest:,} more"] if rest else [])])
