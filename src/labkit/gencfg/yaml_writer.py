"""The YAML of generated configs: a line a value, read back equal by any YAML loader.

PyYAML's dumper takes thirty times as long for the same plain mappings, half a minute for a hundred thousand of them. It
writes the same but for lists, which stand on a line each there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from labkit.config.yaml_text import reads_as_text

_INDENT = "  "
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./+@-]*(?::[A-Za-z0-9_./+@-]+)*")
"""Words that need no quotes where YAML does not take them for something else: the colon of `run:pt1` is inside."""
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def yaml_text(mapping: Mapping[str, Any]) -> str:
    """Nested plain data as YAML, keys in the order given, sections indented by two."""
    return "".join(_lines(mapping, ""))


def yaml_leaves(text: str) -> dict[str, str]:
    """Every dotted key of such a text with its value as written. Of other YAML it makes what it can."""
    leaves: dict[str, str] = {}
    path: list[str] = []
    for line in text.splitlines():
        bare = line.lstrip(" ")
        key, colon, value = bare.partition(":")
        if not colon or bare.startswith("#"):
            continue
        path[(len(line) - len(bare)) // len(_INDENT) :] = [key]
        if value:
            leaves[".".join(path)] = value.strip()
    return leaves


def _lines(mapping: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{_word(key)}:\n"
            yield from _lines(value, indent + _INDENT)
        else:
            yield f"{indent}{_word(key)}: {_inline(value)}\n"


def _inline(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, str):
        return _word(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_word(key)}: {_inline(inner)}" for key, inner in value.items()) + "}"
    return "[" + ", ".join(map(_inline, value)) + "]"


def _number(value: float) -> str:
    """As YAML 1.1 reads a float, everywhere: with a point before the exponent."""
    mantissa, e, exponent = repr(value).partition("e")
    return mantissa + (".0" if e and "." not in mantissa else "") + e + exponent


@lru_cache(maxsize=4096)
def _word(text: str) -> str:
    if _PLAIN.fullmatch(text) and reads_as_text(text):
        return text
    return _UNPRINTABLE.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
