"""Trainings of a very small model: what they leave, that interruption changes nothing, and what they refuse."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from killing import launch, only_run, stop
from transformers import AutoModelForCausalLM, AutoTokenizer

from labkit.config.base import Layer, file_layer, resolve
from labkit.config.commands import TrainConfig
from labkit.config.sections import ModelConfig
from labkit.config.yaml_text import dump
from labkit.errors import ConfigError, InputError, RecordError
from labkit.models.engine import Decoding
from labkit.models.folder import find_model
from labkit.models.loading import load_engine
from labkit.record.files import iterate_json_lines
from labkit.record.run import Run
from labkit.tasks.base import Prompt
from labkit.train.session import final_model_dir, resume, start

SMALL: dict[str, Any] = {
    "command": "train",
    "seed": 3,
    "architecture": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "initializer_range": 0.06},
    "tokenizer": {"integer_range": [0, 100], "words": ["+", "-", "*", "/", "(", ")", "=", "<answer>", "</answer>"]},
    "examples": {"name": "countdown", "preset": "short"},
    "optimisation": {"num_steps": 12, "batch_size": 16},
    "evaluation": {"every": 6, "num_prompts": 8, "max_new_tokens": 7},
    "checkpoint_every": 4,
    "log_every": 3,
    "device": "cpu",
}
NUM_LINES = {"loss": [1, 3, 4, 6, 8, 9, 12], "eval_accuracy": [6, 12]}
"""Steps with a line: the first, every third and every checkpoint; every sixth."""


class Interrupted(Exception):
    """Stands for a crash at a chosen step."""


class Watcher:
    """An observer that remembers, and may stop the training at a line."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.first_step = -1
        self.steps: list[int] = []
        self._stop_at = stop_at

    def started(self, run: Run, num_steps: int, first_step: int) -> None:
        self.run, self.first_step = run, first_step

    def logged(self, step: int, metrics: Mapping[str, float]) -> None:
        self.steps.append(step)
        if self._stop_at is not None and step >= self._stop_at:
            raise Interrupted


def write_config(path: Path, **changes: Any) -> Path:
    path.write_text(dump(SMALL | changes))
    return path


def train(tmp_path: Path, watcher: Watcher | None = None, name: str = "runs", **changes: Any) -> Run:
    path = write_config(tmp_path / "small.yaml", **changes)
    layers = [file_layer(path), Layer("test", {"runs_dir": str(tmp_path / name)})]
    return start(resolve(TrainConfig, layers), watcher or Watcher())


def go_on(run: Run, watcher: Watcher | None = None, **changes: Any) -> Run:
    given = {key.replace("__", "."): value for key, value in changes.items()}
    config = resolve(TrainConfig, [Layer("run", run.manifest["config"]), Layer("test", given)]).config
    return resume(run, config, watcher or Watcher())


def metrics(run: Run) -> list[dict[str, Any]]:
    return list(iterate_json_lines(run.metrics_path))


