"""What comes before what, and what cannot be put in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from queues import EVAL, TRAINING, items_of, write_config

from labkit.errors import ConfigError
from labkit.execute.items import Item
from labkit.execute.lookup import Found
from labkit.execute.order import Order, find_order, refuse_missing

FURTHER = {"command": "train", "optimisation": {"num_steps": 3}}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def order_of(**configs: dict[str, Any]) -> tuple[list[Item], Order]:
    for name, values in configs.items():
        write_config(Path(f"c/{name}.yaml"), values)
    items = items_of(Path("c"))
    return items, find_order(items)


def names(items: list[Item], positions: Any) -> list[str]:
    return [Path(items[position].name).stem for position in positions]


def test_data_then_training_then_evaluation() -> None:
    world = {"name": "dataset", "path": "w/multi_task"}
    items, order = order_of(
        a_eval={"command": "eval", "model": {"id": "run:fine"}, "task": {"name": "world", "data": "./w"}},
        b_fine=FURTHER | {"name": "fine", "model": {"id": "run:base"}, "examples": world},
        c_base=TRAINING | {"name": "base", "runs_dir": "./runs", "examples": world},
        d_data={"command": "data", "out": str(Path("w").absolute())},
        e_states={"command": "extract", "model": {"id": "run:fine"}, "cities": "w/cities.csv"},
    )
    needs = {name: names(items, order.needs[at]) for at, name in enumerate(names(items, range(5)))}
    assert needs == {
        "a_eval": ["b_fine", "d_data"], "b_fine": ["c_base", "d_data"], "c_base": ["d_data"], "d_data": [],
        "e_states": ["b_fine", "d_data"],
    }  # fmt: skip
    assert names(items, order.sequence()) == ["d_data", "c_base", "b_fine", "a_eval", "e_states"]
    assert not any(order.missing)


def test_a_circle_is_refused_and_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        order_of(
            a=FURTHER | {"name": "one", "model": {"id": "run:two"}},
            b=FURTHER | {"name": "two", "model": {"id": "run:three"}},
            c=FURTHER | {"name": "three", "model": {"id": "run:one"}},
            d=EVAL | {"model": {"id": "run:one"}},
        )
    assert caught.value.message.splitlines() == [
        "these configs need each other:",
        "  c/a.yaml needs run:two (model.id), which c/b.yaml makes",
        "  c/b.yaml needs run:three (model.id), which c/c.yaml makes",
        "  c/c.yaml needs run:one (model.id), which c/a.yaml makes",
    ]


def test_a_training_that_needs_itself() -> None:
    with pytest.raises(ConfigError, match=r"c/a.yaml needs run:one \(model.id\), which c/a.yaml makes"):
        order_of(a=FURTHER | {"name": "one", "model": {"id": "run:one"}})


def test_a_run_that_two_make_is_refused_only_where_it_is_needed() -> None:
    pair = {"a": TRAINING | {"name": "base", "seed": 1}, "b": TRAINING | {"name": "base", "seed": 2}}
    _, order = order_of(**pair)
    assert order.needs == ((), ())
    with pytest.raises(
        ConfigError, match=r"c/e.yaml needs run:base \(model.id\), which c/a.yaml and c/b.yaml all make"
    ):
        order_of(**pair, e=EVAL | {"model": {"id": "run:base"}})


def test_runs_of_another_folder_are_others() -> None:
    _items, order = order_of(
        a=TRAINING | {"name": "base", "runs_dir": "there"}, b=EVAL | {"model": {"id": "run:base"}, "runs_dir": "here"}
    )
    assert order.needs == ((), ())
    assert order.missing[1] == ("model.id: no training under here is called 'base'",)


def test_what_is_missing_is_named_unless_it_is_not_needed_any_more() -> None:
    items, order = order_of(
        a={"command": "sample", "model": {"id": "./models/mine"}},
        b={"command": "sample", "task": {"name": "jsonl", "path": "mine.jsonl"}},
        c=EVAL,
    )
    absent = [Found("absent")] * 3
    with pytest.raises(ConfigError) as caught:
        refuse_missing(items, order, absent)
    assert caught.value.message.splitlines() == [
        "c/a.yaml: model.id: there is no models/mine, and none of these configs makes it",
        "c/b.yaml: task.path: there is no mine.jsonl, and none of these configs makes it",
    ]
    with pytest.raises(ConfigError, match=r"mine\.jsonl") as caught:
        refuse_missing(items, order, [Found("done"), *absent[1:]])
    assert "models/mine" not in caught.value.message
    Path("mine.jsonl").touch()
    refuse_missing(items, find_order(items), [Found("done"), *absent[1:]])
