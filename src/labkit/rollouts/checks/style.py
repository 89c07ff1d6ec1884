"""Stretches of rows that are unlike the others: another model's, or another way of asking.

Rollouts of one prompt are exchangeable, whatever the prompt: their order carries nothing. So every row is compared with the
others of its prompt, and a stretch of rows that are all longer, or likelier, or opened in another way than those, is no
chance. Where a prompt has one rollout only, it is compared with the prompts that open like its own; as these may come in an
order of their own, by difficulty for one, what is found then is a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.record.identity import Arm
from labkit.rollouts.checks.subject import Subject, question_of, rows_at
from labkit.rollouts.findings import Finding

LEAST_ROWS = 10
"""Rows of the shortest stretch that is looked at."""
LEAST_SHARE = 0.025
"""The same as a share of the arm's rows."""
ALONE = 5.5
"""Standard errors by which a stretch must differ in one trait; none of 28,000 honest series did (`benchmarks/checks.py`)."""
TOGETHER = 4.9
"""The same where two traits differ at the same place; 5 of the 28,000 reached it."""
_LEAST_STRATUM = 20
_MOST_ALIKE = 0.9
"""Share of one value above which the others are too rare for sums of them to be normal, unless prompts have several rows."""
_READ_BYTES = 128

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring rows that differ."""

    start: int
    end: int
    z: float
    """Standard errors from what is expected."""

    def overlaps(self, other: Stretch) -> bool:
        """Whether half of the shorter one lies in the other."""
        shared = min(self.end, other.end) - max(self.start, other.start)
        return 2 * shared >= min(self.end - self.start, other.end - other.start)


def style_findings(subject: Subject) -> Iterator[Finding]:
    """Stretches of rows unlike the rest, one finding an arm."""
    openings = {line["id"]: _opening_of(line) for line in subject.prompts}
    for arm, rows in subject.arms():
        rows = rows.filter(pl.col("error").is_null())
        if rows.height < 4 * LEAST_ROWS:
            continue
        groups = _groups(rows, openings, arm)
        strange = {name: strangest(values, groups) for name, values in traits(rows).items()}
        found = {name: stretch for name, stretch in strange.items() if stretch and abs(stretch.z) >= TOGETHER}
        if _is_enough(list(found.values())):
            yield _finding(arm, rows, found, certain=groups.is_by_prompt)


def _is_enough(found: Sequence[Stretch]) -> bool:
    if any(abs(stretch.z) >= ALONE for stretch in found):
        return True
    return any(one.overlaps(other) for one, other in combinations(found, 2))


def _finding(arm: Arm, rows: pl.DataFrame, found: dict[str, Stretch], *, certain: bool) -> Finding:
    worst = max(found.values(), key=lambda stretch: abs(stretch.z))
    ways = ", ".join(f"{name} {'higher' if stretch.z > 0 else 'lower'}" for name, stretch in found.items())
    here = rows[worst.start : worst.end]
    what = f"{arm.key}: rows {worst.start + 1} to {worst.end} of {rows.height} are unlike the others ({ways}): mixed generators?"
    return Finding("style", "contamination" if certain else "note", what, here.height, rows_at(here, 1))


@dataclass(frozen=True, slots=True)
class Groups:
    """What each of n rows is compared with."""

    codes: IntArray
    """(n,) the prompt, or the stratum of prompts"""
    members: IntArray | None
    """(n,) the perturbed member, whose style is its own; None where there are none"""
    is_by_prompt: bool


def _groups(rows: pl.DataFrame, openings: dict[str, str], arm: Arm) -> Groups:
    members = rows["index"].to_numpy().astype(np.int64) if arm.method == "perturbation" else None
    counts = rows["prompt"].len() / rows["prompt"].n_unique()
    if counts >= 2:
        return Groups(_codes(rows["prompt"]), members, True)
    strata = rows["prompt"].replace_strict(openings, return_dtype=pl.String).alias("opening").to_frame()
    small = pl.len().over("opening") < _LEAST_STRATUM
    merged = strata.select(pl.when(small).then(pl.lit("")).otherwise(pl.col("opening")).alias("opening"))
    return Groups(_codes(merged["opening"]), members, False)


def _codes(names: pl.Series) -> IntArray:
    return np.asarray(names.rank("dense").to_numpy(), dtype=np.int64) - 1


def _opening_of(prompt: Mapping[str, Any]) -> str:
    """The letters that a prompt's question begins with: `distance` of `distance(c_12,`."""
    text = question_of(prompt).lstrip()
    return text[: next((at for at, letter in enumerate(text) if not letter.isalpha()), len(text))]


