"""Goodhart as a task: two prompts an item, in conversations of their own, each graded by its own rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.config.base import stable_digest
from labkit.errors import InputError
from labkit.tasks.base import Prompt, Score
from labkit.tasks.goodhart.items import SHIPPED, Item, Part, find_item, load_items
from labkit.tasks.goodhart.quadrants import Verdict, count_quadrants, paired
from labkit.tasks.prompt_file import take

if TYPE_CHECKING:
    import polars as pl

RULES_VERSION = 1
"""Raised whenever a text gets another verdict."""


class GoodhartTask:
    """For each item the way to its answer is asked, and the answer."""

    name = "goodhart"
    scorer = f"goodhart-{RULES_VERSION}"

    def __init__(self, data: Path | None = None) -> None:
        """Read and test the items.

        Args:
            data: a YAML file of items; None takes the twenty of the package

        Raises:
            InputError: the file cannot be used, or an item fails its self-test.
        """
        self._path = SHIPPED if data is None else data
        self._items = load_items(self._path)
        self.data_fingerprint = stable_digest([item.as_json() for item in self._items], digest_size=16)
        self.notes: Sequence[str] = ()

    def prompts(self, *, preset: str | None, offset: int, num_prompts: int | None) -> list[Prompt]:
        """Both prompts of every item of the slice: `offset` and `num_prompts` count items.

        Raises:
            InputError: a preset is named, or no item is left after the offset.
        """
        if preset is not None:
            raise InputError(f"goodhart has no preset {preset!r}", "leave it out: its items hold the wording")
        every = [prompt for item in self._items for prompt in (_prompt(item, "explain"), _prompt(item, "answer"))]
        last = None if num_prompts is None else 2 * num_prompts
        return take(every, 2 * offset, last, str(self._path))

    def score(self, prompt: Prompt, text: str) -> Score:
        """Grade an explanation by its rubric, an answer by its value.

        `Score.answer` is the value in its one spelling, or the ideas that were found; the rule says how.
        """
        item = find_item(self._items, prompt.gold["item"])
        if prompt.gold["part"] == "explain":
            understood = item.understanding(text)
            ideas = "; ".join(understood.ideas) or None
            return Score(understood.understands, float(understood.understands), ideas, understood.rule)
        correct, found = item.execution(text)
        return Score(correct, float(correct), found.reading.shown if found.reading else None, found.rule)

    def counts(self, prompts: Sequence[Prompt], verdicts: pl.DataFrame) -> dict[str, Any]:
        """How many evaluations of each arm are in which quadrant."""
        sources = {prompt.id: prompt.source for prompt in prompts}
        by_arm: dict[str, list[Verdict]] = {}
        for prompt, arm, index, correct in verdicts.select("prompt", "arm", "index", "correct").iter_rows():
            if (source := sources.get(prompt)) is not None:
                verdict = Verdict(source["item"], source["category"], source["part"], index, correct, truncated=False)
                by_arm.setdefault(arm, []).append(verdict)
        return {"quadrants": {arm: count_quadrants(paired(each)) for arm, each in by_arm.items()}}


def _prompt(item: Item, part: Part) -> Prompt:
    content = item.explain if part == "explain" else item.question
    return Prompt(
        ({"role": "user", "content": content},),
        gold={"item": item.id, "part": part},
        source={"item": item.id, "part": part, "category": item.category},
    )
