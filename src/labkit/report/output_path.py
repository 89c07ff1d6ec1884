"""Where a file of a report may be written: looked at before any work is done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labkit.errors import ConfigError


def check_output_path(what: str, path: Path, suffixes: Sequence[str]) -> None:
    """Raise ConfigError where no such file can be written.

    Args:
        what: is to be written there, with its article
        suffixes: the endings that its name may have
    """
    if path.suffix not in suffixes:
        raise ConfigError(f"{what} cannot be written as {path.name!r}", f"end its name in {', '.join(suffixes)}")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}", "make it first, or write to another")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder", "name a file in it")
