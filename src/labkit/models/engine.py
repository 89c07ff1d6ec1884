"""The one door to a model: prompts in, completions out, under an optional perturbation of the weights.

Knows token ids, draws and noise. Does *not* know tasks, scores, runs, or which model it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from labkit.tasks.base import Prompt


@dataclass(frozen=True, slots=True)
class Perturbation:
    """Gaussian noise on every weight; with the base weights, everything that defines a member."""

    seed: int
    """Which member, 0 to 2^63 - 1."""
    sigma: float
    """Standard deviation, in units of the weights."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How tokens are drawn."""

    max_new_tokens: int
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    """Whether completions get their `logprob`."""


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt as the model reads it."""

    text: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model wrote after one prompt."""

    text: str
    finish_reason: Literal["stop", "length", "error"]
    num_prompt_tokens: int
    num_tokens: int
    """Tokens drawn, the end of turn included."""
    logprob: float | None = None
    """Sum of the natural log-probabilities of the `num_tokens` tokens under the model's own distribution: temperature 1,
    before penalty, top-k and top-p. None where it was not asked for, or is not finite."""
    error: str | None = None


class Engine(Protocol):
    """A loaded model. Greedy completions of one member are the same text from every engine."""

    name: str
    version: str

    def describe(self) -> dict[str, Any]:
        """For the record: `device`, `dtype`, `num_parameters`, `end_of_turn_ids`, `context_length`, `chat_template`,
        `unknown_token_id`, `bos_token_id`, `template_end_id` (what the template ends the assistant's turn with)."""
        ...

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """The prompt through the model's chat template, with its prefill."""
        ...

    def perturb(self, perturbation: Perturbation | None) -> None:
        """Make the model the given member, or the unperturbed base; from the kept base, never from the last member."""
        ...

    def generate(
        self, prompts: Sequence[EncodedPrompt], decoding: Decoding, seeds: Sequence[int] | None = None
    ) -> list[Completion]:
        """One completion for each prompt. `seeds`, one a prompt, are needed above temperature 0.

        Raises:
            MachineError: not even one prompt fits into memory.
        """
        ...

    def release(self) -> None:
        """Give the model's memory back, for what needs the room; nothing can be asked of the engine any more."""
        ...
