"""What a user sees when something is wrong: an exit code, what and where, what to do; never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from killing import only_run
from recorded_runs import GREEDY, NOISY, WARM, record_run
from sweeps import perturb, raw_rows, rollouts

Labkit = Callable[..., subprocess.CompletedProcess[str]]


SMALL = ["--device", "cpu", "--num-prompts", "4", "--num-rollouts", "4", "--preset", "short", "--max-new-tokens", "4"]

GOOD_PROMPT = '{"prompt": "1 + 1 =", "answer": "2"}\n'


def refused(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    """Check an error: its exit code, that it names every part, that it gives a hint, and shows no traceback."""
    assert done.returncode == code, done.stderr
    for part in parts:
        assert part in done.stderr
    assert "\n→ " in done.stderr or "Try '" in done.stderr
    assert "Traceback" not in done.stderr
    assert "bug in labkit" not in done.stderr


CONFIGS = {
    "unknown key": ("num_rolouts: 3\n", ["`num_rolouts`", "c.yaml", "did you mean `num_rollouts`?"]),
    "wrong section": ("num_prompts: 3\n", ["`num_prompts`", "did you mean `task.num_prompts`?"]),
    "another command's": ("command: sample\n", ["c.yaml is a config for labkit sample", "labkit sample --config"]),
    "of another kind": ("num_rollouts: many\n", ["num_rollouts", '"many"', "c.yaml"]),
    "negative": ("sigmas: [0.1, -1e-5]\n", ["sigmas[1]", "-1e-05", "c.yaml"]),
    "malformed": ("a: [1\nb: 2\n", ["c.yaml, line 2"]),
    "twice": ("seed: 1\nseed: 2\n", ["c.yaml, line 2", "'seed'", "twice"]),
}


@pytest.mark.parametrize(("text", "parts"), CONFIGS.values(), ids=list(CONFIGS))
def test_a_wrong_config_file(labkit: Labkit, tmp_path: Path, text: str, parts: list[str]) -> None:
    (tmp_path / "c.yaml").write_text(text)
    refused(labkit("perturb", "--config", "c.yaml"), 2, *parts)
    assert not (tmp_path / "runs").exists()


FLAGS = {
    "negative sigma": (["perturb", "--sigma", "-0.1"], ["sigmas[0]", "greater than or equal to 0", "-0.1", "from flag"]),
    "sigma that is no number": (["perturb", "--sigma", "nan"], ["sigmas[0]", "finite"]),
    "endless sigma": (["perturb", "--sigma", "inf"], ["sigmas[0]", "finite"]),
    "a sigma twice": (["perturb", "--sigma", "0.1", "--sigma", "1e-1"], ["sigmas", "twice"]),
    "temperature 0": (["sample", "--temperature", "0"], ["temperatures[0]", "greater than 0"]),
    "no rollouts": (["sample", "--num-rollouts", "0"], ["num_rollouts", "greater than or equal to 1"]),
    "unknown task": (["sample", "--task", "cowntdown"], ["'cowntdown'", "countdown, goodhart, gsm8k, world, a .py file"]),
    "unknown split": (["sample", "--split", "tset"], ["task.split", "tset", "'test'"]),
    "unknown dtype": (["sample", "--dtype", "float61"], ["model.dtype", "float61"]),
    "--set without a value": (["sample", "--set", "seed"], ["--set seed is not key=value"]),
    "--set of an unknown key": (["sample", "--set", "generation.top_pp=1"], ["top_pp", "did you mean `generation.top_p`?"]),
    "--set of a wrong value": (["sample", "--set", "greedy=perhaps"], ["greedy", "perhaps", "--set"]),
    "missing config": (["sample", "--config", "missing.yaml"], ["missing.yaml", "No such file"]),
    "missing run": (["sample", "--resume", "20990101"], ["no run '20990101' under runs", "labkit runs list"]),
    "no last run": (["train", "--resume", "last"], ["there is no run of labkit train under runs"]),
    "unknown option": (["sample", "--temprature", "1"], ["--temprature", "--temperature"]),
    "unknown command": (["smaple"], ["smaple"]),
    "training nothing": (["train"], ["labkit train needs a config", "templates/countdown-tiny.yaml"]),
    "mistyped template": (["train", "countdown-tinny"], ["no config countdown-tinny", "did you mean templates/countdown-tiny"]),
    "learning rate 0": (["train", "countdown-tiny", "--learning-rate", "0"], ["optimisation.learning_rate", "greater than 0"]),
    "two starts": (["train", "countdown-tiny", "--set", "model.id=x"], ["give either `model`", "`architecture`"]),
}  # fmt: skip


@pytest.mark.parametrize(("words", "parts"), FLAGS.values(), ids=list(FLAGS))
def test_a_wrong_flag(labkit: Labkit, tmp_path: Path, words: list[str], parts: list[str]) -> None:
    refused(labkit(*words), 2, *parts)
    assert list(tmp_path.iterdir()) == []


def test_a_mistyped_environment_variable(labkit: Labkit) -> None:
    done = labkit("sample", env={"LABKIT_TSK__SPLIT": "test"})
    refused(done, 2, "LABKIT_TSK__SPLIT", "did you mean `LABKIT_TASK__SPLIT`?")
    refused(labkit("sample", env={"LABKIT_SEED": "x"}), 2, "seed", '"x"', "environment LABKIT_SEED")


def test_prompts_that_cannot_be_read(inside: Labkit, tmp_path: Path) -> None:
    """Each file's own reasons are tested beside its task; here that they reach the user as they are."""
    (tmp_path / "bad.jsonl").write_text(GOOD_PROMPT + "{bad\n")
    (tmp_path / "data.json").write_bytes(b'[{"numbers": [1, 2], "target": "\xff"}]')
    (tmp_path / "mine.py").write_text(
        "def prompts():\n    return [{'prompt': '1'}]\ndef score(prompt, text):\n    1 / 0\n"
    )
    refused(inside("sample", "--task", "missing.jsonl"), 2, "missing.jsonl", "No such file")
    refused(inside("sample", "--task", "bad.jsonl"), 2, "bad.jsonl, line 2", "not JSON")
    refused(inside("sample", "--data", "missing.json"), 2, "missing.json", "No such file")
    refused(inside("sample", "--data", "data.json"), 2, "data.json", "UTF-8")
    failing = inside(
        "sample", "--task", "mine.py", "--num-rollouts", "1", "--set", "generation.max_new_tokens=2", "--device", "cpu"
    )
    assert failing.returncode == 0, failing.stderr
    assert "mine.py: score() failed on" in failing.stderr
    assert "ZeroDivisionError" in failing.stderr


