"""Writing rollouts and their verdicts, a batch at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from labkit.record.files import LineFile


@dataclass(frozen=True, slots=True)
class Rollout:
    """What the model did once, and nothing else."""

    prompt: str
    """Id of the prompt."""
    arm: str
    """Key of the arm."""
    index: int
    """Position among the rollouts of this prompt and arm, from 0."""
    attempt: int
    """Attempt of the run that made it; a later attempt's row replaces an earlier one's."""
    seed: int | None
    """The draw: a member's seed, a decoding seed, or None for greedy."""
    text: str
    """What the model wrote after the prompt and its prefill."""
    finish_reason: str
    """`stop` (end of turn or a stop text), `length` (cut at the limit), `error`."""
    num_prompt_tokens: int
    num_tokens: int
    duration_s: float
    """The batch's seconds divided by its rollouts."""
    logprob: float | None = None
    """Sum of the log-probabilities of the drawn tokens, where the engine gives it."""
    error: str | None = None
    """Why there is no text."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a scorer said of one rollout."""

    prompt: str
    arm: str
    index: int
    attempt: int
    correct: bool
    reward: float
    answer: str | None
    rule: str
    value: float | None = None
    """What was measured in the task's own unit, such as an absolute error; None where the task has no such measure."""


# Bound once: json.dumps with options builds a new encoder at each call, which costs more than the row itself.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False).encode


def _rollout_line(row: Rollout) -> str:
    fields = {
        "prompt": row.prompt,
        "arm": row.arm,
        "index": row.index,
        "attempt": row.attempt,
        "seed": row.seed,
        "text": row.text,
        "finish_reason": row.finish_reason,
        "num_prompt_tokens": row.num_prompt_tokens,
        "num_tokens": row.num_tokens,
        "duration_s": row.duration_s,
    }
    if row.logprob is not None:
        fields["logprob"] = row.logprob
    if row.error is not None:
        fields["error"] = row.error
    return _encode(fields)


def _verdict_line(verdict: Verdict) -> str:
    fields = {
        "prompt": verdict.prompt,
        "arm": verdict.arm,
        "index": verdict.index,
        "attempt": verdict.attempt,
        "correct": verdict.correct,
        "reward": verdict.reward,
        "answer": verdict.answer,
        "rule": verdict.rule,
    }
    if verdict.value is not None:
        fields["value"] = verdict.value
    return _encode(fields)


class RowWriter:
    """The only writer of one segment: `rows/<attempt>-<worker>.jsonl`, made when there is something to write."""

    def __init__(self, rows_dir: Path, attempt: int, worker: int = 0) -> None:
        self._path = rows_dir / f"{attempt:04d}-{worker:02d}.jsonl"
        self._file: LineFile | None = None

    def append(self, rows: Iterable[Rollout]) -> None:
        """Write a batch with one sync: after this returns, a crash no longer loses it."""
        lines = _encode_lines(_rollout_line(row) for row in rows)
        if lines:
            self._file = self._file or LineFile(self._path, exclusive=True)
            self._file.append(lines)

    def close(self) -> None:
        """End the segment."""
        if self._file is not None:
            self._file.close()


class VerdictWriter:
    """The writer of `scores/<score hash>.jsonl`. Not synced: a lost verdict is computed again from its row."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)  # verdicts may be thrown away, folder and all
        self._file = LineFile(path)

    def append(self, verdicts: Iterable[Verdict]) -> None:
        """Write a batch."""
        self._file.append(verdict_lines(verdicts), sync=False)

    def close(self) -> None:
        """End the file."""
        self._file.close()


def verdict_lines(verdicts: Iterable[Verdict]) -> bytes:
    """Verdicts as their file holds them."""
    return _encode_lines(_verdict_line(verdict) for verdict in verdicts)


def _encode_lines(lines: Iterable[str]) -> bytes:
    # A lone surrogate, which a task's own text may hold, has no UTF-8 form; a question mark stands for it.
    return "".join(line + "\n" for line in lines).encode(errors="replace")
