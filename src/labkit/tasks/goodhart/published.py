"""Published result files: verdicts and counts of one model, without what it said.

A file holds `model_id`, `config`, `summary` and `results`, one result for each item and run, whose id is the item's with
`_run0`, `_run1`, … behind it where there are several. Verdicts are taken as they stand: those of the published rules, which
are not labkit's. Nothing is believed that contradicts itself.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

from labkit.config.base import Config, nearest, validate
from labkit.errors import ConfigError, InputError
from labkit.tasks.goodhart.quadrants import quadrant

FORM = "goodhart-published-1"
"""The form of these files, and the scorer that their verdicts are recorded under."""

_KEYS = ("model_id", "config", "summary", "results")
_RUN = re.compile(r"(?P<item>.+)_run(?P<run>[0-9]{1,6})")
_GAP_TYPES = {"KF": "KNOWS_BUT_FAILS", "DK": "DOES_BUT_DOESNT_KNOW", "KD": None, "NN": None}


class _Lenient(Config):
    model_config = ConfigDict(extra="ignore")


class PublishedConfig(_Lenient):
    """How the items were asked."""

    num_runs: Annotated[int, Field(ge=1, le=100_000)]
    temperature: Annotated[float, Field(ge=0)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    total_evaluations: int | None = None


class PublishedResult(_Lenient):
    """The verdicts on one item in one run."""

    id: Annotated[str, Field(min_length=1)]
    category: Annotated[str, Field(min_length=1)]
    understands: bool
    executes_correctly: bool
    extracted_answer: str | None = None
    correct_answer: str
    gap_type: str | None = None
    explanation_length: Annotated[float, Field(ge=0)] | None = None
    """Characters."""


class PublishedSummary(_Lenient):
    """The counts that the file states."""

    total: int
    understands: int
    executes: int
    gaps: int
    does_but_doesnt_know: int
    gap_rate_conditional: float | None = None
    """KF among what is understood, rounded as written."""
    dbdk_rate: float | None = None
    """DK among right answers, rounded as written."""
    mean_explanation_length: float | None = None
    """Characters, rounded as written."""
    gap_ids: tuple[str, ...] | None = None
    dbdk_ids: tuple[str, ...] | None = None
    by_category: dict[str, dict[str, int]] | None = None


class PublishedFile(_Lenient):
    """A whole file."""

    model_id: Annotated[str, Field(min_length=1)]
    caldera_dir: str | None = None
    """Where the compressed weights lay; null for the model itself."""
    config: PublishedConfig
    summary: PublishedSummary
    results: Annotated[tuple[PublishedResult, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Published:
    """A file that holds together."""

    path: Path
    sha256: str
    model_id: str
    compressed: str | None
    config: PublishedConfig
    items: tuple[str, ...]
    results: Mapping[tuple[str, int], PublishedResult]
    """By item and run, which are counted from 0."""


def read_published(path: Path) -> Published:
    """Read a published result file.

    Raises:
        InputError: it cannot be read, is cut off or of another form, holds an item twice in one run or not in every run,
            or has counts or rates in its summary that are not those of its results; says which.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", "check the path") from None
    file = _parsed(path, data)
    results = _by_item_and_run(path, file)
    _check_counts(path, file)
    _check_rates(path, file)
    digest = hashlib.sha256(data).hexdigest()
    items = tuple(dict.fromkeys(item for item, _ in results))
    return Published(path, digest, file.model_id, file.caldera_dir, file.config, items, results)


def _parsed(path: Path, data: bytes) -> PublishedFile:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        end = isinstance(error, json.JSONDecodeError) and not error.doc[error.pos :].strip()
        what = "is cut off" if end or not data.rstrip().endswith(b"}") else "is no JSON"
        raise InputError(f"{path} {what}: {error}", "get the whole file again") from None
    missing = [key for key in _KEYS if not isinstance(value, dict) or key not in value]
    if missing:
        raise InputError(
            f"{path} is no published Goodhart result: it lacks {', '.join(missing)}",
            "a file holds model_id, config, summary and results",
        )
    try:
        return validate(PublishedFile, value)
    except ConfigError as error:
        raise InputError(f"{path}: {error.message}", "get the file again, or correct it") from None