def result(run: Run) -> dict[str, Any]:
    found = run.result()
    assert found is not None
    return {key: value for key, value in found.items() if key in ("weights", "metrics", "num_steps", "owed")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A training that nothing interrupted."""
    return train(tmp_path_factory.mktemp("whole"))


def test_the_run_folder_of_a_training(whole: Run) -> None:
    assert (whole.command, whole.status()) == ("train", "done")
    lines = metrics(whole)
    for kind, steps in NUM_LINES.items():
        assert [line["step"] for line in lines if kind in line] == steps
    assert len(lines) == sum(map(len, NUM_LINES.values()))
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0]
    assert result(whole)["metrics"]["loss"] == losses[-1]
    assert result(whole)["num_steps"] == 12
    assert len(whole.prompts()) == 8
    kept = sorted(path.name for path in (whole.artifacts_dir / "checkpoints").iterdir())
    assert kept == ["checkpoint-12", "checkpoint-8"]
    assert whole.manifest["first_prompt"]["text"].endswith("<answer>")


def test_the_final_model_is_found_loaded_and_asked_as_it_was_trained(whole: Run) -> None:
    model = ModelConfig(id=str(final_model_dir(whole)), device="cpu")
    folder = find_model(model)
    assert folder.settings() == {"prompt_preset": "short", "max_new_tokens": 7, "lineage": folder.lineage()}
    assert folder.lineage() == [
        {
            "run": whole.id,
            "name": None,
            "seed": 3,
            "data": "countdown",
            "cities": None,
            "tasks": [],
            "step": 12,
            "weights": None,
        }
    ]
    assert folder.checkpoint == "final"
    engine = load_engine(folder, model)
    assert engine.weights_digest() == result(whole)["weights"]
    encoded = [engine.encode(Prompt.from_json(line)) for line in whole.prompts()]
    assert len(engine.generate(encoded, Decoding(4))) == 8


def test_the_final_model_is_plain_hugging_face(whole: Run) -> None:
    folder = str(final_model_dir(whole))
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.model_type == "qwen2"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("44 + 19")["input_ids"]
    assert len(ids) == 3
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(tokenizer("<answer>(44+19)</answer>")["input_ids"]) == "<answer> ( 44 + 19 ) </answer>"


@pytest.mark.parametrize("stop_at", [1, 6, 9, 12])
def test_an_interrupted_training_ends_in_the_same_weights_and_metrics(whole: Run, tmp_path: Path, stop_at: int) -> None:
    watcher = Watcher(stop_at)
    with pytest.raises(Interrupted):
        train(tmp_path, watcher)
    run = watcher.run
    assert run.status() == "interrupted"
    assert [event["event"] for event in run.events()] == ["start", "stopped"]
    again = Watcher()
    go_on(run, again)
    assert again.first_step == (stop_at - 1) // 4 * 4  # a line comes before the checkpoint of its step
    assert result(run) == result(whole)
    assert metrics(run) == metrics(whole)
    assert run.status() == "done"


def test_a_torn_checkpoint_is_passed_over_and_removed(whole: Run, tmp_path: Path) -> None:
    watcher = Watcher(9)
    with pytest.raises(Interrupted):
        train(tmp_path, watcher)
    checkpoints = watcher.run.artifacts_dir / "checkpoints"
    (checkpoints / "checkpoint-8" / "complete.json").unlink()
    (checkpoints / "checkpoint-11").mkdir()
    (checkpoints / "checkpoint-11" / "model.safetensors").write_bytes(b"half")
    again = Watcher()
    go_on(watcher.run, again)
    assert again.first_step == 4
    assert not (checkpoints / "checkpoint-11").exists()
    assert result(watcher.run) == result(whole)
    assert metrics(watcher.run) == metrics(whole)


def test_a_finished_training_has_nothing_to_do(whole: Run) -> None:
    watcher = Watcher()
    before = result(whole)
    go_on(whole, watcher)
    assert watcher.steps == []
    assert result(whole) == before


@pytest.mark.parametrize(
    ("key", "value"),
    [("optimisation__learning_rate", 0.5), ("optimisation__num_steps", 20), ("seed", 4), ("examples__data_seed", 1)],
)
def test_resuming_refuses_other_settings_and_names_them(whole: Run, key: str, value: Any) -> None:
    with pytest.raises(RecordError, match=key.split("__")[-1]):
        go_on(whole, **{key: value})
    go_on(whole, name="other")  # a name changes nothing that was learnt


def test_micro_batches_learn_the_same(tmp_path: Path) -> None:
    first = train(tmp_path, optimisation={"num_steps": 4, "batch_size": 16})
    parts = train(tmp_path, optimisation={"num_steps": 4, "batch_size": 16, "micro_batch_size": 4})
    losses, losses_of_parts = (
        [(line["step"], line["loss"]) for line in metrics(run) if "loss" in line] for run in (first, parts)
    )
    assert len(losses) == 3
    for one, other in zip(losses, losses_of_parts, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_going_on_from_a_model_changes_its_weights_and_keeps_its_tokenizer(tiny_folder: Path, tmp_path: Path) -> None:
    model = {"id": str(tiny_folder), "device": "cpu"}
    run = train(
        tmp_path,
        model=model,
        device="auto",
        architecture=None,
        tokenizer=None,
        optimisation={"num_steps": 4, "batch_size": 16},
    )
    before = load_engine(find_model(ModelConfig(**model)), ModelConfig(**model))
    assert run.manifest["base"]["first_weights"] == before.weights_digest()
    assert result(run)["weights"] != before.weights_digest()
    trained = AutoTokenizer.from_pretrained(str(final_model_dir(run)))
    first, second = find_model(ModelConfig(id=str(final_model_dir(run)))).lineage()
    assert (first["name"], first["weights"]) == (
        tiny_folder.name,
        find_model(ModelConfig(**model)).weights_fingerprint(),
    )
    assert (second["run"], second["step"], second["weights"]) == (run.id, 4, None)
    assert trained.get_vocab() == before.tokenizer.get_vocab()
    assert trained.chat_template == before.tokenizer.chat_template


def test_a_file_of_prompts_is_learnt(tmp_path: Path) -> None:
    path = tmp_path / "sums.jsonl"
    pairs = [(a, b) for a in range(8) for b in range(8)]
    path.write_text("".join(json.dumps({"prompt": f"{a} + {b} =", "answer": a + b}) + "\n" for a, b in pairs))
    run = train(tmp_path, examples={"name": "jsonl", "path": str(path)})
    losses = [line["loss"] for line in metrics(run) if "loss" in line]
    assert losses[-1] < losses[0] - 1
    assert [line["source"]["line"] for line in run.prompts()] == list(range(57, 65))
    settings = json.loads((final_model_dir(run) / "labkit.json").read_text())
    assert (settings["max_new_tokens"], settings["lineage"][0]["data"]) == (7, "jsonl")
    assert "prompt_preset" not in settings


def test_the_loss_may_be_taken_on_prompts_too(whole: Run, tmp_path: Path) -> None:
    on_all = train(tmp_path, loss_on="all", optimisation={"num_steps": 1, "batch_size": 16})
    first, first_on_all = metrics(whole)[0], metrics(on_all)[0]
    assert first_on_all["loss"] != pytest.approx(first["loss"], rel=1e-3)
    assert result(on_all)["weights"] != result(whole)["weights"]


def test_epochs_of_endless_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="num_epochs is 2, but countdown examples are generated without end"):
        train(tmp_path, optimisation={"num_epochs": 2, "batch_size": 16})
    assert not (tmp_path / "runs").exists()


def test_half_precision_that_needs_a_gpu_is_refused_on_the_cpu(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="float16 needs a CUDA GPU, and this training is on cpu"):
        train(tmp_path, optimisation={"num_steps": 4, "batch_size": 16, "autocast": "float16"})
    assert not (tmp_path / "runs").exists()


def test_without_held_out_prompts_nothing_is_evaluated(tmp_path: Path) -> None:
    run = train(tmp_path, evaluation={"num_prompts": 0}, optimisation={"num_steps": 4, "batch_size": 16})
    assert [line["step"] for line in metrics(run)] == [1, 3, 4]
    assert all("eval_accuracy" not in line for line in metrics(run))
    assert run.prompts() == []


def test_a_lost_loss_is_an_error_of_the_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the loss is (nan|inf) at step \d+") as caught:
        train(tmp_path, optimisation={"num_steps": 12, "batch_size": 16, "learning_rate": 1e30})
    assert "--learning-rate" in caught.value.hint


def test_an_example_longer_than_the_context_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    line = {"prompt": "1 " * 80, "answer": "1"}
    path.write_text(json.dumps(line) + "\n" + json.dumps({"prompt": "2", "answer": "2"}) + "\n")
    with pytest.raises(InputError, match="tokens where the model takes 64"):
        train(tmp_path, examples={"name": "jsonl", "path": str(path)}, evaluation={"num_prompts": 1})


@pytest.mark.parametrize(
    "start_from",
    [
        {"model": {"id": "builtin:countdown-tiny"}},
        {"architecture": None, "tokenizer": None},
        {"tokenizer": None},
        {"model": {"id": "builtin:countdown-tiny"}, "tokenizer": None},
    ],
)
def test_a_training_starts_from_one_thing(tmp_path: Path, start_from: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"give either `model`.*or both `architecture` and `tokenizer`"):
        train(tmp_path, **start_from)
    assert not (tmp_path / "runs").exists()


def test_the_command_line_killed_while_it_trains(whole: Run, tmp_path: Path) -> None:
    config = write_config(tmp_path / "small.yaml", optimisation=SMALL["optimisation"] | {"num_steps": 60})
    process = launch(tmp_path, "train", config)
    end = time.monotonic() + 60
    while not list(tmp_path.glob("runs/train/*/artifacts/checkpoints/*/complete.json")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    returncode, output = stop(process, signal.SIGKILL)
    assert returncode == -9, output
    run = only_run(tmp_path / "runs")
    assert run.status() == "interrupted"
    resumed = launch(tmp_path, "train", "--resume", "last", "--json")
    output = resumed.communicate(timeout=60)[0].decode()
    assert resumed.returncode == 0, output
    assert "going on from the checkpoint of step" in output
    expected = train(tmp_path, name="straight", optimisation=SMALL["optimisation"] | {"num_steps": 60})
    assert result(run) == result(expected)
    assert metrics(run) == metrics(expected)
