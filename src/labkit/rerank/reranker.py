"""What a reranker that looks at solutions is: pairs of a question and a solution in, scores out, lower is better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from labkit.models.pairs import Pair
from labkit.record.identity import components_hash
from labkit.tasks.questions import QUESTIONS_VERSION


class Judged(NamedTuple):
    """What a reranker said of one candidate."""

    position: int
    """Among the candidates that it was given."""
    score: float | None
    """Lower is better; None where it gave none."""
    error: str | None = None
    """Why there is no score."""
    cut: bool | None = None
    """As in `labkit.record.rankings.RolloutScore`, and so the next two."""
    num_tokens: int | None = None
    num_unknown: int | None = None


class Reranker(Protocol):
    """Whatever scores solutions. It is cheap until it is asked for scores."""

    name: str
    """What the user calls it."""
    needs_room: bool
    """Whether it loads a model."""
    about: Mapping[str, Any]
    """Everything that its scores rest on, fingerprints and all."""
    trained_questions: frozenset[str]
    """Ids of the questions that it was trained on."""
    parents: Sequence[Mapping[str, str]]
    """The runs that made it, as in `run.json`."""

    def judge(self, candidates: Sequence[Pair]) -> Iterator[list[Judged]]:
        """Scores of all candidates, in any order, a batch at a time.

        Raises:
            InputError: it cannot score texts like these. MachineError: it does not fit on this machine.
        """
        ...


def ranking_hash(reranker: Reranker) -> str:
    """16 hex digits: another checkpoint, another file or another reading of questions is another ranking."""
    return components_hash({**reranker.about, "questions": QUESTIONS_VERSION})
