"""Trainings on a data set of a world: epochs, every checkpoint kept, Muon, and models that go on from one another."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from eval_worlds import question, save_data_set
from transformers import AutoModelForCausalLM, AutoTokenizer

from labkit.config.base import Layer, resolve
from labkit.config.commands import TrainConfig
from labkit.config.sections import ModelConfig
from labkit.config.world import TaskName
from labkit.errors import InputError, RecordError
from labkit.models.engine import Decoding
from labkit.models.folder import ModelFolder, checkpoint_folders, find_model
from labkit.models.loading import load_engine
from labkit.models.training_run import checkpoints_dir
from labkit.record.files import iterate_json_lines
from labkit.record.run import Run
from labkit.tasks.base import Prompt
from labkit.train import trainer
from labkit.train.dataset import CityQuestions
from labkit.train.session import final_model_dir, resume, start

BASE: dict[str, Any] = {
    "name": "base",
    "seed": 5,
    "architecture": {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_key_value_heads": 4,
        "tie_word_embeddings": False, "initializer_range": 0.1,
    },
    "tokenizer": {"name": "characters"},
    "loss_on": "all",
    "optimisation": {
        "num_epochs": 2, "batch_size": 16, "micro_batch_size": 4, "optimiser": "muon", "warmup_steps": 1,
        "weight_decay": 0.01, "learning_rate": 0.01,
    },
    "evaluation": {"every": 0.25, "num_prompts": 6, "max_new_tokens": 4},
    "checkpoint_every": 0.25,
    "keep_checkpoints": "all",
    "log_every": 3,
    "device": "cpu",
}  # fmt: skip
NUM_STEPS = 8
"""Two epochs of 53 rows, 16 a step: the fourth step and the last have five rows."""
KEPT = [0, 2, 4, 6, 8]
STATE_FILES = {"optimizer.pt", "scheduler.pt", "trainer_state.json", "rng_state.pth", "training_args.bin"}


class Interrupted(Exception):
    """Stands for a crash at a chosen step."""


class Watcher:
    """An observer that may stop the training at a line."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.first_step = -1
        self._stop_at = stop_at

    def started(self, run: Run, num_steps: int, first_step: int) -> None:
        self.run, self.num_steps, self.first_step = run, num_steps, first_step

    def logged(self, step: int, metrics: Mapping[str, float]) -> None:
        if self._stop_at is not None and step >= self._stop_at:
            raise Interrupted


def data_set(world: Path, name: str, first: int, *tasks: TaskName, cities: str = "ours") -> Path:
    rows = [question(tasks[number % len(tasks)], first + number) for number in range(65)]
    return save_data_set(world, name, rows[:53], split="train", cities=cities, validation=rows[53:])


def train(runs_dir: Path, data: Path, watcher: Watcher | None = None, **changes: Any) -> Run:
    values = {**BASE, "runs_dir": str(runs_dir), "examples": {"name": "dataset", "path": str(data)}} | changes
    return start(resolve(TrainConfig, [Layer("test", values)]), watcher or Watcher())


def fine_tune(runs_dir: Path, data: Path, model: dict[str, Any], **changes: Any) -> Run:
    nothing_new = {"architecture": None, "tokenizer": None, "device": "auto"}
    return train(runs_dir, data, **nothing_new, model={"device": "cpu"} | model, **changes)


def go_on(run: Run, watcher: Watcher) -> None:
    resume(run, resolve(TrainConfig, [Layer("run", run.manifest["config"])]).config, watcher)


def metrics(run: Run) -> list[dict[str, Any]]:
    return list(iterate_json_lines(run.metrics_path))


def named(folders: list[ModelFolder]) -> list[str | None]:
    return [folder.checkpoint for folder in folders]


def outcome(run: Run) -> tuple[Any, ...]:
    """Everything that a training leaves behind and that must not depend on interruptions."""
    found = run.result()
    assert found is not None
    prints = [path.weights_fingerprint() for path in checkpoint_folders(ModelConfig(id=str(run.path)), "all")]
    return found["weights"], found["metrics"], found["num_steps"], metrics(run), prints


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    data_set(folder, "multi_task", 0, "distance", "compass")
    data_set(folder, "ftwb1-4", 500, "compass")
    return folder


