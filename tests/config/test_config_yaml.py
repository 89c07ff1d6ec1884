"""YAML as configs use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.config.yaml_text import dump, load_mapping, parse_value
from labkit.errors import ConfigError


def load(folder: Path, text: str | bytes) -> dict[str, Any]:
    path = folder / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_mapping(path)


def complaint(folder: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    assert caught.value.hint
    assert "a.yaml" in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1E5", 1e5),
        ("-2.5e+3", -2500.0),
        (".5e1", 5.0),
        ("1.e3", 1000.0),
        ("0.1", 0.1),
        ("3", 3),
        ("true", True),
        ("null", None),
        ("", None),
        ("[1e-3, 2]", [0.001, 2]),
        ("{a: 1e-3}", {"a": 0.001}),
        ("2024-01-01", "2024-01-01"),
        ("'1e-5'", "1e-5"),
        ("1e-5x", "1e-5x"),
        ("e5", "e5"),
        ("[unclosed", "[unclosed"),
        ("*nothing", "*nothing"),
        ("!!python/object/apply:os.getcwd []", "!!python/object/apply:os.getcwd []"),
    ],
)
def test_values(text: str, value: object) -> None:
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_python_writes_is_read_as_itself(number: float) -> None:
    assert parse_value(repr(number)) == number


def test_a_file_of_nothing_is_an_empty_config(tmp_path: Path) -> None:
    assert load(tmp_path, "# only a comment\n") == {}


def test_text_beyond_ascii(tmp_path: Path) -> None:
    assert load(tmp_path, "name: größe 漢字\n") == {"name": "größe 漢字"}
    assert load(tmp_path, "\ufeffname: x\n") == {"name": "x"}, "editors that write a byte order mark are forgiven"


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [("seed: 1\ntask:\n  a: 1\nseed: 2\n", 4, "seed"), ("task:\n  a: 1\n  b: 2\n  a: 3\n", 4, "a")],
)
def test_a_repeated_key_is_refused_with_its_line(tmp_path: Path, text: str, line: int, key: str) -> None:
    message = complaint(tmp_path, text)
    assert f"line {line}" in message
    assert f"'{key}'" in message
    assert "twice" in message


def test_one_key_in_two_sections_is_no_repetition(tmp_path: Path) -> None:
    assert load(tmp_path, "a: {x: 1}\nb: {x: 2}\n") == {"a": {"x": 1}, "b": {"x": 2}}


def test_merge_keys_work_and_own_values_win(tmp_path: Path) -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b\n  <<: *a\n  x: 2\nc:\n  <<: *b\n  z: 3\n"
    assert load(tmp_path, text)["c"] == {"x": 2, "y": 1, "z": 3}
    assert "twice" in complaint(tmp_path, "a: &a {x: 1}\nb:\n  <<: *a\n  x: 2\n  x: 3\n")


@pytest.mark.parametrize(
    "text", ["a: [1,\nb: 2\n", "a:\n\t- 1\n", "a: b: c\n", "a: *missing\n", "a: !!python/name:os\n"]
)
def test_malformed_yaml_names_the_line(tmp_path: Path, text: str) -> None:
    assert "line " in complaint(tmp_path, text)


def test_a_control_character_is_refused(tmp_path: Path) -> None:
    assert "not YAML" in complaint(tmp_path, b"a: \x00\n")


def test_text_of_another_encoding_is_refused(tmp_path: Path) -> None:
    assert "not UTF-8" in complaint(tmp_path, "name: größe\n".encode("latin-1"))


@pytest.mark.parametrize("text", ["- 1\n- 2\n", "just text\n", "5\n", "1: x\n"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    assert "key: value" in complaint(tmp_path, text)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ConfigError, match="cannot read") as caught:
            load_mapping(path)
        assert str(path) in caught.value.message
        assert "--config" in caught.value.hint


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), PLAIN, min_size=1, max_size=4))
def test_what_is_dumped_reads_back_the_same_and_in_order(mapping: dict[str, Any]) -> None:
    again = parse_value(dump(mapping))
    assert again == mapping
    assert list(again) == list(mapping)


@pytest.mark.parametrize(
    "text", ["1e5", "12e5678", "1e-5", "null", "yes", "2024-01-01", "a\x85b\u2028c\u2029d", "1", " x ", "#", "~"]
)
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    assert parse_value(dump({"revision": text})) == {"revision": text}
