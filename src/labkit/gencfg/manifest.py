"""`gencfg.json`: which files of an output folder labkit wrote, and what was in them.

Like a lock file of a package manager it belongs into version control. It holds no time, host or absolute path, so two
clones have the same. A matrix is known by its name; where its file stands tells two of one name apart, and one that was
renamed from one that is still there. An entry is the digest of a file as written; while files are being replaced it is
the old digest and the new one, so that a run that was killed half way leaves nothing that the next one does not know.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit.config.templates import template_dirs
from labkit.errors import ConfigError, RecordError
from labkit.gencfg.matrix import MatrixFile
from labkit.gencfg.paths import MANIFEST_NAME, refuse_path
from labkit.record.files import read_json, write_json_atomically

SCHEMA = 1
_Matrices = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that was written."""

    group: str
    """The section of the matrix that it belongs to."""
    digests: tuple[str, ...]
    """What its content may be; two while it is being replaced."""


@dataclass(slots=True)
class Manifest:
    """What labkit knows of the files in an output folder, seen from one matrix."""

    folder: Path
    name: str
    """The matrix."""
    origin: str
    """Its file, as seen from the folder."""
    entries: dict[str, Entry] = field(default_factory=dict)
    """Its files, by path."""
    others: dict[str, tuple[str, Entry]] = field(default_factory=dict)
    """Files of other matrices, by path, with the matrix."""
    gone: Mapping[str, str] = field(default_factory=dict)
    """Other matrices whose file is not there any more, with where it was."""
    _content: _Matrices = field(default_factory=dict)

    def with_entries(self, entries: Mapping[str, Entry]) -> _Matrices:
        """The content of the whole file with these entries of this matrix, sorted."""
        whole: dict[str, tuple[str, dict[str, Entry]]]
        whole = {name: (content["made_from"], {}) for name, content in self._content.items() if name != self.name}
        whole[self.name] = (self.origin, dict(entries))
        for path, (matrix, entry) in self.others.items():
            if path not in entries:
                whole[matrix][1][path] = entry
        return {name: _block(origin, files) for name, (origin, files) in sorted(whole.items()) if files}

    def is_current(self, entries: Mapping[str, Entry]) -> bool:
        """Whether the file says just this already."""
        return json.dumps(self.with_entries(entries)) == json.dumps(self._content)

    def write(self, entries: Mapping[str, Entry]) -> None:
        """Replace the entries of this matrix on disk; those of others stay."""
        content = self.with_entries(entries)
        if json.dumps(content) != json.dumps(self._content):
            write_json_atomically(self.folder / MANIFEST_NAME, {"schema": SCHEMA, "matrices": content})
            self._content = content


def read_manifest(folder: Path, file: MatrixFile, *, take_over: bool = False) -> Manifest:
    """What is known of the files in a folder; nothing where there is no manifest.

    Args:
        take_over: whether files of another matrix of the same name are taken for this one's

    Raises:
        RecordError: it is damaged, or of a newer labkit; another matrix of this name has files there.
    """
    path, origin = folder / MANIFEST_NAME, _origin(file.path, folder)
    if not path.exists():
        return Manifest(folder, file.name, origin)
    content, entries = _read(path)
    before = content[file.name]["made_from"] if file.name in content else origin
    if before != origin and not take_over and _is_there(before, folder):
        raise RecordError(
            f"another matrix of the name {file.name} has files in {folder}: {before}",
            "give one of the two a `name`, or another --out; --overwrite takes its files over",
        )
    own = entries.pop(file.name, {})
    others = {path: (matrix, entry) for matrix, theirs in entries.items() for path, entry in theirs.items()}
    made_from = {name: content[name]["made_from"] for name in entries}
    # Of a file that says another name now, what it made under the old one is nobody's either.
    gone = {name: other for name, other in made_from.items() if other == origin or not _is_there(other, folder)}
    return Manifest(folder, file.name, origin, own, others, gone, content)


def _read(path: Path) -> tuple[_Matrices, dict[str, dict[str, Entry]]]:
    """The content of the file, and the entries of every matrix."""
    hint = "restore it from version control; or remove it, and --overwrite takes up the files that labkit made"
    try:
        whole = read_json(path)
    except RecordError as error:
        raise RecordError(error.message, hint) from None
    if whole.get("schema") != SCHEMA:
        said = f"{path} is no manifest of this labkit: its schema is {whole.get('schema')!r}, not {SCHEMA}"
        raise RecordError(said, "use the labkit that wrote it, or a newer one")
    try:
        content: _Matrices = {
            key: {"made_from": str(value["made_from"]), "sections": dict(value["sections"])}
            for key, value in whole["matrices"].items()
        }
        entries = {matrix: dict(_entries(value["sections"])) for matrix, value in content.items()}
        for listed in itertools.chain.from_iterable(entries.values()):
            refuse_path(listed)  # what is listed may be pruned
    except (KeyError, TypeError, ValueError, AttributeError, ConfigError):
        raise RecordError(f"{path} is damaged", hint) from None
    return content, entries


def _entries(sections: Mapping[str, Mapping[str, str]]) -> Mapping[str, Entry]:
    return {
        path: Entry(group, tuple(digests.split()))
        for group, files in sections.items()
        for path, digests in files.items()
    }


def _block(origin: str, entries: Mapping[str, Entry]) -> dict[str, Any]:
    groups: dict[str, dict[str, str]] = {}
    for path in sorted(entries):
        groups.setdefault(entries[path].group, {})[path] = " ".join(entries[path].digests)
    return {"made_from": origin, "sections": dict(sorted(groups.items()))}


def _origin(path: Path, folder: Path) -> str:
    """A matrix's file as seen from the output folder; of one that came with labkit, wherever that is, `templates/NAME`."""
    real = path.resolve()
    if any(real.parent == known.resolve() for known in _shipped()):
        return f"templates/{path.name}"
    return os.path.relpath(real, folder.resolve()).encode(errors="replace").decode()


def _is_there(origin: str, folder: Path) -> bool:
    return any(os.path.isfile(place / origin) for place in (folder, *(known.parent for known in _shipped())))


def _shipped() -> list[Path]:
    return [known for known in template_dirs() if known.is_absolute()]
