"""From a rollout to its verdict."""

from __future__ import annotations

from labkit.record.rows import Rollout, Verdict
from labkit.tasks.base import Prompt, Scorer


def verdict_of(scorer: Scorer, prompt: Prompt, row: Rollout) -> Verdict:
    """What a scorer says of a rollout; one without a text is wrong."""
    if row.error is not None:
        return Verdict(row.prompt, row.arm, row.index, row.attempt, False, 0.0, None, "error")
    score = scorer.score(prompt, row.text)
    return Verdict(
        row.prompt, row.arm, row.index, row.attempt,
        score.correct, score.reward, score.answer, score.rule, score.value,
    )  # fmt: skip
