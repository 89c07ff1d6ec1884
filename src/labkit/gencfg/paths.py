"""Which paths a point may have: below the output folder, on any machine, and none that another has."""

from __future__ import annotations

import re

from labkit.errors import ConfigError

MANIFEST_NAME = "gencfg.json"
_MAX_NAME_BYTES = 240


def refuse_path(path: str, *, ending: str = "") -> None:
    """Refuse a path that leaves the output folder, or that some file system cannot have.

    Args:
        ending: what it must end in, or no text

    Raises:
        ConfigError: says what is wrong with it.
    """
    parts = path.split("/")
    if path.startswith(("/", "~")) or ".." in parts:
        raise ConfigError("the path leaves the output folder", "paths of a matrix stand below --out")
    if not path or any(part in ("", ".") for part in parts):
        raise ConfigError("the path has an empty part", "look at the values that it is made of")
    if braces := re.search(r"\{\w+\}", path):
        raise ConfigError(f"the path has {braces.group()} in it, which stands for nothing there", "look at `path`")
    if not path.isprintable() or "\\" in path:
        raise ConfigError("the path has a character that no path should have", "look at the values that it is made of")
    if any(len(part.encode(errors="replace")) > _MAX_NAME_BYTES for part in parts):
        raise ConfigError("the path has a part that is too long for a file name", "make it shorter")
    if not path.endswith(ending):
        raise ConfigError(f"the path does not end in {ending}", f"end `path` in {ending}")
    if path.casefold() == MANIFEST_NAME:
        raise ConfigError(f"{MANIFEST_NAME} is the manifest's own path", "choose another")


def folders_above(path: str) -> list[str]:
    """`a` and `a/b` of `a/b/c.yaml`."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]
