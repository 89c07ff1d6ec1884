"""A text file of notes that holds tables between two lines of its own:

    <!-- labkit report ARGUMENTS -->
    <!-- /labkit -->

Finds these blocks and puts texts into them; every byte outside is left as it is. Lines within fenced code are no markers, and
neither is a marker that shares its line with other text. Knows nothing of runs, nor of what the arguments mean.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import InputError, RecordError
from labkit.record.files import write_atomically

_BEGIN = re.compile(rb"^(?P<indent>[ \t]*)<!--[ \t]*labkit(?P<what>(?:[ \t][^\r\n]*?)?)[ \t]*-->[ \t]*$")
_END = re.compile(rb"^[ \t]*<!--[ \t]*/labkit[ \t]*-->[ \t]*$")
_FENCE = re.compile(rb"^[ \t]*(?P<fence>`{3,}|~{3,})(?P<rest>[^\r\n]*)")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Block:
    """The place of a table."""

    arguments: str
    """What stands behind `labkit report` in its first marker."""
    line: int
    """The line of that marker, from 1."""
    first: int
    last: int
    """The lines between the markers are those from `first` up to and without `last`, from 0."""
    indent: bytes


@dataclass(frozen=True, slots=True)
class NotesFile:
    """A file as it was read."""

    path: Path
    data: bytes | None
    """None where there is no file yet."""
    blocks: tuple[Block, ...]

    def replaced(self, texts: Mapping[Block, str]) -> bytes:
        """The content with these texts in their blocks.

        Args:
            texts: lines without the last newline

        Raises:
            InputError: a line of a text would be read as a marker or as fenced code, and the file be refused ever after.
        """
        for block, text in texts.items():
            _refuse_marks(self.path, block, text)
        lines = (self.data or b"").splitlines(keepends=True)
        newline = _newline(lines)
        for block in sorted(texts, key=lambda block: -block.first):
            lines[block.first : block.last] = _as_lines(texts[block], newline, block.indent)
        return b"".join(lines)

    def write(self, data: bytes) -> None:
        """Replace the file, which must be as it was read.

        Raises:
            RecordError: somebody has changed it since, or its folder may not be written. MachineError: the disk is full.
        """
        if _read(self.path) != self.data:
            raise RecordError(f"{self.path} was changed while its tables were made", "nothing was written; do it again")
        target = Path(os.path.realpath(self.path))  # a link stays one
        mode = target.stat().st_mode & 0o7777 if target.exists() else None
        write_atomically(target, data)
        if mode is not None and target.stat().st_mode & 0o7777 != mode:
            target.chmod(mode)


def read_notes(path: Path) -> NotesFile:
    """Read a file and find its blocks; a file that is not there yet has none.

    Raises:
        InputError: it cannot be read, is no text, or its markers do not pair; names the lines.
    """
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent} for {path.name}", "make it, or give another file")
    data = _read(path)
    if data is not None and b"\0" in data:
        raise InputError(f"{path} is no text file in UTF-8", "tables are written as UTF-8; give another file")
    return NotesFile(path, data, tuple(_blocks(path, data or b"")))


def with_new_block(notes: NotesFile, arguments: str) -> NotesFile:
    """The notes with one more block at the end, empty.

    Raises:
        InputError: the arguments cannot stand in a marker, or the file ends within fenced code.
    """
    if "--" + ">" in arguments or "\n" in arguments or "\r" in arguments:
        raise InputError(f"these arguments cannot stand in a comment: {arguments}", "give the run another name or path")
    data = notes.data or b""
    newline = _newline(data.splitlines(keepends=True))
    before = b"" if not data or data.endswith(newline * 2) else newline if data.endswith(newline) else newline * 2
    added = newline.join([*(line.encode() for line in marker_lines(arguments)), b""])
    longer = NotesFile(notes.path, notes.data, tuple(_blocks(notes.path, whole := data + before + added)))
    if len(longer.blocks) == len(notes.blocks):
        raise InputError(f"{notes.path} ends within fenced code, where a table would be none", "end it with a line ```")
    return NotesFile(notes.path, whole, longer.blocks)


def marker_lines(arguments: str) -> tuple[str, str]:
    """The two lines that hold a table."""
    return f"<!-- {' '.join(['labkit report', arguments]).strip()} -->", "<!-- /labkit -->"


def _blocks(path: Path, data: bytes) -> list[Block]:
    blocks: list[Block] = []
    fence, opened = b"", None
    for number, line in enumerate(data.removeprefix(_BOM).splitlines()):
        if opened is None and (mark := _FENCE.match(line)):
            fence = _after(fence, mark["fence"], mark["rest"])
        if fence:
            continue
        if _END.match(line):
            if opened is None:
                raise _refused(path, f"line {number + 1} ends a block that no line begins")
            blocks.append(Block(opened.arguments, opened.line, opened.first, number, opened.indent))
            opened = None
        elif mark := _BEGIN.match(line):
            arguments = _arguments(path, mark["what"], number + 1)
            if opened is not None:
                raise _refused(path, f"line {number + 1} begins a block within that of line {opened.line}")
            opened = Block(arguments, number + 1, number + 1, number + 1, mark["indent"])
    if opened is not None:
        raise _refused(path, f"the block of line {opened.line} has no end")
    return blocks


def _after(fence: bytes, mark: bytes, rest: bytes) -> bytes:
    """The fence that is open behind a line that looks like one."""
    if not fence:
        return b"" if mark[:1] == b"`" and b"`" in rest else mark
    closes = mark[:1] == fence[:1] and len(mark) >= len(fence) and not rest.strip()
    return b"" if closes else fence


def _arguments(path: Path, what: bytes, line: int) -> str:
    words = what.decode(errors="replace").strip()
    if words != "report" and not words.startswith("report "):
        raise _refused(path, f"line {line} asks for {words or 'nothing'!r}, and only labkit report can be asked for")
    return words.removeprefix("report").strip()


def _refused(path: Path, what: str) -> InputError:
    begin, end = marker_lines("ARGUMENTS")
    return InputError(f"{path}: {what}", f"a table stands between two lines of their own, {begin} and {end}")


def _refuse_marks(path: Path, block: Block, text: str) -> None:
    for line in text.encode(errors="replace").splitlines():
        if _BEGIN.match(line) or _END.match(line) or _FENCE.match(line):
            what = (
                f"{path}, line {block.line}: a line of its table would end or hide the block: {line.decode().strip()!r}"
            )
            raise InputError(what, "name the run or the arm that holds this line otherwise; nothing was written")


def _as_lines(text: str, newline: bytes, indent: bytes) -> Sequence[bytes]:
    return [(indent + line.encode(errors="replace")).rstrip() + newline for line in text.split("\n")]


def _newline(lines: Sequence[bytes]) -> bytes:
    """How the lines of a file end: as the first does."""
    return b"\r\n" if lines and lines[0].endswith(b"\r\n") else b"\n"


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", "give a text file") from None
