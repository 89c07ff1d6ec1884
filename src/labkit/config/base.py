"""The strict, frozen base of every config, and how one is put together from its layers.

A config is `default < --config file < environment < --debug < flag`. Every leaf remembers the layer it came from, so a
record can say not only what a run was asked but who asked it. Knows nothing of particular commands.
"""

from __future__ import annotations

import copy
import difflib
import hashlib
import json
import types
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from labkit.config.yaml_text import load_mapping, parse_value
from labkit.errors import ConfigError

ENV_PREFIX = "LABKIT_"
ENV_NESTING = "__"


class Config(BaseModel):
    """A part of a config: unknown keys refused, no coercion, no NaN, never changed after it was built."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    @classmethod
    def implied(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Defaults that follow from other values, as nested values; what is given wins over them."""
        return {}

    def as_json(self) -> dict[str, Any]:
        """The whole config as plain JSON values, in the order of its fields."""
        return self.model_dump(mode="json")

    def digest(self) -> str:
        """16 hex digits that two configs share exactly when all their values are equal."""
        return stable_digest(self.as_json())


ConfigT = TypeVar("ConfigT", bound=Config)


@dataclass(frozen=True, slots=True)
class Layer:
    """Values from one place, by dotted key."""

    origin: str
    """Where they were written, as the user knows it: `flag`, `environment LABKIT_SEED`, `file a.yaml`."""
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resolved(Generic[ConfigT]):
    """A config with the origin of each of its leaves."""

    config: ConfigT
    origins: Mapping[str, str]


def stable_digest(value: Any, digest_size: int = 8) -> str:
    """Hash of a JSON value that does not depend on the order of keys, the process or the machine."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A path of the user's that is no UTF-8 reaches us with lone surrogates; they are hashed as they stand.
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=digest_size).hexdigest()


def file_layer(path: Path) -> Layer:
    """The layer of a YAML file."""
    return Layer(f"file {path}", dict(flatten(load_mapping(path))))


def set_layer(assignments: Sequence[str]) -> Layer:
    """The layer of repeated `--set key.path=value`; values are written as in YAML."""
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {assignment} is not key=value", "write for example --set generation.top_p=0.9")
        values |= flatten({key.strip(): parse_value(text)})
    return Layer("flag --set", values)


def environment_layers(environ: Mapping[str, str], schemas: Sequence[type[Config]]) -> list[Layer]:
    """A layer for every `LABKIT_<KEY>` (`__` for a dot). Only keys of `schemas[0]` are taken.

    A name that none of `schemas` knows is refused: a mistyped variable would otherwise do nothing, silently.
    """
    names = {variable_name(key): key for schema in reversed(schemas) for key in known_keys(schema)}
    wanted = set(known_keys(schemas[0]))
    layers = []
    for name, text in environ.items():
        if not name.startswith(ENV_PREFIX):
            continue
        if name not in names:
            hint = _nearest_hint(name, names, "unset it")
            raise ConfigError(f"the environment variable {name} is no config key", hint)
        if names[name] in wanted:
            layers.append(Layer(f"environment {name}", dict(flatten({names[name]: parse_value(text)}))))
    return layers


def variable_name(key: str) -> str:
    """The environment variable that sets a dotted key: `task.num_prompts` is `LABKIT_TASK__NUM_PROMPTS`."""
    return ENV_PREFIX + key.replace(".", ENV_NESTING).upper()


def resolve(schema: type[ConfigT], layers: Sequence[Layer]) -> Resolved[ConfigT]:
    """Put a config together, later layers winning, and validate it once.

    Raises:
        ConfigError: lists every key that is unknown and every value that does not fit, with its origin.
    """
    origins: dict[str, str] = {}
    merged: dict[str, Any] = {}
    for layer in layers:
        refuse_unknown(schema, layer)
        for key, value in layer.values.items():
            _assign(merged, key, copy.deepcopy(value))  # a later layer may write into it
            origins = {name: place for name, place in origins.items() if not name.startswith(key + ".")}
            origins[key] = layer.origin
    config = validate(schema, merged, origins)
    leaves = {key for key, _ in flatten(config.as_json())}
    return Resolved(config, {key: _origin_of(key, origins) for key in sorted(leaves)})


def validate(schema: type[ConfigT], values: Mapping[str, Any], origins: Mapping[str, str] | None = None) -> ConfigT:
    """Validate nested values. JSON is the form in which strictness means what a user expects: a list may be a tuple
    and `1` a float, but `"1"` is no number and `true` no count."""
    try:
        return schema.model_validate_json(json.dumps(_over(schema.implied(values), values)))
    except ValidationError as error:
        lines = [_describe(schema, detail, origins or {}) for detail in _causes(error)]
        raise ConfigError("\n".join(lines), "correct the value where it was given") from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a value of the config is not plain data: {error}", "use numbers, text and lists") from None


def known_keys(schema: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every dotted leaf key of a config class; the members of a union are all included."""
    for name, field in schema.model_fields.items():
        nested = list(_config_classes(field.annotation))
        if not nested:
            yield prefix + name
        for inner in nested:
            yield from known_keys(inner, f"{prefix}{name}.")


