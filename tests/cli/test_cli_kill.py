"""The real command line, killed: nothing is lost, nothing stands twice, and the end is the same."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest
from killing import launch, only_run, stop, wait_for_work
from sweeps import raw_rows, rollouts

from labkit.record.run import Run

SWEEP = ["perturb", "--sigma", "0.1", "--sigma", "0.5", "--num-prompts", "8", "--num-rollouts", "100", "--preset", "short",
         "--max-new-tokens", "8", "--device", "cpu"]  # fmt: skip

NUM_ROLLOUTS = 8 * (1 + 100 + 100)


def finish(cwd: Path, *arguments: str | Path) -> str:
    process = launch(cwd, *arguments)
    output = process.communicate(timeout=120)[0].decode()
    assert process.returncode == 0, output
    return output


def sweep(model: Path) -> list[str]:
    return [*SWEEP, "--model", str(model)]


@pytest.fixture(scope="module")
def expected(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run that nobody killed."""
    whole = tmp_path_factory.mktemp("whole")
    finish(whole, *sweep(tiny_folder))
    return only_run(whole / "runs")


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_killed_run_goes_on_and_ends_the_same(
    tiny_folder: Path, tmp_path: Path, expected: Run, how: signal.Signals, code: int
) -> None:
    process = launch(tmp_path, *sweep(tiny_folder))
    wait_for_work(process, tmp_path / "runs", attempt=1)
    time.sleep(0.3)
    returncode, output = stop(process, how)
    run = only_run(tmp_path / "runs")
    assert returncode == code, output
    assert run.status() == "interrupted"
    assert 0 < raw_rows(run) < NUM_ROLLOUTS
    if how is not signal.SIGKILL:
        assert f"labkit perturb --resume {run.path.relative_to(tmp_path)}" in output
        assert run.events()[-1]["event"] == "stopped"
    again = finish(tmp_path, "perturb", "--resume", "last")
    assert "rollouts are there already" in again
    assert rollouts(run).equals(rollouts(expected))
    assert raw_rows(run) == raw_rows(expected) == NUM_ROLLOUTS
    assert (run.result() or {})["arms"] == (expected.result() or {})["arms"]


def test_two_processes_on_one_run(tiny_folder: Path, tmp_path: Path) -> None:
    first = launch(tmp_path, *sweep(tiny_folder), "--set", "num_rollouts=4000")
    wait_for_work(first, tmp_path / "runs", attempt=1)
    run = only_run(tmp_path / "runs")
    assert run.status() == "running"
    second = launch(tmp_path, "perturb", "--resume", run.id)
    output = second.communicate(timeout=60)[0].decode()
    assert second.returncode == 2
    assert "another process is working on" in output
    assert f"process {first.pid} on " in output
    assert first.poll() is None
    stop(first, signal.SIGKILL)
    assert only_run(tmp_path / "runs").status() == "interrupted"


@pytest.mark.slow
def test_fifty_kills_at_random_moments(tiny_folder: Path, tmp_path: Path, expected: Run) -> None:
    moments = random.Random(7)
    num_kills, num_runs, attempts = 0, 0, 0
    while num_kills < 50:
        folder = tmp_path / f"run{num_runs}"
        folder.mkdir()
        num_runs, attempt = num_runs + 1, 0
        while True:
            attempt += 1
            arguments = sweep(tiny_folder) if attempt == 1 else ["perturb", "--resume", "last"]
            process = launch(folder, *arguments)
            wait_for_work(process, folder / "runs", attempt)
            # A resumed run holds its lock while the model loads, so some moments fall there and most into the work.
            time.sleep(moments.uniform(0, 4))
            if num_kills >= 50 or process.poll() is not None:
                output = process.communicate(timeout=120)[0].decode()
                assert process.returncode == 0, output
                break
            stop(process, signal.SIGKILL)
            num_kills += 1
        run = only_run(folder / "runs")
        attempts += attempt
        assert run.status() == "done"
        assert rollouts(run).equals(rollouts(expected))
        assert raw_rows(run) == NUM_ROLLOUTS
        assert (run.result() or {})["arms"] == (expected.result() or {})["arms"]
    print(f"{num_kills} kills over {num_runs} runs and {attempts} attempts; every run ended as the uninterrupted one")
