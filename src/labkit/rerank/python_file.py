"""A reranker of the user's own: a Python file with `score(question, solution)`, or `scores(pairs)` for many at once.

    def score(question: str, solution: str) -> float:
        return len(solution)          # lower is better

`scores` takes a list of (question, solution) and gives as many numbers. The file is the user's own code and is run as
such. Where it fails on a candidate, that candidate has no score, and the reason stands in its row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from labkit.models.pairs import Pair
from labkit.rerank.reranker import Judged
from labkit.tasks.user_file import function_of, read_source, run_source

_NEEDED = "a reranker's file needs score(question, solution), or scores(pairs); lower is better"
_BATCH = 256
_MOST_CHARS = 300


class PythonReranker:
    """Scores by the functions of one file."""

    def __init__(self, path: Path, reference: str) -> None:
        """Run the file.

        Raises:
            InputError: it is missing, fails, or defines neither function.
        """
        source = read_source(path, "reranker")
        module = run_source(path, source, "labkit_user_reranker")
        self._batched: Callable[..., Any] | None = getattr(module, "scores", None)
        self._single = None if self._batched else function_of(module, "score", path, _NEEDED)
        self.name, self.needs_room = reference, False
        self.about: Mapping[str, Any] = {
            "kind": "python",
            "source": hashlib.blake2b(source, digest_size=16).hexdigest(),
        }
        self.trained_questions: frozenset[str] = frozenset()
        self.parents: Sequence[Mapping[str, str]] = ()

    def judge(self, candidates: Sequence[Pair]) -> Iterator[list[Judged]]:
        """`Reranker.judge`; a batch that fails as a whole leaves all its candidates without a score."""
        for start in range(0, len(candidates), _BATCH):
            batch = candidates[start : start + _BATCH]
            given = self._scores_of(batch) if self._batched else map(self._score_of, batch)
            yield [self._judged(start + at, value) for at, value in enumerate(given)]

    def _scores_of(self, batch: Sequence[Pair]) -> Sequence[Any]:
        assert self._batched is not None
        try:
            given = list(self._batched([tuple(candidate) for candidate in batch]))
        except (
            Exception,
            SystemExit,
        ) as error:  # the user's code may raise anything
            return [error] * len(batch)
        if len(given) != len(batch):
            return [ValueError(f"scores() gave {len(given)} numbers for {len(batch)} pairs")] * len(batch)
        return given

    def _score_of(self, candidate: Pair) -> Any:
        assert self._single is not None
        try:
            return self._single(candidate.question, candidate.solution)
        # The user's code may raise anything or ask to end, and one odd text must not end a ranking.
        except (Exception, SystemExit) as error:
            return error

    @staticmethod
    def _judged(position: int, value: Any) -> Judged:
        if isinstance(value, BaseException):
            return _failed(position, repr(value))
        if isinstance(value, (str, bytes)):  # which float() would read
            return _failed(position, f"{value!r} is no number")
        try:
            return Judged(position, float(value))  # numbers of numpy and torch too
        except (TypeError, ValueError, OverflowError):
            return _failed(position, f"{value!r} is no number")


def _failed(position: int, why: str) -> Judged:
    return Judged(position, None, why[:_MOST_CHARS])
