"""`labkit report --into FILE`: tables of a notes file, each made again from the arguments that stand in its marker."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from labkit.errors import CheckFailed, ConfigError, InputError, LabkitError

if TYPE_CHECKING:
    from labkit.report.notes_file import Block, NotesFile
    from labkit.report.overview import Report

NOTHING = "*nothing to report yet*"
_OWN = ("into", "check", "verbose", "markdown", "every")
"""Parameters that say where to, not what."""
_OTHER_FORMATS = ("as_json", "as_csv", "latex")


def is_unset(value: object) -> bool:
    """Whether a parameter was not given; 0 is something."""
    return value is None or value is False or value == () or value == []


def asks_for_nothing(context: typer.Context) -> bool:
    """Whether the command line names neither runs nor options, but for those that say where."""
    own = ("runs_dir", *_OWN)
    return all(is_unset(value) for name, value in context.params.items() if name not in own or name == "every")


def has_named_folder(runs_dir: Path) -> bool:
    """Whether commands must name the folder of runs: neither the usual one nor that of the environment."""
    from labkit.cli.report import DEFAULT_RUNS_DIR

    return runs_dir != Path(os.environ.get("LABKIT_RUNS_DIR") or DEFAULT_RUNS_DIR)


def refresh(context: typer.Context, path: Path | None, *, check: bool) -> None:
    """Bring the tables of a notes file up to date: that of the arguments of the command line, or without arguments all.

    Raises:
        ConfigError: options exclude each other. InputError: the file or its markers cannot be used. CheckFailed: `check`, and
            some table is not current. Whatever a report raises, with the line of its block.
    """
    from labkit.cli.console import say
    from labkit.report.notes_file import read_notes

    if path is None:
        raise ConfigError("--check looks whether a notes file is current", "name it: --into FILE")
    if other := [name.removeprefix("as_") for name in _OTHER_FORMATS if context.params.get(name)]:
        raise ConfigError(f"--into writes Markdown, not {other[0]}", f"leave --{other[0]} out")
    notes = read_notes(path)
    asked = [_Asked(block, _parsed(context, notes, block)) for block in notes.blocks]
    _refuse_repeated(notes, asked)
    before = notes.data
    if not asks_for_nothing(context):
        wanted = _key(context.params)
        asked = [each for each in asked if each.key == wanted]
    if not asked:
        notes, asked = _with_new(context, notes)
    texts = {each.block: _text(notes, each) for each in asked}
    after = notes.replaced(texts)
    what = f"{len(texts)} table block{'s' * (len(texts) != 1)}"
    if after == before:
        say(f"{path} is current ({what})")
    elif check:
        words = " ".join(["labkit report", *_words(context), "--into", shlex.quote(str(path))])
        raise CheckFailed(f"{path} is not current", f"bring it up to date: {words}")
    else:
        _as_read(notes, before).write(after)
        say(f"wrote {path} ({what})")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A block, and the command line that makes its table."""

    block: Block
    context: typer.Context

    @property
    def key(self) -> dict[str, Any]:
        return _key(self.context.params)


def _key(params: Mapping[str, Any]) -> dict[str, Any]:
    """What a table hangs on: two blocks with the same are one."""
    given = {name: value for name, value in params.items() if name not in _OWN and not is_unset(value)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


def _words(context: typer.Context) -> Iterator[str]:
    """The command line again, in one order and without what says where to."""
    for parameter in context.command.params:
        name = str(parameter.name)
        value = context.params.get(name)
        if name in _OWN or is_unset(value) or (name == "runs_dir" and not has_named_folder(Path(str(value)))):
            continue
        values = value if isinstance(value, (list, tuple)) else [value]
        for each in values:
            if parameter.param_type_name == "option":
                yield max(parameter.opts, key=len)
            if each is not True:
                yield shlex.quote(str(each))


def _parsed(context: typer.Context, notes: NotesFile, block: Block) -> typer.Context:
    """The context of a block's own command line; the folder of runs is that of the caller's unless it names one.

    Raises:
        InputError: the arguments cannot be understood, or are not for a notes file.
    """
    where = f"{notes.path}, line {block.line}"
    hint = "labkit report -h lists the arguments; --into takes care of file and format"
    folder = ["--runs-dir", str(context.params["runs_dir"])]
    try:
        own = context.command.make_context("labkit report", [*folder, *shlex.split(block.arguments)])
    except typer.Exit:  # --help
        raise InputError(f"{where}: {block.arguments} makes no table", hint) from None
    except (typer.TyperException, ValueError) as error:
        message = error.format_message() if isinstance(error, typer.TyperException) else error
        raise InputError(f"{where}: {block.arguments}: {message}", hint) from None
    if wrong := [name for name in ("into", "check", *_OTHER_FORMATS) if not is_unset(own.params.get(name))]:
        raise InputError(f"{where}: --{wrong[0].removeprefix('as_')} cannot stand in a marker", hint)
    return cast(typer.Context, own)


def _refuse_repeated(notes: NotesFile, asked: list[_Asked]) -> None:
    for number, each in enumerate(asked):
        for other in asked[:number]:
            if each.key == other.key:
                lines = f"lines {other.block.line} and {each.block.line}"
                raise InputError(f"{notes.path}: {lines} ask for the same table", "remove one of the blocks")


def _with_new(context: typer.Context, notes: NotesFile) -> tuple[NotesFile, list[_Asked]]:
    from labkit.report.notes_file import with_new_block

    longer = with_new_block(notes, " ".join(_words(context)))
    block = longer.blocks[-1]
    return longer, [_Asked(block, _parsed(context, longer, block))]


def _text(notes: NotesFile, asked: _Asked) -> str:
    """The tables of a block as Markdown; what is to be said about them goes to stderr."""
    from labkit.cli.console import say
    from labkit.report.render import render

    found: list[Report] = []
    asked.context.obj = found
    try:
        with asked.context:
            asked.context.command.invoke(asked.context)
    except LabkitError as error:
        error.message = f"{notes.path}, line {asked.block.line}: {error.message}"
        raise
    (report,) = found
    for note in report.notes:
        say(f"note: {note}")
    return render(report.tables, "markdown") if report.tables else NOTHING


def _as_read(notes: NotesFile, data: bytes | None) -> NotesFile:
    """The notes with the content that is on the disk."""
    from dataclasses import replace

    return replace(notes, data=data)
