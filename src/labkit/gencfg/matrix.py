"""The matrix file as strict objects: what its keys are called, and which of them fit together.

Knows the form of the file only. What a point is worth is for the config class of its command to say.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, model_validator

from labkit.config.base import Config, nearest, validate
from labkit.config.commands import COMMANDS
from labkit.config.templates import search_templates, template_dirs
from labkit.config.yaml_text import load_mapping
from labkit.errors import ConfigError

T = TypeVar("T")


class Derived(Config):
    """A value that follows from others: a text with names, a table, or a function. In YAML a plain text is `text`."""

    text: str | None = None
    """A text with `{names}`; a single `{name}` keeps its type."""
    of: tuple[str, ...] = ()
    """The name, or for a function the names, that it is derived from. In YAML one name needs no brackets."""
    table: tuple[tuple[Any, Any], ...] | None = None
    """What it is for each value of `of`: a mapping in YAML, whose keys keep their types here."""
    otherwise: Any = None
    """What it is for every value that is not in `table`; left out, such a value is an error."""
    function: str | None = None
    """A function of labkit's registry (`world.extraction_task`) or of the file `functions`."""

    @model_validator(mode="after")
    def _one_way(self) -> Derived:
        ways = [way for way in ("text", "table", "function") if getattr(self, way) is not None]
        if len(ways) != 1:
            raise ValueError("give one of `text`, `table` (with `of`) and `function` (with `of`)")
        if bool(self.of) == (ways == ["text"]):
            raise ValueError("`table` and `function` need `of`, and `text` has none")
        if ways == ["table"] and len(self.of) != 1:
            raise ValueError("a table is read by one name: `of: model`")
        if ways != ["table"] and "otherwise" in self.model_fields_set:
            raise ValueError("`otherwise` belongs to a `table`")
        return self


class Section(Config):
    """A group of files: axes, how they combine, and the path of each point."""

    about: str = ""
    """A line for readers."""
    optional: bool = False
    """Off unless `--with` names it."""
    axes: dict[str, Any] = Field(default_factory=dict)
    """Named lists; the last one changes fastest. An item `{each: NAME}` stands for a list of the registry or of `values`,
    `{from: 1, to: 5}` for the whole numbers."""
    zip: tuple[tuple[str, ...], ...] = ()
    """Axes that go together, position by position."""
    include: tuple[dict[str, Any], ...] = ()
    """Given, only points that equal one of these, in the axes that it names, stay."""
    exclude: tuple[dict[str, Any], ...] = ()
    """Points that equal one of these, in the axes that it names, are left out."""
    add: tuple[dict[str, Any], ...] = ()
    """Points beside the product; each names every axis."""
    derive: dict[str, Derived] = Field(default_factory=dict)
    """Further names, each from those before it."""
    path: str
    """Where a point's file stands, below the output folder."""


class ConfigSection(Section):
    """A group of configs of one command."""

    command: str
    """The labkit command that they are for."""
    base_config: str | None = None
    """A config file beside the matrix, or a template, whose values stand below those of `base`."""
    base: dict[str, Any] = Field(default_factory=dict)
    """Values of every point, by nested or dotted key, with `{names}` in their texts."""


class ScriptSection(Section):
    """A group of texts: scripts, a README."""

    text: str
    """The text, with `{names}`."""


class Matrix(Config):
    """A whole matrix file."""

    about: str = ""
    """A line for readers."""
    name: str | None = None
    """What it is called in `gencfg.json` and `{matrix}`, if not as its file."""
    functions: str | None = None
    """A Python file beside the matrix, whose functions derive values."""
    values: dict[str, Any] = Field(default_factory=dict)
    """Names with one value, the same for every section; several axes may take a list by `{each: NAME}`."""
    sections: Annotated[dict[str, ConfigSection], Field(min_length=1)]
    """Groups of configs."""
    scripts: dict[str, ScriptSection] = Field(default_factory=dict)
    """Groups of texts."""

    @property
    def all_sections(self) -> dict[str, ConfigSection | ScriptSection]:
        """Those of configs, then those of texts."""
        return {**self.sections, **self.scripts}


@dataclass(frozen=True, slots=True)
class MatrixFile:
    """A matrix and where it stands."""

    path: Path
    matrix: Matrix

    @property
    def name(self) -> str:
        """What it is called in `gencfg.json`: its `name`, or that of its file without the ending."""
        return self.matrix.name or self.path.stem

    @property
    def shown(self) -> str:
        """The file as a header names it: the same word wherever it stands."""
        return self.path.name


def all_or_faults(makers: Iterable[Callable[[], T]]) -> list[T]:
    """What each gives.

    Raises:
        ConfigError: one that says what every one of them refused, each with its hint if there are several.
    """
    made, faults = [], []
    for make in makers:
        try:
            made.append(make())
        except ConfigError as error:
            faults.append(error)
    if len(faults) > 1:
        raise ConfigError("\n".join(f"{fault.message}\n  → {fault.hint}" for fault in faults), "correct the matrix")
    if faults:
        raise faults[0]
    return made


