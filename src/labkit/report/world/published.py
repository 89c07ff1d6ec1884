"""Published tables of normalised improvements and of CKA, as CSV files.

    seed,ftwb1_id,trained_task,TASK,…    one row a seed and single-task model
    seed,ftwb2_id,trained_pair,TASK,…    one row a seed and pair, `TASK+TASK`
    layer,row_task,TASK,…                one row a layer and task: CKA of the models of two tasks

Numbers of pairs went wrong before in hand-made tables, so every number is held against the registry.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.config.base import nearest
from labkit.config.world import MIXTURES, TASK_NAMES
from labkit.errors import InputError
from labkit.report.world.scores import Mixture, Score, ScoredModel, mixture_of
from labkit.tasks.world.metrics import Improvement

_HEADINGS = {"ftwb1": ("seed", "ftwb1_id", "trained_task"), "ftwb2": ("seed", "ftwb2_id", "trained_pair")}
_CKA_HEADINGS = ("layer", "row_task")
_FORMATS = "; ".join(",".join((*heading, "TASK", "…")) for heading in (*_HEADINGS.values(), _CKA_HEADINGS))


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of a CSV file, with where it stands."""

    where: str
    cells: Mapping[str, str]

    def number(self, column: str) -> float:
        text = self.cells[column].strip()
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            what = f"holds {text!r}, which is no number" if text else "is empty"
            raise InputError(f"{self.where}: column {column} {what}", "every cell needs a number; mend the file")
        return value


def read_published(paths: Sequence[Path]) -> list[ScoredModel]:
    """The models of all files together.

    Raises:
        InputError: a file cannot be read, has other columns, an empty cell, a model twice, a pair that the registry
            does not know, or an id that is another pair's.
    """
    models: dict[tuple[str, str], tuple[str, ScoredModel]] = {}
    for path in paths:
        columns, lines = _read(path)
        family = next((name for name, heading in _HEADINGS.items() if tuple(columns[:3]) == heading), None)
        if columns[:2] == list(_CKA_HEADINGS) or columns[:1] == [_CKA_HEADINGS[-1]]:
            raise InputError(f"{path} is a table of CKA", f"give it with --cka {path}")
        if family is None:
            raise InputError(f"{path} starts with the columns {', '.join(columns[:3])}", f"labkit reads {_FORMATS}")
        tasks = _task_columns(path, columns[3:])
        for line in lines:
            model = _model(line, family, tasks)
            where, _ = models.setdefault((model.seed, model.name), (line.where, model))
            if where != line.where:
                raise InputError(f"{line.where}: {model.name} of {model.seed} stands at {where} already", "remove one")
    return [model for _, model in models.values()]


def _model(line: _Line, family: str, tasks: Sequence[str]) -> ScoredModel:
    mixture = _mixture(line, family)
    scores = {task: Score(Improvement(line.number(task)), None) for task in tasks}
    seed = line.cells["seed"].strip()
    if not seed:
        raise InputError(f"{line.where}: column seed is empty", "write the seed that the model was trained with")
    return ScoredModel(mixture.name, mixture, seed, None, scores)


def _mixture(line: _Line, family: str) -> Mixture:
    """What the tasks of a row are called in the registry, which must be what the row calls them."""
    _, id_column, tasks_column = _HEADINGS[family]
    trained = line.cells[tasks_column].strip().split("+")
    known = mixture_of(trained)
    name = f"{family}-{line.cells[id_column].strip().removeprefix(f'{family}-')}"
    if known.name not in MIXTURES or known.family != family or len(trained) != len(known.trained):
        kind = "task" if family == "ftwb1" else "pair of two tasks"
        unknown = next((task for task in trained if task not in TASK_NAMES), trained[0])
        guess = nearest(unknown, TASK_NAMES)
        hint = f"did you mean {guess!r}?" if guess and guess != unknown else f"tasks are {', '.join(TASK_NAMES)}"
        raise InputError(f"{line.where}: {line.cells[tasks_column]!r} is no {kind}", hint)
    if name != known.name:
        in_registry = f"{name} is {'+'.join(MIXTURES[name])}" if name in MIXTURES else f"there is no {name}"
        raise InputError(
            f"{line.where}: {known.tasks_text} is {known.name}, not {name}",
            f"{in_registry}; is the table of ids that this file was made with the right one?",
        )
    return known


def read_cka(path: Path, layer: int | None = None) -> dict[int | None, dict[tuple[str, str], float]]:
    """CKA of the models of two tasks, by layer and (task, task); the layer is None in a file without that column.

    Args:
        layer: only this one; None is every layer of the file

    Raises:
        InputError: the file cannot be read, has other columns, an empty cell or a row twice, or lacks the layer.
    """
    columns, lines = _read(path)
    about = [column for column in columns if column in _CKA_HEADINGS]
    if columns[: len(about)] != about or "row_task" not in about:
        raise InputError(f"{path} starts with the columns {', '.join(columns[:2])}", f"labkit reads {_FORMATS}")
    tasks = _task_columns(path, columns[len(about) :])
    found: dict[int | None, dict[tuple[str, str], float]] = {}
    for line in lines:
        at = round(line.number("layer")) if "layer" in about else None
        row = line.cells["row_task"].strip()
        if row not in tasks:
            raise InputError(f"{line.where}: row_task {row!r} is none of the columns", "name one of its tasks")
        matrix = found.setdefault(at, {})
        if (row, tasks[0]) in matrix:
            raise InputError(f"{line.where}: {row} has a row already", "remove one of the two")
        matrix |= {(row, task): line.number(task) for task in tasks}
    if layer is not None and layer not in found:
        there = ", ".join(str(each) for each in found if each is not None) or "no layers named"
        raise InputError(f"{path} has no layer {layer}: {there}", "choose another --layer")
    return found if layer is None else {layer: found[layer]}


def _task_columns(path: Path, columns: Sequence[str]) -> list[str]:
    for position, column in enumerate(columns):
        if column not in TASK_NAMES:
            guess = nearest(column, TASK_NAMES)
            hint = f"did you mean {guess!r}?" if guess else f"tasks are {', '.join(TASK_NAMES)}"
            raise InputError(f"{path}: column {column!r} is no task", hint)
        if column in columns[:position]:
            raise InputError(f"{path}: column {column!r} stands there twice", "remove one of the two")
    if not columns:
        raise InputError(f"{path} has no column of a task", f"labkit reads {_FORMATS}")
    return list(columns)


def _read(path: Path) -> tuple[list[str], list[_Line]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"there is no file {path}", "arguments that end in .csv are tables; check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}", "name a CSV file in UTF-8") from None
    rows = csv.reader(text.splitlines())
    header = [column.strip() for column in next(rows, [])]
    lines = list(_lines(path, header, rows))
    if not lines:
        raise InputError(f"{path} has no rows", f"labkit reads {_FORMATS}")
    return header, lines


def _lines(path: Path, header: Sequence[str], rows: Iterator[list[str]]) -> Iterator[_Line]:
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != len(header):
            what = f"{path}, line {number} has {len(row)} cells and the header {len(header)}"
            raise InputError(what, "mend the file: every cell needs a value")
        yield _Line(f"{path}, line {number}", dict(zip(header, row, strict=True)))
