"""A matrix as files: every point expanded and validated before anybody writes one.

A pure function of the matrix and of the files that it names: no clock, no randomness, no look at the output folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from labkit.config.base import Config, nearest, validate
from labkit.errors import ConfigError
from labkit.gencfg.complaints import Complaints, Place
from labkit.gencfg.matrix import MatrixFile
from labkit.gencfg.needs import Needs
from labkit.gencfg.paths import refuse_path
from labkit.gencfg.patterns import Names
from labkit.gencfg.places import Places
from labkit.gencfg.recipe import Recipe, points_with_paths, recipes_of
from labkit.gencfg.yaml_writer import yaml_text

_MADE_BY = "made by labkit gencfg from"
_HASH_COMMENTS = (
    "sh",
    "bash",
    "zsh",
    "py",
    "r",
    "R",
    "jl",
    "yaml",
    "yml",
    "toml",
    "cfg",
    "conf",
    "env",
    "mk",
    "slurm",
    "sbatch",
)


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """A file as it should be."""

    path: str
    """Below the output folder, with `/`."""
    group: str
    """The section of the matrix that it belongs to."""
    data: bytes

    @property
    def digest(self) -> str:
        """16 hex digits of its bytes."""
        return digest_of(self.data)

    @property
    def is_script(self) -> bool:
        """Whether it can be run by its name."""
        return self.data.startswith(b"#!")


@dataclass(slots=True)
class Generated:
    """Everything that a matrix makes, and what is known about it before it is written."""

    file: MatrixFile
    recipes: Mapping[str, Recipe]
    groups: Collection[str]
    """Sections that are on."""
    is_part: bool = False
    """Whether only some sections were asked for."""
    files: list[GeneratedFile] = field(default_factory=list)
    needs: Needs = field(default_factory=Needs)

    @property
    def counted(self) -> str:
        """How many files of which kind: `1,413 configs, 28 scripts, 1 text`."""
        num_texts = sum(1 for file in self.files if self.recipes[file.group].schema is None)
        num_scripts = sum(1 for file in self.files if file.is_script)
        counts = {"config": len(self.files) - num_texts, "script": num_scripts, "text": num_texts - num_scripts}
        words = [f"{count:,} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items() if count]
        return ", ".join(words) or "no files"


def digest_of(data: bytes) -> str:
    """16 hex digits of a file's content."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def header_of(file: MatrixFile) -> str:
    """The sentence at the top of every generated file."""
    shown = "".join(character if character.isprintable() else "?" for character in file.shown)
    return f"{_MADE_BY} {shown}; edit that and run it again"


def bears_header(data: bytes) -> bool:
    """Whether a file says at its top that labkit made it."""
    return any(_MADE_BY.encode() in line for line in data.split(b"\n", 2)[:2])


def generate(file: MatrixFile, *, extra: Collection[str] = (), only: Collection[str] = ()) -> Generated:
    """Expand and validate a matrix.

    Args:
        extra: optional sections to switch on
        only: sections to make instead of all that are on; no names are all

    Raises:
        ConfigError: the matrix is wrong, or some points are; every wrong point is counted, and the first ones named.
    """
    recipes = recipes_of(file)
    groups = chosen_groups(recipes, extra, only)
    generated = Generated(file, recipes, groups, is_part=bool(only))
    complaints = Complaints()
    places = Places(complaints)
    number = 0
    for name in groups:
        recipe = recipes[name]
        if recipe.schema is None:
            generated.files.extend(_scripts(recipe, file, complaints, places))
            continue
        generated.files.extend(_configs(recipe, file, complaints, places, generated.needs, number))
        number += recipe.grid.num_points
    places.refuse_files_above_files(file.path for file in generated.files)
    complaints.refuse(str(file.path), sum(recipes[name].grid.num_points for name in groups))
    generated.needs.refuse_two_makers()
    generated.needs.refuse_cycles()
    return generated


def needs_of(recipe: Recipe, file: MatrixFile) -> Needs:
    """What the configs of a section that is off would need and make; one that is wrong makes nothing."""
    needs, complaints = Needs(), Complaints()
    for _ in _configs(recipe, file, complaints, Places(complaints), needs, 0):
        pass
    return needs


def chosen_groups(recipes: Mapping[str, Recipe], extra: Collection[str], only: Collection[str]) -> list[str]:
    """The names of the sections that are on, in the order of the matrix.

    Raises:
        ConfigError: there is no section of a name; gives the nearest.
    """
    for flag, names in (("--with", extra), ("--only", only)):
        for name in names:
            if name not in recipes:
                guess = nearest(name, recipes)
                hint = f"did you mean {guess}?" if guess else f"there are: {', '.join(recipes)}"
                raise ConfigError(f"{flag} {name}: the matrix has no such section", hint)
    on = [name for name, recipe in recipes.items() if not recipe.section.optional or name in (*extra, *only)]
    return [name for name in on if not only or name in only or name in extra]


def _configs(
    recipe: Recipe, file: MatrixFile, complaints: Complaints, places: Places, needs: Needs, before: int
) -> Iterator[GeneratedFile]:
    """The files of a section whose points are right; the others are complained about."""
    schema = recipe.schema
    assert schema is not None
    header = f"# {header_of(file)}\n"
    for number, (point, names, path) in enumerate(points_with_paths(recipe), start=1):
        place = Place(recipe, point, path, number, before + number)
        try:
            if isinstance(path, ConfigError):
                raise path
            refuse_path(path, ending=".yaml")
            config = validate(schema, recipe.content(names))
        except ConfigError as error:
            complaints.add(place, error)
            continue
        if places.take(path, config, place):
            needs.add(config, recipe.name, path)
            yield GeneratedFile(path, recipe.name, (header + yaml_text(written_values(config))).encode())


def written_values(config: Config) -> dict[str, Any]:
    """What stands in a config's file: the keys that the matrix sets, in the order of the class, as the class reads them."""
    return config.model_dump(mode="json", exclude_unset=True)


def _scripts(recipe: Recipe, file: MatrixFile, complaints: Complaints, places: Places) -> Iterator[GeneratedFile]:
    for number, (point, names, path) in enumerate(points_with_paths(recipe), start=1):
        place = Place(recipe, point, path, number, None)
        try:
            if isinstance(path, ConfigError):
                raise path
            refuse_path(path)
            data = _script_text(recipe, names, path, file).encode()
        except ConfigError as error:
            complaints.add(place, error)
            continue
        except UnicodeEncodeError:
            complaints.add(place, ConfigError("the text holds characters that are no Unicode text", "correct `text`"))
            continue
        if places.take(path, None, place):
            yield GeneratedFile(path, recipe.name, data)


def _script_text(recipe: Recipe, names: Names, path: str, file: MatrixFile) -> str:
    """A text under its header, where it has a form for comments; a script's first line stays first."""
    root = "/".join([".."] * path.count("/")) or "."
    text = str(recipe.content({**names, "root": root}))
    text = text if text.endswith("\n") else text + "\n"
    ending = path.rpartition(".")[2]
    if text.startswith("#!"):
        first, rest = text.split("\n", 1)
        return f"{first}\n# {header_of(file)}\n{rest}"
    if ending in _HASH_COMMENTS:
        return f"# {header_of(file)}\n{text}"
    return f"<!-- {header_of(file)} -->\n{text}" if ending in ("md", "html") else text
