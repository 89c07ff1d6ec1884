"""Best-of-N in small, from word problems to what each reranker is worth, by the script that the docs give to users."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from labkit.record.catalog import find_run
from labkit.record.frames import read_rollouts, read_scored
from labkit.record.rankings import read_rankings
from labkit.record.run import Run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
KEY = ["prompt", "index"]
NUM_PROBLEMS, NUM_KILLED, NUM_RAISED = 1000, 5, 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment: the one that GSM8K_TINY names, or a new one."""
    if given := os.environ.get("GSM8K_TINY"):
        return Path(given)
    folder = tmp_path_factory.mktemp("gsm8k") / "tiny"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = ["bash", str(ROOT / "scripts" / "gsm8k_tiny.sh"), str(folder)]
    subprocess.run(script, check=True, timeout=45 * 60, env=os.environ | {"PATH": path})
    return folder


def labkit(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "labkit", *arguments]
    environment = os.environ | {"LABKIT_RUNS_DIR": "runs"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=folder).stdout


def tables(folder: Path, *arguments: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of every table of a report, by kind."""
    found = json.loads(labkit(folder, "report", *arguments, "--json"))["tables"]
    return {table["kind"]: table["rows"] for table in found}


def run_of(folder: Path, name: str) -> Run:
    return find_run(name, folder / "runs")


@pytest.fixture(scope="module")
def test_run(folder: Path) -> Run:
    """The evaluation that was killed, went on, and got more candidates."""
    return run_of(folder, "word-problems-test")


@pytest.fixture(scope="module")
def best_of_n(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """The accuracy of every reranker by the number of candidates that it has."""
    return {(row["reranker"], row["k"]): row for row in tables(folder, "word-problems-test")["best_of_n"]}


def test_the_model_solves_about_half(folder: Path, test_run: Run) -> None:
    frame = read_scored(test_run).frame
    assert 0.3 < frame["correct"].mean() < 0.65
    training = [json.loads(line) for line in run_of(folder, "word-problems").metrics_path.read_text().splitlines()]
    accuracies = [line["eval_accuracy"] for line in training if "eval_accuracy" in line]
    assert accuracies[-1] > 0.35 > accuracies[0]


def test_killed_in_the_middle_it_has_every_candidate_once(folder: Path, test_run: Run) -> None:
    (written,) = re.findall(r"killed with (\d+) of 5000", (folder / "killed.txt").read_text())
    assert 0 < int(written) < NUM_PROBLEMS * NUM_KILLED
    starts = [event for event in test_run.events() if event["event"] == "start"]
    assert len(starts) == 3  # killed, gone on, raised
    rows = read_rollouts(test_run).frame
    assert len(rows) == NUM_PROBLEMS * NUM_RAISED == rows.select(KEY).n_unique()
    attempts = rows.group_by("attempt").agg(pl.col("index").min().alias("first"), pl.len()).sort("attempt")
    killed, went_on, raised = attempts["len"]
    assert killed == int(written)
    assert killed + went_on == NUM_PROBLEMS * NUM_KILLED
    assert (attempts["first"][2], raised) == (NUM_KILLED, NUM_PROBLEMS * (NUM_RAISED - NUM_KILLED))


def test_its_candidates_are_those_of_an_uninterrupted_run(folder: Path, test_run: Run, tmp_path: Path) -> None:
    asked = ["eval", "--config", "configs/gsm8k-tiny/evaluation.yaml", "--set", "rerankers=[]"]
    labkit(folder, *asked, "--name", "uninterrupted", "--num-rollouts", str(NUM_RAISED), "--set", "task.num_prompts=200",
           "--set", "model.id=" + str(run_of(folder, "word-problems").path.resolve()), "--runs-dir", str(tmp_path))  # fmt: skip
    fresh = read_rollouts(find_run("uninterrupted", tmp_path)).frame.select(*KEY, "text").sort(KEY)
    assert len(fresh) == 200 * NUM_RAISED
    killed = read_rollouts(test_run).frame.select(*KEY, "text").join(fresh, on=KEY, suffix="_fresh")
    assert len(killed) == len(fresh)
    # The rows of a batch share its rounding, and batches are cut otherwise here: a draw may fall on the other side.
    assert (killed["text"] == killed["text_fresh"]).mean() > 0.99


def test_a_vote_is_worth_something_and_nothing_beats_the_oracle(
    test_run: Run, best_of_n: dict[tuple[str, int], dict[str, Any]]
) -> None:
    rerankers = {name for name, _ in best_of_n}
    assert {"random", "majority", "likelihood", "run:word-problems-energy", "arithmetic.py", "oracle"} <= rerankers
    frame = read_scored(test_run).frame
    solved = frame.group_by("prompt").agg(pl.col("correct").any())["correct"].mean()
    assert best_of_n["random", NUM_RAISED]["accuracy"] == pytest.approx(frame["correct"].mean())
    assert best_of_n["oracle", NUM_RAISED]["accuracy"] == pytest.approx(solved)
    chance = best_of_n["random", NUM_RAISED]["accuracy"]
    for k in (2, 4, NUM_RAISED):
        best = best_of_n["oracle", k]["accuracy"]
        for name in rerankers - {"random", "oracle"}:
            if (name, k) in best_of_n:  # the first candidate is the first of all
                assert best_of_n[name, k]["accuracy"] <= best
        assert chance <= best_of_n["majority", k]["accuracy"] + 1e-12
        assert chance < best_of_n["likelihood", k]["accuracy"] < best_of_n["arithmetic.py", k]["accuracy"]


def test_the_energy_model_scored_every_candidate_and_learnt_from_no_test_problem(folder: Path, test_run: Run) -> None:
    rankings = {ranking.name: ranking for ranking in read_rankings(test_run)}
    assert {"arithmetic.py", "run:word-problems-energy"} <= set(rankings)
    ranking = rankings["run:word-problems-energy"]
    rows = read_rollouts(test_run).frame
    assert len(ranking.frame.join(rows, on=[*KEY, "attempt"])) == len(rows)
    assert ranking.frame["score"].null_count() == 0
    assert ranking.frame["score"].n_unique() > len(rows) / 4
    asked = {prompt["id"] for prompt in run_of(folder, "candidates").prompts()}
    assert asked.isdisjoint(prompt["id"] for prompt in test_run.prompts())
    metrics = run_of(folder, "word-problems-energy").metrics_path.read_text().splitlines()
    measured = [line for line in map(json.loads, metrics) if "eval_auc" in line]
    assert measured and all(line["eval_auc_low"] <= line["eval_auc"] <= line["eval_auc_high"] for line in measured)


def test_the_report_has_every_table_and_a_sentence_on_each_reranker(folder: Path) -> None:
    assert {"pass_at_k", "best_of_n", "gsm8k_rules"} <= set(tables(folder, "word-problems-test"))
    (table,) = json.loads(labkit(folder, "report", "word-problems-test", "--table", "best_of_n", "--json"))["tables"]
    said = "\n".join(table["notes"])
    for name in ("majority", "likelihood", "arithmetic.py"):
        assert f"{name} (k = {NUM_RAISED}): better than chance" in said
    assert re.search(rf"run:word-problems-energy \(k = {NUM_RAISED}\): (better|worse|no better) than chance", said)


@pytest.mark.parametrize("name", ["goodhart", "words"])
def test_both_checkpoints_are_compared_on_what_both_executed(folder: Path, name: str) -> None:
    found = tables(folder, f"{name}-final", "--against", f"{name}-250")
    assert {"dbdk", "dbdk_comparison"} <= set(found)
    for row in found["dbdk"]:
        assert row["KD"] + row["KF"] + row["DK"] + row["NN"] == (100 if name == "goodhart" else 90)
        assert (row["dbdk"] is None) == (row["KD"] + row["DK"] == 0)


def test_prompts_of_unknown_words_are_asked_and_said_to_be(folder: Path) -> None:
    run = run_of(folder, "goodhart-final")
    assert len(read_rollouts(run).frame) == 200
    assert read_rollouts(run).frame["error"].null_count() == 200
