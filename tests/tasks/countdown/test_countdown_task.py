"""Countdown through the task's door: slices, presets, fingerprints and grading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labkit.errors import InputError
from labkit.tasks.base import Task
from labkit.tasks.countdown import PRESETS, CountdownTask, Problem

PROBLEM = Problem((44, 19, 35), "98", "(44 + 19) + 35")


def write_file(folder: Path, num_rows: int) -> Path:
    path = folder / "problems.json"
    rows = [{"id": f"p{i}", "numbers": [i, 1], "target": str(i + 1), "solution": f"{i} + 1"} for i in range(num_rows)]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def test_it_is_a_task() -> None:
    task: Task = CountdownTask()
    assert (task.name, task.scorer, list(task.notes)) == ("countdown", "countdown-exact-1", [])
    assert CountdownTask(scorer_mode="published").scorer == "countdown-published-1"


def test_slices_of_a_split_agree() -> None:
    task = CountdownTask()
    ten = task.prompts(preset="short", offset=0, num_prompts=10)
    assert task.prompts(preset="short", offset=4, num_prompts=3) == ten[4:7]
    assert len({prompt.id for prompt in ten}) == 10
    assert [prompt.source["index"] for prompt in ten] == list(range(10))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("mode", ["exact", "published"])
def test_the_solution_of_a_prompt_scores_as_right(preset: str, mode: Any) -> None:
    task = CountdownTask(num_numbers=(3, 4), scorer_mode=mode)
    for prompt in task.prompts(preset=preset, offset=0, num_prompts=20):
        opening = "" if prompt.scored_prefix == "<answer>" else "hm</think>\n<answer>"
        verdict = task.score(prompt, f"{opening}{prompt.source['solution']}</answer>")
        assert verdict.correct
        assert verdict.reward == pytest.approx(1.1 if opening else 1.05)


def test_the_published_prompt() -> None:
    prompt = PRESETS["published"].render(PROBLEM)
    assert [message["role"] for message in prompt.messages] == ["system", "user"]
    assert "the numbers [44, 19, 35], create an equation that equals 98." in prompt.messages[1]["content"]
    assert (prompt.prefill, prompt.scored_prefix) == ("Let me solve this step by step.\n<think>", "<think>")
    assert prompt.gold == {"numbers": [44, 19, 35], "target": "98"}


def test_the_short_prompt() -> None:
    prompt = PRESETS["short"].render(PROBLEM, {"row": 3})
    assert prompt.messages == ({"role": "user", "content": "44 19 35 = 98"},)
    assert prompt.prefill == prompt.scored_prefix == "<answer>"
    assert prompt.source == {"row": 3, "solution": "(44 + 19) + 35"}


def test_no_preset_means_the_published_one() -> None:
    task = CountdownTask()
    assert task.prompts(preset=None, offset=0, num_prompts=2) == task.prompts(
        preset="published", offset=0, num_prompts=2
    )


def test_fingerprints_tell_sources_apart_and_not_slices(tmp_path: Path) -> None:
    path = write_file(tmp_path, 300)
    settings: list[dict[str, Any]] = [
        {}, {"split": "train"}, {"seed": 1}, {"num_numbers": (4,)}, {"number_range": (1, 50)}, {"target_range": (1, 9)},
        {"data": path}, {"data": path, "split": "train"}, {"data": path, "num_numbers": (2,)},
    ]  # fmt: skip
    fingerprints = [CountdownTask(**keywords).data_fingerprint for keywords in settings]
    assert len(set(fingerprints)) == len(settings)
    assert fingerprints == [CountdownTask(**keywords).data_fingerprint for keywords in settings]
    # A config file gives lists where Python code gives tuples.
    from_config: Any = {"num_numbers": [3], "number_range": [1, 99]}
    assert CountdownTask(**from_config, scorer_mode="published").data_fingerprint == fingerprints[0]


def test_a_file_gives_its_rows(tmp_path: Path) -> None:
    task = CountdownTask(data=write_file(tmp_path, 205))
    (first, second) = task.prompts(preset="short", offset=0, num_prompts=2)
    assert first.source == {"row": 200, "id": "p200", "solution": "200 + 1"}
    assert second.messages[0]["content"] == "201 1 = 202"


def test_a_slice_beyond_the_file_is_an_error_that_says_how_many_there_are(tmp_path: Path) -> None:
    task = CountdownTask(data=write_file(tmp_path, 205))
    assert len(task.prompts(preset=None, offset=4, num_prompts=1)) == 1
    with pytest.raises(InputError, match="has 5 distinct problems"):
        task.prompts(preset=None, offset=4, num_prompts=2)


@pytest.mark.parametrize(("offset", "num_prompts"), [(-1, 1), (0, 0), (0, -5)])
def test_an_empty_slice_is_an_error(offset: int, num_prompts: int) -> None:
    with pytest.raises(InputError, match="name no slice"):
        CountdownTask().prompts(preset=None, offset=offset, num_prompts=num_prompts)


def test_unknown_names_are_refused_with_the_nearest(tmp_path: Path) -> None:
    path = write_file(tmp_path, 3)
    with pytest.raises(InputError) as preset:
        CountdownTask().prompts(preset="publishd", offset=0, num_prompts=1)
    with pytest.raises(InputError) as split:
        CountdownTask(split="valid")
    with pytest.raises(InputError) as file_split:
        CountdownTask(split="validation", data=path)
    with pytest.raises(InputError) as mode:
        CountdownTask(scorer_mode="exakt")  # type: ignore[arg-type]
    assert "did you mean 'published'" in preset.value.hint
    assert "did you mean 'validation'" in split.value.hint
    assert "known: all, train, test" in file_split.value.hint
    assert "did you mean 'exact'" in mode.value.hint
