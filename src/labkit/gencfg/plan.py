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
from labkit.gencfg.generate import Generated, GeneratedFile, bears_header, digest_of
from labkit.gencfg.manifest import Entry, Manifest, read_manifest
from labkit.gencfg.matrix import MatrixFile
from labkit.gencfg.paths import MANIFEST_NAME, folders_above
from labkit.gencfg.recipe import points_with_paths
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
    orphans: dict[str, str] = field(default_factory=dict)
    """By path, the matrix of files whose own matrix is not there any more."""

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
            group = groups.get(path) or self.orphans.get(path) or self.manifest.entries[path].group
            found.setdefault(group, Counter())[state] += 1
        return found


def make_plan(generated: Generated, folder: Path, *, allow_foreign: bool = False, take_over: bool = False) -> Plan:
    """Hold a matrix against a folder.

    Args:
        allow_foreign: whether files that labkit did not write may stand where it would write; such a plan is to be
            read, and not to be carried out
        take_over: whether files of another matrix, and those that labkit made and the manifest does not list, count as
            this matrix's own

    Raises:
        RecordError: files that labkit did not write, or that it wrote for another matrix, stand where it would write;
            the manifest cannot be read.
    """
    plan = Plan(generated, read_manifest(folder, generated.file, take_over=take_over))
    _adopt(plan, take_over=take_over)
    for file in generated.files:
        current = _read(folder / file.path)
        state = _state(file, current, plan.manifest.entries.get(file.path))
        if state == "create" and current is None and os.path.islink(folder / file.path):
            state = "foreign"  # a link to nothing
        elif state == "foreign" and take_over and current and bears_header(current):
            state = "edited"
        plan.states[file.path] = state
        if state == "unchanged" and file.is_script and not os.stat(folder / file.path).st_mode & 0o111:
            plan.states[file.path] = "update"
            plan.changed_keys.update(["the right to run"])
        elif current and state in ("update", "edited"):
            plan.changed_keys.update(_changed_keys(current, file))
    _refuse_obstacles(plan, [] if allow_foreign else plan.paths("foreign"))
    _add_unwanted(plan)
    return plan


def _state(file: GeneratedFile, current: bytes | None, entry: Entry | None) -> State:
    """The state of a file that should be there."""
    if current is None or (not current and entry is not None):  # an empty file is one that a power cut left
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
    own, others = plan.manifest.entries, plan.manifest.others
    taken = [file.path for file in plan.generated.files if file.path in others and file.path not in own]
    if taken:
        whose = others[taken[0]][0]
        hint = "give one of the two matrices paths of its own, or another --out; --overwrite takes the files over"
        raise RecordError(f"files of the matrix {whose} stand in the way:\n{named(taken)}", hint)
    blocked = {path for file in plan.generated.files for path in folders_above(file.path)}
    stand = [*foreign, *(path for path in sorted(blocked) if (plan.folder / path).is_file())]
    if stand:
        what = "file stands" if len(stand) == 1 else "files stand"
        raise RecordError(
            f"nothing is written, because {len(stand):,} {what} in the way in {plan.folder}:\n{named(stand)}",
            f"move them away, or choose another --out; {MANIFEST_NAME} says which files are labkit's, and --overwrite "
            "takes up others that it made",
        )


def _adopt(plan: Plan, *, take_over: bool) -> None:
    """Files of a matrix that was renamed, which this one makes now, are this one's."""
    manifest = plan.manifest
    for file in plan.generated.files:
        matrix, entry = manifest.others.get(file.path, ("", None))
        if entry is not None and (take_over or matrix in manifest.gone):
            manifest.entries.setdefault(file.path, Entry(file.group, entry.digests))


def _add_unwanted(plan: Plan) -> None:
    """Files of the manifest that the matrix makes no more; those of sections that are off are not asked for."""
    generated = plan.generated
    left = {path: entry for path, entry in plan.manifest.entries.items() if path not in plan.states}
    made_when_on = _paths_of_sections_that_are_off(generated) if left else {}
    for path, entry in left.items():
        group = made_when_on.get(path, entry.group)
        is_off = group in generated.recipes and group not in generated.groups
        if is_off or (generated.is_part and group not in generated.recipes):
            plan.unasked[group] += os.path.lexists(plan.folder / path)
        else:
            _add_stale(plan, path, entry)
    for path, (matrix, entry) in list(plan.manifest.others.items()):
        if matrix in plan.manifest.gone and path not in plan.states and not generated.is_part:
            plan.orphans[path] = matrix
            _add_stale(plan, path, entry)
            if path not in plan.states:
                del plan.manifest.others[path]


def _add_stale(plan: Plan, path: str, entry: Entry) -> None:
    current = _read(plan.folder / path)
    if current is not None:
        plan.states[path] = "stale" if digest_of(current) in entry.digests else "stale and edited"


def _paths_of_sections_that_are_off(generated: Generated) -> dict[str, str]:
    """The section of every path that would be made if everything were on."""
    off = [recipe for name, recipe in generated.recipes.items() if name not in generated.groups]
    return {str(path): recipe.name for recipe in off for _, _, path in points_with_paths(recipe)}


def optional_sections_written(file: MatrixFile, folder: Path) -> list[str]:
    """Optional sections of which a folder has files."""
    entries = read_manifest(folder, file).entries
    there = {entry.group for path, entry in entries.items() if os.path.lexists(folder / path)}
    return [name for name, section in file.matrix.all_sections.items() if section.optional and name in there]


def named(paths: Collection[str]) -> str:
    """The first of many paths, a line each."""
    lines = [f"  {path}" for path in list(paths)[:_MAX_NAMED]]
    rest = len(paths) - len(lines)
    return "\n".join([*lines, *([f"  and {rest:,} more"] if rest else [])])
