"""Which models a statistic is split by: what a pair of tasks contains, or what kinds of task it joins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labkit.config.base import nearest
from labkit.config.world import TASK_NAMES, TASKS
from labkit.errors import ConfigError
from labkit.report.world.scores import Mixture

_KINDS = ("error", "accuracy", "mixed")
_FORMS = "contains:TASK[,TASK…] or kind:error|accuracy|mixed"


@dataclass(frozen=True, slots=True)
class Split:
    """A question about a mixture, and what its two answers are called."""

    inside: str
    outside: str
    holds: Callable[[Mixture], bool]


def parse_split(text: str) -> Split:
    """`contains:A,B` (trained on at least one of them) or `kind:error|accuracy|mixed` (the kinds of all its tasks).

    Raises:
        ConfigError: it is neither, or names no task or kind.
    """
    what, _, value = text.partition(":")
    if what == "contains" and value:
        return _contains([task.strip() for task in value.split(",")])
    if what == "kind" and value in _KINDS:
        return Split(f"{value} tasks", f"not {value} tasks", lambda mixture: _kind(mixture) == value)
    raise ConfigError(f"{text!r} is no split", f"write {_FORMS}")


def default_splits(tasks: Sequence[str]) -> list[Split]:
    """By distance, as published, where it is among the tasks."""
    return [_contains(["distance"])] if "distance" in tasks else []


def _contains(tasks: Sequence[str]) -> Split:
    for task in tasks:
        if task not in TASKS:
            guess = nearest(task, TASK_NAMES)
            hint = f"did you mean {guess!r}?" if guess else f"tasks are {', '.join(TASK_NAMES)}"
            raise ConfigError(f"contains:{','.join(tasks)}: there is no task {task!r}", hint)
    wanted = frozenset(tasks)
    words = " or ".join(tasks)
    return Split(f"with {words}", f"without {words}", lambda mixture: bool(wanted & set(mixture.trained)))


def _kind(mixture: Mixture) -> str:
    kinds = {TASKS[task].kind for task in mixture.trained if task in TASKS}
    return kinds.pop() if len(kinds) == 1 else "mixed"
