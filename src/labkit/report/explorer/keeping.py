"""Which texts of a prompt and arm are kept, and how much of each fits a page."""

from __future__ import annotations

import json
from collections.abc import Sequence

import polars as pl

from labkit.record.frames import KEY, read_verdicts
from labkit.record.run import Run
from labkit.report.explorer.reading import RUN

MOST_TEXTS = 8
"""Texts of a prompt and arm on a page."""
MOST_CHARS = 20_000
"""Characters of a text on a page, however much room there is."""
LEAST_CHARS = 400
"""Rather than cut texts to fewer characters, fewer texts are kept."""

ROW = "row"
"""The column that says which rollout stands for a text."""

CELL = ["place", "arm_place"]
"""The columns that say where a rollout's prompt and arm stand on the page."""

Cut = str | tuple[str, str, int]
"""A whole text; or its beginning, its end, and the number of characters between the two."""


def distinct_texts(rollouts: pl.DataFrame) -> pl.DataFrame:
    """One row for each different text (with its verdict) of a `CELL`, in the order in which they are worth reading.

    That is: those that solve the prompt first, then the others, each from the most frequent to the rarest. `copies` says
    how many rollouts there are of each, and `ROW` which row of `rollouts` stands for them, the one with the lowest index;
    see `with_rollouts`. `rank` counts within solved or unsolved from 0; `num_right` and `num_wrong` say how many there are
    of each kind.

    Args:
        rollouts: `CELL`, both integers, `index`, `text`, `correct` and `error`
    """
    # By hash, and without the texts, which are most of the memory. Two texts of a prompt and arm with one hash of 64 bits
    # would be taken for one; no sweep is large enough for that.
    hashed = rollouts.select(*CELL, "index", "correct", "error", pl.col("text").hash().alias("hash")).with_row_index(
        ROW
    )
    return (
        hashed.group_by(*CELL, "hash", "correct", "error")
        .agg(pl.len().cast(pl.Int64).alias("copies"), pl.col("index").min(), pl.col(ROW).get(pl.col("index").arg_min()))
        .with_columns(solves=pl.col("correct").fill_null(False))
        .sort(*CELL, "solves", "copies", "index", ROW, descending=[False, False, True, True, False, False])
        .select(
            *CELL,
            ROW,
            "copies",
            "solves",
            rank=pl.int_range(pl.len()).over(*CELL, "solves"),
            num_right=pl.col("solves").sum().over(CELL).cast(pl.Int64),
            num_wrong=(~pl.col("solves")).sum().over(CELL).cast(pl.Int64),
        )
    )


def with_rollouts(found: pl.DataFrame, rollouts: pl.DataFrame) -> pl.DataFrame:
    """Rows of `distinct_texts`, each with everything of the rollout that stands for it."""
    return pl.concat([found, rollouts.drop(CELL)[found[ROW]]], how="horizontal")


def chosen(texts: pl.DataFrame, most: int) -> pl.DataFrame:
    """At most so many of `distinct_texts` for each prompt and arm.

    A quarter of the places is kept for texts that do not solve: where hundreds of rollouts are right, one still wants to
    see what a wrong one looks like.
    """
    for_wrong = pl.min_horizontal("num_wrong", pl.max_horizontal(pl.lit(most // 4), most - pl.col("num_right")))
    right = pl.min_horizontal("num_right", most - for_wrong)
    return texts.filter(pl.col("rank") < pl.when(pl.col("solves")).then(right).otherwise(most - right))


def with_verdicts(texts: pl.DataFrame, runs: Sequence[Run], *, salvage: bool) -> pl.DataFrame:
    """The rows in their order, with `answer`, `rule` and `value` of the verdict on each."""
    parts = [
        read_verdicts(run, run.score_hash, columns=["answer", "rule", "value"], salvage=salvage)
        .frame.lazy()
        .join(texts.lazy().filter(pl.col(RUN) == number).select(*KEY, "attempt"), on=[*KEY, "attempt"], how="semi")
        .with_columns(pl.lit(number, pl.Int64).alias(RUN))
        for number, run in enumerate(runs)
    ]
    verdicts = pl.concat(parts).collect()
    return texts.join(verdicts, on=[RUN, *KEY, "attempt"], how="left", maintain_order="left")


def encoded(value: object) -> str:
    """A value as JSON that can stand in an HTML element: nothing in it ends the element, or a line of a script."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def num_bytes(value: object) -> int:
    """Bytes of `encoded`."""
    return len(encoded(value).encode(errors="replace"))


def cut(text: str, most: int) -> Cut:
    """The text, or its first and last characters, `most` together: what a model ends with decides its verdict."""
    if len(text) <= most:
        return text
    tail = most // 2
    return text[: most - tail], text[len(text) - tail :], len(text) - most


def fitting_chars(texts: Sequence[str], num_bytes_left: int, most: int = MOST_CHARS) -> int:
    """How many characters a text may have, up to `most`, for all texts to fit into so many bytes; 0 where none do.

    Not always the very most, but near it.
    """
    lengths = [len(text) for text in texts]
    chars = _level(lengths, num_bytes_left, most)  # every character takes a byte or more
    while chars > 0 and (size := num_bytes([cut(text, chars) for text in texts])) > num_bytes_left:
        chars = max(0, min(chars - 1, chars * num_bytes_left // size))
    return chars


def _level(lengths: Sequence[int], total: int, most: int) -> int:
    """The largest length up to `most` to which all can be cut for their sum to be at most a total."""
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if sum(min(length, middle) for length in lengths) <= total else (low, middle)
    return low
