"""What a sweep would take: the counts are exact, and nothing is written to find out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sweeps import Interrupted, Watcher, config, perturb, rollouts, sample

from labkit.config.base import Layer, resolve
from labkit.config.commands import PerturbConfig, SampleConfig
from labkit.record.run import Run
from labkit.rollouts.estimate import estimate


def estimate_resumed(run: Run, **values: Any) -> dict[str, Any]:
    given = {key.replace("__", "."): value for key, value in values.items()}
    kind = PerturbConfig if run.command == "perturb" else SampleConfig
    resolved = resolve(kind, [Layer(f"run {run.id}", run.manifest["config"]), Layer("test", given)])
    return estimate(resolved, print, run)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def owed(found: dict[str, Any]) -> dict[str, int]:
    return {arm["key"]: arm["owed"] for arm in found["arms"]}


def test_a_fresh_sweep_owes_everything_and_nothing_is_written(tiny_folder: Path, tmp_path: Path) -> None:
    resolved = config(SampleConfig, tiny_folder, tmp_path / "runs", temperatures=[0.5, 1.0])
    found = estimate(resolved, print)
    assert not (tmp_path / "runs").exists()
    assert found["num_prompts"] == 5
    assert owed(found) == {"greedy": 5, "temperature=0.5": 20, "temperature=1": 20}
    assert found["owed"] == 45
    assert found["duration_s"] > 0 and found["load_s"] > 0
    assert 0 < found["probe_rollouts"] <= 45


def test_a_resumed_sweep_owes_the_rest_and_is_left_as_it_is(tiny_folder: Path, tmp_path: Path) -> None:
    watcher = Watcher(3)
    with pytest.raises(Interrupted):
        perturb(tiny_folder, tmp_path, watcher, generation__batch_size=3)
    before = contents(tmp_path)
    found = estimate_resumed(watcher.run)
    assert contents(tmp_path) == before
    assert found["owed"] == 45 - sum(watcher.new) == 45 - rollouts(watcher.run).height
    assert owed(found)["sigma=0.5"] == 20


def test_a_finished_run_owes_nothing_until_more_is_asked(tiny_folder: Path, tmp_path: Path) -> None:
    run = sample(tiny_folder, tmp_path)
    nothing = estimate_resumed(run)
    assert (nothing["owed"], nothing["num_bytes"], nothing["duration_s"], nothing["probe_rollouts"]) == (0, 0, 0, 0)
    more = estimate_resumed(run, num_rollouts=6)
    assert owed(more) == {"greedy": 0, "temperature=0.5": 10, "temperature=1": 10}
    wider = estimate_resumed(run, task__num_prompts=7)
    assert owed(wider) == {"greedy": 2, "temperature=0.5": 8, "temperature=1": 8}
    assert run.status() == "done"


def test_the_bytes_are_those_that_the_sweep_then_takes(tiny_folder: Path, tmp_path: Path) -> None:
    resolved = config(SampleConfig, tiny_folder, tmp_path / "x", temperatures=[0.5, 1.0], num_rollouts=32)
    run = sample(tiny_folder, tmp_path, num_rollouts=32)
    written = sum(path.stat().st_size for name in ("rows", "scores") for path in (run.path / name).glob("*.jsonl"))
    assert estimate(resolved, print)["num_bytes"] == pytest.approx(written, rel=0.3)


def test_dry_run_of_the_command_line(labkit: Any, tiny_folder: Path, tmp_path: Path) -> None:
    done = labkit(
        "perturb", "--model", tiny_folder, "--device", "cpu", "--num-prompts", "3", "--num-rollouts", "4", "--sigma",
        "0.1", "--preset", "short", "--max-new-tokens", "4", "--dry-run", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert owed(found) == {"greedy": 3, "sigma=0.1": 12}
    assert list(tmp_path.iterdir()) == []
