"""The candidates of many prompts as flat arrays, whatever number of them each prompt has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Candidates:
    """M candidates of P prompts; those of a prompt stand together, in the order in which they were drawn."""

    counts: IntArray
    """(P,) candidates of each prompt, at least 1"""
    correct: BoolArray
    """(M,)"""
    answers: Sequence[str | None]
    """(M,) what each gives as its answer; None for no valid one"""
    failed: BoolArray
    """(M,) whether there is no text, but an error"""
    likelihood: FloatArray
    """(M,) mean log-probability a token; NaN where it is not known"""
    scores: Mapping[str, FloatArray] = field(default_factory=dict)
    """By name of a ranking (M,), lower is better; NaN where a candidate has none"""
    texts: IntArray | None = None
    """(M,) the same number for the same text of a prompt; None where no two are the same"""

    @property
    def starts(self) -> IntArray:
        """(P,) where the candidates of each prompt begin."""
        return np.asarray(np.cumsum(self.counts) - self.counts)

    @property
    def num_correct(self) -> IntArray:
        """(P,)"""
        return np.add.reduceat(self.correct, self.starts, dtype=np.int64)

    @property
    def prompts(self) -> IntArray:
        """(M,) position of the prompt that each is for."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def blocks(self) -> Iterator[tuple[IntArray, IntArray]]:
        """The prompts (B,) with one number n of candidates, and where their candidates stand (B, n)."""
        starts = self.starts
        for n in np.unique(self.counts):
            prompts = np.flatnonzero(self.counts == n)
            yield prompts, starts[prompts][:, None] + np.arange(n)
