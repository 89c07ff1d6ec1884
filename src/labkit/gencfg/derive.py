"""Derived names: what follows from a point's axes by text, table or function."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from labkit.config.base import nearest
from labkit.errors import ConfigError, LabkitError
from labkit.gencfg.matrix import Derived, MatrixFile
from labkit.gencfg.patterns import Names, Render, compiled, refuse_unknown_name, value_key
from labkit.gencfg.registry import FUNCTIONS

Functions = Mapping[str, Callable[..., Any]]


def functions_of(file: MatrixFile) -> Functions:
    """labkit's functions and those of the matrix's own Python file.

    Raises:
        ConfigError: the file is missing, or fails when it is run.
    """
    if file.matrix.functions is None:
        return FUNCTIONS
    path = file.path.parent / file.matrix.functions
    try:
        source = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot read the functions {path}: {error.strerror}", "it stands beside the matrix"
        ) from None
    module = ModuleType("labkit_gencfg_functions")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where dataclasses look up their own module
    defined = module.__dict__
    try:
        exec(compile(source, str(path), "exec"), defined)
    except Exception as error:  # the user's code may raise anything
        raise ConfigError(f"{path} fails when it is run: {error!r}", "mend the file; python runs it too") from error
    own = {name: value for name, value in defined.items() if callable(value) and not name.startswith("_")}
    return {**FUNCTIONS, **own}


def derivation(way: Derived, known: Mapping[str, Any] | set[str], functions: Functions, where: str) -> Render:
    """A function from the names before it to a derived value.

    Raises:
        ConfigError: it uses a name or a function that is not known. The function it gives raises one where a value has
            no place in the table, or where a function fails or gives what is no plain data.
    """
    for name in way.of:
        refuse_unknown_name(name, known, f"{where}.of")
    if way.text is not None:
        return compiled(way.text, known, where)
    return _table(way, known, where) if way.table is not None else _call(way, functions, where)


def _table(way: Derived, known: Mapping[str, Any] | set[str], where: str) -> Render:
    assert way.table is not None
    (name,) = way.of
    rows = {value_key(key): compiled(value, known, f"{where}.table") for key, value in way.table}
    has_otherwise = "otherwise" in way.model_fields_set
    otherwise = compiled(way.otherwise, known, f"{where}.otherwise")

    def render(names: Names) -> Any:
        key = value_key(names[name])
        if key in rows:
            return rows[key](names)
        if has_otherwise:
            return otherwise(names)
        guess = nearest(key, rows)
        hint = f"did you mean {guess}?" if guess else "add it to the table, or give `otherwise`"
        raise ConfigError(f"{where}: the table has no {name} {key}", hint)

    return render


def _call(way: Derived, functions: Functions, where: str) -> Render:
    function = functions.get(str(way.function))
    if function is None:
        guess = nearest(str(way.function), functions)
        hint = f"did you mean {guess}?" if guess else f"there are: {', '.join(sorted(functions))}"
        raise ConfigError(f"{where}: there is no function {way.function}", hint)
    arguments = way.of
    known: dict[str, Any] = {}

    def render(names: Names) -> Any:
        # Once for each set of arguments: a function says the same of the same, within a section at least.
        values = [names[name] for name in arguments]
        key = json.dumps(values)
        if key not in known:
            # A function that changes its arguments changes copies, and not the axis of the next points.
            known[key] = _result(function, json.loads(key), f"{where}: {way.function}({', '.join(arguments)})")
        return known[key]

    return render


def _result(function: Callable[..., Any], values: list[Any], what: str) -> Any:
    arguments = json.dumps(values)[1:-1]
    try:
        result = function(*values)
        plain = json.loads(json.dumps(result, allow_nan=False))
    except LabkitError:
        raise
    except Exception as error:  # the user's code may raise anything
        said = str(error.args[0]) if isinstance(error, (KeyError, ValueError)) and error.args else repr(error)
        raise ConfigError(f"{what} failed on {arguments}: {said}", "mend the function or the axis") from None
    if plain != (list(result) if isinstance(result, tuple) else result):
        raise ConfigError(f"{what} gave {result!r}, which YAML cannot hold", "give numbers, texts, lists and dicts")
    return plain
