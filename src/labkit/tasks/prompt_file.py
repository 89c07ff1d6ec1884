"""A JSONL file of prompts as a task: one object a line, `prompt` or `messages`, and optionally `answer`.

Scoring compares text: the rollout is correct when, stripped and with runs of white space as one space, it equals
`answer` (or any of a list of answers). For anything cleverer write a Python task.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labkit.config.base import nearest
from labkit.errors import InputError
from labkit.tasks.base import Prompt, Score

_KEYS = {"prompt", "messages", "prefill", "answer", "id"}


class TextScorer:
    """The grading of texts, which needs no more than the answers in the prompt."""

    scorer = "text-equal-1"

    def score(self, prompt: Prompt, text: str) -> Score:
        """Compare as text; a prompt without an answer is never correct."""
        answers = prompt.gold.get("answers")
        said = _spaced(text)
        if answers is None:
            return Score(False, 0.0, said, "no_reference")
        correct = said in map(_spaced, answers)
        return Score(correct, float(correct), said, "equal" if correct else "different")


class PromptFileTask(TextScorer):
    """The prompts of one JSONL file, in its order; repeated prompts count once."""

    name = "jsonl"

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            InputError: missing, empty, not UTF-8, or a line that is no prompt; names the line.
        """
        data = _read(path)
        self._path = path
        self.data_fingerprint = hashlib.blake2b(data, digest_size=16).hexdigest()
        lines = [(number, line) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
        if not lines:
            raise InputError(f"{path} holds no prompts", 'write one object a line: {"prompt": "…", "answer": "…"}')
        found = [_parse_line(line, f"{path}, line {number}", number) for number, line in lines]
        self._prompts, self.notes = distinct(found, path)

    def prompts(self, *, preset: str | None, offset: int, num_prompts: int | None) -> list[Prompt]:
        """The slice of the file; there are no presets, because the file holds the wording."""
        if preset is not None:
            raise InputError(f"a prompt file has no preset {preset!r}", "leave --preset out")
        return take(self._prompts, offset, num_prompts, str(self._path))


def distinct(prompts: Sequence[Prompt], path: Path) -> tuple[list[Prompt], Sequence[str]]:
    """The first of each prompt, and a note on how many repeat one."""
    found: dict[str, Prompt] = {}
    for prompt in prompts:
        found.setdefault(prompt.id, prompt)
    repeated = len(prompts) - len(found)
    return list(found.values()), [f"{path}: {repeated} repeated prompts count once"] if repeated else []


def take(prompts: Sequence[Prompt], offset: int, num_prompts: int | None, where: str) -> list[Prompt]:
    """At most `num_prompts` prompts after the offset; None is all of them.

    Raises:
        InputError: none are left after the offset.
    """
    if offset >= len(prompts):
        raise InputError(f"{where} has {len(prompts)} prompts, none after an offset of {offset}", "lower --offset")
    return list(prompts[offset:] if num_prompts is None else prompts[offset : offset + num_prompts])


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the prompts {path}: {error.strerror}", "check the path after --task") from None
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: not UTF-8 text (byte {error.start})", "save it as UTF-8") from None
    return data


def _parse_line(line: bytes, where: str, number: int) -> Prompt:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}", "write one JSON object a line") from None
    if not isinstance(value, dict):
        raise InputError(f"{where}: not a JSON object", 'write {"prompt": "…", "answer": "…"}')
    unknown = sorted(set(value) - _KEYS)
    if unknown:
        guess = nearest(unknown[0], _KEYS)
        raise InputError(f"{where}: unknown key {unknown[0]!r}", f"did you mean {guess!r}?" if guess else "remove it")
    if not is_unicode(value):
        raise InputError(f"{where}: holds half a surrogate pair (\\ud800 to \\udfff)", "write the character itself")
    prefill = value.get("prefill") or ""
    if not isinstance(prefill, str):
        raise InputError(f"{where}: `prefill` is not a text", 'write {"prompt": "…", "prefill": "…"}')
    messages = tuple(_messages(value, where))
    return Prompt(messages, prefill, gold=_gold(value, where), source={"line": number, "id": value.get("id")})


def _gold(value: dict[str, Any], where: str) -> dict[str, Any]:
    """The answers as they stand in the file: a training learns them with their line breaks."""
    answer = value.get("answer")
    if answer is None:
        return {}
    answers = answer if isinstance(answer, list) else [answer]
    if not answers or not all(type(each) in (str, int, float) for each in answers):
        raise InputError(f"{where}: `answer` is no text, number, or list of them", 'write {"answer": "…"}')
    return {"answers": [str(each) for each in answers]}


def _spaced(text: str) -> str:
    return " ".join(text.split())


def is_unicode(value: Any) -> bool:
    """Whether all texts in a JSON value can be written as UTF-8; JSON can spell half a character."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _messages(value: dict[str, Any], where: str) -> list[dict[str, str]]:
    if ("prompt" in value) == ("messages" in value):
        raise InputError(f"{where}: needs either `prompt` or `messages`", 'write {"prompt": "…", "answer": "…"}')
    if "prompt" in value:
        if not isinstance(value["prompt"], str) or not value["prompt"]:
            raise InputError(f"{where}: `prompt` is not a text", 'write {"prompt": "…"}')
        return [{"role": "user", "content": value["prompt"]}]
    return checked_messages(value["messages"], where)


def checked_messages(messages: Any, where: str) -> list[dict[str, str]]:
    """Chat turns as `{"role", "content"}` texts, at least one.

    Raises:
        InputError: they are anything else.
    """
    good = isinstance(messages, (list, tuple)) and messages
    if not good or not all(
        isinstance(turn, dict)
        and set(turn) == {"role", "content"}
        and all(isinstance(part, str) for part in turn.values())
        for turn in messages
    ):
        raise InputError(f"{where}: `messages` are not chat turns", 'write [{"role": "user", "content": "…"}]')
    return [dict(turn) for turn in messages]
