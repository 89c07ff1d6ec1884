"""The problems: of the published data set on the hub, or of a JSONL file in its form.

A line is `{"question": …, "answer": …}`; the answer is a worked solution that ends in `#### ` and a number.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from labkit.errors import InputError, MachineError
from labkit.tasks.gsm8k.numbers import parse_number
from labkit.tasks.prompt_file import is_unicode

HUB_ID = "openai/gsm8k"
HUB_CONFIG = "main"

_FORM = 'write one object a line: {"question": "…", "answer": "… #### 42"}'
_KEYS = ("question", "answer")


@dataclass(frozen=True, slots=True)
class Problem:
    """One word problem."""

    question: str
    solution: str
    """The worked solution, without the line of its answer."""
    gold: Fraction
    """The answer, exact."""
    place: int
    """Line of a file, counted from 1, or row of the hub's split, counted from 0."""


def read_problems(path: Path) -> list[Problem]:
    """The problems of a JSONL file, in its order.

    Raises:
        InputError: the file cannot be read or is empty, or a line is no problem, has an answer that is no number, or asks
            what an earlier one asks; names the line.
    """
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise InputError(f"cannot read the problems {path}: {error.strerror}", "check the path after --data") from None
    rows = ((number, _row(line, f"{path}, line {number}")) for number, line in enumerate(lines, 1) if line.strip())
    return _problems(rows, str(path), lambda number: f"{path}, line {number}")


def hub_problems(split: str) -> list[Problem]:
    """The problems of a split of the published data set, downloaded once and then kept in `datasets`' cache.

    Raises:
        MachineError: it is not in the cache and cannot be downloaded. InputError: its rows are not of the form.
    """
    import datasets  # type: ignore[import-untyped]

    where = f"{HUB_ID}, split {split!r}"
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        rows = datasets.load_dataset(HUB_ID, HUB_CONFIG, split=split)
    except Exception as error:  # the hub, its client and the file system raise what they like
        raise MachineError(
            f"cannot load {where}: {type(error).__name__}: {str(error).strip()[:300]}",
            "go online once, or give a JSONL file of the same form with --data",
        ) from None
    return _problems(enumerate(rows), where, lambda number: f"{where}, row {number}")


def _problems(rows: Iterable[tuple[int, Any]], source: str, place: Callable[[int], str]) -> list[Problem]:
    found: dict[str, Problem] = {}
    for number, row in rows:
        problem = _problem(row, number, place(number))
        known = found.setdefault(" ".join(problem.question.split()), problem)
        if known is not problem:
            raise InputError(f"{place(number)}: asks the same as {place(known.place)}", "leave one of them out")
    if not found:
        raise InputError(f"{source} holds no problems", _FORM)
    return list(found.values())


def _row(line: bytes, where: str) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not UTF-8 text (byte {error.start})", "save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {str(error)[:200]}", _FORM) from None


def _problem(row: Any, number: int, where: str) -> Problem:
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) and row[key].strip() for key in _KEYS):
        raise InputError(f"{where}: no `question` and `answer`, both texts", _FORM)
    question, answer = row["question"], row["answer"]
    if not is_unicode([question, answer]):
        raise InputError(f"{where}: holds half a surrogate pair (\\ud800 to \\udfff)", "write the character itself")
    solution, mark, said = answer.rpartition("####")
    if not mark:
        raise InputError(f"{where}: the answer has no line `#### 42`", _FORM)
    gold = parse_number(said)
    if gold is None:
        raise InputError(f"{where}: the answer {said.strip()[:60]!r} is not a number", _FORM)
    return Problem(question, solution.rstrip(), gold, number)


def content(problems: Sequence[Problem]) -> list[list[str]]:
    """What a fingerprint is made of: questions and golds, whatever the file they stand in."""
    return [[problem.question, str(problem.gold)] for problem in problems]
