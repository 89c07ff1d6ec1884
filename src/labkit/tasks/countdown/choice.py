"""One of a few known names, or an error that suggests the nearest."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from labkit.errors import InputError


def check_choice(what: str, given: str, known: Iterable[str]) -> None:
    """Do nothing where `given` is known.

    Raises:
        InputError: it is not; the hint names the nearest known one and all the others.
    """
    names = list(known)
    if given in names:
        return
    nearest = get_close_matches(given, names, n=1)
    suggestion = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise InputError(f"Countdown has no {what} {given!r} here", f"{suggestion}known: {', '.join(names)}")