def test_models_that_cannot_be_loaded(inside: Labkit, tiny_folder: Path, tmp_path: Path) -> None:
    names = ("unweighted", "pickled", "untemplated")
    unweighted, pickled, untemplated = (Path(shutil.copytree(tiny_folder, tmp_path / name)) for name in names)
    (unweighted / "model.safetensors").unlink()
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    (untemplated / "chat_template.jinja").unlink()
    refused(inside("sample", "--model", unweighted), 2, "unweighted has no weights")
    refused(inside("sample", "--model", pickled), 2, "only pickled weights (pytorch_model.bin)")
    refused(inside("sample", "--model", untemplated), 2, "untemplated has no chat template", "chat_template.jinja")
    refused(inside("sample", "--model", "nobody/nothing"), 3, "cannot download nobody/nothing", "--model")
    assert not (tmp_path / "runs").exists()


def test_a_device_that_is_not_there(labkit: Labkit, tiny_folder: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    refused(labkit("sample", "--model", tiny_folder, "--device", "cuda"), 3, "no device 'cuda'", "labkit doctor")


def test_runs_that_cannot_be_resumed_as_asked(inside: Labkit, tiny_folder: Path, tmp_path: Path) -> None:
    run = perturb(tiny_folder, tmp_path / "runs", sigmas=[0.1])
    before = rollouts(run)
    refused(inside("sample", "--resume", run.id), 2, f"{run.id} is a run of labkit perturb", "labkit perturb --resume")
    refused(inside("train", "--resume", run.path), 2, f"{run.id} is a run of labkit perturb")
    refused(inside("train", "countdown-tiny", "--resume", run.path), 2, "run of labkit perturb")
    refused(inside("perturb", "--resume", run.id, "--seed", "7"), 2, "the seed 42, not 7", "--seed")
    refused(
        inside("perturb", "--resume", run.id, "--dtype", "bfloat16"), 2, "dtype: float32  |  bfloat16", "another base"
    )
    assert rollouts(run).equals(before)
    assert run.status() == "done"


def test_runs_folders_that_cannot_be_written(inside: Labkit, tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    words = ["perturb", "--model", tiny_folder, *SMALL, "--runs-dir"]
    refused(inside(*words, "a file"), 2, "cannot write a file/perturb/", "Not a directory")
    if sys.platform == "linux":
        refused(inside(*words, "/proc/runs"), 2, "cannot write /proc/runs/perturb/")


def test_a_k_beyond_the_rollouts(inside: Labkit, tmp_path: Path) -> None:
    record_run(tmp_path / "runs", {GREEDY: ["+", "-"], WARM: ["+-+-", "--+-"], NOISY: ["+-+-", "----"]})
    refused(inside("report", "-k", "9"), 2, "9", "4")
    assert inside("report", "-k", "4").returncode == 0


LIMITED = """
import resource, runpy, signal, sys
limit = int(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a full disk has no signal: the write fails
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.argv = ["labkit", *sys.argv[2:]]
runpy.run_module("labkit", run_name="__main__")
"""


def test_a_full_disk_loses_nothing(labkit: Labkit, tiny_folder: Path, tmp_path: Path) -> None:
    words = ["perturb", "--model", str(tiny_folder), *SMALL, "--num-rollouts", "40", "--sigma", "0.1"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "20000", *words], cwd=tmp_path, capture_output=True, text=True, env=os.environ,
        timeout=60,
    )  # fmt: skip
    refused(
        done,
        3,
        "no room to write runs/perturb/",
        "--resume goes on",
        "interrupted; go on with: labkit perturb --resume",
    )
    run = only_run(tmp_path / "runs")
    assert 0 < raw_rows(run) < 4 * 41
    assert run.status() == "interrupted"
    written = rollouts(run)
    again = labkit("perturb", "--resume", "last", "--json")
    assert again.returncode == 0, again.stderr
    json.loads(again.stdout)
    assert raw_rows(run) == rollouts(run).height == 4 * 41
    assert written.join(rollouts(run), on=["prompt", "arm", "index", "text"], how="semi").height == written.height


def test_verbose_shows_where(labkit: Labkit) -> None:
    done = labkit("perturb", "--sigma", "-1", "--verbose")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "sigmas[0]" in done.stderr


def test_an_error_is_talk_and_not_data(labkit: Labkit) -> None:
    assert labkit("perturb", "--sigma", "-1", "--json").stdout == ""
