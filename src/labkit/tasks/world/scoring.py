"""What an answer is worth: an absolute error, or right or wrong. Knows text only, neither models nor cities."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from labkit.config.world import TASKS, GeometricTask
from labkit.errors import InputError
from labkit.tasks.base import Prompt, Score
from labkit.tasks.world.geometry import COMPASS_POINTS, TRUTHS
from labkit.tasks.world.vocabulary import EOS

Rule = Literal["digits", "label", "too_long", "unreadable"]
"""How an answer was read. The last two were not: `too_long` is a number of more than `MAX_DIGITS` digits."""

SCORER = "world-1"
"""Name and version of these rules; it changes with any verdict."""

MAX_DIGITS = 100
"""The longest number that is read. A larger one is no answer to any question about this world, and the square of its
error, which a standard deviation needs, would leave the range of floats."""

_DIGITS = re.compile("[0-9]+")


@dataclass(frozen=True, slots=True)
class RowScore:
    """The verdict on one answer."""

    value: float
    """The absolute error, or 1 for right and 0 for wrong; the task's failure value where the answer cannot be read."""
    correct: bool
    """Whether the answer is exactly right."""
    answer: str | None
    """What was read, a number without leading zeros or a label in capitals; None where it cannot be read."""
    rule: Rule


def score_row(task: str, prompt: str, text: str, truth: str) -> RowScore:
    """Grade what a model wrote after a prompt; spaces count nowhere, and nothing counts after `<eos>`.

    A number is the digits right after the first `=` of prompt and text together. An error that is larger than the
    failure value stays as it is, as published. A label is what follows the last `=`, in capitals or not.

    Args:
        task: the name of one of the seven
        prompt: the question, up to its `=`
        text: the model's continuation
        truth: the right answer, such as `769`, `NE` or `TRUE`

    Raises:
        InputError: the truth is no answer to such a question.
    """
    asked = TASKS[task]
    said = prompt.replace(" ", "") + text.replace(" ", "").partition(EOS)[0]
    wanted = truth.replace(" ", "").removesuffix(EOS)
    return _score_number(asked, said, wanted) if asked.kind == "error" else _score_label(asked, said, wanted)


def score_prompt(prompt: Prompt, text: str) -> Score:
    """Grade a continuation of a prompt whose gold is its `task` and `truth`, as `score_row` does."""
    found = score_row(prompt.gold["task"], prompt.messages[0]["content"], text, prompt.gold["truth"])
    return Score(found.correct, float(found.correct), found.answer, found.rule, found.value)


def _score_number(task: GeometricTask, said: str, wanted: str) -> RowScore:
    if not wanted.isdecimal() or len(wanted) > MAX_DIGITS:
        raise _no_truth(task, wanted)
    equals = said.find("=")
    found = _DIGITS.match(said, equals + 1) if equals >= 0 else None
    if found is None:
        return RowScore(task.failure_value, False, None, "unreadable")
    digits = found[0].lstrip("0") or "0"
    if len(digits) > MAX_DIGITS:
        return RowScore(task.failure_value, False, None, "too_long")
    error = abs(int(digits) - int(wanted))
    return RowScore(float(error), error == 0, digits, "digits")


def _score_label(task: GeometricTask, said: str, wanted: str) -> RowScore:
    labels = COMPASS_POINTS if task.name == "compass" else TRUTHS
    if wanted.upper() not in labels:
        raise _no_truth(task, wanted)
    label = said[said.rfind("=") + 1 :].upper()
    if label not in labels:
        return RowScore(task.failure_value, False, None, "unreadable")
    correct = label == wanted.upper()
    return RowScore(float(correct), correct, label, "label")


def _no_truth(task: GeometricTask, wanted: str) -> InputError:
    return InputError(f"{wanted[:80]!r} is no answer to a question of {task.name}", "build the data set again")
