"""Checks of a run's rows: quiet about honest runs, loud about what was planted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contaminated_runs import (
    evaluate,
    plant_all,
    read_rows,
    save_noisy_copy,
    save_problems,
    save_talker,
    suspicions,
    write_rows,
)
from goodhart_runs import published, save_published
from solved_runs import rank

from labkit.models.engines import Engines
from labkit.record.compaction import compact
from labkit.record.run import Run, open_run
from labkit.report.overview import report
from labkit.rollouts.checks import check_run
from labkit.rollouts.checks.style import ALONE, Groups, strangest
from labkit.rollouts.findings import Finding
from labkit.rollouts.importing import import_goodhart

Given = dict[str, Any]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Given, Given]]:
    """By task what a run is asked, and what makes another model's run of it."""
    folder = tmp_path_factory.mktemp("checks")
    talker, other = (str(save_talker(folder / name, seed=seed)) for seed, name in enumerate(("talker", "other")))
    gsm8k = {"task__name": "gsm8k", "task__data": str(save_problems(folder / "problems.jsonl", 120))}
    countdown = {"task__name": "countdown", "task__preset": "short", "task__num_prompts": 96, "num_rollouts": 5}
    noisy = save_noisy_copy(folder / "noisy", sigma=0.05)
    return {
        "gsm8k": ({**gsm8k, "model__id": talker, "generation__max_new_tokens": 16, "temperature": 0.7, "num_rollouts": 5},
                  {"model__id": other}),
        "countdown": ({**countdown, "model__id": "builtin:countdown-tiny", "temperature": 0.7, "generation__logprobs": True},
                      {"model__id": str(noisy)}),
    }  # fmt: skip


