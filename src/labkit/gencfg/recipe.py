"""A section made ready: what turns a point of its grid into names, a path and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from labkit.config.base import Config, Layer, flatten, refuse_unknown
from labkit.config.commands import COMMANDS
from labkit.config.templates import find_template
from labkit.config.yaml_text import load_mapping
from labkit.errors import ConfigError
from labkit.gencfg.derive import Functions, derivation, functions_of
from labkit.gencfg.grid import Grid, Point, grid_of
from labkit.gencfg.matrix import ConfigSection, MatrixFile, ScriptSection, Section, all_or_faults
from labkit.gencfg.patterns import Names, Render, compiled, is_name, literal, names_in, text_of


@dataclass(frozen=True, slots=True)
class Recipe:
    """A section, with everything that its points need compiled once."""

    name: str
    section: ConfigSection | ScriptSection
    grid: Grid
    constants: Names
    derived: Mapping[str, Render]
    path: Render
    content: Render
    """The values of a config, nested, or the text of a script."""

    @property
    def schema(self) -> type[Config] | None:
        """The config class of its command; None for scripts."""
        return COMMANDS[self.section.command] if isinstance(self.section, ConfigSection) else None

    def names(self, point: Point) -> dict[str, Any]:
        """Every name that stands for something at a point.

        Raises:
            ConfigError: a derived value cannot be made.
        """
        names = {**self.constants, **point}
        for name, render in self.derived.items():
            names[name] = render(names)
        return names


def recipes_of(file: MatrixFile) -> dict[str, Recipe]:
    """Every section of a matrix, ready.

    Raises:
        ConfigError: an axis, a name, a key or a function is wrong; names the section.
    """
    functions = functions_of(file)
    for name, value in file.matrix.values.items():
        _refuse_odd_name(name, f"{file.path}, values")
        _refuse_taken(name, {"matrix", "section"}, f"{file.path}, values")
        _refuse_names(value, f"{file.path}, values.{name}")
    sections, scripts = file.matrix.sections.items(), file.matrix.scripts.items()
    configs = all_or_faults(partial(_config_recipe, file, name, section, functions) for name, section in sections)
    facts = {"counts": _counts(configs)}
    texts = all_or_faults(partial(_script_recipe, file, name, section, functions, facts) for name, section in scripts)
    return {recipe.name: recipe for recipe in (*configs, *texts)}


def points_with_paths(recipe: Recipe) -> Iterator[tuple[Point, Names, str | ConfigError]]:
    """Every point with its names and its path, or with what is wrong with them."""
    for point in recipe.grid.points():
        names: Names = point
        try:
            names = recipe.names(point)
            path = text_of(recipe.path(names))
        except ConfigError as error:
            yield point, names, error
        except ValueError as error:
            yield point, names, ConfigError(f"the path is {error}", "give it a text or a number")
        else:
            yield point, names, path


def _config_recipe(file: MatrixFile, name: str, section: ConfigSection, functions: Functions) -> Recipe:
    where = f"{file.path}, sections.{name}"
    base = _base_values(file, section, where)
    constants = {"matrix": file.name, "section": name, **file.matrix.values}
    grid, derived, known = _named(file, section, functions, where, constants)
    content = compiled(base, known, f"{where}.base")
    return Recipe(name, section, grid, constants, derived, compiled(section.path, known, f"{where}.path"), content)


def _script_recipe(
    file: MatrixFile, name: str, section: ScriptSection, functions: Functions, facts: Mapping[str, str]
) -> Recipe:
    where = f"{file.path}, scripts.{name}"
    constants = {"matrix": file.name, "section": name, **file.matrix.values}
    grid, derived, known = _named(file, section, functions, where, constants)
    # `root` follows from the path: the way from the script back to the output folder.
    content = compiled(section.text, known | {"root", *facts}, f"{where}.text")
    path = compiled(section.path, known, f"{where}.path")
    return Recipe(name, section, grid, {**constants, **facts}, derived, path, content)


def _named(
    file: MatrixFile, section: Section, functions: Functions, where: str, constants: Names
) -> tuple[Grid, dict[str, Render], set[str]]:
    """The grid and the derived values of a section, and every name that there is then."""
    lists = {name: value for name, value in file.matrix.values.items() if isinstance(value, list)}
    grid = grid_of(section, where, lists)
    known = {*constants}
    _refuse_names(section.add, f"{where}.add")
    for name in grid.axes:
        _refuse_names(grid.axes[name], f"{where}.axes.{name}")
        _refuse_taken(name, known, f"{where}.axes")
        known.add(name)
    derived = {}
    for name, way in section.derive.items():
        _refuse_odd_name(name, f"{where}.derive")
        _refuse_taken(name, known, f"{where}.derive")
        derived[name] = derivation(way, known, functions, f"{where}.derive.{name}")
        known.add(name)
    return grid, derived, known


def _refuse_taken(name: str, known: set[str], where: str) -> None:
    if name in known or name in ("root", "counts"):
        raise ConfigError(f"{where}: the name {name} stands for something already", "choose another")


def _refuse_names(value: Any, where: str) -> None:
    """What a name stands for is put in as it is, so a name within it would stay between its braces."""
    for name in names_in(value):
        raise ConfigError(f"{where}: {{{name}}} is not read in here", "put a text with {names} under `derive`")


def _refuse_odd_name(name: str, where: str) -> None:
    if not is_name(name):
        raise ConfigError(f"{where}: {name!r} cannot stand between braces", "use letters, digits and _")


def _base_values(file: MatrixFile, section: ConfigSection, where: str) -> dict[str, Any]:
    """The values of `base_config` and `base`, nested, the latter winning."""
    schema = COMMANDS[section.command]
    merged: dict[str, Any] = {}
    for layer in _layers(file, section, where):
        refuse_unknown(schema, layer)
        if layer.values.get("command", section.command) != section.command:
            raise ConfigError(
                f"{layer.origin} is a config for labkit {layer.values['command']}", f"see {where}.command"
            )
        for key, value in layer.values.items():
            _assign(merged, key, value, layer.origin)
    return {"command": section.command, **merged}


def _layers(file: MatrixFile, section: ConfigSection, where: str) -> Iterator[Layer]:
    if section.base_config is not None:
        path = find_template(Path(section.base_config), file.path.parent)
        yield Layer(f"{path}", {key: literal(value) for key, value in flatten(load_mapping(path))})
    values: dict[str, Any] = {}
    for key, value in flatten(section.base):
        if key in values:
            raise ConfigError(f"{where}.base: {key} stands there twice, nested and dotted", "leave one out")
        values[key] = value
    yield Layer(f"{where}.base", values)


def _assign(target: dict[str, Any], dotted: str, value: Any, origin: str) -> None:
    *path, last = dotted.split(".")
    for name in path:
        inner = target.setdefault(name, {})
        if inner is None or inner == {}:  # `model: null` of the layer below gives way to a section
            inner = target[name] = {}
        if not isinstance(inner, dict):
            raise ConfigError(f"{origin}: {dotted} lies within {name}, which is no section there", "leave one out")
        target = inner
    target[last] = value


def _counts(recipes: Sequence[Recipe]) -> str:
    """The sections of configs as a Markdown table."""
    lines = ["| section | configs | how many |", "|---|---|---|"]
    for recipe in recipes:
        name, section, grid = recipe.name, recipe.section, recipe.grid
        about = f"{section.about} " if section.about else ""
        option = f"(option: `--with {name}`)" if section.optional else ""
        lines.append(f"| `{name}` | {(about + option).strip()} | {grid.arithmetic} = {grid.num_points:,} |")
    num_points = sum(recipe.grid.num_points for recipe in recipes if not recipe.section.optional)
    lines.append(f"| | all that are not options | {num_points:,} |")
    return "\n".join(lines)