@pytest.fixture(scope="module")
def whole(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A training that nothing interrupted."""
    return train(tmp_path_factory.mktemp("whole") / "runs", world / "multi_task")


def test_every_checkpoint_is_kept_and_the_newest_two_can_be_gone_on_from(whole: Run) -> None:
    folder = checkpoints_dir(whole)
    assert {path.name for path in folder.iterdir()} == {f"checkpoint-{step}" for step in KEPT}
    for step in KEPT:
        names = {path.name for path in (folder / f"checkpoint-{step}").iterdir()}
        assert {"model.safetensors", "tokenizer.json", "labkit.json", "complete.json", "config.json"} <= names
        assert names & STATE_FILES == (STATE_FILES if step >= 6 else set())


def test_its_checkpoints_are_models_of_their_step(whole: Run) -> None:
    folders = checkpoint_folders(ModelConfig(id=str(whole.path)), "all")
    assert named(folders) == [f"checkpoint-{step}" for step in KEPT]
    assert [folder.lineage()[-1]["step"] for folder in folders] == KEPT
    prints = [folder.weights_fingerprint() for folder in folders]
    assert len(set(prints)) == len(KEPT)
    final = ModelFolder(final_model_dir(whole), "final")
    assert (final.weights_fingerprint(), final.checkpoint) == (prints[-1], "final")
    assert final.lineage() == folders[-1].lineage()
    assert folders[1].parents()[0]["run"] == whole.id
    assert len(AutoTokenizer.from_pretrained(folders[0].path)) == 98


def test_it_is_evaluated_from_before_its_first_step(whole: Run) -> None:
    evaluated = [line for line in metrics(whole) if "eval_loss" in line]
    assert [line["step"] for line in evaluated] == KEPT
    names = {"step", "eval_loss", "eval_accuracy", "eval_accuracy_low", "eval_accuracy_high", "eval_parse_rate"}
    assert all(set(line) == names | {"eval_distance", "eval_compass"} for line in evaluated)
    assert evaluated[-1]["eval_loss"] < evaluated[0]["eval_loss"] - 0.5
    assert evaluated[0]["eval_distance"] == pytest.approx(4024.92, abs=0.01)  # nothing can be read yet
    assert evaluated[0]["eval_parse_rate"] == 0
    assert len(whole.prompts()) == 6


@pytest.mark.parametrize("step", [0, 8])
def test_the_evaluated_loss_is_that_of_the_validation_rows(whole: Run, world: Path, step: int) -> None:
    """Worked out once more from the checkpoint alone, a row at a time."""
    folder = checkpoints_dir(whole) / f"checkpoint-{step}"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    total, count = 0.0, 0
    with torch.no_grad():
        for text in Dataset.load_from_disk(str(world / "multi_task" / "validation"))["text"]:
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            total += float(model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
            count += ids.shape[1] - 1
    logged = next(line["eval_loss"] for line in metrics(whole) if line["step"] == step and "eval_loss" in line)
    assert logged == pytest.approx(total / count, rel=1e-5)


def test_the_last_evaluation_is_that_of_the_final_model(whole: Run) -> None:
    model = ModelConfig(id=str(whole.path), device="cpu")
    engine, task = load_engine(find_model(model), model), CityQuestions()
    prompts = [Prompt.from_json(line) for line in whole.prompts()]
    answers = engine.generate([engine.encode(prompt) for prompt in prompts], Decoding(4))
    scores = [task.score(prompt, answer.text) for prompt, answer in zip(prompts, answers, strict=True)]
    last = metrics(whole)[-1]
    assert last["eval_accuracy"] == sum(score.correct for score in scores) / 6
    assert last["eval_parse_rate"] == sum(score.answer is not None for score in scores) / 6
    for name in ("distance", "compass"):
        values = [score.value for prompt, score in zip(prompts, scores, strict=True) if prompt.gold["task"] == name]
        assert last[f"eval_{name}"] == pytest.approx(sum(value or 0.0 for value in values) / len(values))


@pytest.mark.parametrize("stop_at", [0, 1, 4, 5, 8])
def test_an_interrupted_training_leaves_the_same(whole: Run, world: Path, tmp_path: Path, stop_at: int) -> None:
    watcher = Watcher(stop_at)
    with pytest.raises(Interrupted):
        train(tmp_path / "runs", world / "multi_task", watcher)
    assert watcher.num_steps == NUM_STEPS
    again = Watcher()
    go_on(watcher.run, again)
    assert again.first_step == max(0, stop_at - 1) // 2 * 2  # a line comes before the checkpoint of its step
    assert outcome(watcher.run) == outcome(whole)


def test_thinned_checkpoints_alone_cannot_be_gone_on_from(world: Path, tmp_path: Path) -> None:
    watcher = Watcher(7)
    with pytest.raises(Interrupted):
        train(tmp_path / "runs", world / "multi_task", watcher)
    for step in (4, 6):
        (checkpoints_dir(watcher.run) / f"checkpoint-{step}" / "trainer_state.json").unlink()
    with pytest.raises(RecordError, match="holds checkpoints of an earlier training"):
        go_on(watcher.run, Watcher())


def test_a_short_step_counts_its_own_tokens_only(world: Path, tmp_path: Path) -> None:
    """Micro-batches without rows change nothing: the same training without them learns the same."""
    how = BASE["optimisation"]
    runs = [
        train(tmp_path / "runs", world / "multi_task", optimisation=how | {"micro_batch_size": size}, log_every=1)
        for size in (4, 16)
    ]
    losses = [[line["loss"] for line in metrics(run) if "loss" in line] for run in runs]
    assert len(losses[0]) == NUM_STEPS
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_processes_that_read_rows_change_nothing(
    whole: Run, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "_num_workers", lambda config, device: 2)
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    try:
        run = train(tmp_path / "runs", world / "multi_task")
    finally:
        multiprocessing.set_start_method(before, force=True)
    assert outcome(run)[:3] == outcome(whole)[:3]


def test_a_model_goes_on_from_a_run_by_its_name(whole: Run, world: Path) -> None:
    runs_dir = whole.path.parents[1]
    tuned = fine_tune(runs_dir, world / "ftwb1-4", {"id": "run:base"}, name="tuned", seed=9)
    found = find_model(ModelConfig(id="run:tuned"), runs_dir)
    base, own = found.lineage()
    assert base == ModelFolder(final_model_dir(whole), "base").lineage()[0]
    assert (base["name"], base["data"], base["tasks"]) == ("base", "multi_task", ["distance", "compass"])
    assert tuned.manifest["notes"] == ["an epoch is only 4 steps: 53 rows at optimisation.batch_size 16"]
    assert own == {
        "run": tuned.id, "name": "tuned", "seed": 9, "data": "ftwb1-4", "cities": "ours",
        "tasks": ["compass"], "step": 8, "weights": None,
    }  # fmt: skip
    assert tuned.manifest["parents"][0]["run"] == whole.id
    assert tuned.manifest["base"]["first_weights"] == (whole.result() or {})["weights"]
    assert [len(folder.lineage()) for folder in checkpoint_folders(ModelConfig(id=str(tuned.path)), "all")] == [2] * 5


def test_a_model_that_goes_on_with_other_cities_is_warned_about(whole: Run, tmp_path: Path) -> None:
    other = data_set(tmp_path / "world", "ftwb1-4", 500, "compass", cities="others")
    tuned = fine_tune(tmp_path / "runs", other, {"id": str(whole.path)})
    assert tuned.manifest["notes"][-1] == (
        "the cities of ftwb1-4 are not those of multi_task, which the model learnt in its training base: an id is "
        "another place there"
    )


def test_a_model_goes_on_from_a_step_of_a_run(whole: Run, world: Path, tmp_path: Path) -> None:
    steps = {"optimisation": {"num_steps": 1, "batch_size": 4}, "keep_checkpoints": "newest"}
    tuned = fine_tune(tmp_path / "runs", world / "ftwb1-4", {"id": str(whole.path), "checkpoint": "2"}, **steps)
    assert [entry["step"] for entry in ModelFolder(final_model_dir(tuned), "tuned").lineage()] == [2, 1]
    assert tuned.manifest["base"]["first_weights"] != (whole.result() or {})["weights"]


def test_a_model_with_another_vocabulary_is_refused_before_there_is_a_run(
    world: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="the model's tokenizer is not that of"):
        fine_tune(tmp_path / "runs", world / "ftwb1-4", {"id": str(tiny_folder)})
    assert not (tmp_path / "runs").exists()
