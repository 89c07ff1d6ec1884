"""Texts that no model wrote for the prompt they stand under: dummies, stale answers, the prompt itself."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from labkit.record.identity import Arm
from labkit.rollouts.checks.subject import Subject, question_of, rows_at
from labkit.rollouts.findings import Finding, Severity

LEAST_CHARS = 16
"""Shorter answers are the same for many prompts without anybody's fault: a number, a name."""
LEAST_IN_A_ROW = 5
"""Rows of different prompts, one after the other, with the same text."""
MOST_BY_CHANCE = 1e-4
"""Of such a stretch."""
LEAST_SCATTERED = 10
"""Prompts that share a text, none of which is next to the other."""
LEAST_LEAKED_CHARS = 10
LEAST_OF_WORDS = 4
"""The same of three words or more, `8 = 33`, that are not how every prompt ends: an answer may well be a prompt's last word."""
_READ_CHARS = 600
_WORD = re.compile("[a-zA-Z0-9]+")


def text_findings(subject: Subject) -> Iterator[Finding]:
    """Empty, repeated and leaked texts."""
    for arm, rows in subject.arms():
        answered = rows.filter(pl.col("error").is_null())
        yield from _empty(arm, answered)
        yield from _same_for_other_prompts(arm, answered)
        yield from _same_for_one_prompt(arm, answered)
    yield from _leaks(subject)


def _empty(arm: Arm, rows: pl.DataFrame) -> Iterator[Finding]:
    empty = rows.filter(pl.col("text").str.strip_chars() == "")
    if empty.height:
        severity: Severity = "warning" if empty.height > 0.05 * rows.height else "note"
        what = f"{arm.key}: {empty.height} of {rows.height} rollouts have no text"
        yield Finding("empty", severity, what, empty.height, rows_at(empty))


def _same_for_other_prompts(arm: Arm, rows: pl.DataFrame) -> Iterator[Finding]:
    """Texts that stand under several prompts. A weak model repeats itself, too: everywhere, and with many texts. Dummies
    stand in a row, or are one text where nothing else is repeated; the latter may also be a refusal of hard prompts, and
    so may a row of prompts that were asked once each, in the order of their difficulty."""
    rows = rows.with_row_index("place").with_columns(text=pl.col("text").str.strip_chars())
    shared = (
        rows.filter(pl.col("text").str.len_chars() >= LEAST_CHARS)
        .group_by("text", maintain_order=True)
        .agg(num_prompts=pl.col("prompt").n_unique(), num_rows=pl.len())
        .filter(pl.col("num_prompts") >= 3)
        .sort("num_prompts", descending=True, maintain_order=True)
    )
    dummies = []
    for rank, (text, num_prompts, num_rows) in enumerate(shared.head(20).iter_rows()):
        here = rows.filter(pl.col("text") == text)
        alone = rank == 0 and (shared.height < 2 or 10 * int(shared["num_prompts"][1]) <= num_prompts)
        is_scattered = alone and num_prompts >= LEAST_SCATTERED and num_rows <= rows.height / 2
        stretch = _in_a_row(here, rows.height)
        if stretch is not None or is_scattered:
            dummies.append(text)
            certain = stretch is not None and _is_beside_others(text, stretch, rows)
            what = (
                f"{arm.key}: {num_rows} rollouts of {num_prompts} prompts are the same text, {_shown(text)}: dummies?"
            )
            yield Finding("dummies", "contamination" if certain else "warning", what, num_rows, rows_at(here))
    others = shared.filter(~pl.col("text").is_in(dummies))
    count = int(others["num_rows"].sum())
    if count > 0.05 * rows.height:
        what = f"{arm.key}: {count} rollouts have a text that other prompts got as well, mostly {_shown(others['text'][0])}"
        yield Finding("duplicates", "warning", what, count, rows_at(rows.filter(pl.col("text") == others["text"][0])))


def _in_a_row(here: pl.DataFrame, num_rows: int) -> pl.DataFrame | None:
    """Rows of one text that follow each other for longer than chance explains, if there are such."""
    places = here["place"].to_numpy().astype(np.int64)
    begins = np.concatenate(([0], np.flatnonzero(np.diff(places) != 1) + 1))
    lengths = np.diff(np.concatenate((begins, [len(places)])))
    best = int(lengths.argmax())
    stretch = here[int(begins[best]) : int(begins[best] + lengths[best])]
    length = stretch["prompt"].n_unique()
    share = (here.height - stretch.height + 1) / max(1, num_rows - stretch.height)
    is_long = length >= LEAST_IN_A_ROW and share < 0.5 and num_rows * share**length < MOST_BY_CHANCE
    return stretch if is_long else None


def _is_beside_others(text: str, stretch: pl.DataFrame, rows: pl.DataFrame) -> bool:
    """Whether prompts were asked several times each, and what else those of a stretch got is not the same text mostly."""
    if rows.height < 2 * rows["prompt"].n_unique():
        return False
    outside = rows.join(stretch.select("place"), on="place", how="anti")
    beside = outside.filter(pl.col("prompt").is_in(stretch["prompt"].to_list()))
    return 2 * beside.filter(pl.col("text") == text).height <= beside.height


