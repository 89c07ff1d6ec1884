"""What `labkit run` is to carry out: config files and folders of them, each read and checked before anything starts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.config.asked import asked_digest
from labkit.config.base import Config, Layer, Resolved, environment_layers, flatten, nearest, resolve, stable_digest
from labkit.config.commands import COMMANDS, ExtractConfig, RolloutConfig, RunConfig, refuse_default_model
from labkit.config.names import RUN_PREFIX
from labkit.config.templates import find_template
from labkit.config.yaml_text import load_mapping
from labkit.errors import ConfigError
from labkit.record.run import slugify

_MOST_NAMED = 5
_ENDINGS = (".yaml", ".yml")
_COMMAND_LINE = re.compile(rb"""^[{\s]*["']?command["']?\s*:""", re.MULTILINE)
_LOGS_FOLDER = "logs"
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Item:
    """One config to carry out."""

    name: str
    """The path of its file, as the user knows it."""
    resolved: Resolved[Any]
    digest: str
    """16 hex digits of what is asked (`asked_digest`): items of a command that share them are the same."""
    runs_dir: Path
    """Where its run is made, and its log."""

    @property
    def config(self) -> Any:
        return self.resolved.config

    @property
    def command(self) -> str:
        return str(self.config.command)

    @property
    def identity(self) -> tuple[Path, str, str]:
        """What makes two items one."""
        return Path(os.path.abspath(self.runs_dir)), self.command, self.digest

    @property
    def log_path(self) -> Path:
        """Its output goes there. Who works on the item holds a lock on it, so the name hangs on nothing but what is asked."""
        about = slugify(str(getattr(self.config, "name", None) or _model_id(self.config) or ""))
        return self.runs_dir / _LOGS_FOLDER / f"{self.command}-{about}-{self.digest}.log"

    @property
    def model(self) -> str | None:
        """What two items share whose model is loaded once for both; None for one that loads none, or its own."""
        config = self.config
        if not isinstance(config, (RolloutConfig, ExtractConfig)):
            return None
        asked: dict[str, Any] = config.model.as_json()
        if isinstance(config, ExtractConfig):
            asked["checkpoints"] = config.as_json()["checkpoints"]
            if asked["checkpoints"] == "final":
                del asked["checkpoints"]
        where = str(self.runs_dir) if config.model.id.startswith(RUN_PREFIX) else ""
        return stable_digest([asked, where])


def read_items(paths: Sequence[Path], environ: Mapping[str, str]) -> tuple[list[Item], list[str]]:
    """The items of config files and of folders of them, in the order of the paths, those of a folder by name.

    A folder is searched with what is below it; hidden folders and runs are passed over, and so are files that are no
    config of a command (a matrix, a manifest, a script).

    Returns:
        The items, each once; and what a user should know: files that stand twice, and how many were passed over.

    Raises:
        ConfigError: says of every file what is wrong with it.
    """
    schemas = _Schemas(environ)
    items: dict[tuple[Path, str, str], Item] = {}
    notes: list[str] = []
    passed_over: list[Path] = []
    errors: list[str] = []
    for path, named in _config_paths(paths, errors):
        try:
            item = _read(path, named, schemas)
        except ConfigError as error:
            errors.append(_in_file(path, error))
            continue
        if item is None:
            passed_over.append(path)
            continue
        first = items.setdefault(item.identity, item)
        if first.name != item.name:
            notes.append(f"{item.name} asks the same as {first.name}: it is carried out once")
    if errors:
        raise several(errors)
    if passed_over:
        others = f" and {len(passed_over) - _MOST_NAMED} more" if len(passed_over) > _MOST_NAMED else ""
        some = ", ".join(map(str, passed_over[:_MOST_NAMED]))
        notes.append(f"passed over, because they are no configs: {some}{others}")
    if not items:
        where = ", ".join(map(str, paths))
        raise ConfigError(
            f"there is no config in {where}", "a config is a YAML file with `command: eval`, or another command"
        )
    return list(items.values()), notes


def several(errors: Sequence[str]) -> ConfigError:
    """One error that says them all, or the first ones of very many."""
    shown = list(errors[:_MOST_SHOWN])
    if len(errors) > len(shown):
        shown.append(f"and {len(errors) - len(shown)} more")
    return ConfigError("\n".join(shown), "correct this; nothing was started")


class _Schemas:
    """The config classes, each with what the environment says, which is the same for a thousand files."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._layers: dict[str, list[Layer]] = {}
        self.environment("sample")  # a name that is no key is refused once, and not for every file

    def environment(self, command: str) -> list[Layer]:
        if command not in self._layers:
            schema = COMMANDS[command]
            others = [other for other in COMMANDS.values() if other is not schema]
            self._layers[command] = environment_layers(self._environ, [schema, *others])
        return self._layers[command]

    def runs_dir(self) -> Path:
        """Where runs are kept, for a config that makes none and yet has a log."""
        said = [layer for layer in self.environment("sample") if "runs_dir" in layer.values]
        return resolve(RunConfig, said).config.runs_dir


def _config_paths(paths: Iterable[Path], errors: list[str]) -> Iterator[tuple[Path, bool]]:
    """Every file that may be a config, and whether the user named it; each once."""
    seen: set[Path] = set()
    for path in paths:
        try:
            found = _files_below(path) if path.is_dir() else [_file(path)]
        except ConfigError as error:
            errors.append(f"{error.message}: {error.hint}")
            continue
        for file in found:
            if (place := file.resolve()) not in seen:
                seen.add(place)
                yield file, not path.is_dir()


def _file(path: Path) -> Path:
    """A file that was named, or a template.

    Raises:
        ConfigError: there is none.
    """
    if path.exists() or len(path.parts) == 1 or path.parent == Path("templates"):
        return find_template(path)
    there = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    guess = nearest(path.name, there)
    hint = f"did you mean {path.parent / guess}?" if guess else "check the path"
    raise ConfigError(f"there is no file or folder {path}", hint)


def _files_below(folder: Path) -> list[Path]:
    found = []
    for here, folders, files in os.walk(folder):
        if "run.json" in files:  # a run keeps its config beside its rows
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(here, name) for name in files if name.endswith(_ENDINGS) and not name.startswith(".")]
    return sorted(found)


def _read(path: Path, named: bool, schemas: _Schemas) -> Item | None:
    """The item of a file; None for one that was not named and is no config."""
    try:
        values = load_mapping(path)
    except ConfigError:
        if not named and not _names_a_command(path):  # a list, several documents, tags of another program
            return None
        raise
    command = values.get("command")
    if not isinstance(command, str) or command not in COMMANDS:
        guess = nearest(str(command), COMMANDS)
        misspelt = [key for key in values if command is None and nearest(key, ["command"])]
        if misspelt:
            raise ConfigError(f"{path} has the key {misspelt[0]!r}", "did you mean 'command'?")
        if not named and guess is None:
            return None
        says = "has no `command:`" if command is None else f"is for the command {command!r}"
        hint = f"did you mean {guess}?" if guess else f"commands: {', '.join(COMMANDS)}"
        raise ConfigError(f"{path} is no config that can be carried out: it {says}", hint)
    layers = [Layer(f"file {path}", dict(flatten(values))), *schemas.environment(command)]
    resolved = resolve(COMMANDS[command], layers)
    refuse_default_model(resolved)
    config: Config = resolved.config
    if isinstance(config, RunConfig):
        return Item(str(path), resolved, asked_digest(config), config.runs_dir)
    return Item(str(path), resolved, config.digest(), schemas.runs_dir())


def _names_a_command(path: Path) -> bool:
    """Whether a file that cannot be read as a config was meant to be one."""
    try:
        return _COMMAND_LINE.search(path.read_bytes()) is not None
    except OSError:
        return True


def _in_file(path: Path, error: ConfigError) -> str:
    """What is wrong with a file, in one line or more that name it."""
    text = error.message if str(path) in error.message else f"{path}: {error.message}"
    return f"{text} ({error.hint})" if error.hint else text


def _model_id(config: Any) -> str | None:
    model = getattr(config, "model", None)
    return None if model is None else str(model.id).rsplit(":")[-1].rsplit("/")[-1]
