"""The ways in which a problem is put to a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labkit.tasks.base import Message, Prompt
from labkit.tasks.countdown.problems import Problem


@dataclass(frozen=True, slots=True)
class Preset:
    """The wording of a prompt."""

    system: str | None
    """The system turn; None for none."""
    user: str
    """The user turn, with `{numbers}` (a Python list), `{spaced_numbers}` and `{target}` to fill in."""
    prefill: str
    """What the assistant's turn starts with."""
    scored_prefix: str
    """The part of the prefill that is scored with the answer."""
    solved: str
    """What a solved turn says after the prefill, with `{solution}` to fill in; supervised training learns it."""

    def render(self, problem: Problem, source: Mapping[str, Any] | None = None) -> Prompt:
        """The prompt for a problem; `source` says where it comes from, and the solution is added to it."""
        user = self.user.format(
            numbers=list(problem.numbers),
            spaced_numbers=" ".join(map(str, problem.numbers)),
            target=problem.target,
        )
        messages: list[Message] = [] if self.system is None else [{"role": "system", "content": self.system}]
        messages.append({"role": "user", "content": user})
        return Prompt(
            messages=tuple(messages),
            prefill=self.prefill,
            scored_prefix=self.scored_prefix,
            gold={"numbers": list(problem.numbers), "target": problem.target},
            source={**(source or {}), "solution": problem.solution},
        )

    def completion(self, solution: str) -> str:
        """The text of a solved turn after the prefill."""
        return self.solved.format(solution=solution)


DEFAULT_PRESET = "published"

PRESETS: Mapping[str, Preset] = {
    # The wording of the published data (es-fine-tuning-paper), in its chat form.
    "published": Preset(
        system=(
            "You are a helpful assistant. You first think about the reasoning process in your mind "
            "and then provide the user with the answer."
        ),
        user=(
            "Using the numbers {numbers}, create an equation that equals {target}. "
            "You can use basic arithmetic operations (+, -, *, /) and each number can only be used once. "
            "Show your work in <think> </think> tags. And return the final answer in <answer> </answer> tags, "
            "for example <answer> (1 + 2) / 3 </answer>."
        ),
        prefill="Let me solve this step by step.\n<think>",
        scored_prefix="<think>",
        solved="</think>\n<answer>{solution}</answer>",
    ),
    # For a tiny model with one token per integer: nothing to read but the problem.
    "short": Preset(
        system=None,
        user="{spaced_numbers} = {target}",
        prefill="<answer>",
        scored_prefix="<answer>",
        solved="{solution}</answer>",
    ),
}
