"""The 98 tokens of the world's text: four specials and every printable ASCII character but the space.

A space only stands between tokens. The order of the tokens is published with the models, so it never changes.
"""

from __future__ import annotations

import re
from string import ascii_lowercase, ascii_uppercase, digits

from labkit.config.base import stable_digest

PAD, UNKNOWN, BOS, EOS = SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>")


def _characters(first: int, last: int) -> str:
    return "".join(map(chr, range(first, last + 1)))


VOCABULARY: tuple[str, ...] = (
    *SPECIALS,
    *_characters(33, 47),
    *_characters(58, 64),
    *ascii_uppercase,
    *_characters(91, 96),
    *ascii_lowercase,
    *_characters(123, 126),
    *digits,
)
"""The tokens, in the order of their ids."""

_IDS = {token: index for index, token in enumerate(VOCABULARY)}
_PIECE = re.compile("|".join(SPECIALS) + r"|\S")


def vocabulary_digest() -> str:
    """16 hex digits that change with any token or its id."""
    return stable_digest(list(VOCABULARY))


def token_ids(text: str) -> list[int]:
    """The ids of a text, with spaces between its tokens or without; an unknown character is `<unk>`."""
    return [_IDS.get(piece, _IDS[UNKNOWN]) for piece in _PIECE.findall(text)]
