"""Which cities are meant: the mini-language of filters over the columns of `cities.csv`.

`column:regex` holds where the regular expression matches at the beginning of the column's text. `&&` joins what must all
hold, `||` what may, and binds less: `region:India && city_id:^[1-9] || asciiname:Atlantis_`. A list must all hold, as
must `{"AND": […]}`; of `{"OR": […]}` one must. An empty text, or `.*`, is every city.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from labkit.config.base import nearest
from labkit.errors import ConfigError
from labkit.tasks.world.cities import COLUMNS, Cities

BoolArray = NDArray[np.bool_]

Filter: TypeAlias = str | Sequence["Filter"] | Mapping[str, "Filter"]

_EVERYTHING = ("", ".*")


def select(cities: Cities, expression: Filter) -> BoolArray:
    """(N,): which cities an expression means. `city_id` is the padded text, numbers are text as in `cities.csv`.

    Raises:
        ConfigError: the expression is not built so, names no column of `cities.csv`, or holds no regular expression.
    """
    if isinstance(expression, str):
        return _select_text(cities, expression)
    if isinstance(expression, Mapping):
        return _select_mapping(cities, expression)
    if isinstance(expression, Sequence):
        return _all(cities, (select(cities, part) for part in expression))
    raise ConfigError(f"{expression!r} is no filter of cities", "write `column:regex`, a list, or {AND: [...]}")


def _select_mapping(cities: Cities, expression: Mapping[str, Filter]) -> BoolArray:
    match dict(expression):
        case {"AND": parts, **others} if not others and isinstance(parts, list | tuple):
            return select(cities, parts)
        case {"OR": parts, **others} if not others and isinstance(parts, list | tuple) and parts:
            return _any(cities, (select(cities, part) for part in parts))
    message = f"the filter {dict(expression)!r} is neither {{AND: [...]}} nor {{OR: [...]}}"
    raise ConfigError(message, "give it one of the two keys, with a list of filters")


def _select_text(cities: Cities, text: str) -> BoolArray:
    if text.strip() in _EVERYTHING:
        return np.ones(len(cities), dtype=np.bool_)
    choices = ([_select_term(cities, term.strip(), text) for term in part.split("&&")] for part in text.split("||"))
    return _any(cities, (_all(cities, terms) for terms in choices))


def _select_term(cities: Cities, term: str, text: str) -> BoolArray:
    column, colon, regex = (part.strip() for part in term.partition(":"))
    if term == ".*":
        return np.ones(len(cities), dtype=np.bool_)
    if not colon:
        raise ConfigError(f"the filter {text!r} has a part {term!r} that is not `column:regex`", "write `region:India`")
    if column not in COLUMNS:
        guess = nearest(column, COLUMNS)
        suggestion = f"did you mean {guess!r}? " if guess else ""
        message = f"the filter {text!r} asks for a column {column!r} that cities do not have"
        raise ConfigError(message, f"{suggestion}columns: {', '.join(COLUMNS)}")
    try:
        pattern = re.compile(regex)
    except re.error as error:
        message = f"the filter {text!r}: {regex!r} is no regular expression: {error}"
        raise ConfigError(message, "a backslash before a character takes it as it stands") from None
    values = cities.columns()[column].tolist()
    return np.fromiter((pattern.match(str(value)) is not None for value in values), np.bool_, len(cities))


def _all(cities: Cities, masks: Iterable[BoolArray]) -> BoolArray:
    found = np.ones(len(cities), dtype=np.bool_)
    for mask in masks:
        found &= mask
    return found


def _any(cities: Cities, masks: Iterable[BoolArray]) -> BoolArray:
    found = np.zeros(len(cities), dtype=np.bool_)
    for mask in masks:
        found |= mask
    return found
