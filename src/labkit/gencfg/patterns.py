"""Text with `{names}` in it, and values that hold such texts.

`{name}` is the only thing that means anything: every other brace, of a regular expression or a shell and its `${name}`, is a
brace, and `{{name}}` writes the letters `{name}`. What a name stands for is put in as it is and not read again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from labkit.config.base import nearest
from labkit.errors import ConfigError
from labkit.record.identity import canonical_number

Names = Mapping[str, Any]
Render = Callable[[Names], Any]

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PLACEHOLDER = re.compile(rf"\{{\{{(?P<literal>{_NAME})\}}\}}|(?<!\$)\{{(?P<name>{_NAME})\}}")


def is_name(word: str) -> bool:
    """Whether a word can stand between braces."""
    return re.fullmatch(_NAME, word) is not None


def names_in(value: Any) -> Iterator[str]:
    """Every name that a value uses, in its lists and sections too."""
    if isinstance(value, str):
        yield from (found["name"] for found in _PLACEHOLDER.finditer(value) if found["name"])
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from names_in(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from names_in(inner)


def literal(value: Any) -> Any:
    """A value whose braces are compiled to themselves: what a config says, and not a matrix."""
    if isinstance(value, str):
        return re.sub(rf"(?<!\$)\{{({_NAME})\}}", r"{{\1}}", value)
    if isinstance(value, Mapping):
        return {key: literal(inner) for key, inner in value.items()}
    return [literal(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def compiled(value: Any, known: Collection[str], where: str) -> Render:
    """A function from names to the value with their meanings in it. A text that is one `{name}` keeps the type of what
    the name stands for.

    Args:
        known: the names there are
        where: the place of the value, for messages

    Raises:
        ConfigError: it uses a name that is not known; gives the nearest.
    """
    for name in names_in(value):
        refuse_unknown_name(name, known, where)
    return _compiled(value)


def refuse_unknown_name(name: str, known: Collection[str], where: str) -> None:
    """Raise a `ConfigError` with the nearest name if there is no such name."""
    if name in known:
        return
    guess = nearest(name, known)
    there = f"names here: {', '.join(sorted(known))}" if known else "there are no names here"
    hint = f"did you mean {{{guess}}}?" if guess else there
    raise ConfigError(f"{where}: nothing is called {{{name}}}", f"{hint}; {{{{{name}}}}} writes the letters {{{name}}}")


def text_of(value: Any) -> str:
    """A value within a text: numbers in their shortest form (`1`, `0.05`, `1e-05`), true and false as YAML has them.

    Raises:
        ValueError: it has no such form: null, a list, a section.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return str(value) if isinstance(value, int) else canonical_number(value)
    raise ValueError("null" if value is None else f"a {'list' if isinstance(value, (list, tuple)) else 'section'}")


def value_key(value: Any) -> str:
    """A text that two values share exactly when they are equal in YAML: 1 is 1.0, and neither `true` nor `"1"` is a number."""
    return json.dumps(_whole(value), sort_keys=True)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _whole(inner) for key, inner in value.items()}
    return [_whole(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _compiled(value: Any) -> Render:
    if not any(True for _ in names_in(value)):
        constant = _plain_text(value)
        return lambda names: constant
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        inner = {key: _compiled(part) for key, part in value.items()}
        return lambda names: {key: render(names) for key, render in inner.items()}
    parts = [_compiled(part) for part in value]
    return lambda names: [render(names) for render in parts]


def _plain_text(value: Any) -> Any:
    """A value without names, its `{{name}}` written as `{name}`."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: f"{{{found['literal']}}}", value)
    if isinstance(value, Mapping):
        return {key: _plain_text(inner) for key, inner in value.items()}
    return [_plain_text(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _text(text: str) -> Render:
    whole = _PLACEHOLDER.fullmatch(text)
    if whole:
        only = whole["name"]
        return lambda names: names[only]
    parts, end = [], 0
    for found in _PLACEHOLDER.finditer(text):
        parts += [(False, text[end : found.start()])]
        parts += [(True, found["name"]) if found["name"] else (False, f"{{{found['literal']}}}")]
        end = found.end()
    parts.append((False, text[end:]))

    def render(names: Names) -> str:
        return "".join(_part(names, part) if is_a_name else part for is_a_name, part in parts)

    return render


def _part(names: Names, name: str) -> str:
    value = names[name]
    if value.__class__ is str:
        return str(value)
    try:
        return text_of(value)
    except ValueError as error:
        raise ConfigError(f"{{{name}}} is {error} here, which has no place within a text") from None
