"""Evaluations on a small real model: one load, every question once, and figures that are those of the rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from eval_worlds import question, save_city_model, save_data_set, save_world
from sweeps import Interrupted, Watcher, raw_rows, rollouts

from labkit.config.base import Layer, resolve
from labkit.config.commands import EvalConfig, SampleConfig
from labkit.errors import ConfigError, InputError, RecordError
from labkit.record.compaction import compact
from labkit.record.frames import read_rollouts, read_verdicts
from labkit.record.run import Run
from labkit.rollouts.estimate import estimate
from labkit.rollouts.experiment import prepare
from labkit.rollouts.session import resume, start


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_world(tmp_path_factory.mktemp("worlds") / "world", num_rows=40)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_city_model(tmp_path_factory.mktemp("models") / "cities")


@pytest.fixture
def values(world: Path, model: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "model.id": str(model), "model.device": "cpu", "runs_dir": str(tmp_path / "runs"), "task.name": "world",
        "task.data": str(world),
    }  # fmt: skip


def evaluate(values: Mapping[str, Any], watcher: Watcher | None = None, **others: Any) -> Run:
    resolved = resolve(EvalConfig, [Layer("test", {**values, **dotted(others)})])
    return start(resolved, prepare(resolved.config, print), watcher or Watcher())


def go_on(run: Run, watcher: Watcher | None = None, **others: Any) -> Run:
    layers = [Layer(f"run {run.id}", run.manifest["config"]), Layer("test", dotted(others))]
    return resume(run, resolve(EvalConfig, layers), print, watcher or Watcher())


def dotted(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace("__", "."): value for key, value in values.items()}


def evaluations(run: Run) -> list[dict[str, Any]]:
    result = run.result()
    assert result is not None
    return list(result["evaluations"])


def texts(run: Run) -> list[str]:
    return rollouts(run)["text"].to_list()


def test_one_run_has_every_evaluation_and_every_question_once(values: dict[str, Any]) -> None:
    watcher = Watcher()
    run = evaluate(values, watcher)
    assert [(each["evaluation"], each["task"], each["num_rollouts"]) for each in evaluations(run)] == [
        ("atlantis_distance", "distance", 40), ("atlantis_compass", "compass", 40), ("distance", "distance", 40),
        ("compass", "compass", 40), ("multi_task", "distance", 40), ("multi_task", "compass", 40),
    ]  # fmt: skip
    assert raw_rows(run) == watcher.owed == 4 * 40
    assert run.path.parent.name == "eval"
    assert run.manifest["ask"]["arms"][0]["key"] == "greedy"
    assert run.status() == "done"


def test_the_figures_are_those_of_the_rows(values: dict[str, Any]) -> None:
    run = evaluate(values)
    found = read_verdicts(run, run.score_hash).frame
    task = {line["id"]: line["gold"]["task"] for line in run.prompts()}
    standing = {line["id"]: line["source"]["evaluations"] for line in run.prompts()}
    for figure in evaluations(run):
        rows = found.filter(
            pl.col("prompt").map_elements(
                lambda name, of=figure: task[name] == of["task"] and of["evaluation"] in standing[name],
                return_dtype=pl.Boolean,
            )
        )
        by_hand = np.array(rows["value"].to_list())
        assert rows.height == 40
        assert (figure["mean"], figure["std"]) == pytest.approx((by_hand.mean(), by_hand.std()))
        assert (figure["median"], figure["max"]) == (np.median(by_hand), by_hand.max())
        assert figure["parse_rate"] == (rows["answer"].drop_nulls().len() / 40)
    # The model must answer some questions and not others, or the sums above would say little.
    rates = [figure["parse_rate"] for figure in evaluations(run) if figure["task"] == "distance"]
    assert all(0 < rate < 1 for rate in rates)


def test_an_answer_is_scored_against_its_own_truth(values: dict[str, Any]) -> None:
    run = evaluate(values, task__evaluations=["distance"])
    truths = {line["id"]: int(line["gold"]["truth"]) for line in run.prompts()}
    verdicts = read_verdicts(run, run.score_hash).frame.filter(pl.col("answer").is_not_null())
    assert verdicts.height > 3
    for name, answer, value, correct in verdicts.select("prompt", "answer", "value", "correct").rows():
        assert value == float(abs(int(answer) - truths[name]))
        assert correct == (value == 0)


def test_greedy_evaluations_are_identical(values: dict[str, Any]) -> None:
    first, second = evaluate(values), evaluate(values)
    assert rollouts(first).equals(rollouts(second))
    assert evaluations(first) == evaluations(second)


@pytest.mark.parametrize("stop_after", [1, 3])
def test_an_interrupted_evaluation_ends_as_the_uninterrupted_one(values: dict[str, Any], stop_after: int) -> None:
    whole = evaluate(values, generation__batch_size=32)
    watcher = Watcher(stop_after)
    with pytest.raises(Interrupted):
        evaluate(values, watcher, generation__batch_size=32)
    again = Watcher()
    run = go_on(watcher.run, again)
    assert again.owed == 160 - 32 * stop_after
    assert rollouts(run).equals(rollouts(whole))
    assert evaluations(run) == evaluations(whole)


def test_every_decoding_key_is_obeyed_and_stands_in_the_record(values: dict[str, Any]) -> None:
    few = {**values, "task.num_prompts": 10, "task.evaluations": ["distance"]}
    greedy = evaluate(few)
    short = evaluate(few, generation__max_new_tokens=2)
    warm = evaluate(few, temperature=5.0)
    narrow = evaluate(few, temperature=5.0, generation__top_k=2)
    nucleus = evaluate(few, temperature=5.0, generation__top_p=0.5)
    penalised = evaluate(few, generation__repetition_penalty=5.0)
    runs = [greedy, short, warm, narrow, nucleus, penalised]
    assert len({tuple(texts(run)) for run in runs}) == len(runs)
    assert max(map(len, texts(short))) == 2
    arms = [run.manifest["ask"]["arms"][0]["key"] for run in runs]
    assert arms == [
        "greedy", "greedy", "temperature=5", "temperature=5,top_k=2", "temperature=5,top_p=0.5",
        "greedy,repetition_penalty=5",
    ]  # fmt: skip
    assert [run.manifest["base"]["max_new_tokens"] for run in runs] == [30, 2, 30, 30, 30, 30]
    only = evaluate(few, temperature=5.0, generation__top_k=1)
    assert texts(only) == texts(greedy)  # among one token there is nothing to draw


def test_several_rollouts_above_temperature_0(values: dict[str, Any]) -> None:
    run = evaluate(values, task__num_prompts=6, temperature=1.0, num_rollouts=3)
    assert {figure["num_rollouts"] for figure in evaluations(run) if figure["evaluation"] != "multi_task"} == {18}
    assert sum(figure["num_rollouts"] for figure in evaluations(run) if figure["evaluation"] == "multi_task") == 18
    go_on(run, num_rollouts=5)
    assert {figure["num_rollouts"] for figure in evaluations(run) if figure["evaluation"] != "multi_task"} == {30}


@pytest.mark.parametrize(
    "given", [{"num_rollouts": 2}, {"generation__top_k": 5}, {"generation__top_p": 0.9}, {"temperature": -1.0}]
)
def test_greedy_decoding_refuses_what_would_do_nothing(values: dict[str, Any], given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        resolve(EvalConfig, [Layer("test", {**values, **dotted(given)})])


def test_more_prompts_join_and_give_what_a_larger_run_gives(values: dict[str, Any]) -> None:
    run = evaluate(values, task__num_prompts=5)
    before = rollouts(run)
    again = Watcher()
    go_on(run, again, task__num_prompts=15)
    grown = rollouts(run)
    straight = evaluate(values, task__num_prompts=15)
    assert again.owed == grown.height - before.height > 0
    assert before.join(grown, on=before.columns, how="semi", nulls_equal=True).height == before.height
    assert grown.select("prompt", "text").equals(rollouts(straight).select("prompt", "text"))
    assert rounded(evaluations(run)) == rounded(evaluations(straight))
    # What a prompt has come to stand for stays known when the run is asked nothing new.
    go_on(run)
    assert rounded(evaluations(run)) == rounded(evaluations(straight))
    assert len(run.prompts()) == grown.height


def test_a_data_set_that_is_built_later_does_not_become_part_of_a_run(values: dict[str, Any], tmp_path: Path) -> None:
    values |= {"task.data": str(save_world(tmp_path / "world"))}
    run = evaluate(values, task__num_prompts=3)
    save_data_set(tmp_path / "world", "angle", [question("angle", number) for number in range(5)])
    go_on(run, task__num_prompts=4)
    assert {each["evaluation"] for each in evaluations(run)} == set(run.manifest["config"]["task"]["evaluations"])
    assert "angle" not in run.manifest["config"]["task"]["evaluations"]


def rounded(figures: Sequence[Mapping[str, Any]]) -> object:
    """Sums over rows in another order differ in their last digits."""
    return json.loads(json.dumps(figures), parse_float=lambda text: float(f"{float(text):.9g}"))


def test_resuming_refuses_another_way_of_decoding_other_data_and_another_model(
    values: dict[str, Any], tmp_path: Path
) -> None:
    run = evaluate(values, task__num_prompts=3)
    refusals: dict[str, dict[str, Any]] = {
        "decodes with greedy, not temperature=1": {"temperature": 1.0},
        "data": {"task__evaluations": ["distance"]},
        "max_new_tokens": {"generation__max_new_tokens": 7},
        "model": {"model__id": str(save_city_model(tmp_path / "other", seed=1))},
        "seed": {"seed": 1},
    }
    for words, change in refusals.items():
        with pytest.raises(RecordError, match=words):
            go_on(run, **change)


def test_a_model_that_cannot_read_the_questions_is_refused(
    values: dict[str, Any], tiny_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"160 of 160 prompts hold text .* does not know, such as"):
        evaluate(values, model__id=str(tiny_folder))
    assert not (tmp_path / "runs").exists()


def test_the_record_says_what_the_model_is(values: dict[str, Any], model: Path) -> None:
    run = evaluate(values, task__num_prompts=2)
    manifest = run.manifest
    (entry,) = manifest["lineage"]
    assert (entry["name"], entry["run"], entry["tasks"]) == (model.name, None, [])
    assert entry["weights"] == manifest["base"]["model"]
    assert manifest["checkpoint"] is None
    assert manifest["first_prompt"]["text"].startswith("<bos>")
    assert manifest["first_prompt"]["token_ids"].count(2) == 1  # one <bos>, and in front
    assert manifest["score"]["scorer"].startswith("world-")


def test_a_model_of_other_cities_is_warned_about(values: dict[str, Any], tmp_path: Path) -> None:
    names = ("distance", "compass")
    for name in names:
        save_data_set(tmp_path / "world", name, [question(name, number) for number in range(4)], cities="ours")
    entry = {"run": None, "name": "base", "seed": 1, "data": "multi_task", "tasks": [], "step": 1, "weights": None}
    model = save_city_model(tmp_path / "model")
    for cities, num_doubts in (("ours", 0), (None, 0), ("others", 1)):
        (model / "labkit.json").write_text(json.dumps({"lineage": [entry | {"cities": cities}]}))
        run = evaluate(values, model__id=str(model), task__data=str(tmp_path / "world"))
        doubts = [text for text in (run.result() or {})["warnings"] if "not those of multi_task" in text]
        assert len(doubts) == num_doubts
    assert doubts[0].endswith("which the model learnt in its training base: an id is another place there")


def test_a_compacted_evaluation_keeps_its_values(values: dict[str, Any]) -> None:
    run = evaluate(values, task__num_prompts=5)
    before = read_verdicts(run, run.score_hash).frame.sort("prompt")
    figures = evaluations(run)
    compact(run)
    assert read_verdicts(run, run.score_hash).frame.sort("prompt").equals(before)
    assert before["value"].null_count() == 0
    go_on(run)
    assert rounded(evaluations(run)) == rounded(figures)


def test_what_an_evaluation_would_take(values: dict[str, Any], tmp_path: Path) -> None:
    found = estimate(resolve(EvalConfig, [Layer("test", values)]), print)
    assert (found["num_prompts"], found["owed"]) == (160, 160)
    assert not (tmp_path / "runs").exists()


def test_a_sweep_over_the_world_has_pass_at_k_and_no_figures_of_one_way_of_decoding(values: dict[str, Any]) -> None:
    given = {**values, "task.num_prompts": 2, "num_rollouts": 2, "temperatures": [1.0]}
    resolved = resolve(SampleConfig, [Layer("test", given)])
    run = start(resolved, prepare(resolved.config, print), Watcher())
    result = run.result()
    assert result is not None
    assert "evaluations" not in result
    assert [arm["key"] for arm in result["arms"]] == ["greedy", "temperature=1"]
    assert read_rollouts(run).frame.height == 3 * len(run.prompts())
