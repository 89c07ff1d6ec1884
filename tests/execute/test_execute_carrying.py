"""What a worker does with one item after another, in this process."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from city_worlds import make_cities, save_cities, save_city_reader
from eval_worlds import save_city_model, save_world
from queues import EVAL, TRAINING, items_of, runs_below, write_config
from sweeps import rollouts

from labkit.execute.carrying import Carrier, claimed
from labkit.execute.lookup import look_up
from labkit.execute.messages import Event, Outcome, request_for
from labkit.record.provenance import capture
from labkit.record.run import open_run


class Worker:
    """A carrier, and what it told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.carrier = Carrier(self.events.append)

    def do(self, config: Path, *, log_bytes: int | None = None) -> Outcome:
        """Carry a config out, as a runner asks for it that has just looked what is there."""
        (item,) = items_of(config)
        log = item.log_path
        size = log.stat().st_size if log.exists() else 0
        (found,) = look_up([item])
        run = found.run if found.state == "interrupted" else None
        return self.carrier.carry_out(request_for(0, item, size if log_bytes is None else log_bytes, run))

    @property
    def num_loads(self) -> int:
        return sum(event.kind == "loaded" for event in self.events)


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["labkit"])
    return Worker()


def log_of(config: Path) -> str:
    return items_of(config)[0].log_path.read_text()


def run_of(outcome: Outcome) -> Any:
    assert outcome.run is not None, outcome
    return open_run(Path(outcome.run))


def test_evaluations_of_one_model_load_it_once(worker: Worker) -> None:
    configs = [write_config(Path(f"{seed}.yaml"), EVAL, seed=seed) for seed in range(3)]
    outcomes = [worker.do(config) for config in configs]
    assert [outcome.state for outcome in outcomes] == ["done"] * 3
    assert worker.num_loads == 1
    runs = [run_of(outcome) for outcome in outcomes]
    assert {run.status() for run in runs} == {"done"}
    provenance = [run.manifest["provenance"] for run in runs]
    assert [each["argv"] for each in provenance] == [["labkit", "run", str(config)] for config in configs]
    assert capture()["git"] is capture()["git"]  # asked once a process
    assert all(each["git"] == provenance[0]["git"] for each in provenance)
    assert "model loaded in" in log_of(configs[0]) and "model loaded" not in log_of(configs[1])


def test_a_perturbed_or_trained_model_leaves_the_next_item_as_it_would_be_alone(worker: Worker) -> None:
    asked = {"task__num_prompts": 6, "generation__max_new_tokens": 8}
    noisy = write_config(
        Path("noisy.yaml"), EVAL, **asked, command="perturb", sigmas=[0.3], num_rollouts=2, greedy=False
    )
    (further,) = [
        write_config(
            Path("further.yaml"), {key: value for key, value in TRAINING.items() if key not in ("architecture", "tokenizer")},
            model__id="builtin:countdown-tiny", optimisation__learning_rate=0.1,
        )
    ]  # fmt: skip
    plain = write_config(Path("plain.yaml"), EVAL, **asked)
    after = write_config(Path("after.yaml"), EVAL, **asked, name="after")
    whole = [worker.do(config) for config in (noisy, plain, further, after)]
    assert [outcome.state for outcome in whole] == ["done"] * 4, whole
    assert worker.num_loads == 2  # the training gave its room away
    alone = run_of(Worker().do(write_config(Path("alone.yaml"), EVAL, **asked, name="alone")))
    for outcome in (whole[1], whole[3]):
        assert rollouts(run_of(outcome)).equals(rollouts(alone))
        assert run_of(outcome).base_hash == alone.base_hash


def test_an_extraction_takes_the_loaded_model(worker: Worker) -> None:
    save_city_reader(Path("model"), tasks=["distance"])
    save_cities(Path("world"), make_cities())
    shared = {"model": {"id": "./model", "device": "cpu"}, "cities": "world/cities.csv"}
    configs = [
        write_config(Path(f"{layer}.yaml"), shared, command="extract", layers=[layer], probe={"num_train": 30, "num_test": 10})
        for layer in (1, 2)
    ]  # fmt: skip
    assert [worker.do(config).state for config in configs] == ["done", "done"]
    assert worker.num_loads == 1
    found = look_up(items_of(*configs))
    assert [each.state for each in found] == ["done", "done"]
    states = next(Path("runs/extract").glob("*/artifacts/representations/*.safetensors"))
    states.unlink()  # a damaged one is mended by removing it
    (damaged,) = [
        config for config, each in zip(configs, look_up(items_of(*configs)), strict=True) if each.state == "interrupted"
    ]
    assert worker.do(damaged).state == "done"
    assert states.exists() and look_up(items_of(*configs)) == found


