"""Evaluations that rank what they generate: in one command, killed in the middle, grown later, and as part of a queue."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from killing import launch, only_run
from tiny_models import save_classifier, save_model

from labkit.config.yaml_text import dump
from labkit.record.rankings import read_rankings
from labkit.record.run import Run, open_run

Labkit = Callable[..., subprocess.CompletedProcess[str]]

ASKED = [
    "eval",
    "countdown",
    "--temperature",
    "1",
    "--num-rollouts",
    "3",
    "--num-prompts",
    "6",
    "--max-new-tokens",
    "6",
]
SLOW = "import time\ndef score(q, s):\n    time.sleep(0.02)\n    return len(s)\n"


def num_scored(run: Run) -> dict[str, int]:
    return {ranking.name: ranking.frame.height for ranking in read_rankings(run)}


@pytest.fixture
def given(tmp_path: Path, tiny_folder: Path) -> Sequence[str | Path]:
    """An evaluation with two rerankers."""
    save_classifier(tmp_path / "energy", context=128)
    (tmp_path / "mine.py").write_text(SLOW)
    model = ["--model", tiny_folder, "--preset", "short", "--device", "cpu"]
    return [*ASKED, *model, "--reranker", "mine.py", "--reranker", "./energy"]


def test_an_evaluation_is_done_when_it_is_ranked(inside: Labkit, given: Sequence[str | Path], tmp_path: Path) -> None:
    done = inside(*given)
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "runs")
    assert num_scored(run) == {"mine.py": 18, "./energy": 18}
    result = run.result()
    assert result is not None and [each["num_owed"] for each in result["rankings"]] == [0, 0]
    grown = inside("eval", "--resume", "last", "--num-rollouts", "4")
    assert grown.returncode == 0, grown.stderr
    assert "mine.py: 6 rollouts to score" in grown.stderr
    assert num_scored(run) == {"mine.py": 24, "./energy": 24}
    (tmp_path / "other.py").write_text("def score(q, s):\n    return -len(s)\n")
    more = inside("eval", "--resume", "last", "--reranker", "other.py")
    assert more.returncode == 0, more.stderr
    assert num_scored(run) == {"mine.py": 24, "./energy": 24, "other.py": 24}
    assert "24 scored, 0 without a score, 0 owed" in inside("runs", "show", run.id).stdout
    (tmp_path / "later.py").write_text("def score(q, s):\n    return len(q) - len(s)\n")
    assert inside("eval", "--rerank", "last", "--reranker", "later.py").returncode == 0
    assert inside("eval", "--resume", "last", "--num-rollouts", "5").returncode == 0
    told = inside("report", "last", "--table", "best_of_n", "--json").stdout  # nobody asked the later one again
    (shown,) = json.loads(told)["tables"]
    named = {row["reranker"] for row in shown["rows"]}
    assert "mine.py" in named and "later.py" not in named
    assert "later.py is left out: 6 candidates have no score yet; labkit eval --rerank RUN" in shown["notes"]
    assert inside("eval", "--rerank", "last").returncode == 0
    assert num_scored(run)["later.py"] == 30
    assert inside("runs", "compact", run.id).returncode == 0
    again = inside("eval", "--rerank", "last")
    assert again.returncode == 0 and "to score" not in again.stderr


def test_a_kill_in_the_ranking_leaves_a_run_that_goes_on(given: Sequence[str | Path], tmp_path: Path) -> None:
    process = launch(tmp_path, *given)
    end = time.monotonic() + 90
    while time.monotonic() < end and process.poll() is None and not any(tmp_path.glob("runs/eval/*/rankings/*")):
        time.sleep(0.005)
    process.kill()
    said = process.communicate(timeout=60)[0].decode()
    run = only_run(tmp_path / "runs")
    assert run.status() == "interrupted", said
    assert num_scored(run) == {}
    again = launch(tmp_path, "eval", "--resume", "last")
    said = again.communicate(timeout=120)[0].decode()
    assert again.returncode == 0, said
    assert run.status() == "done" and num_scored(run) == {"mine.py": 18, "./energy": 18}


def test_a_ranking_that_fails_leaves_a_result_and_is_owed_alone(inside: Labkit, tmp_path: Path) -> None:
    save_model(tmp_path / "body")
    save_classifier(tmp_path / "energy", num_labels=3)
    done = inside(*ASKED, "--model", "body", "--preset", "short", "--device", "cpu", "--reranker", "./energy")
    run = only_run(tmp_path / "runs")
    assert done.returncode == 2 and "3 classes" in done.stderr, done.stderr
    assert f"go on with: labkit eval --rerank {run.path.relative_to(tmp_path)}" in done.stderr
    assert run.status() == "interrupted" and run.owes_only_rankings() and (run.result() or {})["arms"]
    assert run.way_on in inside("runs", "show", run.path).stdout
    shutil.rmtree(tmp_path / "body")  # it is not needed any more
    save_classifier(tmp_path / "energy", context=128)
    (tmp_path / "mine.py").write_text("def score(q, s):\n    return len(s)\n")
    other = inside("eval", "--rerank", run.path, "--reranker", "mine.py")
    assert other.returncode == 0 and run.status() == "interrupted", other.stderr
    mended = inside("eval", "--rerank", run.path)
    assert mended.returncode == 0, mended.stderr
    assert run.status() == "done" and "unranked" not in (run.result() or {})
    assert num_scored(run) == {"mine.py": 18, "./energy": 18}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--reranker", "none.py"], "cannot read the reranker"),
        (["--reranker", "./body"], "which scores nothing"),
        (["--reranker", "run:none"], "no training under runs"),
        (["--reranker", "./energy", "--reranker", "./energy"], "stands here twice"),
        (["--rerank", "last", "--temperature", "1"], "temperature would do nothing"),
        (["--model", "./energy"], "is a classifier and writes nothing"),
        (["--rerank", "last"], "there is no run of labkit eval"),
    ],
)
def test_what_cannot_rank_is_refused_before_anything_is_made(
    inside: Labkit, tmp_path: Path, tiny_folder: Path, arguments: Sequence[str], words: str
) -> None:
    save_classifier(tmp_path / "energy")
    save_model(tmp_path / "body")
    asked = [] if "--rerank" in arguments else [*ASKED, "--model", tiny_folder, "--device", "cpu", "--dry-run"]
    done = inside(*(asked or ["eval"]), *arguments)
    assert done.returncode == 2 and words in done.stderr, done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_queue_makes_rollouts_then_a_verifier_then_a_ranking(labkit: Labkit, tmp_path: Path) -> None:
    folder = tmp_path / "configs"
    folder.mkdir()
    evaluation: dict[str, Any] = {
        "command": "eval", "model": {"id": "builtin:countdown-tiny", "device": "cpu"}, "temperature": 1.0, "num_rollouts": 4,
    }  # fmt: skip
    verifier: dict[str, Any] = {
        "command": "train", "method": "energy", "name": "verifier", "device": "cpu",
        "architecture": {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "max_position_embeddings": 128},
        "tokenizer": {"integer_range": [0, 100], "words": ["+", "-", "*", "/", "(", ")", "=", "<answer>", "</answer>"]},
        "examples": {"name": "rollouts", "runs": ["solutions"]},
        "optimisation": {"num_steps": 2, "batch_size": 8},
    }  # fmt: skip
    first = evaluation | {"name": "solutions", "task": {"name": "countdown", "num_prompts": 40, "split": "validation"}}
    last = evaluation | {"task": {"name": "countdown", "num_prompts": 4}, "rerankers": ["run:verifier"]}
    for name, config in (("c", first), ("b", verifier), ("a", last)):
        (folder / f"{name}.yaml").write_text(dump(config))
    done = labkit("run", "configs")
    assert done.returncode == 0, done.stderr
    (path,) = [each for each in (tmp_path / "runs" / "eval").iterdir() if "solutions" not in each.name]
    ranked = open_run(path)
    assert num_scored(ranked) == {"run:verifier": 16}
    assert [parent["role"] for parent in ranked.manifest["parents"]] == ["reranker"]
    (event,) = [event for event in ranked.events() if event["event"] == "ranked"]
    assert event["parents"] == ranked.manifest["parents"]
    again = labkit("run", "configs", "--json")
    assert again.returncode == 0, again.stderr
    assert len(list(tmp_path.glob("runs/*/*Z-*"))) == 3
    assert "failed" not in json.dumps(again.stdout)
    (tmp_path / "runs").rename(tmp_path / "moved")  # the rerankers that a run knows are those beside it
    moved = labkit("eval", "--rerank", tmp_path / "moved" / "eval" / path.name, "--dry-run")
    assert moved.returncode == 0 and "run:verifier: 0 rollouts to score" in moved.stderr, moved.stderr
