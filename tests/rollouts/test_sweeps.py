"""Sweeps on a small real model: what is written, what is shared, and that interruption changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from sweeps import Interrupted, Watcher, go_on, perturb, raw_rows, rollouts, sample

from labkit.errors import RecordError
from labkit.record.frames import read_rollouts, read_verdicts
from labkit.record.identity import draw_seed
from labkit.record.run import Run


def test_a_sweep_writes_every_rollout_once_with_its_verdict(tiny_folder: Path, tmp_path: Path) -> None:
    run = sample(tiny_folder, tmp_path)
    frame = rollouts(run)
    counts = dict(frame.group_by("arm").len().rows())
    assert counts == {"greedy": 5, "temperature=0.5": 20, "temperature=1": 20}
    assert raw_rows(run) == 45
    assert frame["correct"].null_count() == 0
    assert run.status() == "done"
    result = run.result()
    assert result is not None
    assert result["owed"] == 0
    assert [arm["num_rollouts"] for arm in result["arms"]] == [1, 4, 4]
    assert result["tokens"]["generated"] == frame["num_tokens"].sum()


def test_metrics_of_the_result_are_those_of_the_rows(tiny_folder: Path, tmp_path: Path) -> None:
    run = sample(tiny_folder, tmp_path, temperatures=[2.0], num_rollouts=16)
    frame = rollouts(run).filter(pl.col("arm") == "temperature=2")
    result = run.result()
    assert result is not None
    arm = result["arms"][1]
    assert arm["pass_at_k"]["1"][0] == pytest.approx(frame["correct"].mean())
    solved = frame.group_by("prompt").agg(pl.col("correct").any())["correct"]
    assert arm["pass_at_k"]["16"][0] == pytest.approx(solved.mean())
    assert arm["solved"] == solved.sum()
    assert arm["truncated"] == (frame["finish_reason"] == "length").sum()


def test_temperatures_share_their_draws_and_sigmas_their_members(tiny_folder: Path, tmp_path: Path) -> None:
    sampled = rollouts(sample(tiny_folder, tmp_path))
    by_arm = [sampled.filter(pl.col("arm") == arm)["seed"].to_list() for arm in ("temperature=0.5", "temperature=1")]
    assert by_arm[0] == by_arm[1]
    assert len(set(by_arm[0])) == 20  # every prompt and index has a draw of its own
    perturbed = rollouts(perturb(tiny_folder, tmp_path)).filter(pl.col("arm") != "greedy")
    members = perturbed.group_by("arm", "index").agg(pl.col("seed").unique())
    assert all(len(seeds) == 1 for seeds in members["seed"])  # one member answers all prompts
    for index, seeds in perturbed.group_by("index").agg(pl.col("seed").unique()).rows():
        assert seeds == [draw_seed(42, "member", index)]


def test_the_noise_floor_is_the_greedy_answer(tiny_folder: Path, tmp_path: Path) -> None:
    frame = rollouts(perturb(tiny_folder, tmp_path, sigmas=[0.0]))
    greedy = dict(frame.filter(pl.col("arm") == "greedy").select("prompt", "text").rows())
    floor = frame.filter(pl.col("arm") == "sigma=0")
    assert floor.height == 20
    assert all(greedy[prompt] == text for prompt, text in floor.select("prompt", "text").rows())


@pytest.mark.parametrize("stop_after", [1, 2, 3, 6])
@pytest.mark.parametrize("kind", [sample, perturb])
def test_an_interrupted_run_ends_as_the_uninterrupted_one(
    tiny_folder: Path, tmp_path: Path, stop_after: int, kind: object
) -> None:
    make = sample if kind is sample else perturb
    whole = make(tiny_folder, tmp_path / "whole", generation__batch_size=3)
    watcher = Watcher(stop_after)
    with pytest.raises(Interrupted):
        make(tiny_folder, tmp_path / "cut", watcher, generation__batch_size=3)
    run = watcher.run
    assert run.status() == "interrupted"
    again = Watcher()
    go_on(run, again)
    assert again.owed == 45 - sum(watcher.new)
    assert rollouts(run).equals(rollouts(whole))
    assert raw_rows(run) == 45
    assert _metrics(run) == _metrics(whole)


def _metrics(run: Run) -> object:
    return (run.result() or {})["arms"]


def test_a_torn_batch_is_done_again_as_the_same_batch(tiny_folder: Path, tmp_path: Path) -> None:
    whole = sample(tiny_folder, tmp_path / "whole")
    watcher = Watcher(2)
    with pytest.raises(Interrupted):
        sample(tiny_folder, tmp_path / "cut", watcher)
    run = watcher.run
    (segment,) = run.rows_dir.glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:-3]) + lines[-3][:40])  # the last batch lost three rows, one of them torn
    again = Watcher()
    go_on(run, again)
    assert len(again.batches[0]) > again.new[0] == 3  # decoded whole, kept where owed
    assert rollouts(run).equals(rollouts(whole))


def test_verdicts_lost_in_a_crash_are_made_again(tiny_folder: Path, tmp_path: Path) -> None:
    run = sample(tiny_folder, tmp_path)
    path = run.scores_path(run.score_hash)
    before = read_verdicts(run, run.score_hash).frame.sort("prompt", "arm", "index")
    path.write_bytes(path.read_bytes()[:1000])
    run.result_path.unlink()
    go_on(run)
    after = read_verdicts(run, run.score_hash).frame.sort("prompt", "arm", "index")
    assert after.equals(before)
    assert raw_rows(run) == 45


def test_prompts_rollouts_and_arms_grow(tiny_folder: Path, tmp_path: Path) -> None:
    run = sample(tiny_folder, tmp_path / "grown", temperatures=[1.0], num_rollouts=2, task__num_prompts=3)
    before = rollouts(run)
    go_on(run, temperatures=[0.5], num_rollouts=4, task__num_prompts=5)
    assert dict(rollouts(run).group_by("arm").len().rows()) == {"greedy": 5, "temperature=1": 10, "temperature=0.5": 20}
    go_on(run, num_rollouts=4)
    grown = rollouts(run)
    assert grown.height == 45
    assert run.status() == "done"
    assert before.join(grown, on=before.columns, how="semi", nulls_equal=True).height == before.height
    asked = [event["event"] for event in run.events()]
    assert asked == ["start", "finish", "start", "asked", "finish", "start", "asked", "finish"]
    straight = rollouts(sample(tiny_folder, tmp_path / "straight"))
    assert grown.select("prompt", "arm", "index", "seed").equals(straight.select("prompt", "arm", "index", "seed"))


def test_prompts_of_another_offset_join(tiny_folder: Path, tmp_path: Path) -> None:
    run = perturb(tiny_folder, tmp_path, sigmas=[0.1], task__num_prompts=3)
    go_on(run, task__offset=2, task__num_prompts=3)
    assert len(run.prompts()) == 5
    assert rollouts(run).group_by("arm").len().sort("arm").rows() == [("greedy", 5), ("sigma=0.1", 20)]


def test_nothing_owed_generates_nothing(tiny_folder: Path, tmp_path: Path) -> None:
    run = sample(tiny_folder, tmp_path)
    before = run.result()
    watcher = Watcher()
    go_on(run, watcher)
    assert (watcher.owed, watcher.batches) == (0, [])
    assert raw_rows(run) == 45
    after = run.result()
    assert before is not None and after is not None
    assert (after["arms"], after["tokens"]) == (before["arms"], before["tokens"])


def test_resuming_refuses_another_base_and_says_which_key(tiny_folder: Path, tmp_path: Path) -> None:
    run = sample(tiny_folder, tmp_path)
    refusals = {
        "dtype": {"model__dtype": "bfloat16"},
        "preset": {"task__preset": "published"},
        "data": {"task__data_seed": 5},
        "max_new_tokens": {"generation__max_new_tokens": 7},
        "stop": {"generation__stop": ["x"]},
    }
    for key, change in refusals.items():
        with pytest.raises(RecordError, match=key):
            go_on(run, **change)
    with pytest.raises(RecordError, match="scorer"):
        go_on(run, task__scorer="published")
    with pytest.raises(RecordError, match="seed"):
        go_on(run, seed=43)
    assert rollouts(run).height == 45


def test_resuming_refuses_another_model_and_another_template(tiny_folder: Path, tmp_path: Path) -> None:
    from tiny_models import save_model

    run = sample(tiny_folder, tmp_path)
    with pytest.raises(RecordError, match="model"):
        go_on(run, model__id=str(save_model(tmp_path / "other", seed=1)))
    templated = save_model(tmp_path / "templated")
    (templated / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    with pytest.raises(RecordError, match="chat_template"):
        go_on(run, model__id=str(templated))


def test_a_prompt_without_room_is_an_error_row_and_counts_as_wrong(tiny_folder: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "p.jsonl"
    long = " ".join(["1"] * 80)
    prompts.write_text("\n".join(json.dumps({"prompt": text, "answer": "1"}) for text in ("1 2", long)) + "\n")
    run = _jsonl_run(tiny_folder, tmp_path, prompts)
    frame = read_rollouts(run).frame
    assert frame.filter(pl.col("error").is_not_null()).height == 1 + 2 * 4
    failed = rollouts(run).filter(pl.col("error").is_not_null())
    assert failed["correct"].to_list() == [False] * 9
    result = run.result()
    assert result is not None
    assert [arm["errors"] for arm in result["arms"]] == [1, 4, 4]


def _jsonl_run(folder: Path, tmp_path: Path, prompts: Path) -> Run:
    from labkit.config.base import Layer, resolve
    from labkit.config.commands import SampleConfig
    from labkit.rollouts.experiment import prepare
    from labkit.rollouts.session import start

    values = {
        "model.id": str(folder), "model.device": "cpu", "runs_dir": str(tmp_path), "task.name": "jsonl",
        "task.path": str(prompts), "num_rollouts": 4, "temperatures": [0.5, 1.0], "generation.max_new_tokens": 4,
    }  # fmt: skip
    resolved = resolve(SampleConfig, [Layer("test", values)])
    return start(resolved, prepare(resolved.config, print), Watcher())


def test_the_manifest_says_what_the_run_rests_on(tiny_folder: Path, tmp_path: Path) -> None:
    run = perturb(tiny_folder, tmp_path)
    manifest = json.loads((run.path / "run.json").read_text())
    assert manifest["first_prompt"]["text"].endswith("<answer>")
    assert manifest["first_prompt"]["token_ids"]
    assert manifest["origins"]["num_rollouts"] == "test"
    assert manifest["origins"]["seed"] == "default"
    assert manifest["engine"]["noise"] == "labkit-noise-1"
    assert set(manifest["provenance"]) == {"argv", "environment", "git", "python", "packages", "hardware"}
