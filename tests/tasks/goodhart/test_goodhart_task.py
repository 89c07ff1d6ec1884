"""Goodhart as a task: two prompts an item, and an evaluation from end to end."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from killing import only_run
from sweeps import raw_rows
from tiny_models import save_model

from labkit.config.base import resolve, set_layer
from labkit.config.commands import EvalConfig
from labkit.errors import InputError
from labkit.record.frames import read_verdicts
from labkit.tasks.base import Prompt
from labkit.tasks.goodhart.items import load_items, shown_answer
from labkit.tasks.goodhart.task import GoodhartTask

Labkit = Callable[..., subprocess.CompletedProcess[str]]


def test_each_item_is_asked_twice() -> None:
    prompts = GoodhartTask().prompts(preset=None, offset=0, num_prompts=None)
    assert len(prompts) == 40 == len({prompt.id for prompt in prompts})
    assert Counter(prompt.gold["part"] for prompt in prompts) == {"explain": 20, "answer": 20}
    for prompt in prompts:
        (message,) = prompt.messages
        assert ("ANSWER:" in message["content"]) == (prompt.gold["part"] == "answer")


def test_a_slice_counts_items() -> None:
    found = GoodhartTask().prompts(preset=None, offset=18, num_prompts=1)
    assert [(prompt.source["item"], prompt.source["part"]) for prompt in found] == [
        ("tip_split", "explain"), ("tip_split", "answer"),
    ]  # fmt: skip
    with pytest.raises(InputError, match="none after an offset of 40"):
        GoodhartTask().prompts(preset=None, offset=20, num_prompts=None)
    with pytest.raises(InputError, match="no preset"):
        GoodhartTask().prompts(preset="short", offset=0, num_prompts=None)


def test_each_part_is_graded_by_its_own_rules() -> None:
    task, items = GoodhartTask(), {item.id: item for item in load_items()}
    for prompt in task.prompts(preset=None, offset=0, num_prompts=None):
        kept = Prompt.from_json(json.loads(json.dumps(prompt.as_json())))
        item = items[kept.gold["item"]]
        right, other = item.reference, f"ANSWER: {shown_answer(item)}"
        if kept.gold["part"] == "answer":
            right, other = other, right
        verdict = task.score(kept, right)
        assert verdict.correct and verdict.reward == 1.0 and verdict.answer
        assert not task.score(kept, other).correct
        assert not task.score(kept, "").correct and task.score(kept, "").answer is None


def test_how_items_are_usually_asked() -> None:
    config = resolve(EvalConfig, [set_layer(["task.name=goodhart"])]).config
    assert (config.temperature, config.num_rollouts, config.generation.top_p) == (0.3, 5, 0.9)


MINE = (
    "items:\n- {id: two, category: sums, prompt: '1 + 1 =', answer: {kind: integer, value: 2}, explain: '+ ?',\n"
    "   rubric: {needed: 1, ideas: {add: [add*]}}, reference: Add them.}\n"
    "- {id: ten, category: products, prompt: '2 * 5 =', answer: {kind: integer, value: 10}, explain: '* ?',\n"
    "   rubric: {needed: 1, ideas: {multiply: [multipl*]}}, reference: Multiply them.}\n"
)


def test_an_evaluation_counts_quadrants(inside: Labkit, tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    asked = ["eval", "goodhart", "--model", tiny_folder, "--device", "cpu", "--data", "mine.yaml"]
    done = inside(*asked, "--num-rollouts", "3", "--max-new-tokens", "4", "--json")
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "runs")
    assert raw_rows(run) == 2 * 2 * 3
    rates, categories = json.loads(done.stdout)["tables"]
    assert (rates["kind"], categories["kind"]) == ("dbdk", "dbdk_category")
    (row,) = rates["rows"]
    assert (row["num_items"], row["num_runs"], row["num_evaluations"]) == (2, 3, 6)
    assert row["executes"] == row["KD"] + row["DK"] and row["understands"] == row["KD"] + row["KF"]
    assert row["mean_explanation_tokens"] == row["truncated"] / 6 * 4 == 4, "every text is cut at four tokens"
    assert row["dbdk_untruncated"] is None
    assert [line["category"] for line in categories["rows"]] == ["sums", "products"]
    quadrants = {name: row[name] for name in ("KD", "KF", "DK", "NN")}
    assert sum(quadrants.values()) == 6
    assert (run.result() or {})["quadrants"] == {"temperature=0.3,top_p=0.9": quadrants}
    parts = {line["id"]: line["source"]["part"] for line in run.prompts()}
    verdicts = read_verdicts(run, run.score_hash, columns=["correct"]).frame
    right = sum(line["correct"] for line in verdicts.iter_rows(named=True) if parts[line["prompt"]] == "answer")
    assert row["executes"] == right
    listed = inside("runs", "list", "--json")
    headline = json.loads(listed.stdout)["tables"][0]["rows"][0]["headline"]
    assert headline == "no right answer" if not right else headline.startswith("DBDK ")
    assert "pass@" not in inside("runs", "show", "last").stdout + inside("runs", "watch", "last").stdout


def test_arms_of_a_sweep_are_conditions_compared_arm_by_arm(inside: Labkit, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    for name in ("a", "b"):
        save_model(tmp_path / name, seed=ord(name))
        asked = [
            "sample",
            "--task",
            "goodhart",
            "--data",
            "mine.yaml",
            "--model",
            name,
            "--device",
            "cpu",
            "--name",
            name,
        ]
        asked += ["--num-rollouts", "2", "--max-new-tokens", "2", "--temperature", "0.5", "--json"]
        done = inside(*asked, *(["--temperature", "1"] if name == "b" else []))
        assert done.returncode == 0, done.stderr
        arms = ["greedy", "temperature=0.5", "temperature=1"][: 2 + (name == "b")]
        tables = {table["kind"]: table["rows"] for table in json.loads(done.stdout)["tables"]}
        assert [row["arm"] for row in tables["dbdk"]] == arms
        assert {row["num_runs"] for row in tables["dbdk"][1:]} == {2}
    compared = json.loads(inside("report", "b", "--against", "a", "--table", "dbdk_comparison", "--json").stdout)
    rows = [row for row in compared["tables"][0]["rows"] if row["measure"] == "dbdk"]
    assert [(row["condition"], row["against"]) for row in rows] == [
        (f"b ({arm})", f"a ({arm})") for arm in ("greedy", "temperature=0.5")
    ]


def test_what_cannot_be_evaluated_is_refused_with_words(inside: Labkit, tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("items: []\n")
    for arguments, words in (
        ([], "which model?"),
        (["--model", tiny_folder, "--data", "missing.yaml"], "missing.yaml"),
        (["--model", tiny_folder, "--data", "bad.yaml"], "bad.yaml"),
        (["--model", tiny_folder, "--split", "train"], "task.split: there is no such key in a goodhart task"),
    ):
        done = inside("eval", "goodhart", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr and "Traceback" not in done.stderr
