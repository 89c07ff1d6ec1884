"""GSM8K as a task: one prompt a problem, graded by the exact value of its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from labkit.config.base import stable_digest
from labkit.errors import InputError
from labkit.tasks.base import Prompt, Score
from labkit.tasks.gsm8k.numbers import canonical
from labkit.tasks.gsm8k.problems import HUB_ID, Problem, content, hub_problems, read_problems
from labkit.tasks.gsm8k.scoring import SCORER, score
from labkit.tasks.prompt_file import take

DEFAULT_PRESET = "instruct"

# No worked example and no number: what stands in the prompt must not be found in a response that repeats it.
PRESETS: Mapping[str, str] = {
    "instruct": (
        "{question}\n\nWork it out step by step. Then write the answer on a line of its own: four hash signs (####), a "
        "space, and the number alone, without unit."
    ),
    "plain": "{question}",
}
"""How a problem is put to a model; `plain` is for one that was trained on the form already."""


class Gsm8kScorer:
    """The grading of solutions, which needs no more than the gold in the prompt."""

    scorer = SCORER

    def score(self, prompt: Prompt, text: str) -> Score:
        """Compare the answer of one solution with the gold (`scoring.score`)."""
        return score(text, Fraction(prompt.gold["answer"]))


class Gsm8kTask(Gsm8kScorer):
    """Grade-school word problems with a number as the answer."""

    name = "gsm8k"

    def __init__(self, data: Path | None = None, split: str = "test") -> None:
        """Read the problems.

        Args:
            data: a JSONL file in the published form; None takes the published data set
            split: train or test of the published data set; a file is what it is

        Raises:
            InputError: the data cannot be used; names the line. MachineError: it cannot be downloaded.
        """
        self._problems = hub_problems(split) if data is None else read_problems(data)
        self._where = f"{HUB_ID}, split {split!r}" if data is None else str(data)
        self._place = "row" if data is None else "line"
        self.data_fingerprint = stable_digest(content(self._problems), digest_size=16)
        self.notes: Sequence[str] = ()

    def prompts(self, *, preset: str | None, offset: int, num_prompts: int | None) -> list[Prompt]:
        """A slice of the problems in their order; no preset means `instruct`.

        Raises:
            InputError: the preset is unknown, or no problem is left after the offset.
        """
        wording = PRESETS.get(preset or DEFAULT_PRESET)
        if wording is None:
            raise InputError(f"GSM8K has no prompt preset {preset!r}", f"known: {', '.join(PRESETS)}")
        prompts = [self._prompt(problem, wording) for problem in self._problems]
        return take(prompts, offset, num_prompts, self._where)

    def solutions(self) -> list[str]:
        """The worked solution of every problem, in their order, with the line of its answer."""
        return [f"{problem.solution}\n#### {canonical(problem.gold)}" for problem in self._problems]

    def _prompt(self, problem: Problem, wording: str) -> Prompt:
        return Prompt(
            ({"role": "user", "content": wording.replace("{question}", problem.question)},),
            gold={"answer": canonical(problem.gold)},
            source={self._place: problem.place},
        )
