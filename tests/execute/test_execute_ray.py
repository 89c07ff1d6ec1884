"""A real Ray cluster of two nodes on this machine, one of which goes away in the middle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import launch
from queues import EVAL, check_each_done_once, is_alive, items_of, runs_below, write_config

from labkit.execute.ray_pool import uses_gpu, worker_variables

ROOT = Path(__file__).parents[2]
MARKED = "TEST_THAT_STARTED_IT"
LONG = {
    "command": "sample", "task": {"name": "countdown", "num_prompts": 16}, "temperatures": [1.0], "num_rollouts": 48,
    "generation": {"max_new_tokens": 12, "batch_size": 16},
}  # fmt: skip

# Nodes start and end in a process of their own, which keeps Ray out of this one.
CLUSTER = """
import sys
import ray
from ray.cluster_utils import Cluster

# Ray takes 127.0.0.1 for whatever address the machine has outside.
here = {"node_ip_address": "127.0.0.2", "num_cpus": 1}
cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **here})
other = cluster.add_node(**here | {"num_cpus": int(sys.argv[1])})
cluster.wait_for_nodes()
print(cluster.address, other.raylet_socket_name, flush=True)
if sys.stdin.readline():
    cluster.remove_node(other, allow_graceful=False)
    print("one is gone", flush=True)
    sys.stdin.readline()
cluster.shutdown()
"""


class TwoNodes:
    """The cluster, of one CPU a node unless the second is asked to have more."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._answer().split()[0]

    def take_one_away(self) -> None:
        self._say()
        assert self._answer() == "one is gone\n"

    def _say(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def marked_processes(mark: str) -> list[int]:
    """Everything that runs with this mark in its environment: Ray's daemons, and the workers that they started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{MARKED}={mark}".encode() in path.read_bytes().split(b"\0") and is_alive(int(path.parent.name)):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.fixture
def cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[TwoNodes]:
    pytest.importorskip("ray")
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", MARKED: tmp_path.name}
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(getattr(request, "param", 1))],
        env=os.environ | quiet, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        yield TwoNodes(process)  # its pipes close behind it, which ends the cluster
    end = time.monotonic() + 20
    while (left := marked_processes(tmp_path.name)) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == []


def wait_until_both_nodes_work(process: subprocess.Popen[bytes], runs_dir: Path) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end and process.poll() is None:
        if sum(run.status() == "running" and any(run.rows_dir.iterdir()) for run in runs_below(runs_dir)) >= 2:
            return
        time.sleep(0.02)
    raise AssertionError(process.communicate()[0].decode() if process.poll() is not None else "only one node works")


def test_a_lost_node_loses_no_item(cluster: TwoNodes, tmp_path: Path) -> None:
    configs = [
        write_config(tmp_path / "configs" / f"{seed}.yaml", LONG, seed=seed, model__dtype=("float32", "bfloat16")[seed % 2])
        for seed in range(6)
    ]  # fmt: skip
    arguments = ["run", "configs", "--executor", "ray", "--address", cluster.address]
    process = launch(tmp_path, *arguments, "--json")
    wait_until_both_nodes_work(process, tmp_path / "runs")
    began = time.monotonic()
    cluster.take_one_away()
    output = process.communicate(timeout=150)[0].decode()
    assert process.returncode == 0, output
    *talk, table = output.splitlines()
    rows = json.loads(table)["tables"][0]["rows"]
    assert {row["state"] for row in rows} == {"done"}
    assert [row["attempts"] for row in rows].count(2) == 1, output
    assert any("its worker is gone: " in line and line.endswith("is lost; its last words:") for line in talk), output
    assert any("784 of 784 rollouts are owed" in line for line in talk), output  # which stands in the item's log
    assert not any("ray" in line.lower() for line in talk), output
    check_each_done_once(configs, tmp_path / "runs")
    attempts = [sum(event["event"] == "start" for event in run.events()) for run in runs_below(tmp_path / "runs")]
    assert sorted(attempts) == [1] * 5 + [2]  # what was begun on the lost node was gone on with
    assert time.monotonic() - began < 120


IMPATIENT = """
from labkit.cli.main import main
from labkit.execute import ray_pool
ray_pool._LOOK_S, ray_pool._NO_ROOM_S = 0.5, 4.0
main()
"""


@pytest.mark.parametrize("cluster", [2], indirect=True)
def test_who_waits_for_room_that_is_gone_is_told(cluster: TwoNodes, tmp_path: Path) -> None:
    write_config(tmp_path / "a.yaml", LONG, num_rollouts=2000)
    with subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, "run", "a.yaml", "--executor", "ray", "--address", cluster.address, "--cpus", "2"],
        cwd=tmp_path, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        end = time.monotonic() + 60
        while process.poll() is None and not runs_below(tmp_path / "runs") and time.monotonic() < end:
            time.sleep(0.05)
        cluster.take_one_away()
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 3, output
    assert output.count("has 2 CPUs and 0 GPUs any more; waiting 4 s for one") == 1
    assert "ask for less: --cpus, --gpus" in output


def test_one_started_for_the_command_ends_with_it(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    configs = [write_config(tmp_path / "configs" / f"{seed}.yaml", EVAL, seed=seed) for seed in range(3)]
    done = subprocess.run(
        [sys.executable, "-m", "labkit", "run", "configs", "--executor", "ray", "--address", "local", "--jobs", "1", "--json"],
        cwd=tmp_path, env=os.environ | {MARKED: tmp_path.name}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["tables"][0]["rows"]
    assert [row["load_s"] is not None for row in rows] == [True, False, False]
    check_each_done_once(configs, tmp_path / "runs")
    end = time.monotonic() + 20
    while (left := marked_processes(tmp_path.name)) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == []


WITHOUT_RAY = """
import sys
sys.modules["ray"] = None
from labkit.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("program", "arguments", "words"),
    [
        (["-c", WITHOUT_RAY], [], "pip install 'labkit[ray]'"),
        (["-m", "labkit"], ["--address", "127.0.0.1:1"], "there is no Ray cluster at 127.0.0.1:1"),
        (["-m", "labkit"], ["--address", "local", "--gpus", "64"], "no node of the cluster has 1 CPUs and 64 GPUs"),
    ],
)
def test_what_the_machine_lacks(tmp_path: Path, program: list[str], arguments: list[str], words: str) -> None:
    write_config(tmp_path / "a.yaml", EVAL)
    done = subprocess.run(
        [sys.executable, *program, "run", "a.yaml", "--executor", "ray", *arguments],
        cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert words in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_who_asks_for_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def asks(**values: object) -> bool:
        return uses_gpu(items_of(write_config(Path("a.yaml"), **values))[0])

    new = {"architecture": {}, "tokenizer": {"name": "characters"}}
    assert asks(command="eval") and asks(command="eval", model__device="cuda") and asks(command="train", **new)
    assert not asks(command="eval", model__device="cpu")
    assert not asks(command="train", **new, device="cpu")
    assert not asks(command="train", model__id="builtin:countdown-tiny", model__device="cpu")
    assert not asks(command="data")


def test_what_workers_learn_of_the_runners_environment() -> None:
    environ = {
        "HF_HOME": "/cache",
        "HF_TOKEN": "hf_secret",
        "OMP_NUM_THREADS": "3",
        "HOME": "/h",
        "PYTHONPATH": "/mine",
    }
    variables = worker_variables(environ)
    assert variables == {
        "HF_HOME": "/cache", "OMP_NUM_THREADS": "3", "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}/mine",
    }  # fmt: skip
