"""The world as a task: which rows are asked, how they become prompts, and what their answers say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from eval_worlds import Row, question, save_data_set, save_world
from hypothesis import given
from hypothesis import strategies as st

from labkit.config.sections import WorldTask as WorldConfig
from labkit.errors import InputError
from labkit.tasks.base import EvaluatedTask, Prompt
from labkit.tasks.registry import load_task
from labkit.tasks.world.stored_rows import chosen_rows
from labkit.tasks.world.task import WorldTask

FAILED_DISTANCE = 4024.9223594996215  # the diagonal of 3600 x 1800


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_world(tmp_path_factory.mktemp("worlds") / "world")


def ask(task: WorldTask, num_prompts: int | None = None, offset: int = 0) -> list[Prompt]:
    return task.prompts(preset=None, offset=offset, num_prompts=num_prompts)


def places(prompts: list[Prompt]) -> set[tuple[str, int]]:
    """Every row that the prompts stand for."""
    return {(name, row) for prompt in prompts for name, rows in prompt.source["evaluations"].items() for row in rows}


def wording(prompts: list[Prompt]) -> list[str]:
    return [prompt.messages[0]["content"] for prompt in prompts]


def test_the_usual_evaluations_are_those_that_are_there(world: Path) -> None:
    task = load_task(WorldConfig(name="world", data=world))
    assert isinstance(task, EvaluatedTask)
    found = places(task.prompts(preset=None, offset=0, num_prompts=None))
    assert {name for name, _ in found} == {
        "atlantis_distance", "atlantis_compass", "distance", "compass", "multi_task",
    }  # fmt: skip
    assert len(found) == 4 * 12 + 24


def test_a_question_of_several_evaluations_is_one_prompt(world: Path) -> None:
    prompts = ask(WorldTask(world))
    assert len(prompts) == len({prompt.id for prompt in prompts}) == 4 * 12
    both = [prompt for prompt in prompts if set(prompt.source["evaluations"]) == {"distance", "multi_task"}]
    assert len(both) == 12
    for prompt in both:
        ((row,), (mixed,)) = prompt.source["evaluations"].values()
        assert mixed == 2 * row  # as `save_world` interleaves them
        task, text, truth = question("distance", row)
        assert (prompt.messages[0], dict(prompt.gold)) == (
            {"role": "user", "content": text}, {"task": task, "truth": truth},
        )  # fmt: skip


def test_a_repeated_row_is_one_prompt_that_stands_twice(tmp_path: Path) -> None:
    row = question("distance", 3)
    save_data_set(tmp_path, "distance", [row, question("distance", 4), row])
    prompts = ask(WorldTask(tmp_path, ["distance"]))
    by_text = {prompt.messages[0]["content"]: sorted(prompt.source["evaluations"]["distance"]) for prompt in prompts}
    assert by_text == {row[1]: [0, 2], question("distance", 4)[1]: [1]}


def test_prompts_of_one_length_are_neighbours_and_their_order_is_always_the_same(tmp_path: Path) -> None:
    save_data_set(tmp_path, "perimeter", [question("perimeter", number) for number in range(40)])
    first, again = (wording(ask(WorldTask(tmp_path, ["perimeter"]))) for _ in range(2))
    lengths = [len(text) for text in first]
    assert first == again
    assert lengths == sorted(lengths)
    assert len(set(lengths)) == 4


@pytest.mark.parametrize("few", [1, 5, 9])
def test_more_prompts_hold_the_fewer(world: Path, few: int) -> None:
    task = WorldTask(world)
    fewer, more = places(ask(task, few)), places(ask(task, few + 3))
    assert fewer < more
    assert {sum(name == wanted for name, _ in fewer) for wanted, _ in fewer} == {few}


def test_an_offset_passes_over_rows_of_the_same_order(world: Path) -> None:
    task = WorldTask(world, ["distance"])
    first, second = places(ask(task, 5)), places(ask(task, 4, offset=5))
    assert not first & second
    assert first | second == places(ask(task, 9))


@given(st.integers(1, 300), st.text(max_size=5), st.integers(0, 50), st.integers(1, 60))
def test_chosen_rows_are_a_window_of_one_order(num_rows: int, name: str, offset: int, num_chosen: int) -> None:
    order = chosen_rows(num_rows, name, 0, num_rows)
    assert sorted(order.tolist()) == list(range(num_rows))
    assert chosen_rows(num_rows, name, offset, num_chosen).tolist() == order[offset : offset + num_chosen].tolist()


def test_another_data_set_gives_another_order_that_favours_no_row() -> None:
    assert chosen_rows(100, "a", 0, 10).tolist() != chosen_rows(100, "b", 0, 10).tolist()
    drawn = np.concatenate([chosen_rows(50, str(number), 0, 5) for number in range(2000)])
    counts = np.bincount(drawn, minlength=50)
    assert abs(counts - 200).max() < 5 * np.sqrt(200)


def test_the_fingerprint_is_that_of_the_evaluations_and_not_of_the_slice(world: Path) -> None:
    one = WorldTask(world, ["distance"])
    before = one.data_fingerprint
    ask(one, 3)
    assert one.data_fingerprint == before == WorldTask(world, ["distance"]).data_fingerprint
    assert before != WorldTask(world, ["distance", "compass"]).data_fingerprint


def test_the_split_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    rows = [question("distance", number) for number in range(4)]
    save_data_set(tmp_path, "distance", rows, validation=[question("distance", 9)])
    test, validation = (WorldTask(tmp_path, ["distance"], split) for split in ("test", "validation"))
    assert test.data_fingerprint != validation.data_fingerprint
    assert wording(ask(validation)) == [question("distance", 9)[1]]


@pytest.mark.parametrize(
    ("evaluations", "split", "words"),
    [
        (["distanse"], "test", ("there is no data set", "atlantis_distance", "labkit data build")),
        (["distance"], "validation", ("has no split 'validation'", "test")),
    ],
)
def test_what_is_not_there_is_named_with_what_is(
    world: Path, evaluations: list[str], split: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as caught:
        WorldTask(world, evaluations, split)
    assert all(word in f"{caught.value.message} {caught.value.hint}" for word in words)


def test_a_path_that_is_no_world_says_which_is_meant(world: Path) -> None:
    for path, message in (
        (world / "distance", f"{world / 'distance'} is a data set, not a world"),
        (world.with_name(world.name + "s"), "there is no folder"),
    ):
        for evaluations in (None, ["distance"]):
            with pytest.raises(InputError, match=message) as caught:
                WorldTask(path, evaluations)
            assert caught.value.hint == f"did you mean {world}?"


def test_a_folder_without_data_sets_says_how_to_make_some(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder") as caught:
        WorldTask(tmp_path / "nowhere")
    assert "labkit data build" in caught.value.hint
    with pytest.raises(InputError, match="no evaluations") as caught:
        WorldTask(tmp_path)
    assert "labkit data build" in caught.value.hint


def test_data_sets_of_different_worlds_are_refused(tmp_path: Path) -> None:
    task, text, _ = question("distance", 3)
    save_data_set(tmp_path, "distance", [(task, text, "40")])
    save_data_set(tmp_path, "multi_task", [(task, text, "41")])
    with pytest.raises(InputError, match=r"is 40 in row 0 of distance and 41 in row 0 of multi_task") as caught:
        ask(WorldTask(tmp_path))
    assert "different worlds" in caught.value.hint


def test_damaged_rows_are_an_input_error(tmp_path: Path) -> None:
    folder = save_data_set(tmp_path, "distance", [question("distance", number) for number in range(50)])
    (arrow,) = (folder / "test").glob("*.arrow")
    whole = arrow.read_bytes()
    for data in (whole[: len(whole) // 2], b"", b"no arrow at all"):
        arrow.write_bytes(data)
        with pytest.raises(InputError, match="cannot read the rows of"):
            ask(WorldTask(tmp_path, ["distance"]))
    arrow.unlink()
    with pytest.raises(InputError, match="cannot read the rows of"):
        ask(WorldTask(tmp_path, ["distance"]))


def test_rows_that_the_manifest_does_not_know_are_refused(tmp_path: Path) -> None:
    save_data_set(tmp_path, "compass", [question("compass", 1)])
    manifest = (tmp_path / "compass" / "labkit.json").read_bytes()
    save_data_set(tmp_path / "other", "compass", [question("compass", 1), question("compass", 2)])
    (tmp_path / "other" / "compass" / "labkit.json").write_bytes(manifest)
    with pytest.raises(InputError, match="has 2 rows, its manifest says 1"):
        ask(WorldTask(tmp_path / "other", ["compass"]))


def test_a_preset_and_an_offset_past_the_end_are_refused(world: Path) -> None:
    task = WorldTask(world, ["distance"])
    with pytest.raises(InputError, match="no preset"):
        task.prompts(preset="short", offset=0, num_prompts=1)
    with pytest.raises(InputError, match="none after an offset of 12"):
        ask(task, 1, offset=12)


@pytest.mark.parametrize(
    ("row", "text", "expected"),
    [
        (question("distance", 7), " 9", (False, 2.0, "9")),
        (question("distance", 7), "7", (True, 0.0, "7")),
        (question("distance", 7), "seven", (False, FAILED_DISTANCE, None)),
        (question("compass", 1), "s", (True, 1.0, "S")),
        (question("compass", 1), "N", (False, 0.0, "N")),
        (question("compass", 1), "", (False, 0.0, None)),
    ],
)
def test_an_answer_is_scored_by_its_own_task(tmp_path: Path, row: Row, text: str, expected: object) -> None:
    save_data_set(tmp_path, row[0], [row])
    task = WorldTask(tmp_path, [row[0]])
    score = task.score(ask(task)[0], text)
    assert (score.correct, score.value, score.answer) == expected
    assert score.reward == float(score.correct)


def answered(prompts: list[Prompt], answers: list[tuple[float | None, str | None]]) -> pl.DataFrame:
    """Verdicts with these values and answers, one a prompt."""
    return pl.DataFrame(
        [(prompt.id, *answer) for prompt, answer in zip(prompts, answers, strict=True)],
        schema={"prompt": pl.String, "value": pl.Float64, "answer": pl.String},
        orient="row",
    )


def test_figures_count_the_rows_of_each_evaluation(tmp_path: Path) -> None:
    first, second, third = (question("distance", number) for number in range(3))
    save_data_set(tmp_path, "distance", [first, second, first, first])
    save_data_set(tmp_path, "multi_task", [first, third, question("compass", 1)])
    task = WorldTask(tmp_path)
    prompts = ask(task)
    values = {first[1]: (6.0, "6"), second[1]: (2.0, "3"), third[1]: (FAILED_DISTANCE, None), "compass": (1.0, "S")}
    verdicts = answered(prompts, [values.get(text, values["compass"]) for text in wording(prompts)])
    summary = task.summarise(prompts, verdicts)
    own, mixed, compass = summary.evaluations
    assert [(each["evaluation"], each["task"], each["kind"], each["num_rollouts"]) for each in summary.evaluations] == [
        ("distance", "distance", "error", 4), ("multi_task", "distance", "error", 2),
        ("multi_task", "compass", "accuracy", 1),
    ]  # fmt: skip
    rows = np.array([6.0, 2.0, 6.0, 6.0])
    assert [own[key] for key in ("mean", "median", "std", "min", "max", "parse_rate", "mean_parsed")] == pytest.approx(
        [rows.mean(), 6.0, rows.std(), 2.0, 6.0, 1.0, rows.mean()]
    )
    # t of 3 degrees of freedom at 97.5 % is 3.182446.
    half = 3.182446 * rows.std(ddof=1) / 2
    assert (own["mean_low"], own["mean_high"]) == pytest.approx((5 - half, 5 + half))
    assert (mixed["mean"], mixed["parse_rate"], mixed["mean_parsed"]) == ((6 + FAILED_DISTANCE) / 2, 0.5, 6.0)
    assert mixed["mean_low"] == 0.0
    assert (compass["mean"], compass["mean_high"]) == (1.0, 1.0)
    assert summary.warnings == [
        "answers that cannot be read count as failures; parse rate below 0.99: multi_task (distance) 0.500"
    ]
    json.dumps(summary.evaluations, allow_nan=False)


def test_answers_that_were_never_given_count_as_unreadable(tmp_path: Path) -> None:
    save_data_set(tmp_path, "angle", [question("angle", 1)])
    task = WorldTask(tmp_path)
    prompts = ask(task)
    (figure,) = task.summarise(prompts, answered(prompts, [(None, None)])).evaluations
    assert (figure["mean"], figure["parse_rate"], figure["mean_parsed"]) == (180.0, 0.0, None)
    assert (figure["mean_low"], figure["mean_high"]) == (None, None)  # one row has no spread


@pytest.mark.parametrize(("num_rows", "value", "suspicious"), [(100, 1.0, True), (99, 1.0, False), (100, 0.0, False)])
def test_perfection_over_many_rows_is_suspicious(tmp_path: Path, num_rows: int, value: float, suspicious: bool) -> None:
    save_data_set(tmp_path, "compass", [question("compass", number) for number in range(num_rows)])
    task = WorldTask(tmp_path)
    prompts = ask(task)
    warnings = task.summarise(prompts, answered(prompts, [(value, "N")] * num_rows)).warnings
    assert warnings == (["suspiciously perfect, is the answer in the prompt? compass"] if suspicious else [])


def test_several_rollouts_of_a_row_are_one_unit(tmp_path: Path) -> None:
    save_data_set(tmp_path, "distance", [question("distance", number) for number in range(3)])
    task = WorldTask(tmp_path)
    prompts = ask(task)
    per_row = [(1.0, 3.0), (5.0, 5.0), (0.0, 10.0)]
    verdicts = pl.concat(answered(prompts, [(pair[side], "1") for pair in per_row]) for side in (0, 1))
    (figure,) = task.summarise(prompts, verdicts).evaluations
    means = np.array([2.0, 5.0, 5.0])
    assert (figure["num_rows"], figure["num_rollouts"], figure["mean"], figure["max"]) == (3, 6, 4.0, 10.0)
    assert figure["std"] == pytest.approx(means.std())
    half = 4.302653 * means.std(ddof=1) / np.sqrt(3)  # 2 degrees of freedom: rows, not rollouts
    assert (figure["mean_low"], figure["mean_high"]) == pytest.approx((max(0, 4 - half), 4 + half))


def test_the_rows_of_two_selections_join(world: Path) -> None:
    task = WorldTask(world)
    known, new = (
        Prompt(({"role": "user", "content": "x"},), source={"evaluations": rows})
        for rows in ({"distance": [3], "compass": [1]}, {"distance": [3, 1], "multi_task": [8]})
    )
    assert task.joined(known, new).source == {"evaluations": {"distance": [1, 3], "compass": [1], "multi_task": [8]}}
