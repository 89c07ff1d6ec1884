"""Axes multiplied, zipped, filtered and added to, against counting by hand."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from labkit.config.world import PAIRS, TASK_NAMES, evaluation_names
from labkit.errors import ConfigError
from labkit.gencfg.grid import Grid, grid_of
from labkit.gencfg.matrix import Section


def grid(axes: dict[str, Any], lists: dict[str, list[Any]] | None = None, **others: Any) -> Grid:
    return grid_of(Section(axes=axes, path="x", **others), "here", lists or {})


AXES = st.dictionaries(
    st.sampled_from("abcd"), st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True), min_size=1
)


@given(AXES)
def test_a_product_is_every_combination_the_last_axis_fastest(axes: dict[str, list[int]]) -> None:
    found = [tuple(point.values()) for point in grid(axes).points()]
    assert found == list(itertools.product(*axes.values()))
    assert grid(axes).num_points == len(found)


@given(AXES, st.data())
def test_filters_are_equality(axes: dict[str, list[int]], data: st.DataObject) -> None:
    entries = st.lists(
        st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in axes.items()}), max_size=2
    )
    include, exclude = data.draw(entries), data.draw(entries)

    def fits(point: dict[str, int], some: list[dict[str, int]]) -> bool:
        return any(entry.items() <= point.items() for entry in some)

    everything = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    expected = [p for p in everything if (not include or fits(p, include)) and not fits(p, exclude)]
    assume(expected)
    found = grid(axes, include=tuple(include), exclude=tuple(exclude))
    assert list(found.points()) == expected
    assert found.num_points == len(expected)


def test_axes_that_go_together() -> None:
    found = grid({"verb": ["eval", "extract"], "seed": [1, 2], "folder": ["e", "x"]}, zip=(("verb", "folder"),))
    assert [(point["seed"], point["verb"], point["folder"]) for point in found.points()] == [
        (1, "eval", "e"), (2, "eval", "e"), (1, "extract", "x"), (2, "extract", "x"),
    ]  # fmt: skip
    assert found.arithmetic == "2 verbs × 2 seeds"


def test_the_arithmetic_of_a_count() -> None:
    axes = {"seed": [1, 2, 3], "model": ["a", "b"], "batch": [1]}
    assert grid(axes).arithmetic == "3 seeds × 2 models × 1 batch"
    found = grid(axes, exclude=({"model": "b", "seed": 2},), add=({"seed": 9, "model": "z", "batch": 4},))
    assert found.arithmetic == "3 seeds × 2 models × 1 batch − 1 left out + 1 added"
    assert found.num_points == 6
    assert list(found.points())[-1] == {"seed": 9, "model": "z", "batch": 4}
    assert grid({}).arithmetic == "1" and list(grid({}).points()) == [{}]
    assert [grid({name: [1, 2]}).arithmetic for name in ("batch", "index", "category", "bias", "day")] == [
        "2 batches", "2 indexes", "2 categories", "2 bias", "2 days",
    ]  # fmt: skip


def test_lists_by_name() -> None:
    lists = {"seeds": [1, 2, 3]}
    axes = {
        "seed": {"each": "seeds"}, "model": ["base", {"each": "world.pairs"}], "task": {"each": "world.tasks"},
        "evaluation": {"each": "world.evaluations"}, "number": [0, {"from": 5, "to": 7}],
    }  # fmt: skip
    found = grid(axes, lists).axes
    assert found["seed"] == [1, 2, 3]
    assert found["model"] == ["base", *(f"ftwb2-{number}" for number in PAIRS)] and len(found["model"]) == 22
    assert found["task"] == list(TASK_NAMES)
    assert found["evaluation"] == list(evaluation_names()) and len(found["evaluation"]) == 15
    assert found["number"] == [0, 5, 6, 7]


def test_equality_is_that_of_yaml() -> None:
    assert grid({"a": [1, 2.5]}, exclude=({"a": 1.0},)).num_points == 1
    assert grid({"a": [True, 2]}, exclude=({"a": True},)).num_points == 1
    assert grid({"a": [2**53, 2**53 + 1, 10**400, "1", 1, True]}).num_points == 6
    with pytest.raises(ConfigError, match="the axis a has no value 1"):
        grid({"a": [True, 2]}, exclude=({"a": 1},))


WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "empty": ({"axes": {"seed": []}}, ["axes.seed is empty", "no point"]),
    "no list": ({"axes": {"seed": 3}}, ["axes.seed is no list", "seed: [3]"]),
    "a value twice": ({"axes": {"seed": [1, 2, 1.0]}}, ["1.0 stands there twice"]),
    "unknown list": ({"axes": {"m": {"each": "world.pair"}}}, ["no list world.pair", "did you mean world.pairs?"]),
    "odd item": ({"axes": {"m": [{"every": "x"}]}}, ["no item of an axis", "each"]),
    "endless": ({"axes": {"m": {"from": 1, "to": 10**12}}}, ["values", "at most"]),
    "too many": ({"axes": {name: {"from": 1, "to": 1000} for name in "abcd"}}, ["1,000,000,000,000 points", "at most"]),
    "odd name": ({"axes": {"my-seed": [1]}}, ["'my-seed' cannot stand between braces"]),
    "zip of unknown": ({"axes": {"seed": [1]}, "zip": (("seed", "sede"),)}, ["zip", "no axis sede", "did you mean seed?"]),
    "uneven zip": ({"axes": {"a": [1], "b": [1, 2]}, "zip": (("a", "b"),)}, ["a has 1, b has 2"]),
    "zipped twice": ({"axes": {"a": [1], "b": [1]}, "zip": (("a", "b"), ("b",))}, ["names b twice"]),
    "nothing left": ({"axes": {"a": [1]}, "exclude": ({"a": 1},)}, ["no point is left"]),
    "excluding an unknown axis": ({"axes": {"seed": [1]}, "exclude": ({"sed": 1},)}, ["exclude, entry 1", "did you mean seed?"]),
    "excluding an unknown value": (
        {"axes": {"m": ["ftwb2-1", "b"]}, "exclude": ({"m": "b"}, {"m": "ftwb2-2"})},
        ["exclude, entry 2", "no value \"ftwb2-2\"", "did you mean ftwb2-1?"],
    ),
    "excluding what is not zipped": (
        {"axes": {"a": [1, 2], "b": [1, 2]}, "zip": (("a", "b"),), "exclude": ({"a": 1, "b": 2},)},
        ["exclude, entry 1, fits no point"],
    ),
    "adding half a point": ({"axes": {"a": [1], "b": [1]}, "add": ({"a": 1},)}, ["add, entry 1 says nothing of b"]),
}  # fmt: skip


@pytest.mark.parametrize(("section", "parts"), WRONG.values(), ids=list(WRONG))
def test_a_grid_that_cannot_be(section: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        grid(**section)
    assert caught.value.hint
    for part in ["here", *parts]:
        assert part in f"{caught.value.message} {caught.value.hint}"
