"""Names between braces, and everything else between braces."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import ConfigError
from labkit.gencfg.patterns import compiled, is_name, names_in, text_of

NAMES: dict[str, Any] = {
    "seed": 7,
    "sigma": 1e-5,
    "one": 1.0,
    "on": True,
    "model": "ftwb2-1",
    "many": [0.4, 1.0],
    "no": None,
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{seed}", 7),
        ("{one}", 1.0),
        ("{on}", True),
        ("{many}", [0.4, 1.0]),
        ("{no}", None),
        ("seed{seed}", "seed7"),
        ("{sigma}-{one}-{on}", "1e-05-1-true"),
        ("{model}/{model}", "ftwb2-1/ftwb2-1"),
        ("city_id:^[1-9][0-9]{3,}$", "city_id:^[1-9][0-9]{3,}$"),
        ("seed{1..3}/{base,ftwb2-{1..7}}/{model}", "seed{1..3}/{base,ftwb2-{1..7}}/ftwb2-1"),
        ("{{seed}}", "{seed}"),
        ("echo ${seed} ${HOME} $(x {seed})", "echo ${seed} ${HOME} $(x 7)"),
        ("${{seed}}", "${seed}"),
        ("{{seed}} is {seed}", "{seed} is 7"),
        ({"a": ["{seed}", {"b": "x{seed}"}], "c": 3}, {"a": [7, {"b": "x7"}], "c": 3}),
        ({"a": "{{seed}}"}, {"a": "{seed}"}),
        (["{many}", "{seed}"], [[0.4, 1.0], 7]),
    ],
)
def test_what_a_pattern_stands_for(value: object, expected: object) -> None:
    found = compiled(value, NAMES, "here")(NAMES)
    assert found == expected
    assert type(found) is type(expected)


def test_a_value_is_not_read_again() -> None:
    assert compiled("x{model}", {"model"}, "here")({"model": "{seed}"}) == "x{seed}"


def test_a_name_that_is_not_known() -> None:
    with pytest.raises(ConfigError, match=r"here: nothing is called \{sede\}") as caught:
        compiled({"a": ["{sede}"]}, NAMES, "here")
    assert caught.value.hint == "did you mean {seed}?; {{sede}} writes the letters {sede}"


@pytest.mark.parametrize("name", ["many", "no"])
def test_what_has_no_place_within_a_text(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"\{{{name}\}} is (a list|null) here"):
        compiled("x{" + name + "}", NAMES, "here")(NAMES)


@given(st.text(alphabet="{}ab,. $1"))
def test_texts_without_a_name_stay_as_they_are(text: str) -> None:
    if not list(names_in(text)) and "{{" not in text:
        assert compiled(text, (), "here")({}) == text


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.text(), min_size=3), st.lists(st.sampled_from("abc")))
def test_a_text_is_the_join_of_its_parts(names: dict[str, str], order: list[str]) -> None:
    pattern = "-".join(f"{{{name}}}" for name in order) + "!"
    assert compiled(pattern, names, "here")(names) == "-".join(names[name] for name in order) + "!"


def test_names_are_words() -> None:
    assert [word for word in ("a", "a1", "_a", "1a", "a-b", "", "a b", "ä") if is_name(word)] == ["a", "a1", "_a"]
    assert text_of(True) == "true" and text_of(12) == "12"
