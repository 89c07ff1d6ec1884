"""What a task is: where prompts come from, and how an answer is scored.

Knows prompts, presets and verdicts. Does *not* know models, tokenizers, runs or sampling: a task can be scored on a
machine that has never loaded a model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import polars as pl

Message = Mapping[str, str]
"""One chat turn: `{"role": "system" | "user" | "assistant", "content": …}`."""


# Bound once: json.dumps with options builds a new encoder at each call.
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question as a model is asked it, with what is needed to grade the answer."""

    messages: tuple[Message, ...]
    """The chat turns, in order; the model's own template turns them into text."""
    prefill: str = ""
    """Text that the assistant's turn starts with; the model continues it."""
    scored_prefix: str = ""
    """What is put before the continuation when it is scored (published scorers see part of the prefill)."""
    gold: Mapping[str, Any] = field(default_factory=dict)
    """What the scorer compares with; part of the score hash, never shown to the model."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """Where the prompt came from (row of a file, index in a split), for people."""

    @property
    def id(self) -> str:
        """16 hex digits: the hash of what the model is asked, and of nothing else."""
        content = _encode([[dict(m) for m in self.messages], self.prefill])
        return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """The line of `prompts.jsonl`."""
        return {
            "id": self.id,
            "messages": [dict(message) for message in self.messages],
            "prefill": self.prefill,
            "scored_prefix": self.scored_prefix,
            "gold": dict(self.gold),
            "source": dict(self.source),
        }

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Prompt:
        """The prompt of a line of `prompts.jsonl`."""
        return cls(tuple(line["messages"]), line["prefill"], line["scored_prefix"], line["gold"], line["source"])


@dataclass(frozen=True, slots=True)
class Score:
    """The verdict on one rollout."""

    correct: bool
    """Whether the answer is right."""
    reward: float
    """The training signal; for most tasks 1.0 or 0.0, for Countdown `0.1 * format + correct`."""
    answer: str | None
    """What was taken as the answer; None where nothing was found."""
    rule: str
    """The name of the scoring rule that decided."""
    value: float | None = None
    """What was measured in the task's own unit, such as an absolute error; None where there is no such measure."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What the answers to a task's prompts say, beside pass@k."""

    evaluations: Sequence[Mapping[str, Any]]
    """One JSON object for each named evaluation and kind of question in it."""
    warnings: Sequence[str]
    """What a reader of these figures should know."""


class Scorer(Protocol):
    """The rules by which a continuation is graded."""

    scorer: str
    """Name and version of the scoring rules, such as `countdown-exact-1`; part of the score hash."""

    def score(self, prompt: Prompt, text: str) -> Score:
        """Grade one continuation. Pure, bounded in time, never evaluates `text` as code."""
        ...


class Task(Scorer, Protocol):
    """A source of prompts with a scorer. Instances are cheap to build and hold no model."""

    name: str
    data_fingerprint: str
    """Hash of the whole data source (not of the slice in use), so that a slice may grow."""

    @property
    def notes(self) -> Sequence[str]:
        """Facts that the user should see once: unsolvable problems, repeated rows, a scorer that failed."""
        ...

    def prompts(self, *, preset: str | None, offset: int, num_prompts: int | None) -> list[Prompt]:
        """The slice `[offset, offset + num_prompts)` of the task's split, under a prompt preset; None is all that follow.

        Raises:
            InputError: the preset is unknown, or the split is shorter than the slice.
        """
        ...


@runtime_checkable
class EvaluatedTask(Task, Protocol):
    """A task whose prompts stand in named evaluations, each of which has figures of its own.

    A prompt that stands in several is decoded once: it is the same question wherever it stands.
    """

    max_new_tokens: int
    """Enough tokens for every answer; the limit where the config names none."""
    known_text_only: bool
    """Whether a prompt with text that the model's tokenizer does not know is an error, and not worth a remark only."""

    def doubts(self, lineage: Sequence[Mapping[str, Any]]) -> Sequence[str]:
        """Why it may make no sense to ask a model that these trainings made, the oldest first."""
        ...

    def joined(self, known: Prompt, prompt: Prompt) -> Prompt:
        """One prompt for the same question in two selections of rows, standing wherever either of them does."""
        ...

    def summarise(self, prompts: Sequence[Prompt], verdicts: pl.DataFrame) -> Summary:
        """The figures of every evaluation.

        Args:
            verdicts: one row a rollout of one arm, with `prompt`, `value` and `answer`
        """
        ...


@runtime_checkable
class CountedTask(Task, Protocol):
    """A task whose verdicts are counted in a way of its own, beside pass@k."""

    def counts(self, prompts: Sequence[Prompt], verdicts: pl.DataFrame) -> Mapping[str, Any]:
        """What `result.json` says of them.

        Args:
            verdicts: one row a rollout, with `prompt`, `arm`, `index` and `correct`
        """
        ...
