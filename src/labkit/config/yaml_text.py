"""YAML as configs use it: safe tags only, `1e-5` is a number, repeated keys are refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from labkit.errors import ConfigError

_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """PyYAML follows YAML 1.1, where `1e-5` is text and a repeated key silently wins; neither fits a config."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        own = [key for key, _ in node.value if key.tag != _MERGE]
        keys = [self.construct_object(key, deep=True) for key in own]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands here twice", own[position].start_mark
                )
        return super().construct_mapping(node, deep)


# Two lists in the class's own dictionary: PyYAML's are shared between all loaders.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


class _Dumper(yaml.SafeDumper):
    """PyYAML folds line breaks of Unicode within plain and single quotes, where reading makes blanks of them."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if any(character in text for character in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent_text)
# What the loader takes for a number is quoted when it is text, as the commit 12e5678 may be.
_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def parse_value(text: str) -> Any:
    """The value that `text` has in YAML: `1e-5` a float, `[1, 2]` a list, `null` None, anything odd the text itself."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError:
        return text


def reads_as_text(word: str) -> bool:
    """Whether a bare word is text for every reader of YAML: `1e-5`, `null`, `on` and `2026-01-01` are not."""
    found = (loader.yaml_implicit_resolvers.get(word[:1], []) for loader in (_Loader, yaml.SafeLoader))
    return not any(pattern.match(word) for resolvers in found for _, pattern in resolvers)


def load_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping.

    Raises:
        ConfigError: the file is missing, not UTF-8, not YAML, or not a mapping; the message names the line.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"cannot read the config {path}: {error.strerror}", "check the path after --config") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start})", "save the file as UTF-8") from None
    except ValueError as error:  # thousands of digits
        raise ConfigError(f"{path} holds a number that cannot be read: {error}", "put it in quotes") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}, line {line}: {error.problem}", "correct the YAML") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}", "correct the YAML") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{path} does not hold `key: value` lines", "write one `key: value` a line")
    return content


def dump(mapping: dict[str, Any]) -> str:
    """YAML text with keys in the order given."""
    return str(yaml.dump(mapping, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))
