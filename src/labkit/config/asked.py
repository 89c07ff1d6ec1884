"""What a config asks, as 16 hex digits by which `labkit run` knows the run that was made of it.

Only what differs from a field's own default is said, so that a key that a later version adds changes the digest of no
config that leaves it alone. In return **such a default is never changed**: the new one would pass for the old one. What a
config implies (`Config.implied`: the usual temperature of a task, say) is said as if it had been given, and may be changed:
what was asked under the old one is then owed once more.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, get_origin

from labkit.config.base import Config, stable_digest
from labkit.config.commands import RunConfig
from labkit.config.references import model_path
from labkit.config.sections import ModelConfig


def asked_digest(config: RunConfig) -> str:
    """16 hex digits that two configs share exactly when they ask the same, wherever the run is kept.

    A path counts as the place that it names from here: relative to the folder that holds the runs folder where it lies
    below it, so that a project can be moved with its runs, and else absolute.
    """
    project = os.path.dirname(os.path.abspath(config.runs_dir))
    said = _said(config, project)
    said.pop("runs_dir", None)
    return stable_digest(said | {"command": config.command})


def _said(section: Config, project: str) -> dict[str, Any]:
    """The values that are no defaults, as JSON."""
    values = section.as_json()
    found: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value, said = getattr(section, name), values[name]
        if isinstance(value, Config):
            said = _said(value, project)
            is_default = type(value) is type(field.default) and said == _as_written(field.default)
        elif (path := _path(section, name)) is not None:
            said = _place(path, project)
            is_default = said == f"./{field.default}"
        else:
            is_default = value == field.default and type(value) is type(field.default)
        # The name of a section says of which kind it is, default or not.
        if not is_default or (name == "name" and get_origin(field.annotation) is Literal):
            found[name] = said
    return found


def _as_written(section: Config) -> dict[str, Any]:
    """What a default says, whose paths are meant within the project."""
    return _said(section, os.getcwd())


def _path(section: Config, name: str) -> Path | None:
    """The path that a key names; None where it names none."""
    value = getattr(section, name)
    if isinstance(section, ModelConfig) and name == "id":
        return model_path(value)
    return value if isinstance(value, Path) else None


def _place(path: Path, project: str) -> str:
    whole = Path(os.path.abspath(path))
    return f"./{whole.relative_to(project)}" if whole.is_relative_to(project) else str(whole)  # `./m` is no hub id `m`
