"""What a check is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from labkit.record.frames import newest
from labkit.record.identity import Arm
from labkit.record.run import Ask


@dataclass(slots=True)
class Subject:
    """Rows, and what the run says of itself."""

    frame: pl.DataFrame
    """Every row in the order in which they were written, columns as `ROLLOUT_SCHEMA`, with `correct` and `rule`."""
    ask: Ask
    seed: int
    prompts: Sequence[Mapping[str, Any]]
    """Lines of `prompts.jsonl`, those asked for."""
    num_attempts: int
    has_draws: bool
    """Whether the rows were drawn by labkit: those of an imported file have no seeds."""
    has_texts: bool
    """Whether the texts were recorded: a published file has verdicts and answers only."""
    is_done: bool
    """Whether the run has once had everything that it was asked for."""
    task: str
    answer_start: str
    """What the template writes after a prompt, without special tokens and prefill."""
    newest: pl.DataFrame = field(init=False)
    """The rows that count: the last attempt's of each rollout, without what was never asked for."""

    def __post_init__(self) -> None:
        asked = pl.col("prompt").is_in([line["id"] for line in self.prompts])
        asked &= pl.col("arm").is_in([arm.key for arm, _ in self.ask.arms])
        self.newest = newest(self.frame).filter(asked)

    def arms(self) -> Iterator[tuple[Arm, pl.DataFrame]]:
        """Every arm with its rows, in the order in which they were written."""
        for arm, _ in self.ask.arms:
            rows = self.newest.filter(pl.col("arm") == arm.key)
            if rows.height:
                yield arm, rows


def rows_at(rows: pl.DataFrame, most: int = 3) -> str:
    """The first rows, for people."""
    first = rows.head(most).select("prompt", "arm", "index").iter_rows()
    return "; ".join(f"{prompt} {arm} #{index}" for prompt, arm, index in first)


def question_of(prompt: Mapping[str, Any]) -> str:
    """A prompt's last message; no text where a run keeps ids only, as imported ones may."""
    messages = prompt.get("messages") or [{}]
    return str(messages[-1].get("content", ""))