@pytest.fixture(scope="module")
def clean(settings: dict[str, tuple[Given, Given]], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An honest run, not to be changed."""
    return evaluate(tmp_path_factory.mktemp("clean"), **settings["gsm8k"][0])


@pytest.fixture
def run(clean: Run, tmp_path: Path) -> Run:
    """A copy of it."""
    return open_run(Path(shutil.copytree(clean.path, tmp_path / "runs" / "eval" / clean.id)))


def change(run: Run, change: Callable[[list[dict[str, Any]]], None]) -> list[Finding]:
    """The findings after the rows were changed."""
    rows = read_rows(run)
    change(rows)
    write_rows(run, rows)
    return check_run(run)


@pytest.mark.parametrize("task", ["gsm8k", "countdown"])
@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0])
def test_nothing_is_suspected_of_honest_runs(
    settings: dict[str, tuple[Given, Given]], tmp_path: Path, task: str, temperature: float
) -> None:
    given = settings[task][0] | {"temperature": temperature, "num_rollouts": 5 if temperature else 1}
    run = evaluate(tmp_path, **given)
    assert suspicions(check_run(run)) == set()
    assert not any("contamination" in text for text in (run.result() or {})["warnings"])


def plant_everything(settings: dict[str, tuple[Given, Given]], task: str, seeds: range, folder: Path) -> None:
    engines, (given, other) = Engines(), settings[task]
    for seed in seeds:
        for name, is_found in plant_all(folder, engines, given, other, seed):
            assert is_found == (name != "nothing"), (seed, name)


@pytest.mark.parametrize("task", ["gsm8k", "countdown"])
def test_what_is_planted_is_found(settings: dict[str, tuple[Given, Given]], task: str, tmp_path: Path) -> None:
    plant_everything(settings, task, range(2), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["gsm8k", "countdown"])
def test_what_is_planted_is_found_under_twenty_seeds(
    settings: dict[str, tuple[Given, Given]], task: str, tmp_path: Path
) -> None:
    plant_everything(settings, task, range(20), tmp_path)


def test_rows_of_another_run_show_in_what_stands_beside_their_text(run: Run) -> None:
    def foreign(rows: list[dict[str, Any]]) -> None:
        rows[3]["seed"] += 1
        rows[5]["prompt"] = "0123456789abcdef"
        rows[7]["index"] = 99
        rows[9]["num_prompt_tokens"] += 4
        rows[13]["attempt"] = 8
        rows.append(rows[15])

    found = {(finding.check, finding.count) for finding in change(run, foreign) if finding.severity == "contamination"}
    # A row under a wrong name has a wrong seed, too.
    assert found == {("rows", 2), ("rows", 1), ("seeds", 3), ("prompt tokens", 1), ("repeats", 1)}


def test_a_row_without_a_log_probability_is_a_warning_and_no_accusation(run: Run) -> None:
    def lose(rows: list[dict[str, Any]]) -> None:
        rows[11].pop("logprob")

    found = change(run, lose)
    assert suspicions(found) == set()
    (lost,) = [finding for finding in found if finding.check == "logprobs"]
    assert (lost.severity, lost.count) == ("warning", 1)


def test_a_truncated_or_empty_run_is_doubtful_but_not_suspected(run: Run) -> None:
    def shorten(rows: list[dict[str, Any]]) -> None:
        for number, row in enumerate(rows):
            row["finish_reason"] = "length" if number % 10 == 0 else "stop"
            if number % 12 == 0:
                row["text"] = " \n"

    found = change(run, shorten)
    assert {"truncation", "empty"} <= {finding.check for finding in found if finding.severity == "warning"}
    assert suspicions(found) == set()


def test_a_model_that_says_one_thing_only_is_no_dummy(run: Run) -> None:
    def collapse(rows: list[dict[str, Any]]) -> None:
        draws = np.random.default_rng(0).random(len(rows))
        for row, draw in zip(rows, draws, strict=True):
            row["text"] = "I am not able to help." if draw < 0.8 else "I am not able to help you."

    found = change(run, collapse)
    assert suspicions(found) == set(), found
    assert "duplicates" in {finding.check for finding in found}


def test_restating_the_question_is_no_leak_but_the_instruction_is(run: Run) -> None:
    prompts = {line["id"]: line["messages"][-1]["content"] for line in run.prompts()}

    def restate(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            question = prompts[row["prompt"]].split("\n")[0]
            row["text"] = question[question.index("How many") :] + " " + row["text"]

    assert "leaked prompt" not in suspicions(change(run, restate))

    def repeat(rows: list[dict[str, Any]]) -> None:
        for row in rows[:9]:
            row["text"] = prompts[row["prompt"]].split("\n\n")[1] + "\n" + row["text"]

    assert "leaked prompt" in suspicions(change(run, repeat))


def test_packed_rows_are_checked_as_well(run: Run) -> None:
    def dummies(rows: list[dict[str, Any]]) -> None:
        for row in rows[100:130]:
            row["text"] = "dummy response #### 42"

    assert suspicions(change(run, dummies)) >= {"dummies"}
    compact(run)
    assert suspicions(check_run(run)) >= {"dummies"}


def test_a_report_says_what_was_found_since(run: Run) -> None:
    runs_dir = run.path.parents[1]
    assert not any("contamination" in note for note in report([], runs_dir).notes)
    change(run, lambda rows: rows[3].update(seed=5))
    for names in ([], [run.id]):
        assert any(f"{run.id}: contamination? seeds: 1 rows" in note for note in report(names, runs_dir).notes)
        (table,) = report(names, runs_dir, kinds=["checks"]).tables
        assert table.kind == "checks"
        assert [row["count"] for row in table.rows if row["check"] == "seeds"] == [1]
        assert {row["run"] for row in table.rows} == {run.id}
        json.dumps(table.as_json())


def test_a_refusal_here_and_there_is_doubtful_but_not_suspected(run: Run) -> None:
    refused = {line["id"] for line in run.prompts()[::8]}

    def refuse(rows: list[dict[str, Any]]) -> None:
        for number, row in enumerate(row for row in rows if row["prompt"] in refused):
            row["text"] = row["text"] if number % 4 == 3 else "I cannot solve this problem."

    found = change(run, refuse)
    assert suspicions(found) == set(), found
    assert "dummies" in {finding.check for finding in found if finding.severity == "warning"}


def test_hard_prompts_side_by_side_may_all_be_refused(run: Run) -> None:
    refused = {line["id"] for line in run.prompts()[:20]}

    def refuse(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["text"] = "I cannot solve this problem." if row["prompt"] in refused else row["text"]

    assert "dummies" not in suspicions(change(run, refuse))


def test_greedy_answers_sorted_by_difficulty_are_no_mixture(
    settings: dict[str, tuple[Given, Given]], tmp_path: Path
) -> None:
    run = evaluate(tmp_path, **settings["gsm8k"][0] | {"temperature": 0.0, "num_rollouts": 1})

    def harder(rows: list[dict[str, Any]]) -> None:
        for number, row in enumerate(rows):
            row["num_tokens"], row["text"] = 10 + number, "so " * (10 + number)

    style = [finding for finding in change(run, harder) if finding.check == "style"]
    assert [finding.severity for finding in style] == ["note"]


def test_texts_that_were_never_recorded_are_not_missed(tmp_path: Path) -> None:
    content = published({f"i{number}": "bkdn" for number in range(20)})
    run, _ = import_goodhart(save_published(tmp_path / "a.json", content), tmp_path)
    assert check_run(run) == []
    assert report([run.id], tmp_path).notes == []


def test_rankings_that_tell_nothing_stand_in_the_table(run: Run) -> None:
    rank(run, "constant", lambda _: 0.5)
    rank(run, "of questions", lambda each: float(int(each["prompt"][:6], 16)))
    rank(run, "gaps", lambda each: float(each["index"]) if each["index"] else None, trained_on=2)
    (table,) = report([run.id], run.path.parents[1], kinds=["checks"]).tables
    found = {
        (row["check"], row["severity"], row["count"]) for row in table.rows if row["check"] in ("scores", "overlap")
    }
    assert found == {("scores", "warning", 600), ("overlap", "contamination", 2), ("scores", "warning", 120)}
    texts = " ".join(str(row["what"]) for row in table.rows)
    for words in (
        "constant gave every rollout the same score",
        "of questions gave all candidates",
        "gaps was TRAINED on 2",
    ):
        assert words in texts
    assert table.rows[0]["check"] == "overlap"


def test_one_prompt_unlike_the_others_is_no_stretch() -> None:
    """Prompts differ as they like, in level and in spread, and in any order: only what differs within them counts."""
    generator, alarms = np.random.default_rng(0), 0
    for _ in range(300):
        prompts = np.tile(np.arange(80), 6)
        level = np.sort(generator.normal(0, 5, 80))[prompts]
        values = level + np.sort(generator.exponential(1, 80))[prompts] * generator.exponential(1, 480)
        found = strangest(values, Groups(prompts, None, True))
        assert found is not None
        alarms += abs(found.z) >= ALONE
    assert alarms == 0


def test_prompts_whose_rollouts_all_agree_have_nothing_to_compare() -> None:
    prompts = np.tile(np.arange(48), 8)
    shares = (1 + np.arange(48) % 13) / 17  # whose means over eight rows lose their last bit
    assert strangest(shares[prompts], Groups(prompts, None, True)) is None
