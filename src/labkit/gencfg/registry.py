"""What a matrix may take from labkit's registries by name: lists for axes, functions for derived values.

A new experiment adds a line to each of the two dictionaries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labkit.config.world import (
    ATLANTIS_PREFIX,
    MIXTURES,
    PAIRS,
    TASK_NAMES,
    TASKS,
    evaluation_names,
    extraction_task,
    mixture_name,
)
from labkit.gencfg.patterns import text_of

BASE = "base"
"""The model that was trained on all tasks and on no mixture."""


def _braces(items: Sequence[Any]) -> str:
    """What bash expands to a list of words: `{1,2,4}`, and one word as it stands."""
    words = [text_of(item) for item in items]
    odd = [word for word in words if not re.fullmatch(r"[\w.-]+", word)]
    if odd or not words:
        raise ValueError(f"{odd[0]!r} is no word for a shell" if odd else "there are no words")
    return words[0] if len(words) == 1 else "{" + ",".join(words) + "}"


def _trained_tasks(model: str) -> Sequence[str]:
    """The tasks of `base`, `ftwb1-k` or `ftwb2-k`."""
    known = {BASE: TASK_NAMES, **MIXTURES}
    if model not in known:
        raise ValueError(
            f"there is no model {model!r}: base, ftwb1-1 to ftwb1-{len(TASKS)}, ftwb2-1 to ftwb2-{len(PAIRS)}"
        )
    return known[model]


LISTS: Mapping[str, Sequence[Any]] = {
    "world.tasks": TASK_NAMES,
    "world.evaluations": evaluation_names(),
    "world.single_tasks": tuple(name for name, tasks in MIXTURES.items() if len(tasks) == 1),
    "world.pairs": tuple(name for name, tasks in MIXTURES.items() if len(tasks) == 2),
}
"""`{each: NAME}` in an axis stands for these."""

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "world.tasks_of": lambda model: list(_trained_tasks(model)),
    "world.extraction_task": lambda model: extraction_task(_trained_tasks(model)),
    "world.mixture": lambda *tasks: mixture_name(tasks),
    "shell.braces": _braces,
    "world.atlantis": lambda task: ATLANTIS_PREFIX + task,
}
"""`{function: NAME, of: …}` in a derived value calls these."""