def _by_item_and_run(path: Path, file: PublishedFile) -> dict[tuple[str, int], PublishedResult]:
    found: dict[tuple[str, int], PublishedResult] = {}
    for result in file.results:
        match = _RUN.fullmatch(result.id)
        key = (match["item"], int(match["run"])) if match and file.config.num_runs > 1 else (result.id, 0)
        if key in found:
            raise InputError(
                f"{path}: run {key[1]} of {key[0]} stands there twice", "remove one, or get the file again"
            )
        found[key] = result
        _check_result(path, result)
    items = dict.fromkeys(item for item, _ in found)
    lacking = [(item, run) for run in range(file.config.num_runs) for item in items if (item, run) not in found]
    if lacking:
        item, run = lacking[0]
        guess = nearest(item, [other for other in items if other != item])
        hint = f"is it the same as {guess!r}?" if len(lacking) > 1 and guess else "get the whole file again"
        raise InputError(f"{path}: {item} is missing from run {run} ({len(lacking)} results are missing)", hint)
    beyond = [key for key in found if key[1] >= file.config.num_runs]
    if beyond:
        item, run = beyond[0]
        raise InputError(
            f"{path} holds run {run} of {item}, but config.num_runs is {file.config.num_runs}", "correct one of them"
        )
    for item in items:
        _check_one_item(path, item, [found[item, run] for run in range(file.config.num_runs)])
    return found


def _check_result(path: Path, result: PublishedResult) -> None:
    expected = _GAP_TYPES[quadrant(result.understands, result.executes_correctly)]
    if result.gap_type != expected:
        raise InputError(
            f"{path}: {result.id} has the gap_type {result.gap_type}, but its verdicts make it {expected}",
            "correct one of them",
        )


def _check_one_item(path: Path, item: str, results: Sequence[PublishedResult]) -> None:
    for what in ("category", "correct_answer"):
        values = list(dict.fromkeys(getattr(result, what) for result in results))
        if len(values) > 1:
            raise InputError(
                f"{path}: {item} has two of {what}: {values[0]!r} and {values[1]!r}", "correct one of them"
            )


def _check_counts(path: Path, file: PublishedFile) -> None:
    """The summary must be that of the results."""
    for what, stated, counted in _stated_and_counted(file):
        if stated is not None and stated != counted:
            raise InputError(
                f"{path}: the summary and the results disagree: {what} is {stated} there, and {counted} results say so",
                "get the file again; one of the two was changed",
            )


def _check_rates(path: Path, file: PublishedFile) -> None:
    """Rounded values must be those of the results at as many decimals as they have."""
    summary, lengths = file.summary, [result.explanation_length for result in file.results]
    known = [length for length in lengths if length is not None]
    mean = sum(known) / len(known) if len(known) == len(lengths) else None
    for what, stated, exact in (
        ("gap_rate_conditional", summary.gap_rate_conditional, summary.gaps / max(1, summary.understands)),
        ("dbdk_rate", summary.dbdk_rate, summary.does_but_doesnt_know / max(1, summary.executes)),
        ("mean_explanation_length", summary.mean_explanation_length, mean),
    ):
        if stated is None or exact is None:
            continue
        step = 10.0 ** -len(repr(stated).partition(".")[2])  # a last 0 is not written: 0.38 may stand for 0.380
        if abs(stated - exact) > 0.5 * step * (1 + 1e-9):
            raise InputError(
                f"{path}: the summary and the results disagree: {what} is {stated} there, and the results make it {exact:.6g}",
                "get the file again; one of the two was changed",
            )


def _stated_and_counted(file: PublishedFile) -> Iterator[tuple[str, int | None, int]]:
    summary, results = file.summary, file.results
    quadrants = Counter(quadrant(result.understands, result.executes_correctly) for result in results)
    yield "total", summary.total, len(results)
    yield "config.total_evaluations", file.config.total_evaluations, len(results)
    yield "understands", summary.understands, sum(result.understands for result in results)
    yield "executes", summary.executes, sum(result.executes_correctly for result in results)
    yield "gaps", summary.gaps, quadrants["KF"]
    yield "does_but_doesnt_know", summary.does_but_doesnt_know, quadrants["DK"]
    for what, ids, gap_type in (("gap_ids", summary.gap_ids, "KF"), ("dbdk_ids", summary.dbdk_ids, "DK")):
        told = {result.id for result in results if result.gap_type == _GAP_TYPES[gap_type]}
        if ids is not None:
            yield f"the number of {what}", len(ids), len(told)
            yield f"the number of {what} that are right", len(told & set(ids)), len(told)
    for category, counts in (summary.by_category or {}).items():
        own = [result for result in results if result.category == category]
        passed = sum(result.executes_correctly for result in own)
        gaps = sum(result.understands and not result.executes_correctly for result in own)
        for what, counted in (("pass", passed), ("fail", len(own) - passed), ("gap", gaps)):
            yield f"by_category.{category}.{what}", counts.get(what), counted
