"""`labkit train` as it is typed: what it says of a training before it begins, and what is refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from city_worlds import save_city_reader
from eval_worlds import question, save_data_set

Labkit = Callable[..., subprocess.CompletedProcess[str]]
TEMPLATES = Path(__file__).parents[2] / "templates"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [question("distance", number) for number in range(300)]
    return save_data_set(tmp_path, "ftwb1-1", rows[:290], split="train", validation=rows[290:])


def planned(labkit: Labkit, *arguments: str | Path) -> dict[str, Any]:
    done = labkit("train", *arguments, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_dry_run_says_how_long_the_training_is(labkit: Labkit, data: Path, tmp_path: Path) -> None:
    model = save_city_reader(tmp_path / "model")
    template: list[str | Path] = [TEMPLATES / "exp1-finetune.yaml", "--model", model]
    assert planned(labkit, *template, "--data", data) == {
        "data": "ftwb1-1", "num_steps": 90, "batch_size": 128, "num_rows": 290, "num_epochs": 30.0, "warmup_steps": 50,
        "num_checkpoints": 31, "num_evaluations": 91,
    }  # fmt: skip
    assert planned(labkit, *template, "--data", data, "--debug")["num_steps"] == 20
    said = labkit("train", *template, "--data", data, "--num-steps", "600", "--dry-run")
    assert "600 steps of 128 examples, 200 epochs of 290 rows of data set ftwb1-1." in said.stderr
    assert "an epoch is only 3 steps: 290 rows at optimisation.batch_size 128" in said.stderr
    assert "41 checkpoints, every 15 steps, all kept; 201 evaluations. Nothing was written." in said.stderr
    small = labkit("train", *template, "--data", data, "--batch-size", "16", "--dry-run")
    assert small.returncode == 0 and "an epoch is only" not in small.stderr
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_refuses_what_the_training_would(
    labkit: Labkit, data: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    for model, words in (("run:nosuch", "no training under runs is called"), (tiny_folder, "tokenizer is not that of")):
        done = labkit("train", "exp1-tiny-finetune", "--data", data, "--model", model, "--dry-run")
        assert done.returncode == 2 and words in done.stderr
    learnt = save_city_reader(tmp_path / "learnt", tasks=["distance"], data="multi_task", cities="ours")
    others = save_data_set(tmp_path / "other", "ftwb1-1", [question("distance", number) for number in range(9)],
                           split="train", cities="others", validation=[question("distance", 10)])  # fmt: skip
    done = labkit("train", "exp1-tiny-finetune", "--data", others, "--model", learnt, "--dry-run")
    assert done.returncode == 0 and "an id is another place there" in done.stderr


def test_steps_beside_epochs_are_refused(labkit: Labkit, data: Path) -> None:
    done = labkit("train", "exp1-finetune", "--data", data, "--set", "optimisation.num_steps=5", "--dry-run")
    assert done.returncode != 0
    assert "num_epochs is 30, so num_steps 5 would do nothing" in done.stderr


def test_a_training_and_one_that_goes_on_from_it(labkit: Labkit, data: Path, tmp_path: Path) -> None:
    shape = ["--set", "architecture.hidden_size=16", "--set", "evaluation.num_prompts=4", "--set", "device=cpu"]
    first = labkit("train", "exp1-tiny-pretrain", "--data", data, "--num-steps", "2", *shape)
    assert first.returncode == 0, first.stderr
    assert "step 0: eval_loss" in first.stderr
    second = labkit(
        "train", "exp1-tiny-finetune", "--data", data, "--num-epochs", "0.2", "--batch-size", "64", "--json"
    )
    assert second.returncode == 0, second.stderr
    assert "an epoch is only 5 steps" in second.stderr
    assert json.loads(second.stdout)["tables"][0]["rows"][0]["steps"] == 1
    settings = [
        json.loads(path.read_text()) for path in sorted(tmp_path.glob("runs/train/*/artifacts/model/labkit.json"))
    ]
    assert [[entry["name"] for entry in each["lineage"]] for each in settings] == [
        ["tiny-base"],
        ["tiny-base", None],
    ]
    assert len(list(tmp_path.glob("runs/train/*Z-ftwb1-1-*"))) == 1
    listed = labkit("runs", "list", "--json")
    assert listed.returncode == 0, listed.stderr
