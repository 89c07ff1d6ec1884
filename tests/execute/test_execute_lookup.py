"""Runs found by what they were asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from queues import EVAL, TRAINING, items_of, write_config
from recorded_runs import GREEDY, record_run

from labkit.execute.items import Item
from labkit.execute.lookup import look_again, look_up
from labkit.execute.order import find_order
from labkit.record.catalog import runs_that_asked
from labkit.record.run import Run, id_before


@pytest.fixture
def item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Item:
    monkeypatch.chdir(tmp_path)
    return items_of(write_config(Path("a.yaml"), EVAL))[0]


def record(item: Item, *, done: bool, command: str = "eval", **manifest: object) -> Run:
    """A run that was asked what the item asks."""
    values = {"config_digest": item.digest} | manifest
    return record_run(Path("runs"), {GREEDY: ["+" if done else "."]}, done=done, command=command, **values)


def test_nothing_is_there(item: Item) -> None:
    assert look_up([item])[0].state == "absent"
    record(item, done=True, command="sample")
    record(item, done=True, config_digest="0" * 16)
    assert look_up([item])[0].state == look_again(item.runs_dir, "eval", item.digest).state == "absent"


def test_a_finished_run_stands_for_an_interrupted_one(item: Item) -> None:
    interrupted = record(item, done=False)
    assert (look_up([item])[0].state, look_up([item])[0].run) == ("interrupted", interrupted.path)
    finished = record(item, done=True)
    record(item, done=False)
    found = look_again(item.runs_dir, "eval", item.digest)
    assert (found.state, found.run) == ("done", finished.path)


def test_of_interrupted_runs_the_newest_goes_on(item: Item) -> None:
    _, newest = sorted((record(item, done=False) for _ in range(2)), key=lambda run: run.id)
    assert look_up([item])[0].run == newest.path


def test_a_run_at_work(item: Item) -> None:
    run = record(item, done=False)
    with run.working():
        assert look_up([item])[0].state == "running"
    assert look_up([item])[0].state == "interrupted"


def test_a_run_that_was_asked_for_more_is_not_done(item: Item) -> None:
    run = record(item, done=True)
    ask = run.ask().as_json()
    run.note("asked", ask=ask | {"num_prompts": 5})
    assert look_up([item])[0].state == "interrupted"


def test_who_looks_again_reads_what_was_made_since_and_what_was_found(item: Item) -> None:
    interrupted = record(item, done=False)
    asked = (item.runs_dir, "eval", item.digest)
    assert look_again(*asked, since=id_before(60)).run == interrupted.path
    since = id_before(-60)
    assert look_again(*asked, since=since).state == "absent"
    assert look_again(*asked, since=since, run=interrupted.path).run == interrupted.path
    assert look_again(*asked, since=since, run=Path("runs/eval/removed")).state == "absent"
    assert look_again(*asked, since=interrupted.id).run == interrupted.path


def test_only_the_manifests_own_digest_counts(item: Item) -> None:
    """Neither a value with such a text nor a key of that name further in, nor a folder without a manifest."""
    text = f'"\n "config_digest": "{item.digest}"'
    record(item, done=True, config_digest="1" * 16, notes=[text], config={"config_digest": item.digest})
    Path("runs/eval/20260101-not-yet").mkdir()
    assert runs_that_asked(Path("runs"), "eval", {item.digest}) == {}
    assert list(runs_that_asked(Path("runs"), "eval", {"1" * 16})) == ["1" * 16]


def test_a_ranking_counts_only_by_the_verifier_that_its_name_means_now(item: Item) -> None:
    write_config(Path("ranked.yaml"), EVAL | {"rerankers": ["run:verifier"]})
    (ranked,) = items_of(Path("ranked.yaml"))
    trainings = sorted((record_training_of("verifier") for _ in range(2)), key=lambda run: run.id)
    by_old = record(ranked, done=True, parents=[{"run": trainings[0].id, "role": "reranker", "hash": ""}])
    assert look_up([ranked])[0].state == "absent"
    by_new = record(ranked, done=True, parents=[{"run": trainings[1].id, "role": "reranker", "hash": ""}])
    assert (look_up([ranked])[0].state, look_up([ranked])[0].run) == ("done", by_new.path)
    assert by_old.path != by_new.path


def record_training_of(name: str) -> Run:
    """A finished training of a name."""
    return record_run(Path("runs"), {}, command="train", slug=name, name=name)


ENERGY = {
    "command": "train",
    "method": "energy",
    "name": "verifier",
    "model": {"id": "run:m"},
    "examples": {"name": "rollouts", "runs": ["m"]},
}


def record_candidates_of(name: str, **values: Any) -> Run:
    """A finished evaluation of a name."""
    return record_run(Path("runs"), {GREEDY: ["+-"]}, command="eval", slug=name, name=name, **values)


def rests_on(*runs: Run) -> list[dict[str, str]]:
    return [{"run": run.id, "role": "", "hash": ""} for run in runs]


def test_a_training_and_an_evaluation_may_share_a_name(item: Item) -> None:
    write_config(Path("energy.yaml"), ENERGY)
    (energy,) = items_of(Path("energy.yaml"))
    training, candidates = record_training_of("m"), record_candidates_of("m")
    record(energy, done=True, command="train", parents=rests_on(training, candidates))
    assert look_up([energy])[0].state == "done"
    retrained = record_training_of("m")
    assert look_up([energy])[0].state == "absent"
    record(energy, done=True, command="train", parents=rests_on(retrained, candidates))
    assert look_up([energy])[0].state == "done"
    record_candidates_of("m")
    assert look_up([energy])[0].state == "absent"


def test_both_are_made_here_under_one_name(item: Item) -> None:
    write_config(Path("c/energy.yaml"), ENERGY)
    write_config(Path("c/model.yaml"), TRAINING | {"name": "m"})
    write_config(Path("c/solutions.yaml"), EVAL | {"name": "m", "model": {"id": "run:m"}})
    items = items_of(Path("c"))
    energy, model, solutions = items
    first = record(model, done=True, command="train", name="m")
    candidates = record(solutions, done=True, name="m", parents=rests_on(first))
    record(energy, done=True, command="train", parents=rests_on(first, candidates))
    assert [found.state for found in look_up(items, find_order(items))] == ["done"] * 3
    record(model, done=True, command="train", name="m")
    assert [found.state for found in look_up(items, find_order(items))] == ["absent", "done", "absent"]


def test_of_two_runs_of_a_name_the_newest_finished_one_is_meant(item: Item) -> None:
    write_config(Path("energy.yaml"), ENERGY)
    (energy,) = items_of(Path("energy.yaml"))
    training, old = record_training_of("m"), record_candidates_of("m")
    record(energy, done=True, command="train", parents=rests_on(training, old))
    new = record_candidates_of("m")
    record_candidates_of("m", done=False)
    assert find_order([energy]).missing == ((),)
    assert look_up([energy])[0].state == look_again(Path("runs"), "train", energy.digest, config=energy.config).state
    assert look_up([energy])[0].state == "absent"
    record(energy, done=True, command="train", parents=rests_on(training, new))
    assert look_up([energy])[0].state == "done"
