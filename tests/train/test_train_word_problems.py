"""A model learns generated word problems, and is asked as it was taught without anybody saying so."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from labkit.record.catalog import find_run
from labkit.record.frames import read_rollouts

Labkit = Callable[..., subprocess.CompletedProcess[str]]

TRAIN = ["train", "word-problems", "--debug", "--data", "data/word-problems-debug/train.jsonl", "--batch-size", "16",
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

    data = tmp_path / "data" / "word-problems-debug" / "test.jsonl"
    asked = inside("eval", "gsm8k", "--model", "run:word-problems", "--data", data, "--num-prompts", "3")
    assert asked.returncode == 0, asked.stderr
    run = find_run("last", runs_dir)
    questions = [json.loads(line)["question"] for line in data.read_text().splitlines()[:3]]
    assert [prompt["messages"] for prompt in run.prompts()] == [[{"role": "user", "content": q}] for q in questions]
    assert (run.manifest["base"]["preset"], run.manifest["base"]["max_new_tokens"]) == ("plain", 24)
    rows = read_rollouts(run, columns=["num_tokens", "logprob"]).frame
    assert (len(rows), rows["logprob"].null_count()) == (15, 0)
    assert rows["num_tokens"].min() >= 1 and rows["num_tokens"].max() <= 24
