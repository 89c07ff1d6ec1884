"""The record's schema number, and the small steps that read older manifests as today's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from labkit.errors import RecordError
from labkit.record.files import read_json

SCHEMA = 1

Manifest = dict[str, Any]

MIGRATIONS: dict[int, Callable[[Manifest], Manifest]] = {}
"""Step n turns a manifest of schema n into one of schema n + 1. Schema 1 is the first, so there is none yet."""

REQUIRED = ("id", "command", "created", "seed", "config", "base", "base_hash", "score", "score_hash", "ask")


def read_manifest(path: Path) -> Manifest:
    """`run.json` as a manifest of the present schema.

    Raises:
        RecordError: missing, damaged, or written by a newer labkit.
    """
    manifest = read_json(path)
    schema = manifest.get("schema")
    if type(schema) is not int or schema < 1:  # true is an int too
        raise RecordError(f"{path} is damaged: it has no schema number", "restore it from a copy; the rows are intact")
    if schema > SCHEMA:
        raise RecordError(
            f"{path} has schema {schema}; this labkit knows schemas up to {SCHEMA}",
            "install a newer labkit: pip install --upgrade labkit",
        )
    for step in range(schema, SCHEMA):
        manifest = MIGRATIONS[step](manifest)
    missing = [key for key in REQUIRED if key not in manifest]
    if missing:
        what = f"{path} is damaged: it lacks {', '.join(missing)}"
        raise RecordError(what, "restore it from a copy; the rows are intact")
    return manifest
