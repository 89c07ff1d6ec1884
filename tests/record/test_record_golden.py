"""Runs that earlier versions wrote stay readable: one folder a schema, made once and never changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from labkit.config.yaml_text import load_mapping
from labkit.record.catalog import find_run
from labkit.record.compaction import compact
from labkit.record.frames import read_rollouts, read_scored, read_verdicts
from labkit.record.identity import Arm, components_hash, draw_seed
from labkit.record.run import Ask, Run, open_run
from labkit.record.schema import SCHEMA

GOLDEN = Path(__file__).parent / "golden"
COLD, HOT = "temperature=0.4,top_p=0.9", "temperature=1,top_p=0.9"


@pytest.fixture
def run() -> Run:
    return find_run("golden", GOLDEN / "schema_1")


def test_every_schema_has_a_golden_run() -> None:
    folders = {path.name for path in GOLDEN.iterdir()}
    assert folders == {f"schema_{number}" for number in range(1, SCHEMA + 1)}


def test_what_it_was_asked(run: Run) -> None:
    assert (run.id, run.command, run.manifest["seed"]) == ("20250102T030405Z-golden-0a1b2c", "sample", 42)
    assert run.ask() == Ask(
        2,
        (
            (Arm("greedy"), 1),
            (Arm("temperature", 0.4, top_p=0.9), 2),
            (Arm("temperature", 1.0, top_p=0.9), 1),
        ),
    )
    assert [prompt["text"] for prompt in run.prompts()] == ["1 2 3 = 6", "größe 漢字\n= 7"]
    assert load_mapping(run.path / "config.yaml") == run.manifest["config"]


def test_its_hashes_are_still_those_of_its_components(run: Run) -> None:
    assert run.base_hash == components_hash(run.manifest["base"])
    assert run.score_hash == components_hash(run.manifest["score"])
    assert run.manifest["config_digest"] == components_hash(run.manifest["config"])


def test_its_status_and_result(run: Run) -> None:
    assert run.status() == "done"
    result = run.result()
    assert result is not None
    assert (result["owed"], result["num_asked"], result["accuracy"]) == (0, 8, {"greedy": 0.5})
    assert [event["event"] for event in run.events()] == ["start", "start", "finish", "start", "asked", "finish"]


def test_its_rollouts(run: Run) -> None:
    read = read_rollouts(run)
    found = read.frame.sort("arm", "prompt", "index").select(
        "arm", "prompt", "index", "attempt", "text", "finish_reason", "num_tokens", "logprob", "error"
    )
    assert found.rows() == [
        ("greedy", "a1", 0, 1, "1+2+3", "stop", 5, None, None),
        ("greedy", "b2", 0, 1, 'no\n"idea" \u2028{}', "length", 13, None, None),
        (COLD, "a1", 0, 1, "3+2+1", "stop", 5, -1.5, None),
        (COLD, "a1", 1, 2, "6", "stop", 1, None, None),
        (COLD, "b2", 0, 2, "7", "stop", 1, None, None),
        (COLD, "b2", 1, 2, "größe", "stop", 5, None, None),
        (HOT, "a1", 0, 3, "1*2*3", "stop", 5, None, None),
        (HOT, "b2", 0, 3, "8", "stop", 1, None, None),
    ]
    assert len(read.warnings) == 1
    assert "0001-00.jsonl: a torn last line" in read.warnings[0]


def test_its_seeds_are_those_that_would_be_drawn_today(run: Run) -> None:
    for row in read_rollouts(run).frame.to_dicts():
        expected = None if row["arm"] == "greedy" else draw_seed(42, "rollout", row["prompt"], row["index"])
        assert row["seed"] == expected


def test_its_verdicts(run: Run) -> None:
    verdicts = read_verdicts(run, run.score_hash).frame
    assert verdicts.height == 8
    correct = read_scored(run).frame.filter("correct").sort("arm", "prompt", "index")
    assert correct.select("arm", "prompt", "index").rows() == [
        ("greedy", "a1", 0),
        (COLD, "a1", 0),
        (COLD, "b2", 0),
        (HOT, "a1", 0),
    ]


def test_a_copy_of_it_is_a_run(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "copy")
    copy = open_run(tmp_path / "copy")
    before = read_scored(copy).frame.sort("arm", "prompt", "index")
    assert compact(copy) == 8
    assert read_scored(copy).frame.sort("arm", "prompt", "index").equals(before)
    with copy.working() as attempt:
        assert attempt == 4
    assert copy.status() == "done"
