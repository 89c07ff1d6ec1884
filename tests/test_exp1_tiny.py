"""The world-cities experiment in small, from data to claims, by the script that the docs give to users."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labkit.config.world import TASKS
from labkit.extract.files import load_representations
from labkit.extract.probes import fit_probe, score_probe
from labkit.record.catalog import find_run
from labkit.record.frames import read_rollouts
from labkit.record.run import Run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
TASK_NAMES = ("distance", "angle", "compass")
MIXTURES = ("ftwb1-1", "ftwb1-3", "ftwb1-4", "ftwb2-2", "ftwb2-8", "ftwb2-15")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment: the one that EXP1_TINY names, or a new one."""
    if given := os.environ.get("EXP1_TINY"):
        return Path(given)
    folder = tmp_path_factory.mktemp("exp1") / "tiny"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = ["bash", str(ROOT / "scripts" / "exp1_tiny.sh"), str(folder)]
    subprocess.run(script, check=True, timeout=25 * 60, env=os.environ | {"PATH": path})
    return folder


def labkit(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "labkit", *arguments]
    environment = os.environ | {"LABKIT_RUNS_DIR": str(folder / "runs")}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def table(folder: Path, kind: str) -> list[dict[str, Any]]:
    (found,) = json.loads(labkit(folder, "report", "--json", "--table", kind))["tables"]
    rows: list[dict[str, Any]] = found["rows"]
    return rows


def evaluation_run(folder: Path, model: str) -> Run:
    """The oldest evaluation of a model."""
    runs = sorted((folder / "runs" / "eval").glob(f"*-{model}-*"))
    return find_run(str(runs[0]), folder / "runs")


def means(folder: Path, model: str) -> dict[str, dict[str, Any]]:
    result = evaluation_run(folder, model).result()
    assert result is not None
    return {entry["evaluation"]: entry for entry in result["evaluations"] if entry["evaluation"] != "multi_task"}


def test_the_loss_falls_below_its_beginning(folder: Path) -> None:
    (run,) = (folder / "runs" / "train").glob("*-tiny-base-*")
    losses = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    curve = [(line["step"], line["loss"]) for line in losses if "loss" in line]
    assert curve[-1][1] < np.mean([loss for step, loss in curve if step <= 100])


def test_the_base_answers_readably_and_knows_ordinary_cities_better(folder: Path) -> None:
    found = means(folder, "tiny-base")
    for task in TASK_NAMES:
        assert found[task]["parse_rate"] >= 0.99
        ordinary, atlantis = found[task]["mean"], found[f"atlantis_{task}"]["mean"]
        assert ordinary > atlantis if TASKS[task].kind == "accuracy" else ordinary < atlantis
    with (folder / "world" / "cities.csv").open(newline="") as lines:
        assert len(list(csv.DictReader(lines))) == 270


def test_the_base_knows_directions_better_than_their_commonest(folder: Path) -> None:
    run = evaluation_run(folder, "tiny-base")
    truths = [prompt["gold"]["truth"] for prompt in run.prompts() if "compass" in prompt["source"]["evaluations"]]
    majority = max(truths.count(label) for label in set(truths)) / len(truths)
    assert means(folder, "tiny-base")["compass"]["mean"] > majority


def test_a_base_improves_on_itself_by_nothing(folder: Path) -> None:
    rows = [row for row in table(folder, "world_ni") if row["model"] == "tiny-base"]
    assert [(row["task"], row["ni"]) for row in rows] == [(task, 0) for task in TASK_NAMES]


def test_a_task_that_was_tuned_improves(folder: Path) -> None:
    (cell,) = (row for row in table(folder, "world_ni") if row["model"] == "tiny-ftwb1-4" and row["task"] == "compass")
    assert cell["ni"] > 0.5


def test_what_is_expected_is_at_least_what_each_single_model_does(folder: Path) -> None:
    single = {
        (row["tasks"], row["task"]): row["ni"]
        for row in table(folder, "world_ni")
        if row["mixture"].startswith("ftwb1")
    }
    pairs = table(folder, "world_difference")
    assert len(pairs) == 9
    for row in pairs:
        for trained in row["tasks"].split("+"):
            assert row["expected"] >= single[trained, row["task"]] - 1e-9


@pytest.mark.parametrize("model", ["tiny-base", *(f"tiny-{name}" for name in MIXTURES)])
def test_evaluation_and_extraction_take_the_same_weights(folder: Path, model: str) -> None:
    runs = [sorted((folder / "runs" / command).glob(f"*-{model}-*"))[0] for command in ("eval", "extract")]
    evaluated, extracted = (json.loads((run / "run.json").read_text()) for run in runs)
    assert evaluated["lineage"] == extracted["lineage"]
    assert evaluated["lineage"][-1]["name"] == model


def test_hidden_states_hold_the_map_and_shuffled_ones_do_not(folder: Path) -> None:
    (path,) = (folder / "runs" / "extract").glob("*-tiny-base-*")
    found = load_representations(find_run(str(path), folder / "runs"))
    assert found.values.shape[1:] == (2, 2, 64)
    features = found.features(3)
    coordinates = np.stack([found.cities.x, found.cities.y], axis=1).astype(float)
    shuffled = np.random.default_rng(0).permutation(coordinates)
    scores = []
    for targets in (coordinates, shuffled):
        probe = fit_probe(features[found.is_train], targets[found.is_train], "ridge")
        scores.append(score_probe(probe, features[~found.is_train], targets[~found.is_train]).r2)
    assert scores[0] > scores[1] + 0.3


def test_greedy_evaluation_is_the_same_twice(folder: Path, tmp_path: Path) -> None:
    runs_dir, world = str(tmp_path / "runs"), str(folder / "world")
    first = evaluation_run(folder, "tiny-ftwb1-4")
    model = first.manifest["lineage"][-1]["run"]
    labkit(
        folder,
        "eval",
        "world",
        "--model",
        str(folder / "runs" / "train" / model),
        "--data",
        world,
        "--runs-dir",
        runs_dir,
    )
    second = find_run("last", Path(runs_dir))
    rows = [read_rollouts(run).frame.sort("prompt").select("prompt", "text") for run in (first, second)]
    assert rows[0].equals(rows[1])