def _same_for_one_prompt(arm: Arm, rows: pl.DataFrame) -> Iterator[Finding]:
    """A model that knows what it says says it again; that most do is worth a look only."""
    if arm.method != "temperature" or (arm.value or 0) < 0.5:
        return
    long = rows.filter(pl.col("text").str.len_chars() >= 2 * LEAST_CHARS)
    repeated = long.filter(~pl.struct("prompt", "text").is_first_distinct())
    if repeated.height > 0.5 * rows.height:
        what = f"{arm.key}: {repeated.height} of {rows.height} rollouts repeat another one of their prompt"
        yield Finding("duplicates", "note", what, repeated.height, rows_at(repeated))


def _leaks(subject: Subject) -> Iterator[Finding]:
    """Texts that begin with the end of their prompt. To restate a question is honest; to begin in the middle of one, or
    with words that end every prompt, or to go on with the template's own words, is not a model's doing. To repeat the
    whole prompt may be either."""
    leaked, whole, restated = _beginnings(subject)
    least = max(3, subject.newest.height // 500)
    if len(leaked) >= least:
        what = f"{len(leaked)} rollouts begin with the end of their prompt: is the prompt cut off at the right place?"
        yield Finding("leaked prompt", "contamination", what, len(leaked), rows_at(subject.newest[leaked[:3]]))
    if len(whole) >= least:
        what = f"{len(whole)} rollouts begin with their whole prompt: does the model repeat it, or is it not cut off?"
        yield Finding("leaked prompt", "warning", what, len(whole), rows_at(subject.newest[whole[:3]]))
    if 0 < len(leaked) < least or len(restated) >= least:
        some = restated if len(restated) >= least else leaked
        what = f"{len(some)} rollouts begin with words of their prompt"
        yield Finding("leaked prompt", "note", what, len(some), rows_at(subject.newest[some[:3]]))


def _beginnings(subject: Subject) -> tuple[list[int], list[int], list[int]]:
    """Rows that begin with the end of their prompt, with all of it, and with its last sentences."""
    endings = {line["id"]: _ending(line) for line in subject.prompts}
    behind = {line["id"]: _packed(subject.answer_start + line.get("prefill", "")) for line in subject.prompts}
    lasts = {line["id"]: _last_letters(line) for line in subject.prompts}
    shared = _shared_ending([ending for ending, _ in endings.values()])
    least = {line["id"]: _least_of(line, shared) for line in subject.prompts}
    leaked, whole, restated = [], [], []
    for row, (prompt, text, error) in enumerate(subject.newest.select("prompt", "text", "error").iter_rows()):
        ending, starts = endings[prompt]
        if error or lasts[prompt] not in text[: 2 * _READ_CHARS]:  # quick, and true of most
            continue
        begin = _packed(text[: 2 * _READ_CHARS])
        length = _repeated(ending, begin, least[prompt])
        goes_on = (
            _repeated(ending + behind[prompt], begin, LEAST_LEAKED_CHARS) - len(behind[prompt])
            if len(behind[prompt]) >= 4
            else 0
        )
        if goes_on >= 4 or (length and (length not in starts or length <= shared)):
            leaked.append(row)
        elif length and length == len(ending):
            whole.append(row)
        elif length:
            restated.append(row)
    return leaked, whole, restated


def _last_letters(prompt: Mapping[str, Any]) -> str:
    """The end of a prompt's last word, which stands in every text that begins with the prompt's end, however spaced."""
    return "".join(_WORD.findall(question_of(prompt)[-_READ_CHARS:])[-1:])[-3:]


def _packed(text: str) -> str:
    """Without white space, which not every tokenizer gives back."""
    return "".join(text.split())


def _ending(prompt: Mapping[str, Any]) -> tuple[str, frozenset[int]]:
    """The end of a prompt's last message without white space; and the lengths of its endings that begin with a sentence, the
    whole message among them."""
    content = question_of(prompt)[-_READ_CHARS:]
    packed = _packed(content)
    starts, before, begins = {len(packed)}, 0, False
    for word in content.split():
        if begins:
            starts.add(len(packed) - before)
        before += len(word)
        begins = word.rstrip("\"')")[-1:] in (".", "!", "?", ":")
    return packed, frozenset(starts)


def _shared_ending(endings: Sequence[str]) -> int:
    """How many characters all prompts end with; 0 where there is one prompt only."""
    distinct = {ending[::-1] for ending in endings}
    # Of texts in order the first and the last share least.
    return len(os.path.commonprefix([min(distinct), max(distinct)])) if len(distinct) > 1 else 0  # noqa: RUF071  # letters


def _least_of(prompt: Mapping[str, Any], shared: int) -> int:
    """Of how many characters of its end a text must begin with."""
    words = question_of(prompt)[-_READ_CHARS:].split()[-3:]
    enough = max(LEAST_OF_WORDS, len("".join(words)), shared + 2)
    return min(LEAST_LEAKED_CHARS, enough) if len(words) == 3 else LEAST_LEAKED_CHARS


def _repeated(ending: str, begin: str, least: int) -> int:
    """How many characters of an ending a text begins with; 0 where it begins with other words, or with fewer than `least`."""
    if len(ending) < least:
        return 0
    mark = ending[-least:]
    at = begin.find(mark)
    length = at + len(mark)
    return length if at >= 0 and ending.endswith(begin[:length]) else 0


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
