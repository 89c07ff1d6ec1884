"""Problems from a file in the published format: a JSON list of `{id, context, numbers, target, solution}`.

`numbers` and `target` are required; `context` (a prompt rendered for one model) is not read. The published file is
es-fine-tuning-paper's `countdown.json`, whose first 200 rows are for training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from labkit.errors import InputError
from labkit.tasks.countdown.choice import check_choice
from labkit.tasks.countdown.problems import Problem, solve
from labkit.tasks.countdown.target import canonical_target, parse_target

FileSplit = Literal["all", "train", "test"]
FILE_SPLITS: tuple[FileSplit, ...] = get_args(FileSplit)

NUM_TRAIN_ROWS = 200

MAX_CHECKED_NUMBERS = 4
"""Problems of more numbers whose solution does not hold are not searched for another: that would take too long."""

_FORMAT_HINT = 'expected a JSON list of {"numbers": [44, 19, 35], "target": "98", "solution": "(44 + 19) + 35"}'


@dataclass(frozen=True, slots=True)
class Filters:
    """Which problems of a file are used; None lets all through. Ranges include both ends."""

    num_numbers: tuple[int, ...] | None = None
    number_range: tuple[int, int] | None = None
    """Every number is within."""
    target_range: tuple[int, int] | None = None
    """The target is an integer within; decimals are left out, as a generated problem has none."""

    def admit(self, problem: Problem) -> bool:
        """Whether the problem passes every filter."""
        if self.num_numbers is not None and len(problem.numbers) not in self.num_numbers:
            return False
        if self.number_range is not None:
            low, high = self.number_range
            if not all(low <= number <= high for number in problem.numbers):
                return False
        if self.target_range is None:
            return True
        target = parse_target(problem.target)
        return target.is_integer and self.target_range[0] <= target.numerator <= self.target_range[1]


NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class Row:
    """One problem and its place in the file."""

    index: int
    """Counted from 0."""
    id: str
    """The file's own id, or the index where it has none."""
    problem: Problem


@dataclass(frozen=True, slots=True)
class ProblemFile:
    """What a file holds for one split."""

    rows: tuple[Row, ...]
    """In file order, filtered, the first of each distinct prompt."""
    fingerprint: str
    """16 hex digits over the file's bytes, the split and the filters."""
    notes: tuple[str, ...]


def load_problems(path: Path, split: str = "all", filters: Filters = NO_FILTERS) -> ProblemFile:
    """Read a split of a problem file: `train` is its first 200 rows, `test` the others, `all` both.

    Raises:
        InputError: the split is unknown, the file cannot be read or is not of the format, or nothing is left of it.
    """
    check_choice("file split", split, FILE_SPLITS)
    content = _read_bytes(path)
    entries = _parse_json(path, content)
    every_row = [_read_row(path, index, entry) for index, entry in enumerate(entries)]
    in_split = {"all": every_row, "train": every_row[:NUM_TRAIN_ROWS], "test": every_row[NUM_TRAIN_ROWS:]}[split]
    admitted = [row for row in in_split if filters.admit(row.problem)]
    if not admitted:
        raise InputError(
            f"{path}: no problem is left of {len(entries)} in split {split!r} with {filters}",
            "widen the filters, or use split 'all'",
        )
    # Prompts show the numbers in order: the same numbers and target in the same order are the same prompt.
    first = {(row.problem.numbers, row.problem.target): row for row in reversed(admitted)}
    rows = tuple(sorted(first.values(), key=lambda row: row.index))
    key = content + json.dumps([split, asdict(filters)]).encode()
    fingerprint = hashlib.blake2b(key, digest_size=8).hexdigest()
    return ProblemFile(rows, fingerprint, tuple(_take_notes(rows, num_repeated=len(admitted) - len(rows))))


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the problem file {path}: {error.strerror}", "check the path") from error
    if not content.strip():
        raise InputError(f"{path} is empty", _FORMAT_HINT)
    return content


def _parse_json(path: Path, content: bytes) -> list[Any]:
    try:
        entries = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: byte {error.start} is not UTF-8", "save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        where = f"{path}, line {error.lineno}, column {error.colno}"
        raise InputError(f"{where}: not valid JSON: {error.msg}", _FORMAT_HINT) from error
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, or thousands of nested brackets; the parser names no line for either.
        raise InputError(f"{path}: JSON that cannot be read: {error}", _FORMAT_HINT) from error
    if not isinstance(entries, list):
        raise InputError(f"{path}: the file holds one {type(entries).__name__}, not a list", _FORMAT_HINT)
    if not entries:
        raise InputError(f"{path}: the list is empty", _FORMAT_HINT)
    return entries


def _read_row(path: Path, index: int, entry: Any) -> Row:
    where = f"{path}, entry {index} (counted from 0)"
    if not isinstance(entry, dict):
        raise InputError(f"{where}: {_shown(entry)} is not an object", _FORMAT_HINT)
    for key in ("numbers", "target"):
        if key not in entry:
            raise InputError(f"{where}: the key {key!r} is missing", _FORMAT_HINT)
    numbers, target, solution = entry["numbers"], entry["target"], entry.get("solution")
    if not isinstance(numbers, list) or not numbers or not all(_is_integer(n) and n >= 0 for n in numbers):
        raise InputError(f"{where}: 'numbers' is {_shown(numbers)}", "give a list of non-negative integers")
    if not isinstance(target, str) and not _is_integer(target):
        raise InputError(f"{where}: 'target' is {_shown(target)}", "give an integer, or a decimal as a string")
    if solution is not None and not isinstance(solution, str):
        raise InputError(f"{where}: 'solution' is {_shown(solution)}", "give an expression as a string, or null")
    try:
        problem = Problem(tuple(numbers), canonical_target(target), solution)
    except InputError as error:
        raise InputError(f"{where}: {error.message}", error.hint) from error
    return Row(index, str(entry.get("id", index)), problem)


def _is_integer(value: object) -> bool:
    # JSON's true is an int to Python.
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"


def _take_notes(rows: Sequence[Row], *, num_repeated: int) -> list[str]:
    """What the user should know of the problems; only those without a solution that holds are searched for one."""
    notes = []
    if num_repeated:
        notes.append(f"{num_repeated} rows repeat an earlier prompt and are left out")
    doubtful = [row for row in rows if not row.problem.solution_holds()]
    small = [row for row in doubtful if len(row.problem.numbers) <= MAX_CHECKED_NUMBERS]
    unsolvable = [row.id for row in small if solve(row.problem.numbers, row.problem.target) is None]
    if unsolvable:
        notes.append(f"{len(unsolvable)} of {len(rows)} problems have no solution (ids {', '.join(unsolvable)})")
    if num_unchecked := len(doubtful) - len(small):
        notes.append(f"{num_unchecked} problems of over {MAX_CHECKED_NUMBERS} numbers come without a valid solution")
    return notes
