"""`gencfg.json`: which files of an output folder labkit wrote, and what was in them.

Like a lock file of a package manager it belongs into version control. It holds no time, host or absolute path, so two
clones have the same. An entry is the digest of a file as written; while files are being replaced it is the old digest
and the new one, so that a run that was killed half way leaves nothing that the next one does not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit.errors import ConfigError, RecordError
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
    """What labkit knows of the files that a matrix has in an output folder."""

    folder: Path
    name: str
    """The matrix."""
    entries: dict[str, Entry] = field(default_factory=dict)
    """By path."""
    others: Mapping[str, str] = field(default_factory=dict)
    """The matrix of every path that another one has."""
    _content: _Matrices = field(default_factory=dict)

    def with_entries(self, entries: Mapping[str, Entry], origin: str) -> _Matrices:
        """The content of the whole file with these entries of this matrix, sorted."""
        groups: dict[str, dict[str, str]] = {}
        for path in sorted(entries):
            groups.setdefault(entries[path].group, {})[path] = " ".join(entries[path].digests)
        own = {self.name: {"made_from": origin, "sections": dict(sorted(groups.items()))}} if entries else {}
        rest = {name: content for name, content in self._content.items() if name != self.name}
        return dict(sorted({**rest, **own}.items()))

    def is_current(self, entries: Mapping[str, Entry], origin: str) -> bool:
        """Whether the file says just this already."""
        return json.dumps(self.with_entries(entries, origin)) == json.dumps(self._content)

    def write(self, entries: Mapping[str, Entry], origin: str) -> None:
        """Replace the entries of this matrix on disk; those of others stay."""
        content = self.with_entries(entries, origin)
        if json.dumps(content) != json.dumps(self._content):
            write_json_atomically(self.folder / MANIFEST_NAME, {"schema": SCHEMA, "matrices": content})
            self._content = content


def read_manifest(folder: Path, name: str) -> Manifest:
    """What is known of a matrix's files; nothing where there is no manifest.

    Raises:
        RecordError: it is damaged, or of a newer labkit.
    """
    path = folder / MANIFEST_NAME
    if not path.exists():
        return Manifest(folder, name)
    whole = read_json(path)
    if whole.get("schema") != SCHEMA:
        hint = "use the labkit that wrote it, or a newer one"
        raise RecordError(
            f"{path} is no manifest of this labkit: its schema is {whole.get('schema')!r}, not {SCHEMA}", hint
        )
    try:
        content: _Matrices = {key: dict(value) for key, value in whole["matrices"].items()}
        entries = {matrix: dict(_entries(value["sections"])) for matrix, value in content.items()}
        for listed in entries.get(name, {}):
            refuse_path(listed)  # what is listed may be pruned
    except (KeyError, TypeError, ValueError, AttributeError, ConfigError):
        raise RecordError(f"{path} is damaged", "restore it from version control") from None
    own = entries.pop(name, {})
    others = {path: matrix for matrix, theirs in entries.items() for path in theirs}
    return Manifest(folder, name, own, others, content)


def _entries(sections: Mapping[str, Mapping[str, str]]) -> Mapping[str, Entry]:
    return {
        path: Entry(group, tuple(digests.split()))
        for group, files in sections.items()
        for path, digests in files.items()
    }