def refuse_unknown(schema: type[Config], layer: Layer) -> None:
    """Raise a `ConfigError` with the nearest known key if a layer has one that the class does not."""
    known = set(known_keys(schema))
    sections = {key[:end] for key in known for end in range(len(key)) if key[end] == "."}
    for key in layer.values:
        if key not in known and key not in sections:
            what = "--set " + key if layer.origin == "flag --set" else f"the key `{key}` ({layer.origin})"
            raise ConfigError(f"{what} is no config key of this command", _nearest_hint(key, known, "remove it"))


def flatten(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted leaves of a nested mapping; lists are leaves."""
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be."""
    found = difflib.get_close_matches(word, sorted(set(known)), n=1, cutoff=0.6)
    return found[0] if found else None


def _config_classes(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        for argument in typing.get_args(annotation):
            yield from _config_classes(argument)


def _nearest_hint(word: str, known: Iterable[str], otherwise: str) -> str:
    def likeness(name: str) -> tuple[float, float]:
        # A right name in a wrong section, num_prompts for task.num_prompts, is nearly as good as a right section.
        whole, last = (
            difflib.SequenceMatcher(None, word.rsplit(".", parts)[-1], name.rsplit(".", parts)[-1]).ratio()
            for parts in (0, 1)
        )
        return max(whole, 0.95 * last), whole

    guess = max(sorted(set(known)), key=likeness, default="")
    return f"did you mean `{guess}`?" if likeness(guess)[0] >= 0.6 else otherwise


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values, those above winning."""
    joined = {**below, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], Mapping) and isinstance(above[key], Mapping):
            joined[key] = _over(below[key], above[key])
    return joined


def _assign(target: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = dotted.split(".")
    for name in path:
        inner = target.get(name)
        if not isinstance(inner, dict):
            inner = target[name] = {}
        target = inner
    target[last] = value


def _origin_of(key: str, origins: Mapping[str, str]) -> str:
    while key:
        if key in origins:
            return origins[key]
        key = key.rpartition(".")[0]
    return "default"


_REASONS = {
    "tuple_type": "should be a list, written [a, b]",
    "too_short": "needs at least {min_length} in its list, has {actual_length}",
    "too_long": "takes at most {max_length} in its list, has {actual_length}",
    "model_type": "should be a section of `key: value` lines",
}
"""Where pydantic's words are about Python or JSON, ours are about YAML."""


def _shown(value: Any) -> str:
    """A value as the user would write it, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:79] + "…"


def _causes(error: ValidationError) -> list[ErrorDetails]:
    """The errors without those that only follow from another: a list whose items were refused is also too short."""
    details = error.errors(include_url=False)
    return [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(other["loc"][: len(detail["loc"])] == detail["loc"] for other in details if other is not detail)
    ]


def _key_of(location: Sequence[str | int], known: Collection[str]) -> tuple[str, str]:
    """The dotted key that an error is about, and which member of a union it lies in (`jsonl task`), or no text.

    The tag of a union's member stands in pydantic's path but in no user's file.
    """
    sections = {key[:end] for key in known for end in range(len(key)) if key[end] == "."}
    key, member = "", ""
    for position, part in enumerate(location):
        longer = f"{key}.{part}" if key else str(part)
        is_tag = key in sections and longer not in sections and longer not in known and position + 1 < len(location)
        if is_tag:
            member = f"{part} {key}"
        else:
            key = f"{key}[{part}]" if isinstance(part, int) else longer
    return key, member


def _describe(schema: type[Config], detail: ErrorDetails, origins: Mapping[str, str]) -> str:
    known = set(known_keys(schema))
    key, member = _key_of(detail["loc"], known)
    reason = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        reason = f"there is no such key in a {member}" if member else "there is no such key"
    elif detail["type"] == "missing":
        return f"{key}: a {member} needs it" if member else f"{key}: it needs a value"
    elif detail["type"] == "json_invalid":  # written by `json.dumps`, so only its characters can be at fault
        return "the config: a value holds characters that are no Unicode text"
    elif detail["type"] in _REASONS:
        reason = _REASONS[detail["type"]].format_map(detail.get("ctx", {}))
    value = detail["input"]
    if detail["type"] == key and isinstance(value, dict):  # a union's own error: no member of it has this name
        key, value = f"{key}.name", value.get("name")
    shown = "" if isinstance(value, dict) else f" (got {_shown(value)})"
    origin = _origin_of(key.partition("[")[0], origins)
    return f"{key or 'the config'}: {reason}{shown}" + ("" if origin == "default" else f", from {origin}")
