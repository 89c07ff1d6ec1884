"""Where a drawing or a page may be written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labkit.errors import ConfigError


def check_out_path(path: Path, what: str, suffixes: Sequence[str]) -> None:
    """Refuse what cannot be written before anything is read.

    Args:
        what: is written, in the words of the message
        suffixes: that the name may end in

    Raises:
        ConfigError: the ending is another one, there is no such folder, or a folder has this name.
    """
    if path.suffix not in suffixes:
        raise ConfigError(f"{what} cannot be written as {path.name!r}", f"end its name in {', '.join(suffixes)}")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}", "make it first, or write to another")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder", "name a file in it")
