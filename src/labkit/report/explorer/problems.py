"""What there is to say of a prompt by its task: a headline, the reference that a right answer is held against, facts.

All of it is text for people; nothing here knows pages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.errors import LabkitError
from labkit.tasks.countdown.problem_file import MAX_CHECKED_NUMBERS
from labkit.tasks.countdown.problems import Problem, solve
from labkit.tasks.goodhart.items import SHIPPED, Item, load_items, shown_answer

Line = Mapping[str, Any]

HEADLINE_CHARS = 160
REFERENCE_CHARS = 400


@dataclass(frozen=True, slots=True)
class Description:
    """One prompt in words."""

    headline: str
    """What it asks, in one line."""
    reference: str = ""
    """What is right, or one way to it; no text where nothing is known."""
    facts: Sequence[tuple[str, str]] = ()
    """Names and values."""


class Describer:
    """Describes the prompts of one task."""

    def __init__(self, task: str, data: Path | None = None) -> None:
        """Get ready.

        Args:
            task: the name of the task
            data: the file of problems that the config names
        """
        self._task = task
        self._items: dict[str, Item] = {}
        self.notes: list[str] = []
        """What could not be found."""
        if task == "goodhart":
            self._read_items([SHIPPED] if data is None else [SHIPPED, data])

    def describe(self, line: Line) -> Description:
        """The description of a line of `prompts.jsonl`; what is missing in it is left out."""
        gold = line.get("gold") if isinstance(line.get("gold"), Mapping) else {}
        assert isinstance(gold, Mapping)
        if self._task == "countdown" and {"numbers", "target"} <= set(gold):
            return _countdown(line, gold)
        if self._task == "goodhart" and {"item", "part"} <= set(gold):
            return self._goodhart(line, gold)
        return _other(self._task, line, gold)

    def _goodhart(self, line: Line, gold: Mapping[str, Any]) -> Description:
        question, source = _question(line), _mapping(line.get("source"))
        item = self._items.get(question)
        explains = gold["part"] == "explain"
        reference = "" if item is None else item.reference if explains else shown_answer(item)
        facts = [("item", _text(gold["item"])), ("part", _text(gold["part"]))]
        facts += [("category", _text(source["category"]))] if "category" in source else []
        facts += [("a right explanation" if explains else "expected", reference)] if reference else []
        headline = f"{_text(gold['item'])} · {_text(gold['part'])}"
        return Description(_cut(headline, HEADLINE_CHARS), _cut(reference, REFERENCE_CHARS), facts)

    def _read_items(self, paths: Sequence[Path]) -> None:
        """By their questions: only an item that asks just this can say what is expected."""
        for path in paths:
            try:
                items = load_items(path)
            except LabkitError as error:
                self.notes.append(f"what is expected of some items is not shown: {error.message.splitlines()[0]}")
                continue
            self._items |= {question: item for item in items for question in (item.question, item.explain)}


def _countdown(line: Line, gold: Mapping[str, Any]) -> Description:
    numbers, target = list(gold["numbers"]), str(gold["target"])
    stated = _mapping(line.get("source")).get("solution")
    problem = Problem(tuple(numbers), target, stated if isinstance(stated, str) else None)
    shown = " ".join(map(str, numbers))
    reference = _solution(problem)
    facts = [("numbers", shown), ("target", target), ("a solution", reference)]
    return Description(f"{shown} → {target}", reference, facts)


def _solution(problem: Problem) -> str:
    """The problem's own where it holds, else one that is searched for where that is quick."""
    try:
        if problem.solution is not None and problem.solution_holds():
            return problem.solution
        if len(problem.numbers) <= MAX_CHECKED_NUMBERS:
            return solve(problem.numbers, problem.target) or "there is none"
    except (LabkitError, TypeError, ValueError):  # a record that somebody edited
        return "unknown"
    return "unknown" if problem.solution is None else f"{problem.solution} (as recorded; it does not hold)"


def _other(task: str, line: Line, gold: Mapping[str, Any]) -> Description:
    """A question in words, with the gold as it stands in the record."""
    question = _question(line)
    facts = [(name, _text(value)) for name, value in gold.items()]
    source = _mapping(line.get("source"))
    if task == "world":
        source = _mapping(source.get("evaluations"))
        facts += [("in", _cut(", ".join(map(str, source)), REFERENCE_CHARS))] if source else []
    else:
        facts += [(name, _text(value)) for name, value in source.items() if value is not None]
    names = ("truth", "answer", "answers")
    reference = next((_text(gold[name]) for name in names if name in gold), "")
    headline = " ".join(question[: 4 * HEADLINE_CHARS].split()) or str(line.get("id", ""))
    return Description(_cut(headline, HEADLINE_CHARS), _cut(reference, REFERENCE_CHARS), facts)


def messages_of(line: Line) -> list[tuple[str, str]]:
    """The chat turns, role and content, and the beginning of the answer that is given to the model."""
    turns = line.get("messages") if isinstance(line.get("messages"), list) else []
    assert isinstance(turns, list)
    said = [(str(turn.get("role", "")), _text(turn.get("content", ""))) for turn in turns if isinstance(turn, Mapping)]
    prefill = line.get("prefill")
    return [*said, ("the answer begins", prefill)] if isinstance(prefill, str) and prefill else said


def _question(line: Line) -> str:
    """The last turn that is the user's."""
    return next((text for role, text in reversed(messages_of(line)) if role == "user"), "")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return " | ".join(value)
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
