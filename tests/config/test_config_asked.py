"""The digest by which a config finds its run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labkit.config.asked import asked_digest
from labkit.config.base import Layer, resolve
from labkit.config.commands import COMMANDS, EvalConfig
from labkit.config.sections import ModelConfig

CHARACTERS = {"architecture": {}, "tokenizer": {"name": "characters"}}


def digest(command: str, **values: Any) -> str:
    layer = Layer("test", {key.replace("__", "."): value for key, value in values.items()})
    return asked_digest(resolve(COMMANDS[command], [layer]).config)


@pytest.mark.parametrize(
    ("command", "values", "pinned"),
    [
        ("eval", {}, "590f4b26b18f330f"),
        (
            "eval",
            {"model__id": "run:base", "task__name": "world", "task__evaluations": ["distance"]},
            "2da1385ab40e9d6d",
        ),
        ("sample", {"temperatures": [0.4, 1.0], "num_rollouts": 16, "model__id": "./models/mine"}, "90b05958b1cc5545"),
        ("perturb", {"sigmas": [0.01], "task__name": "jsonl", "task__path": "mine.jsonl"}, "af6c6db14e2617e6"),
        ("train", CHARACTERS | {"name": "base", "optimisation__num_steps": 200}, "bbfdb7435d34fdc9"),
        (
            "train",
            {"model__id": "run:base", "examples__name": "dataset", "examples__path": "data/world/d"},
            "99c5c4f9260d70ea",
        ),
        ("extract", {"model__id": "run:base", "layers": [4, 5]}, "b462a7d6388fcb40"),
        ("eval", {"model__id": "run:base", "task__name": "gsm8k"}, "9293c3bc7aef434f"),
        ("eval", {"model__id": "run:base", "task__name": "goodhart"}, "1e723a589a838f54"),
    ],
)
def test_digests_stay_as_they_are(command: str, values: dict[str, Any], pinned: str) -> None:
    """Finished runs are found by them, for ever: one that changes has every such config done once more."""
    assert digest(command, **values) == pinned


def test_what_stands_in_a_file_or_not_is_the_same_when_it_is_the_default() -> None:
    assert digest("eval") == digest("eval", seed=42, generation={"top_p": 1}, model={"id": "builtin:countdown-tiny"})
    assert digest("extract", model__id="run:a") == digest(
        "extract", model__id="run:a", cities="./data/world/cities.csv"
    )
    assert digest("eval") == digest("eval", task={"name": "countdown"}, runs_dir="elsewhere")


def test_what_is_implied_is_said_as_if_it_had_been_given() -> None:
    given = {"temperature": 0.7, "num_rollouts": 5, "generation__top_p": 0.9, "generation__logprobs": True}
    asked = {"model__id": "run:base", "task__name": "gsm8k"}
    assert digest("eval", **asked) == digest("eval", **asked, **given, generation__batch_tokens=131_072)
    assert digest("eval", **asked) == digest("eval", **asked, temperature=0.7)
    changed = [{"temperature": 0.0}, {"temperature": 0.8}, given | {"generation__logprobs": False}]
    assert len({digest("eval", **asked), *(digest("eval", **asked, **other) for other in changed)}) == 4


def test_a_key_of_a_later_version_changes_nothing_where_it_is_left_alone() -> None:
    class LaterModel(ModelConfig):
        attention: str = "plain"

    class LaterEval(EvalConfig):
        model: ModelConfig = LaterModel()
        priority: int | None = None

    later = LaterEval.model_validate({"model": LaterModel(id="run:base"), "seed": 7})
    assert asked_digest(later) == digest("eval", model__id="run:base", seed=7)
    assert asked_digest(LaterEval()) == digest("eval")
    other = later.model_copy(update={"model": LaterModel(id="run:base", attention="sparse")})
    assert asked_digest(other) != asked_digest(later)


def test_what_is_asked_otherwise_is_told_apart() -> None:
    configs: list[tuple[str, dict[str, Any]]] = [
        ("eval", {}), ("sample", {}), ("eval", {"task__name": "world"}), ("eval", {"name": "a"}), ("eval", {"seed": 1}),
        ("eval", {"task__name": "jsonl", "task__path": "a"}), ("eval", {"task__name": "python", "task__path": "a"}),
        ("eval", {"model__id": "org/m"}), ("eval", {"model__id": "./org/m"}), ("eval", {"task__data": "a.json"}),
        ("train", CHARACTERS), ("train", {"model__id": "builtin:countdown-tiny"}),
        ("train", CHARACTERS | {"tokenizer": {"integer_range": [0, 9], "words": ["+"]}}),
        ("train", CHARACTERS | {"examples__name": "jsonl", "examples__path": "a"}),
        ("train", CHARACTERS | {"examples__name": "dataset", "examples__path": "a"}),
    ]  # fmt: skip
    assert len({digest(command, **values) for command, values in configs}) == len(configs)


def test_a_path_is_the_place_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()

    def digests(folder: Path, runs: str | Path, model: str, data: str | Path) -> tuple[str, str]:
        monkeypatch.chdir(folder)
        return (
            digest("eval", model__id=model, runs_dir=str(runs), task={"name": "world", "data": str(data)}),
            digest("extract", model__id="run:a", runs_dir=str(runs), cities=str(data)),
        )

    here = digests(one, "runs", "./m", "data/world")
    assert digests(one, one / "runs", str(one / "m"), one / "data" / "world") == here
    assert digests(two, "runs", "./m", "data/world") == here  # a project that was moved with its runs
    assert digests(two, one / "runs", "../one/m", "../one/data/world") == here
    elsewhere = digests(two, one / "runs", "./m", "data/world")
    assert elsewhere[0] != here[0] and elsewhere[1] != here[1]
    # A default is written within the folder that the command is called in, too.
    monkeypatch.chdir(one)
    at_home = digest("eval", task__name="world", model__id="run:a"), digest("extract", model__id="run:a")
    assert at_home[0] == digest("eval", task={"name": "world", "data": "data/world"}, model__id="run:a")
    monkeypatch.chdir(two)
    there = {"model__id": "run:a", "runs_dir": str(one / "runs")}
    assert digest("eval", **there, task__name="world") != at_home[0]
    assert digest("extract", **there) != at_home[1]