def test_a_run_is_known_by_what_was_asked_and_not_by_what_was_found(worker: Worker) -> None:
    """The record names the evaluations that were there; whoever asks for all of them asks the same as before."""
    save_world(Path("world"))
    save_city_model(Path("model"))
    asked = {"command": "eval", "model": {"id": "./model", "device": "cpu"}, "task": {"name": "world", "data": "world"}}
    config = write_config(Path("all.yaml"), asked, task__num_prompts=2)
    run = run_of(worker.do(config))
    assert run.manifest["config"]["task"]["evaluations"] is not None
    assert look_up(items_of(config))[0].run == run.path
    run.result_path.unlink()
    assert look_up(items_of(config))[0].state == "interrupted"
    assert worker.do(config).state == "done"
    assert [each.path for each in runs_below(Path("runs"))] == [run.path] and run.status() == "done"


def test_a_run_that_cannot_go_on_says_how_to_start_anew(worker: Worker) -> None:
    Path("mine.jsonl").write_text('{"prompt": "one"}\n')
    config = write_config(Path("a.yaml"), command="eval", task={"name": "jsonl", "path": "mine.jsonl"})
    run = run_of(worker.do(config))
    run.result_path.unlink()
    Path("mine.jsonl").write_text('{"prompt": "two"}\n')
    outcome = worker.do(config)
    assert outcome.state == "failed" and "rests on another base" in outcome.message
    assert f"labkit runs rm {run.id}" in outcome.message and "--resume" not in outcome.message + log_of(config)
    shutil.rmtree(run.path)
    assert worker.do(config).state == "done"


def test_what_was_interrupted_goes_on(worker: Worker) -> None:
    stop = Path("stop")
    stop.touch()
    Path("mine.py").write_text(STOPS)
    config = write_config(
        Path("a.yaml"),
        command="eval",
        task={"name": "python", "path": "mine.py"},
        generation={"batch_size": 2, "max_new_tokens": 2},
    )
    outcome = worker.do(config)
    assert (outcome.state, outcome.worker_is_whole, outcome.try_again) == ("interrupted", False, False)
    stop.unlink()
    (run,) = runs_below(Path("runs"))
    assert run.status() == "interrupted"
    outcome = worker.do(config)
    assert (outcome.state, outcome.run) == ("done", str(run.path))
    assert run.status() == "done" and len(runs_below(Path("runs"))) == 1
    assert [event["event"] for event in run.events()].count("start") == 2


STOPS = """
import pathlib

def prompts(split):
    return [{"prompt": f"number {number}"} for number in range(6)]

def score(prompt, text):
    if pathlib.Path("stop").exists() and prompt.messages[0]["content"].endswith("3"):
        raise KeyboardInterrupt
    return 1.0
"""


