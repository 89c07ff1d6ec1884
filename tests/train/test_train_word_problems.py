"""A model learns generated word problems, and is asked as it was taught without anybody saying so."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from labkit.models.folder import ModelFolder
from labkit.models.training_run import final_dir
from labkit.record.catalog import find_run
from labkit.record.frames import read_rollouts
from labkit.tasks.questions import QUESTIONS_VERSION, question_id

Labkit = Callable[..., subprocess.CompletedProcess[str]]

TRAIN = ["train", "word-problems", "--debug", "--data", "data/word-problems-debug/train.jsonl", "--batch-size", "16",
         "--set", "examples.validation_path=data/word-problems-debug/validation.jsonl",
         "--set", "evaluation.num_prompts=4", "--set", "log_every=1"]  # fmt: skip


def test_twenty_steps_of_word_problems_and_candidates_of_the_model(inside: Labkit, tmp_path: Path) -> None:
    assert inside("data", "build", "word-problems-data", "--debug").returncode == 0
    trained = inside(*TRAIN)
    assert trained.returncode == 0, trained.stderr
    runs_dir = tmp_path / "runs"
    training = find_run("word-problems", runs_dir)
    losses = [json.loads(line)["loss"] for line in training.metrics_path.read_text().splitlines() if '"loss"' in line]
    assert losses[-1] < 0.7 * losses[0]
    unknown = training.manifest["engine"]["unknown_token_id"]
    assert unknown not in training.manifest["first_prompt"]["token_ids"]

    trained_questions = ModelFolder(final_dir(training), "").trained_questions(QUESTIONS_VERSION)
    assert len(trained_questions) == 20 * 16  # of 400
    held_out = {question_id(line["messages"][0]["content"]) for line in training.prompts()}
    assert len(held_out) == 4 and not held_out & trained_questions
    known = inside(
        "eval", "gsm8k", "--model", "run:word-problems", "--data", "data/word-problems-debug/train.jsonl", "--num-prompts", "5",
        "--preset", "instruct", "--name", "known",
    )  # fmt: skip
    assert known.returncode == 0, known.stderr
    run = find_run("known", runs_dir)
    lines = (tmp_path / "data/word-problems-debug/train.jsonl").read_text().splitlines()[:5]
    num_known = sum(question_id(json.loads(line)["question"]) in trained_questions for line in lines)
    said = f"TRAINED on {num_known} of these 5 prompts"
    assert num_known and said in known.stderr and any(said in line for line in (run.result() or {})["warnings"])

    data = tmp_path / "data" / "word-problems-debug" / "test.jsonl"
    asked = inside("eval", "gsm8k", "--model", "run:word-problems", "--data", data, "--num-prompts", "3")
    assert asked.returncode == 0, asked.stderr
    assert "TRAINED" not in asked.stderr
    run = find_run("last", runs_dir)
    questions = [json.loads(line)["question"] for line in data.read_text().splitlines()[:3]]
    assert [prompt["messages"] for prompt in run.prompts()] == [[{"role": "user", "content": q}] for q in questions]
    assert (run.manifest["base"]["preset"], run.manifest["base"]["max_new_tokens"]) == ("plain", 24)
    rows = read_rollouts(run, columns=["num_tokens", "logprob"]).frame
    assert (len(rows), rows["logprob"].null_count()) == (15, 0)
    assert rows["num_tokens"].min() >= 1 and rows["num_tokens"].max() <= 24
