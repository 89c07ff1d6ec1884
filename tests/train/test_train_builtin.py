"""The model that comes with labkit: what its folder says of its making is so."""

from __future__ import annotations

import getpass
import json
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from killing import launch, only_run

from labkit.config.base import file_layer, resolve, validate
from labkit.config.commands import TrainConfig
from labkit.config.sections import ModelConfig
from labkit.config.templates import find_template
from labkit.models.engine import Decoding
from labkit.models.folder import find_model
from labkit.models.loading import load_engine
from labkit.models.torch_engine import TorchEngine
from labkit.record.provenance import package_versions
from labkit.tasks.countdown import CountdownTask
from labkit.train.session import final_model_dir

MODEL = ModelConfig(id="builtin:countdown-tiny", device="cpu")


@pytest.fixture(scope="module")
def engine() -> TorchEngine:
    return load_engine(find_model(MODEL), MODEL)


@pytest.fixture(scope="module")
def training() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((find_model(MODEL).path / "training.json").read_text())
    return found


def greedy_accuracy(engine: TorchEngine, num_prompts: int = 128) -> float:
    task = CountdownTask(split="test", seed=0)
    prompts = task.prompts(preset="short", offset=0, num_prompts=num_prompts)
    done = engine.generate([engine.encode(prompt) for prompt in prompts], Decoding(16))
    return sum(task.score(prompt, made.text).correct for prompt, made in zip(prompts, done, strict=True)) / num_prompts


def test_the_folder_is_small() -> None:
    assert sum(path.stat().st_size for path in find_model(MODEL).path.rglob("*")) <= 4e6


def test_it_was_trained_with_the_shipped_template(training: dict[str, Any]) -> None:
    template = resolve(TrainConfig, [file_layer(find_template(Path("countdown-tiny")))]).config.as_json()
    free = ("name", "runs_dir")
    assert {key: value for key, value in as_asked_now(training["config"]).items() if key not in free} == {
        key: value for key, value in template.items() if key not in free
    }


def as_asked_now(recorded: dict[str, Any]) -> dict[str, Any]:
    """A recorded config in today's words: keys that came later have the values that they stood for unsaid."""
    how = dict(recorded["optimisation"])
    if "bf16" in how:
        how["autocast"] = "bfloat16" if how.pop("bf16") else None
    return validate(TrainConfig, recorded | {"optimisation": how}).as_json()


def test_the_weights_are_those_that_the_training_ended_in(engine: TorchEngine, training: dict[str, Any]) -> None:
    assert engine.weights_digest() == training["result"]["weights"]
    assert training["base"]["first_weights"] != training["result"]["weights"]
    settings = find_model(MODEL).settings()
    assert settings == {
        "prompt_preset": training["base"]["preset"],
        "max_new_tokens": training["base"]["max_new_tokens"],
    }


def test_its_record_names_no_machine() -> None:
    for path in find_model(MODEL).path.glob("*.json"):
        texts = re.findall(r'"([^"\n]*)"', path.read_text())
        assert [text for text in texts if re.match(r"(/|~|[A-Z]:\\)\w", text)] == []
        assert socket.gethostname() not in texts and getpass.getuser() not in texts


def test_it_solves_some_problems_and_not_most(engine: TorchEngine) -> None:
    assert 0.10 <= greedy_accuracy(engine) <= 0.50


@pytest.mark.slow
def test_the_shipped_model_can_be_made_again(
    tmp_path: Path, training: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    process = launch(tmp_path, "train", find_template(Path("countdown-tiny")).absolute(), "--set", "device=cpu")
    output = process.communicate(timeout=1200)[0].decode()
    duration_s = time.monotonic() - began
    assert process.returncode == 0, output
    run = only_run(tmp_path / "runs")
    model = ModelConfig(id=str(final_model_dir(run)), device="cpu")
    accuracy = greedy_accuracy(load_engine(find_model(model), model))
    here = package_versions()
    same_packages = all(here.get(name) == version for name, version in training["packages"].items())
    same_weights = (run.result() or {})["weights"] == training["result"]["weights"]
    with capsys.disabled():
        print(
            f"\ntrained in {duration_s:.0f} s, greedy accuracy {accuracy:.3f}, "
            f"{'the same' if same_weights else 'other'} weights as shipped, {'the same' if same_packages else 'other'} packages"
        )
    # Bits differ between kinds of CPU; what a training learns does not.
    assert 0.10 <= accuracy <= 0.50
    assert run.manifest["base"]["first_weights"] == training["base"]["first_weights"]
    assert duration_s < 1200