def traits(rows: pl.DataFrame) -> dict[str, FloatArray]:
    """What is compared, (n,) each: no number where a row has none."""
    text = pl.col("text")
    frame = rows.select(
        length=pl.col("num_tokens").cast(pl.Float64),
        density=text.str.len_bytes() / pl.col("num_tokens"),
        opening=pl.len().over(text.str.strip_chars().str.slice(0, 8)).cast(pl.Float64),
        digits=text.str.count_matches("[0-9]") / text.str.len_bytes(),
        lines=text.str.count_matches("\n", literal=True).cast(pl.Float64),
        correct=pl.col("correct").cast(pl.Float64),
        logprob=pl.col("logprob") / pl.col("num_tokens"),
    )
    names = {
        "length": "tokens",
        "density": "characters a token",
        "opening": "how usual the opening is",
        "digits": "share of digits",
        "lines": "lines",
        "correct": "accuracy",
        "logprob": "log-probability a token",
    }
    found = {names[name]: frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in frame.columns}
    return found | {"how usual the wording is": wording(rows["text"].to_list())}


def wording(texts: list[str]) -> FloatArray:
    """(n,) mean log-frequency of a text's neighbouring bytes among those of all texts, of its first 128 bytes."""
    encoded = [text.encode(errors="replace")[:_READ_BYTES] for text in texts]
    data = np.frombuffer(b"".join(encoded), dtype=np.uint8).astype(np.int32)
    lengths = np.array([len(text) for text in encoded], dtype=np.int64)
    ends = np.cumsum(lengths)
    if len(data) < 2:
        return np.full(len(texts), np.nan)
    pairs = data[:-1] * 256 + data[1:]
    inside = np.ones(len(pairs), dtype=bool)
    inside[ends[(ends > 0) & (ends < len(data))] - 1] = False  # a pair across two texts
    counts = np.bincount(pairs[inside], minlength=1 << 16)
    scores = np.where(inside, np.log(np.maximum(counts, 1))[pairs], 0.0)
    sums = np.concatenate(([0.0], np.cumsum(scores), [0.0]))
    sums[-1] = sums[-2]
    totals = sums[ends] - sums[ends - lengths]
    # Rounded, because a difference of sums remembers its place: equal texts must be ties.
    return np.where(lengths > 1, np.round(totals / np.maximum(lengths - 1, 1), 6), np.nan)


def strangest(values: FloatArray, groups: Groups) -> Stretch | None:
    """The stretch of neighbouring rows that differs most from what the same prompts have elsewhere; None where nothing can
    differ.

    Ranks, so that no single row decides, less the mean of their group, summed over a window and divided by the square root
    of the sum of their groups' variances. Within a prompt the residuals of honest rows have mean 0 in any order, and sums
    over several of its rows vary less than the variances say.
    """
    known = np.flatnonzero(np.isfinite(values))
    if len(known) < 4 * LEAST_ROWS or values[known].min() == values[known].max():
        return None
    if not groups.is_by_prompt and _share_of_mode(values[known]) > _MOST_ALIKE:
        return None
    residuals, variances = _residuals(values[known], groups, known)
    if not variances.any():
        return None
    sums, spread = (np.concatenate(([0.0], np.cumsum(each))) for each in (residuals, variances))
    n, best = len(known), Stretch(0, 0, 0.0)
    width = max(LEAST_ROWS, int(LEAST_SHARE * n))
    while width <= n // 2:
        starts = np.arange(0, n - width + 1, max(1, width // 6))
        floor = 0.25 * width * spread[-1] / n  # a few rows that vary little are no yardstick
        z = (sums[starts + width] - sums[starts]) / np.sqrt(np.maximum(spread[starts + width] - spread[starts], floor))
        at = int(np.abs(z).argmax())
        if abs(z[at]) > abs(best.z):
            best = Stretch(int(known[starts[at]]), int(known[starts[at] + width - 1]) + 1, float(z[at]))
        width = int(width * 1.4) + 1
    return best


def _share_of_mode(values: FloatArray) -> float:
    return float(np.unique(values, return_counts=True)[1].max() / len(values))


def _residuals(values: FloatArray, groups: Groups, known: IntArray) -> tuple[FloatArray, FloatArray]:
    """(n,) residuals of the ranks, and the variance of each."""
    scores = _ranks(values)
    residuals = _centred(scores, groups.codes[known])
    by = groups.codes[known]
    if groups.members is not None:
        by = groups.members[known]
        residuals = _centred(residuals, by)
    return residuals, _means(residuals**2, by)[by]


def _ranks(values: FloatArray) -> FloatArray:
    """(n,) mid-ranks between -1/2 and 1/2."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(((np.cumsum(counts) - counts / 2) / len(values) - 0.5)[which])


def _means(values: FloatArray, codes: IntArray) -> FloatArray:
    return np.asarray(np.bincount(codes, values) / np.maximum(np.bincount(codes), 1))


def _centred(values: FloatArray, codes: IntArray) -> FloatArray:
    # Rounded: where all rows of a prompt agree, what the mean lost in its last bit would be the only thing to compare.
    return np.asarray(np.round(values - _means(values, codes)[codes], 9))
