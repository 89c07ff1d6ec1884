"""`labkit run` as a user calls it: real workers, real kills."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from killing import launch, stop
from queues import (
    EVAL,
    TRAINING,
    check_each_done_once,
    children_of,
    is_alive,
    items_of,
    runs_below,
    write_config,
    write_evaluations,
)

from labkit.cli.run import summary
from labkit.execute.lookup import Found
from labkit.execute.order import find_order
from labkit.execute.queue import Queue
from labkit.record.run import Run
from labkit.report.render import fitting_columns

Labkit = Callable[..., subprocess.CompletedProcess[str]]

LONG = {
    "command": "sample", "task": {"name": "countdown", "num_prompts": 16}, "temperatures": [1.0], "num_rollouts": 32,
    "generation": {"max_new_tokens": 12, "batch_size": 16},
}  # fmt: skip
"""A second of work, in many batches."""


def rows(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """The table of `--json` by the file's name."""
    (table,) = json.loads(done.stdout)["tables"]
    return {Path(row["item"]).stem: row for row in table["rows"]}


def states(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {name: row["state"] for name, row in rows(done).items()}


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def num_done(runs_dir: Path) -> int:
    return sum(run.status() == "done" for run in runs_below(runs_dir))


def test_configs_are_carried_out_in_order_and_then_skipped(labkit: Labkit, tmp_path: Path) -> None:
    configs = tmp_path / "configs"
    write_evaluations(configs, 3)
    write_config(configs / "a-of-base.yaml", EVAL, model__id="run:base")
    write_config(configs / "b-fine.yaml", {k: v for k, v in TRAINING.items() if k not in ("architecture", "tokenizer")},
                 model__id="run:base", name="fine")  # fmt: skip
    write_config(configs / "z-base.yaml", TRAINING, name="base")
    write_config(configs / "c-of-fine.yaml", EVAL, model__id="run:fine")
    planned = labkit("run", "configs", "--dry-run", "--json")
    assert planned.returncode == 0, planned.stderr
    assert list(rows(planned))[-3:] == ["a-of-base", "b-fine", "c-of-fine"]
    assert rows(planned)["c-of-fine"]["needs"] == "configs/b-fine.yaml"
    assert set(states(planned).values()) == {"to do"}
    assert "7 of 7 items are owed; models to load: 3. Nothing was written." in planned.stderr
    assert not (tmp_path / "runs").exists()

    done = labkit("run", "configs", "--json")
    assert done.returncode == 0, done.stderr
    assert set(states(done).values()) == {"done"}
    assert done.stderr.count("done    configs/") == 7
    assert [row["load_s"] is not None for name, row in rows(done).items() if name.startswith("e")] == [
        True,
        False,
        False,
    ]
    for row in rows(done).values():
        assert (tmp_path / row["log"]).read_text().count("labkit run configs/") == 1
    again = labkit("run", "configs", "configs/e0.yaml")
    assert again.returncode == 0, again.stderr
    lines = [line.split("\t") for line in again.stdout.splitlines()]
    assert lines[0][:3] == ["item", "state", "run"] and {line[1] for line in lines[1:]} == {"skipped"}
    assert len(runs_below(tmp_path / "runs")) == 7


def test_what_rests_on_an_older_training_is_done_once_more(labkit: Labkit, tmp_path: Path) -> None:
    def of_base() -> list[Run]:
        """The evaluations, the oldest first."""
        return [run for run in runs_below(tmp_path / "runs") if run.command == "eval"]

    def newest_base() -> str:
        return max(run.id for run in runs_below(tmp_path / "runs") if run.command == "train")

    configs = tmp_path / "configs"
    write_config(configs / "base.yaml", TRAINING, name="base")
    write_config(configs / "greedy.yaml", EVAL, model__id="run:base")
    assert labkit("run", "configs").returncode == 0
    first = newest_base()

    write_config(configs / "base.yaml", TRAINING, name="base", seed=7)
    planned = labkit("run", "configs", "--dry-run", "--json")
    assert states(planned) == {"base": "to do", "greedy": "to do"}
    # As after a kill between the two: the training is finished, and its evaluation that of the one before. That it was
    # interrupted makes no difference: nobody can go on with it.
    assert labkit("run", "configs/base.yaml").returncode == 0
    of_base()[0].result_path.unlink()
    done = labkit("run", "configs", "--json")
    assert (done.returncode, states(done)) == (0, {"base": "skipped", "greedy": "done"}), done.stderr
    assert [run.manifest["parents"][0]["run"] for run in of_base()] == [first, newest_base()]
    assert set(states(labkit("run", "configs", "--json")).values()) == {"skipped"}

    write_config(configs / "base.yaml", TRAINING, name="base")  # as it was: its run is there, but no longer the newest
    second = write_config(configs / "second.yaml", EVAL, model__id="run:base", seed=7)
    refused = labkit("run", "configs")
    assert refused.returncode == 2
    words = " ".join(refused.stderr.split())
    assert f"configs/second.yaml needs run:base as configs/base.yaml makes it, in {first}" in words
    assert f"newer {newest_base()}" in words and "labkit runs rm" in words
    second.unlink()
    of_base()[0].finish({}, owed=0, num_asked=of_base()[0].ask().num_rollouts)
    done = labkit("run", "configs", "--json")
    assert (done.returncode, rows(done)["greedy"]["run"]) == (0, of_base()[0].id)  # that of the training as it is asked


def test_a_world_from_its_data_to_its_hidden_states(labkit: Labkit, tmp_path: Path) -> None:
    configs = tmp_path / "configs"
    sizes = {"train": 40, "validation": 8, "test": 8}
    write_config(
        configs / "data.yaml", command="data", out="world", tasks=["distance"], ordinary=sizes, atlantis=sizes, mixture=None,
        cities={"num_cities": 60, "num_ids": 1000, "id_digits": 3, "atlantis": {"num_cities": 8}},
    )  # fmt: skip
    training = {key: value for key, value in TRAINING.items() if key != "tokenizer"} | {
        "tokenizer": {"name": "characters"}
    }
    write_config(
        configs / "train.yaml", training, name="base", examples={"name": "dataset", "path": "world/distance"}
    )  # fmt: skip
    write_config(configs / "eval.yaml", command="eval", model__id="run:base", task={"name": "world", "data": "world"})
    write_config(
        configs / "extract.yaml", command="extract", model__id="run:base", cities="world/cities.csv", layers=[1],
        probe={"num_train": 30, "num_test": 10},
    )  # fmt: skip
    done = labkit("run", "configs", "--json")
    assert done.returncode == 0, done.stderr
    assert set(states(done).values()) == {"done"}
    loads = [rows(done)[name]["load_s"] is not None for name in ("eval", "extract")]
    assert loads == [True, False]  # the evaluation's model is the extraction's
    assert set(states(labkit("run", "configs", "--json")).values()) == {"skipped"}


def test_the_first_failure_stops_and_what_hangs_on_it_is_blocked(labkit: Labkit, tmp_path: Path) -> None:
    configs = tmp_path / "configs"
    write_config(configs / "a.yaml", EVAL, model__id="builtin:nothing")
    write_config(configs / "b.yaml", EVAL)
    write_config(configs / "t.yaml", TRAINING, name="t", examples={"name": "jsonl", "path": str(configs / "few.jsonl")})
    (configs / "few.jsonl").write_text('{"prompt": "1", "answer": "2"}\n')
    write_config(configs / "u.yaml", EVAL, model__id="run:t")
    write_config(configs / "no-gpu.yaml", EVAL, model__device="cuda:7")
    done = labkit("run", "configs/a.yaml", "configs/b.yaml", "--json")
    assert done.returncode == 1
    assert states(done) == {"a": "failed", "b": "not started"}
    assert "there is no built-in model 'nothing'" in rows(done)["a"]["message"]
    assert "2 of 2 items are not done: 1 failed, 1 not started" in done.stderr
    assert "the log of each that failed says why" in done.stderr
    done = labkit("run", "configs", "--keep-going", "--json")
    assert done.returncode == 1
    assert states(done) == {"a": "failed", "b": "done", "no-gpu": "failed", "t": "failed", "u": "blocked"}
    assert rows(done)["u"]["message"] == "needs configs/t.yaml, which is failed"
    # An error that says what is wrong is not tried again; a machine may fare better the next time.
    assert [rows(done)[name]["attempts"] for name in ("a", "t", "no-gpu")] == [1, 1, 2]
    assert "there is no device 'cuda:7' here" in rows(done)["no-gpu"]["message"]


DIES = """
import os, pathlib, signal, sys

def prompts(split):
    return [{"prompt": str(number)} for number in range(8)]

def score(prompt, text):
    deaths = pathlib.Path(__file__).with_suffix(".deaths")
    if prompt.messages[0]["content"] == "5" and (left := int(deaths.read_text())):
        deaths.write_text(str(left - 1))
        print("goodbye", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return 1.0
"""


def test_a_worker_that_dies_is_reported_and_its_item_tried_again(labkit: Labkit, tmp_path: Path) -> None:
    configs = {}
    for name, deaths in (("once", 1), ("often", 9)):
        (tmp_path / f"{name}.py").write_text(DIES)
        (tmp_path / f"{name}.deaths").write_text(str(deaths))
        configs[name] = write_config(
            tmp_path / f"{name}.yaml", command="eval", name=name, task={"name": "python", "path": f"{name}.py"},
            generation={"batch_size": 4, "max_new_tokens": 2},
        )  # fmt: skip
    done = labkit("run", "once.yaml", "often.yaml", "--keep-going", "--json")
    assert done.returncode == 1, done.stderr
    assert states(done) == {"once": "done", "often": "failed"}
    assert [row["attempts"] for row in rows(done).values()] == [2, 2]
    assert "its worker was ended by SIGKILL: killed by hand, or by the system because memory ran out" in done.stderr
    assert "goodbye" in done.stderr and "goodbye" in rows(done)["often"]["message"]
    for row in rows(done).values():
        assert f"log: {row['log']}" in done.stderr
        assert (tmp_path / row["log"]).read_text().count("labkit run") == 2
    assert {run.manifest["name"]: run.status() for run in runs_below(tmp_path / "runs")} == {
        "once": "done", "often": "interrupted",
    }  # fmt: skip
    (tmp_path / "often.deaths").write_text("0")
    assert labkit("run", "often.yaml", "--retries", "0").returncode == 0
    check_each_done_once(list(configs.values()), tmp_path / "runs")


READS = """
import subprocess

def prompts(split):
    return [{"prompt": "one"}]

def score(prompt, text):
    assert subprocess.run(["cat"], capture_output=True, check=True).stdout == b""
    try:
        input()
    except EOFError:
        return 1.0
"""


def test_a_task_that_reads_its_input_takes_no_request(tmp_path: Path) -> None:
    (tmp_path / "reads.py").write_text(READS)
    for seed in range(2):
        write_config(tmp_path / "configs" / f"{seed}.yaml", command="eval", seed=seed,
                     task={"name": "python", "path": str(tmp_path / "reads.py")})  # fmt: skip
    process = launch(tmp_path, "run", "configs")
    try:
        output = process.communicate(timeout=60)[0].decode()
    finally:
        process.kill()
    assert process.returncode == 0, output
    results = [run.result() for run in runs_below(tmp_path / "runs")]
    assert len(results) == 2 and not any(result["warnings"] for result in results if result is not None)


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_runner_leaves_nothing_running(tmp_path: Path, how: signal.Signals, code: int) -> None:
    configs = [write_config(tmp_path / f"{seed}.yaml", LONG, seed=seed) for seed in range(2)]
    process = launch(tmp_path, "run", *(path.name for path in configs))
    wait_until(lambda: any(list(run.rows_dir.glob("*.jsonl")) for run in runs_below(tmp_path / "runs")))
    workers = children_of(process.pid)
    returncode, output = stop(process, how)
    assert returncode == code, output
    assert len(workers) == 1 and not any(map(is_alive, workers))
    (run,) = runs_below(tmp_path / "runs")
    assert run.status() == "interrupted" and run.events()[-1]["event"] == "stopped"
    assert "0.yaml\tinterrupted" in output and "1.yaml\tnot started" in output
    assert "the same command does what is owed" in output
    finished = subprocess.run(
        [sys.executable, "-m", "labkit", "run", *(path.name for path in configs)], cwd=tmp_path, check=True, env=os.environ
    )  # fmt: skip
    assert finished.returncode == 0
    check_each_done_once(configs, tmp_path / "runs")


def kill_again_and_again(folder: Path, *, num_kills: int, jobs: int) -> None:
    """Kill in turns the runner and a worker at random moments of the work, then let it come to its end."""
    moments = random.Random(7)
    kills_left = num_kills
    for _ in range(num_kills + 1):
        process = launch(folder, "run", "configs", "--jobs", str(jobs))
        while kills_left:
            before = num_done(folder / "runs")
            wait_until(lambda: process.poll() is not None or num_done(folder / "runs") > before)  # noqa: B023
            time.sleep(moments.uniform(0, 0.5))
            workers = children_of(process.pid)
            assert process.poll() is None and workers, "it ended before it was killed so often"
            kills_left -= 1
            if kills_left % 2:
                process.kill()
                process.communicate()
                wait_until(lambda: not any(map(is_alive, workers)), timeout_s=5)  # noqa: B023
                break
            os.kill(moments.choice(workers), signal.SIGKILL)
        else:
            output = process.communicate(timeout=150)[0].decode()
            assert process.returncode == 0, output
            return


def test_kills_of_runner_and_worker_lose_and_repeat_nothing(tmp_path: Path) -> None:
    configs = [write_config(tmp_path / "configs" / f"{seed}.yaml", LONG, seed=seed) for seed in range(6)]
    kill_again_and_again(tmp_path, num_kills=2, jobs=1)
    check_each_done_once(configs, tmp_path / "runs")


@pytest.mark.slow
def test_many_kills_in_the_middle_of_a_hundred_items(tmp_path: Path) -> None:
    configs = [write_config(tmp_path / "configs" / f"{seed:02}.yaml", LONG, seed=seed) for seed in range(100)]
    kill_again_and_again(tmp_path, num_kills=20, jobs=2)
    check_each_done_once(configs, tmp_path / "runs")


def test_two_runners_at_once_share_the_work(tmp_path: Path) -> None:
    configs = [write_config(tmp_path / "configs" / f"{seed}.yaml", LONG, seed=seed) for seed in range(4)]
    configs.append(write_config(tmp_path / "configs" / "base.yaml", TRAINING, name="base"))
    configs += [
        write_config(tmp_path / "configs" / f"of-base-{seed}.yaml", EVAL, seed=seed, model__id="run:base")
        for seed in range(3)
    ]
    both = [launch(tmp_path, "run", "configs") for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    check_each_done_once(configs, tmp_path / "runs")


def test_what_another_command_works_on_is_waited_for(labkit: Labkit, tmp_path: Path) -> None:
    configs = [
        write_config(tmp_path / "base.yaml", TRAINING, name="base", optimisation__num_steps=400),
        write_config(tmp_path / "e.yaml", EVAL, model__id="run:base"),
    ]
    training = launch(tmp_path, "train", "base.yaml")
    try:
        wait_until(lambda: any(run.status() == "running" for run in runs_below(tmp_path / "runs")))
        done = labkit("run", "base.yaml", "e.yaml", "--json")
        assert done.returncode == 0, done.stderr
        assert states(done) == {"base": "skipped", "e": "done"}
        assert "waiting for other processes, which work on 1 of the items" in done.stderr
    finally:
        training.kill()
        training.communicate()
    check_each_done_once(configs, tmp_path / "runs")


def test_a_worker_that_is_told_to_end_is_replaced(tmp_path: Path) -> None:
    configs = [write_config(tmp_path / f"{seed}.yaml", LONG, seed=seed) for seed in range(2)]
    process = launch(tmp_path, "run", *(path.name for path in configs))
    wait_until(lambda: any(list(run.rows_dir.glob("*.jsonl")) for run in runs_below(tmp_path / "runs")))
    (worker,) = children_of(process.pid)
    os.kill(worker, signal.SIGTERM)
    output = process.communicate(timeout=120)[0].decode()
    assert process.returncode == 0, output
    assert "its worker was told to end" in output and "it is tried again" in output
    check_each_done_once(configs, tmp_path / "runs")


def test_two_workers_two_models(labkit: Labkit, tmp_path: Path, tiny_folder: Path) -> None:
    configs = tmp_path / "configs"
    paths = write_evaluations(configs, 3) + [
        write_config(configs / f"t{seed}.yaml", EVAL, seed=seed, model__id=str(tiny_folder)) for seed in range(3)
    ]
    done = labkit("run", "configs", "--jobs", "2", "--json")
    assert done.returncode == 0, done.stderr
    num_loads = sum(row["load_s"] is not None for row in rows(done).values())
    assert num_loads in (2, 3)  # who is first may help the other, where that seems to pay
    (table,) = json.loads(done.stdout)["tables"]
    assert any(note.endswith("by 2 workers") for note in table["notes"])
    check_each_done_once(paths, tmp_path / "runs")


IMPORTS_OF_THE_RUNNER = """
import sys
from labkit.cli.main import main
try:
    main()
finally:
    print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def test_the_runner_itself_never_imports_torch(tmp_path: Path) -> None:
    write_config(tmp_path / "a.yaml", EVAL)
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS_OF_THE_RUNNER, "run", "a.yaml"], cwd=tmp_path, env=os.environ,
        capture_output=True, text=True,
    )  # fmt: skip
    loaded = set(done.stderr.splitlines()[-1].split()[1:])
    assert "rich" in loaded and loaded & {"torch", "transformers", "datasets", "polars", "numpy"} == set()
    assert num_done(tmp_path / "runs") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.yaml"], "there is no config nothing.yaml"),
        (["circle"], "circle/a.yaml needs run:b (model.id), which circle/b.yaml makes"),
        (["mine.txt"], "has no `command:`"),
        (["needy.yaml"], "there is no folder/model, and none of these configs makes it"),
        (["needy.yaml", "--executor", "dask"], "'dask' is not one of 'local', 'ray'"),
        (["needy.yaml", "--jobs", "0"], "Invalid value for '--jobs'"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(
    labkit: Labkit, tmp_path: Path, arguments: list[str], words: str
) -> None:
    for name, need in (("a", "b"), ("b", "a")):
        write_config(tmp_path / "circle" / f"{name}.yaml", command="train", name=name, model__id=f"run:{need}")
    (tmp_path / "mine.txt").write_text("seed: 1\n")
    write_config(tmp_path / "needy.yaml", EVAL, model__id="./folder/model")
    done = labkit("run", *arguments)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr and not (tmp_path / "runs").exists()


def test_what_lacks_something_is_passed_over_when_asked_to_keep_going(labkit: Labkit, tmp_path: Path) -> None:
    write_config(tmp_path / "needy.yaml", EVAL, model__id="./folder/model")
    done = labkit("run", "needy.yaml", "--keep-going", "--json")
    assert done.returncode == 1
    assert states(done) == {"needy": "blocked"}
    assert rows(done)["needy"]["message"] == "model.id: there is no folder/model"
    assert "log" not in done.stderr


def test_a_runner_that_cannot_start_workers_gives_up(labkit: Labkit, tmp_path: Path) -> None:
    write_config(tmp_path / "a.yaml", EVAL)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "sitecustomize.py").write_text(
        "import sys\nif '-c' in sys.orig_argv: sys.exit('no luck today')\n"
    )
    done = labkit("run", "a.yaml", env={"PYTHONPATH": f"{tmp_path / 'bad'}:{os.environ.get('PYTHONPATH', '')}"})
    assert done.returncode == 3
    assert "no worker can be started" in done.stderr and "no luck today" in done.stderr
    assert "interrupted" not in done.stderr


def test_a_terminal_shows_of_many_items_what_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    items = items_of(*write_evaluations(Path("configs"), 30))
    queue = Queue(items, find_order(items), [Found("absent")] * 30)
    for position in range(30):
        queue.take(0)
        queue.ended(position, "failed" if position == 7 else "done", message="no luck")
    everything = summary(queue, None)
    assert len(everything.rows) == 30 and all(row["log"] for row in everything.rows)
    shown = summary(queue, None, on_terminal=True)
    assert [row["item"] for row in shown.rows] == ["configs/e07.yaml"] and shown.notes == ["29 done, 1 failed"]
    assert "log" in fitting_columns(shown, 40)[0] and shown.rows[0]["log"] == str(items[7].log_path)
    few = items[:2]
    queue = Queue(few, find_order(few), [Found("done")] * 2)
    shown = summary(queue, None, on_terminal=True)
    assert len(shown.rows) == 2 and "log" not in shown.columns
