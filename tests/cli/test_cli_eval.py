"""`labkit eval` as a user types it: the table, the refusals, the small preset, and a kill in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eval_worlds import question, save_city_model, save_data_set, save_world
from killing import launch, only_run, stop, wait_for_work
from sweeps import raw_rows, rollouts

Labkit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a world and a model."""
    folder = tmp_path_factory.mktemp("place")
    save_world(folder / "world", num_rows=40)
    save_city_model(folder / "model")
    return folder


@pytest.fixture
def given(place: Path) -> list[str]:
    return ["--model", str(place / "model"), "--data", str(place / "world"), "--device", "cpu"]


def rows(stdout: str) -> list[dict[str, Any]]:
    (table,) = json.loads(stdout)["tables"]
    assert table["kind"] == "world_eval"
    return list(table["rows"])


def test_the_table_of_a_world(inside: Labkit, given: list[str], tmp_path: Path) -> None:
    done = inside("eval", "world", *given, "--json")
    assert done.returncode == 0, done.stderr
    shown = {(row["evaluation"], row["task"]): row for row in rows(done.stdout)}
    result = only_run(tmp_path / "runs").result()
    assert result is not None
    assert len(shown) == len(result["evaluations"]) == 6
    for figure in result["evaluations"]:
        assert shown[figure["evaluation"], figure["task"]]["mean"] == figure["mean"]
    assert "parse rate below 0.99" in done.stderr
    again = inside("eval", "--resume", "last", "--json")
    assert rows(again.stdout) == rows(done.stdout)
    assert "nothing is owed" in again.stderr


def test_chosen_evaluations_and_the_small_preset(inside: Labkit, given: list[str]) -> None:
    done = inside("eval", "world", *given, "--evaluation", "distance", "--evaluation", "compass", "--debug", "--json")
    assert done.returncode == 0, done.stderr
    assert [(row["evaluation"], row["num_rollouts"]) for row in rows(done.stdout)] == [
        ("distance", 32),
        ("compass", 32),
    ]


def test_a_config_file_names_the_task(inside: Labkit, given: list[str], place: Path, tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(
        f"command: eval\nmodel: {{id: {place / 'model'}, device: cpu}}\n"
        f"task: {{name: world, data: {place / 'world'}, evaluations: [compass], num_prompts: 3}}\n"
    )
    done = inside("eval", "--config", "e.yaml", "--temperature", "1", "--num-rollouts", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert [(row["evaluation"], row["num_rollouts"]) for row in rows(done.stdout)] == [("compass", 6)]


def test_a_dry_run_counts_and_writes_nothing(inside: Labkit, given: list[str], tmp_path: Path) -> None:
    done = inside("eval", "world", *given, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["owed"] == 160
    assert not (tmp_path / "runs").exists()


def test_other_tasks_show_pass_at_k(inside: Labkit, tmp_path: Path) -> None:
    done = inside("eval", "countdown", "--num-prompts", "3", "--max-new-tokens", "4", "--json")
    assert done.returncode == 0, done.stderr
    (table,) = json.loads(done.stdout)["tables"]
    assert table["kind"] == "pass_at_k"
    assert raw_rows(only_run(tmp_path / "runs")) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "labkit eval needs a task"),
        (["wrold"], "there is no task 'wrold'"),
        (["world", "--model", "model", "--data", "nowhere"], "there is no folder nowhere"),
        (["world"], "which model?\n→ --model run:NAME, a folder or a hub id"),
        (["countdown", "--checkpoint", "lst"], "model.checkpoint: should be final, last, or a step, such as 200"),
        (["world", "--num-rollouts", "4"], "temperature above 0"),
        (["countdown", "--evaluation", "distance"], "task.evaluations"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_words(inside: Labkit, arguments: list[str], words: str) -> None:
    done = inside("eval", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_evaluation_names_those_that_are_there(inside: Labkit, given: list[str]) -> None:
    mistyped = inside("eval", "world", *given, "--evaluation", "atlantis_distnace")
    assert mistyped.returncode == 2 and "→ did you mean 'atlantis_distance'? " in mistyped.stderr
    done = inside("eval", "world", *given, "--evaluation", "angle")
    assert done.returncode == 2
    for name in ("atlantis_compass", "atlantis_distance", "multi_task", "labkit data build"):
        assert name in done.stderr


def test_a_killed_evaluation_goes_on_and_ends_the_same(inside: Labkit, place: Path, tmp_path: Path) -> None:
    save_data_set(tmp_path / "large", "distance", [question("distance", number) for number in range(800)])
    command = ["eval", "world", "--model", place / "model", "--data", tmp_path / "large", "--device", "cpu",
               "--batch-size", "8", "--max-new-tokens", "6"]  # fmt: skip
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    process = launch(tmp_path, *command, "--runs-dir", cut)
    wait_for_work(process, cut, attempt=1)
    run = only_run(cut)
    while not raw_rows(run) and process.poll() is None:
        time.sleep(0.01)
    code, output = stop(process, signal.SIGKILL)
    assert code == -9, output
    assert 0 < raw_rows(run) < 800
    assert run.result() is None
    for arguments in (["eval", "--resume", "last", "--runs-dir", cut], [*command, "--runs-dir", whole]):
        done = inside(*arguments)
        assert done.returncode == 0, done.stderr
    expected = only_run(whole)
    assert rollouts(run).equals(rollouts(expected))
    assert raw_rows(run) == raw_rows(expected) == len(run.prompts())
    assert (run.result() or {})["evaluations"] == (expected.result() or {})["evaluations"]
