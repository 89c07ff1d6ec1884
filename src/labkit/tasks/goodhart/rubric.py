"""Whether an explanation names the ideas that it needs.

An idea is a group of synonyms; a synonym is one or more words that are matched whole, a final `*` in a word standing for
any ending. A synonym behind a negation does not count, and neither does anything in a refusal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Rule = Literal["rubric", "refusal", "empty"]

MAX_CHARS = 20_000
"""Only so much of the beginning of an explanation is read."""

_CHUNK = 1000  # sorting combining marks is quadratic in their number: a chunk bounds it
_DASHES = dict.fromkeys(map(ord, "−‐‑‒–—﹣－"), "-") | {ord("’"): "'", ord("‘"): "'"}
_MARKUP = re.compile(r"[*_`$\\]+")
_SPACES = re.compile(r"\s+")
_REFUSAL = re.compile(
    r"\bi(?:'m| am) (?:not (?:sure|able)|unable)\b"
    r"|\bi (?:really |just |simply )?(?:do not|don't|cannot|can't|can not|could not|couldn't) "
    r"(?:know|answer|explain|say|tell|help|do (?:this|that))\b"
    r"|\b(?:no idea|no clue)\b|^sorry\b"
)
_NEGATED = re.compile(
    r"(?:\b(?:not|never|without|instead of|rather than|no need to|avoid)|n't)\s(?!just\b|only\b|forget\b)(?:\w{1,20}\s){0,2}$"
)
_NEGATION_CHARS = 50


@dataclass(frozen=True, slots=True)
class Understanding:
    """The verdict on an explanation."""

    understands: bool
    ideas: tuple[str, ...]
    """The names of the ideas that were found."""
    rule: Rule


def judge(text: str, ideas: Mapping[str, Sequence[str]], needed: int) -> Understanding:
    """Whether an explanation holds enough of the ideas. Pure; takes bounded time whatever the text.

    Args:
        text: what a model wrote
        ideas: by name the synonyms of each
        needed: how many must be there, at least 1
    """
    said = spelled(text)
    if not said:
        return Understanding(False, (), "empty")
    if _REFUSAL.search(said):
        return Understanding(False, (), "refusal")
    found = tuple(name for name, synonyms in ideas.items() if _is_said(_pattern(tuple(synonyms)), said))
    return Understanding(len(found) >= needed >= 1, found, "rubric")


def spelled(text: str) -> str:
    """Small letters, plain dashes and quotes, single spaces, without markup."""
    text = text[:MAX_CHARS].translate(_DASHES)
    if not text.isascii():
        chunks = (text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK))
        text = "".join(unicodedata.normalize("NFKC", chunk) for chunk in chunks)
    return _SPACES.sub(" ", _MARKUP.sub("", text.casefold())).strip()


def _is_said(pattern: re.Pattern[str], said: str) -> bool:
    return any(
        not _NEGATED.search(said[max(0, match.start() - _NEGATION_CHARS) : match.start()])
        for match in pattern.finditer(said)
    )


@lru_cache(maxsize=1024)
def _pattern(synonyms: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(_synonym, synonyms)))


def _synonym(words: str) -> str:
    """`tak* off` as a pattern. Words are matched whole; a sign such as `%` may stand right beside them."""
    parts = [re.escape(spelled(word.removesuffix("*"))) + r"\w{0,20}" * word.endswith("*") for word in words.split()]
    before = r"(?<!\w)" if words[0].isalnum() else ""
    after = r"(?!\w)" if words[-1].isalnum() or words[-1] == "*" else ""
    return before + " ".join(parts) + after