def load_matrix(path: Path) -> MatrixFile:
    """Read a matrix file.

    Raises:
        ConfigError: it is no YAML, has a key that there is not (gives the nearest), or values that do not fit.
    """
    content = load_mapping(path)
    if "sections" not in content:
        command = content.get("command")
        is_config = isinstance(command, str) and command in COMMANDS
        hint = f"it is a config for labkit {command}" if is_config else _section_hint(content)
        raise ConfigError(f"{path} is no matrix: it has no `sections`", hint)
    content = _written_out(content)
    _refuse_unknown_keys(content, path)
    try:
        matrix = validate(Matrix, content)
    except ConfigError as error:
        raise ConfigError(f"{path}:\n{error.message}", "correct the matrix") from None
    sections = matrix.sections.items()
    all_or_faults(partial(_refuse_unknown_command, s.command, f"{path}, sections.{name}") for name, s in sections)
    return MatrixFile(path, matrix)


def find_matrix(name: str) -> Path:
    """The file that a name means: a path, or the name of a matrix among the user's templates or labkit's.

    Raises:
        ConfigError: there is none; lists those there are.
    """
    path = Path(name)
    if os.path.isfile(path):  # False, too, of what is no file name at all
        return path
    if (found := search_templates(path)) is not None:
        return found
    known = matrix_names()
    guess = nearest(path.stem, known)
    there = f"there are: {', '.join(known)}; or give the path of a matrix of yours"
    raise ConfigError(f"there is no matrix {name}", f"did you mean {guess}? {there}" if guess else there)


def matrix_names() -> list[str]:
    """The matrices among the user's templates and those that came with labkit."""
    paths = [path for folder in template_dirs() for path in folder.glob("*.yaml")]
    return sorted({path.stem for path in paths if _looks_like_a_matrix(path)})


def _looks_like_a_matrix(path: Path) -> bool:
    try:
        return any(line.startswith(b"sections:") for line in path.read_bytes().splitlines())
    except OSError:
        return False


def _section_hint(content: Mapping[str, Any]) -> str:
    guess = nearest("sections", content)
    return f"is `{guess}` meant to be `sections`?" if guess else "docs/gencfg.md shows one to begin from"


def _written_out(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content without its short forms, `name: text` below `derive` and `of: name`, and tables as pairs."""

    def written_out(way: Any) -> Any:
        if isinstance(way, str):
            return {"text": way}
        if not isinstance(way, dict):
            return way
        of, table = way.get("of"), way.get("table")
        short = {"of": [of]} if isinstance(of, str) else {}
        return {**way, **short, **({"table": list(table.items())} if isinstance(table, dict) else {})}

    whole = dict(content)
    for kind in ("sections", "scripts"):
        if isinstance(whole.get(kind), dict):
            whole[kind] = dict(whole[kind])
        for name, section in _mappings(whole.get(kind)):
            if isinstance(section.get("derive"), dict):
                derive = {key: written_out(way) for key, way in section["derive"].items()}
                whole[kind][name] = {**section, "derive": derive}
    return whole


def _refuse_unknown_keys(content: Mapping[str, Any], path: Path) -> None:
    """Pydantic would refuse them as well, but without the nearest."""
    _refuse_what_yaml_misread(content, f"{path}")
    checks = [partial(_refuse_keys, content, Matrix, f"{path}")]
    for kind, schema in (("sections", ConfigSection), ("scripts", ScriptSection)):
        for name, section in _mappings(content.get(kind)):
            checks.append(partial(_refuse_keys, section, schema, f"{path}, {kind}.{name}"))
            for derived, way in _mappings(section.get("derive")):
                checks.append(partial(_refuse_keys, way, Derived, f"{path}, {kind}.{name}.derive.{derived}"))
    all_or_faults(checks)
    both = set(dict(_mappings(content.get("sections")))) & set(dict(_mappings(content.get("scripts"))))
    if both:
        raise ConfigError(f"{path}: {min(both)} stands under both `sections` and `scripts`", "give one another name")


def _refuse_what_yaml_misread(value: Any, where: str) -> None:
    """YAML reads the keys `on`, `no` and `1` as something else than words, and the commit 12e5678 as infinity."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ConfigError(
                    f"{where}: YAML takes a key there for {key!r}, and not for a word", "put it in quotes"
                )
            _refuse_what_yaml_misread(inner, f"{where}, {key}")
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _refuse_what_yaml_misread(inner, where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(
            f"{where}: YAML takes a value there for the number {value}", "put it in quotes if it is a word"
        )


def _mappings(value: Any) -> Iterable[tuple[str, Mapping[str, Any]]]:
    items = value.items() if isinstance(value, Mapping) else ()
    return [(str(name), inner) for name, inner in items if isinstance(inner, Mapping)]


def _refuse_keys(content: Mapping[str, Any], schema: type[BaseModel], where: str) -> None:
    for key in content:
        if key not in schema.model_fields:
            guess = nearest(str(key), schema.model_fields)
            hint = f"did you mean `{guess}`?" if guess else f"keys here: {', '.join(schema.model_fields)}"
            raise ConfigError(f"{where}: there is no key `{key}`", hint)


def _refuse_unknown_command(command: str, where: str) -> None:
    if command not in COMMANDS:
        guess = nearest(command, COMMANDS)
        hint = f"did you mean `{guess}`?" if guess else f"commands with configs: {', '.join(COMMANDS)}"
        raise ConfigError(f"{where}: there is no command {command!r}", hint)
