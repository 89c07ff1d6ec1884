"""What a response only repeats of the question says nothing of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")
_LEAST_WORDS = 4
"""Shorter sentences may be anybody's."""


def without_echo(text: str, asked: Sequence[str]) -> str:
    """A text without the whole sentences of the questions, however they are spaced or capitalised."""
    pattern = _pattern(tuple(asked))
    return text if pattern is None else pattern.sub(" ", text)


@lru_cache(maxsize=1024)
def _pattern(asked: tuple[str, ...]) -> re.Pattern[str] | None:
    sentences = [sentence.split() for question in asked for sentence in _SENTENCE_END.split(question)]
    repeated = [r"\s{1,5}".join(map(re.escape, words)) for words in sentences if len(words) >= _LEAST_WORDS]
    return re.compile("|".join(repeated), re.IGNORECASE) if repeated else None
