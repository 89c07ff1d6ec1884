"""A task of the user's own: a Python file with `prompts()` and `score(prompt, text)`.

    def prompts(split):
        return [{"messages": [{"role": "user", "content": "2 + 2 = "}], "gold": {"answer": "4"}}]

    def score(prompt, text):
        return text.strip() == prompt.gold["answer"]

`prompts` may take the split or nothing, and gives dicts (with `prompt` or `messages`, and optionally `prefill`, `gold`,
`source`) or `labkit.tasks.base.Prompt`s. `score` gives a bool, a number (the reward; 1 or more is correct), or a
`labkit.tasks.base.Score`. The file is the user's own code and is run as such.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from labkit.errors import InputError
from labkit.tasks.base import Prompt, Score
from labkit.tasks.prompt_file import checked_messages, distinct, take
from labkit.tasks.user_file import function_of, read_source, run_source

_NEEDED = "a task file needs prompts() and score(prompt, text)"


class PythonFileTask:
    """The prompts and the scorer of one Python file."""

    name = "python"

    def __init__(self, path: Path, split: str) -> None:
        """Run the file and collect its prompts.

        Raises:
            InputError: the file is missing, fails, lacks a function, or gives something that is no prompt.
        """
        source = read_source(path, "task")
        module = run_source(path, source, "labkit_user_task")
        self._path = path
        self._score = function_of(module, "score", path, _NEEDED)
        self.scorer = f"python-{hashlib.blake2b(source, digest_size=6).hexdigest()}"
        given = list(_call_prompts(function_of(module, "prompts", path, _NEEDED), path, split))
        self._prompts, self._repeats = distinct(
            [_as_prompt(value, f"{path}: prompt {position}", position) for position, value in enumerate(given)], path
        )
        # Of the prompts and not of the file: a mended scorer is another scorer, but the rollouts stay what they are.
        content = json.dumps([prompt.as_json() for prompt in self._prompts], sort_keys=True)
        self.data_fingerprint = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
        self._failures: list[str] = []

    @property
    def notes(self) -> Sequence[str]:
        """Repeated prompts, and what score() failed on up to now."""
        if not self._failures:
            return self._repeats
        failed = f"{self._path}: score() failed on {len(self._failures)} rollouts, which count as wrong; first: "
        return [*self._repeats, failed + self._failures[0]]

    def prompts(self, *, preset: str | None, offset: int, num_prompts: int | None) -> list[Prompt]:
        """The slice of what the file's `prompts` gave."""
        if preset is not None:
            raise InputError(f"a task of your own has no preset {preset!r}", "leave --preset out")
        return take(self._prompts, offset, num_prompts, str(self._path))

    def score(self, prompt: Prompt, text: str) -> Score:
        """What the file's `score` says; where it fails or gives no verdict the rollout is wrong, and `notes` says so."""
        try:
            verdict = self._score(prompt, text)
        except Exception as error:  # the user's code may raise anything, and one odd text must not end a run
            return self._failure(f"{error!r} on {text[:80]!r}")
        if isinstance(verdict, Score) and math.isfinite(verdict.reward):
            return verdict
        if isinstance(verdict, (bool, int, float)) and math.isfinite(verdict):
            return Score(verdict >= 1, float(verdict), text.strip(), "python")
        return self._failure(
            f"it gave {verdict!r} on {text[:80]!r}; it should give a bool, a finite number, or a Score"
        )

    def _failure(self, what: str) -> Score:
        self._failures.append(what)
        return Score(False, 0.0, None, "scorer_failed")


def _call_prompts(function: Callable[..., Any], path: Path, split: str) -> Iterable[Any]:
    try:
        given = list(function(split) if inspect.signature(function).parameters else function())
    except Exception as error:  # the user's code may raise anything
        raise InputError(f"{path}: prompts() failed: {error!r}", "mend prompts()") from error
    if not given:
        raise InputError(f"{path}: prompts() gave none", "return a list of dicts with `prompt` or `messages`")
    return given


def _as_prompt(value: Any, where: str, position: int) -> Prompt:
    if isinstance(value, Prompt):
        return _plain(value, where)
    if not isinstance(value, dict) or ("prompt" in value) == ("messages" in value):
        raise InputError(f"{where} is no prompt", "give a dict with `prompt` or `messages`, or a Prompt")
    turns = value.get("messages", [{"role": "user", "content": value.get("prompt")}])
    source = value.get("source", {"index": position})
    prefill = value.get("prefill") or ""
    return _plain(
        Prompt(tuple(checked_messages(turns, where)), prefill, gold=value.get("gold", {}), source=source), where
    )


def _plain(prompt: Prompt, where: str) -> Prompt:
    """Refuse what would come back from the record as something else: a tuple as a list, the key 1 as "1"."""
    try:
        fields = prompt.as_json()
        plain = isinstance(prompt.prefill, str) and json.loads(json.dumps(fields, allow_nan=False)) == fields
    except (TypeError, ValueError):
        plain = False
    if not plain:
        hint = "use texts, finite numbers, lists, and dicts whose keys are texts"
        raise InputError(f"{where} holds what JSON cannot say", hint)
    return prompt
