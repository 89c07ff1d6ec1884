"""What an energy model judges, and so every reranker: a question and a solution. Knows no tensors."""

from __future__ import annotations

from typing import NamedTuple


class Pair(NamedTuple):
    """A question and one solution of it."""

    question: str
    solution: str
