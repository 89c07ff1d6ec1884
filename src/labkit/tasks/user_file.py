"""Python files of the user's own, which say what a task asks or how a solution is judged. They are run as such."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from labkit.errors import InputError


def read_source(path: Path, what: str) -> bytes:
    """The bytes of a file that is a `what`.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the {what} {path}: {error.strerror}", f"check the path after --{what}") from None


def run_source(path: Path, source: bytes, name: str) -> ModuleType:
    """What the file defines. It is compiled from the bytes that were hashed: Python's cache beside it may be stale.

    Args:
        name: of the module that it becomes

    Raises:
        InputError: it fails.
    """
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except Exception as error:  # the user's code may raise anything
        raise InputError(f"{path} fails when it is run: {error!r}", "mend the file; python runs it too") from error
    return module


def function_of(module: ModuleType, name: str, path: Path, needed: str) -> Callable[..., Any]:
    """A function that the file must define.

    Args:
        needed: what such a file needs, for the error

    Raises:
        InputError: it defines none of that name.
    """
    function: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"{path} has no function {name}()", needed)
    return function
