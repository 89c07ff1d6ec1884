"""What a config needs and what it makes, as other configs name it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from labkit.config.base import Layer, resolve
from labkit.config.commands import COMMANDS
from labkit.config.references import Reference, made_by, needed_by


def config(command: str, **values: Any) -> Any:
    return resolve(
        COMMANDS[command], [Layer("test", {key.replace("__", "."): value for key, value in values.items()})]
    ).config


def names(references: list[Reference]) -> list[tuple[str, str, str]]:
    return [(found.key, found.kind, found.name) for found in references]


WORLD = {"task__name": "world", "task__data": "data/./world"}


@pytest.mark.parametrize(
    ("command", "values", "expected"),
    [
        ("sample", {}, []),
        ("sample", {"model__id": "Qwen/Qwen2.5-0.5B-Instruct"}, []),
        ("perturb", {"model__id": "./models/mine"}, [("model.id", "path", "models/mine")]),
        ("sample", {"task__name": "jsonl", "task__path": "a/b.jsonl"}, [("task.path", "path", "a/b.jsonl")]),
        ("eval", {**WORLD, "model__id": "run:pt1"}, [("model.id", "run", "pt1"), ("task.data", "path", "data/world")]),
        (
            "eval", {**WORLD, "model__id": "run:pt1", "task__evaluations": ["angle"]},
            [("model.id", "run", "pt1"), ("task.evaluations", "path", "data/world/angle")],
        ),
        (
            "extract", {"model__id": "run:pt1"},
            [("model.id", "run", "pt1"), ("cities", "path", "data/world/cities.csv")],
        ),
        (
            "train",
            {"model__id": "run:pt1", "examples__name": "dataset", "examples__path": "data/world/ftwb1-1"},
            [("model.id", "run", "pt1"), ("examples.path", "path", "data/world/ftwb1-1")],
        ),
        ("data", {"cities__source": "mine.csv"}, [("cities.source", "path", "mine.csv")]),
        (
            "eval", {"rerankers": ["run:verifier", "mine.py", "./models/e", "org/e"]},
            [("rerankers", "run", "verifier"), ("rerankers", "path", "mine.py"), ("rerankers", "path", "models/e")],
        ),
        (
            "train",
            {"model__id": "org/m", "method": "energy", "examples__name": "rollouts", "examples__runs": ["one", "./runs/eval/x"]},
            [("examples.runs", "rollouts", "one"), ("examples.runs", "path", "runs/eval/x")],
        ),
    ],
)  # fmt: skip
def test_what_is_needed(command: str, values: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert names(needed_by(config(command, **values))) == expected


def test_what_is_made() -> None:
    world = made_by(config("data", out="data/world"))
    assert names(world) == [("out", "path", "data/world")]
    training = {"architecture": {}, "tokenizer": {"name": "characters"}, "runs_dir": "./runs/"}
    (run,) = made_by(config("train", name="pt1", **training))
    assert (run.kind, run.name, run.runs_dir) == ("run", "pt1", "runs")
    assert made_by(config("train", **training)) == made_by(config("eval")) == []
    (rollouts,) = made_by(config("eval", name="solutions"))
    assert (rollouts.kind, rollouts.name) == ("rollouts", "solutions")


def test_who_makes_what() -> None:
    def made(command: str, **values: Any) -> set[Reference]:
        return {replace(reference, key="") for reference in made_by(config(command, **values))}

    (run, data) = (
        set(each.made_with()) for each in needed_by(config("eval", **WORLD, model__id="run:pt1", task__evaluations=["angle"]))
    )  # fmt: skip
    world = made("data", out="data/world")
    assert data & world and not run & world
    assert not data & made("data", out="data/worl")
    training = {"architecture": {}, "tokenizer": {"name": "characters"}, "name": "pt1"}
    assert run & made("train", **training)
    assert not run & made("train", **training, runs_dir="elsewhere")