def test_a_training_goes_on_from_its_checkpoint(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_config(Path("t.yaml"), TRAINING, name="small", checkpoint_every=1, log_every=1)
    told = worker.carrier._tell

    def stop_at_two(event: Event) -> None:
        told(event)
        if event.kind == "progress" and event.done >= 2:
            raise KeyboardInterrupt

    worker.carrier._tell = stop_at_two
    monkeypatch.setattr("labkit.execute.watching._EVERY_S", 0.0)
    assert worker.do(config).state == "interrupted"
    worker.carrier._tell = told
    outcome = worker.do(config)
    assert outcome.state == "done", outcome
    (run,) = runs_below(Path("runs"))
    assert run.status() == "done"
    steps = [
        int(line.split(":")[1].split(",")[0]) for line in run.metrics_path.read_text().splitlines() if '"loss"' in line
    ]
    assert steps == [1, 2, 3]
    assert "training from step 1 to 3" in log_of(config) or "training from step 2 to 3" in log_of(config)


def test_data_sets_are_built_once(worker: Worker) -> None:
    config = write_config(
        Path("w.yaml"), command="data", out="world", tasks=["distance"], cities={"num_cities": 40, "atlantis": {"num_cities": 5}},
        ordinary={"train": 20, "validation": 4, "test": 4}, atlantis={"train": 10, "validation": 4, "test": 4}, mixture=None,
    )  # fmt: skip
    assert worker.do(config).state == "done"
    assert worker.do(config).state == "skipped"
    assert "distance: there already" in log_of(config)
    write_config(config, command="data", out="world", tasks=["distance"], seed=1)
    outcome = worker.do(config)
    assert outcome.state == "failed" and "other cities" in outcome.message and not outcome.try_again


@pytest.mark.parametrize(
    ("change", "words", "try_again"),
    [
        ({"model__id": "builtin:nothing"}, "there is no built-in model 'nothing' (→ there are: ", False),
        ({"model__device": "cuda:7"}, "there is no device 'cuda:7' here", True),
    ],
)
def test_what_goes_wrong_is_an_outcome(worker: Worker, change: dict[str, str], words: str, try_again: bool) -> None:
    config = write_config(Path("a.yaml"), EVAL, **change)
    outcome = worker.do(config)
    assert outcome.state == "failed" and words in outcome.message
    assert (outcome.try_again, outcome.worker_is_whole) == (try_again, not try_again)
    assert words.split(" (")[0] in log_of(config)


def test_a_bug_has_its_traceback_in_the_log_and_another_worker_may_try(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall_over(*_arguments: object) -> Outcome:
        raise ZeroDivisionError("of its own making")

    monkeypatch.setattr(Carrier, "_rollouts", fall_over)
    config = write_config(Path("a.yaml"), EVAL)
    outcome = worker.do(config)
    assert (outcome.state, outcome.try_again, outcome.worker_is_whole) == ("failed", True, False)
    assert "ZeroDivisionError('of its own making')" in outcome.message
    assert "Traceback" in log_of(config) and "in fall_over" in log_of(config)


def test_warnings_of_the_result_stand_in_the_log(worker: Worker) -> None:
    Path("mine.py").write_text(
        "def prompts(split):\n    return [{'prompt': 'one'}]\n\ndef score(prompt, text):\n    return 1 / 0\n"
    )
    config = write_config(Path("a.yaml"), command="eval", task={"name": "python", "path": "mine.py"})
    assert worker.do(config).state == "done"
    assert "score() failed on 1 rollouts, which count as wrong" in log_of(config)


HOLDER = """
import sys
from pathlib import Path
from labkit.execute.carrying import claimed
with claimed(Path(sys.argv[1])) as size:
    print(size, flush=True)
    sys.stdin.readline()
"""


def test_what_another_runner_works_on_is_left_to_it(worker: Worker) -> None:
    config = write_config(Path("a.yaml"), EVAL)
    log = items_of(config)[0].log_path
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ
    )
    assert holder.stdout is not None and holder.stdout.readline() == b"0\n"
    assert worker.do(config).state == "running"
    assert not Path("runs/eval").exists()
    with claimed(log, patience_s=0.2) as size:
        assert size is None
    threading.Timer(0.5, holder.communicate).start()
    with claimed(log, patience_s=30) as size:  # as who takes over from a process that has been given up
        assert size == 0
    assert worker.do(config).state == "done"


@pytest.mark.parametrize("where", ["log", "run"])
def test_storage_without_locks_is_named(worker: Worker, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    config = write_config(Path("a.yaml"), EVAL)
    log = items_of(config)[0].log_path
    real = fcntl.flock

    def refuse(descriptor: int, operation: int) -> None:
        if (os.readlink(f"/proc/self/fd/{descriptor}") == str(log.absolute())) == (where == "log"):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", refuse)  # no storage of this kind is at hand
    outcome = worker.do(config)
    assert outcome.state == "failed" and "this storage has no locks" in outcome.message, outcome


def test_a_log_that_cannot_be_written_is_an_outcome(worker: Worker) -> None:
    config = write_config(Path("a.yaml"), EVAL)
    log = items_of(config)[0].log_path
    log.parent.mkdir(parents=True)
    log.symlink_to("/dev/full")
    outcome = worker.do(config)
    assert (outcome.state, outcome.try_again) == ("failed", True), outcome
    assert f"no room to write {log}" in outcome.message


def test_what_another_runner_has_done_meanwhile_is_not_done_again(worker: Worker) -> None:
    config = write_config(Path("a.yaml"), EVAL)
    first = worker.do(config)
    # A runner that looked before that saw neither run nor log.
    (item,) = items_of(config)
    outcome = worker.carrier.carry_out(request_for(0, item, 0, None))
    assert (outcome.state, outcome.run) == ("skipped", first.run)
    assert len(runs_below(Path("runs"))) == 1


def test_what_libraries_and_children_print_is_in_the_log(worker: Worker, capfd: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(
        "import os, subprocess\n\ndef prompts(split):\n    print('from python')\n    os.write(1, b'from below\\n')\n"
        "    subprocess.run(['sh', '-c', 'echo from a child >&2'])\n    return [{'prompt': 'one'}]\n\n"
        "def score(prompt, text):\n    return 1.0\n"
    )
    config = write_config(Path("a.yaml"), command="eval", task={"name": "python", "path": "mine.py"})
    assert worker.do(config).state == "done"
    for words in ("from python", "from below", "from a child"):
        assert words in log_of(config)
    print("after")
    printed = capfd.readouterr()
    assert printed.out == "after\n" and "from" not in printed.err
