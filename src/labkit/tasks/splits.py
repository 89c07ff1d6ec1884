"""Splits of generated data: which one a problem belongs to is decided by its own hash."""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


def split_of(identity: str) -> Split:
    """The only split that a problem may appear in: 80 % train, 10 % validation, 10 % test.

    The hash of the problem decides, not a seed or a setting, so that nothing trained on with one seed is ever held
    out under another.
    """
    bucket = int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest(), "big") % 10
    return "test" if bucket == 0 else "validation" if bucket == 1 else "train"
