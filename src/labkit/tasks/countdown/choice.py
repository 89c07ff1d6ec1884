"""One of a few known names, or an error that suggests the nearest."""

from __future__ import annotations

from collections.abc import Iterable

from labkit.config.base import nearest
from labkit.errors import InputError


def check_choice(what: str, given: str, known: Iterable[str]) -> None:
    """Do nothing where `given` is known.

    Raises:
        InputError: it is not; the hint names the nearest known one and all the others.
    """
    names = list(known)
    if given in names:
        return
    guess = nearest(given, names)
    suggestion = f"did you mean {guess!r}? " if guess else ""
    raise InputError(f"Countdown has no {what} {given!r} here", f"{suggestion}known: {', '.join(names)}")
