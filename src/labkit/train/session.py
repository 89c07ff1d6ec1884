"""A training as a run: made or resumed, its metrics written as they come, its model saved where the next command finds it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from safetensors import SafetensorError

from labkit.config.base import Resolved
from labkit.config.commands import TrainConfig
from labkit.config.yaml_text import dump
from labkit.errors import MachineError, RecordError
from labkit.models.folder import SETTINGS_FILE, ModelFolder
from labkit.models.memory import is_out_of_memory
from labkit.models.torch_engine import weights_digest
from labkit.models.training_run import checkpoint_step, checkpoints_dir, final_dir
from labkit.record.files import (
    LineFile,
    disk_error,
    iterate_json_lines,
    json_line,
    write_atomically,
)
from labkit.record.identity import describe_difference
from labkit.record.manifest import manifest
from labkit.record.run import Ask, Run, create_run
from labkit.train.checkpoints import newest_checkpoint
from labkit.train.examples import TrainingData, load_examples
from labkit.train.method import Method
from labkit.train.methods import make_method
from labkit.train.model_folder import save_model
from labkit.train.parent import find_parent, training_notes
from labkit.train.plan import TrainingPlan, plan_training
from labkit.train.trainer import Surroundings, quiet_transformers, train_steps

_FREE_KEYS = ("name", "runs_dir")
"""Config keys that may change when a training is resumed."""


class TrainingObserver(Protocol):
    """Who watches a training."""

    def started(self, run: Run, num_steps: int, first_step: int) -> None: ...

    def logged(self, step: int, metrics: Mapping[str, float]) -> None: ...


@dataclass(frozen=True, slots=True)
class _Training:
    """A training ready to be carried out."""

    config: TrainConfig
    plan: TrainingPlan
    examples: TrainingData
    method: Method
    parent: ModelFolder | None
    """The model that it goes on from."""


def start(resolved: Resolved[TrainConfig], observer: TrainingObserver) -> Run:
    """Make a run for a training and carry it out."""
    config = resolved.config
    training = _prepare(config)
    run = create_run(
        config.runs_dir,
        command="train",
        slug=config.name or _slug(config, training.examples),
        manifest=_manifest(resolved, training),
        config_yaml=dump(config.as_json()),
        prompts=[prompt.as_json() for prompt in training.examples.held_out],
    )
    with run.working():
        _carry_out(run, training, observer)
    return run


def resume(run: Run, config: TrainConfig, observer: TrainingObserver) -> Run:
    """Go on from the newest checkpoint; a finished training has nothing to do.

    Raises:
        RecordError: the config, the examples or the first weights differ from the run's.
    """
    recorded, present = (
        {key: value for key, value in values.items() if key not in _FREE_KEYS}
        for values in (run.manifest["config"], config.as_json())
    )
    if difference := describe_difference(recorded, present):
        raise RecordError(
            f"{run.id} was asked otherwise (in the run | now):\n{difference}",
            "leave the flag out that changed it, or start a new run without --resume",
        )
    if run.status() == "done":
        return run
    with run.working():
        training = _prepare(config)
        if difference := describe_difference(run.manifest["base"], _base(training)):
            raise RecordError(
                f"{run.id} rests on another base (in the run | now):\n{difference}",
                "put back the examples or the model that it was started with, or start a new run without --resume",
            )
        _carry_out(run, training, observer)
    return run


def final_model_dir(run: Run) -> Path:
    """Where a finished training keeps its model, in Hugging Face format."""
    return final_dir(run)


def _slug(config: TrainConfig, examples: TrainingData) -> str:
    """What the folder of a training without a name is called."""
    if config.examples.name in ("dataset", "rollouts"):
        return examples.data_name
    return config.model.id.rsplit("/")[-1] if config.model else config.examples.name


def _prepare(config: TrainConfig) -> _Training:
    examples = load_examples(config.examples, config.seed, config.evaluation.num_prompts, config.runs_dir)
    plan = plan_training(config, examples.num_rows)
    parent = find_parent(config)
    return _Training(config, plan, examples, make_method(config, parent, examples), parent)


def _carry_out(run: Run, training: _Training, observer: TrainingObserver) -> None:
    began = time.monotonic()
    config, plan, method = training.config, training.plan, training.method
    folder = checkpoints_dir(run)
    folder.mkdir(parents=True, exist_ok=True)
    newest = newest_checkpoint(folder)
    first_step = 0 if newest is None else checkpoint_step(newest)
    _forget_metrics_after(run, first_step, plan.num_steps)
    observer.started(run, plan.num_steps, first_step)
    log = LineFile(run.metrics_path)

    def on_log(step: int, metrics: Mapping[str, float]) -> None:
        log.append(json_line({"step": step, **metrics}))
        observer.logged(step, metrics)

    def files(step: int) -> dict[str, Mapping[str, Any]]:
        return {SETTINGS_FILE: _folder_settings(run, training, step), **method.files(step)}

    evaluate = method.measure if method.measures else None
    try:
        with _machine_errors(folder):
            train_steps(config, plan, method, Surroundings(folder, files, on_log, evaluate))
            method.model.train(False)
            final = evaluate() if evaluate else {}
            if final:
                on_log(plan.num_steps, final)
            with quiet_transformers():
                save_model(method.model, method.tokenizer, files(plan.num_steps), final_dir(run))
    finally:
        log.close()
    result = {
        "num_steps": plan.num_steps,
        "metrics": final | _last_training_metrics(run),
        "weights": weights_digest(method.model),
        "timings": {"attempt_s": time.monotonic() - began},
    }
    run.finish(result, owed=0, num_asked=0)


@contextmanager
def _machine_errors(folder: Path) -> Iterator[None]:
    """What torch, safetensors and the Trainer raise when memory or disk run out, in labkit's words."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, folder) from None
    except (RuntimeError, MemoryError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise MachineError("the training does not fit into memory", "lower optimisation.micro_batch_size") from None
        if any(words in str(error) for words in ("os error 27", "os error 28", "file write failed", "failed writing")):
            raise MachineError(
                f"no room to write {folder}: {error}", "free some space, and go on with --resume"
            ) from None
        raise


def _folder_settings(run: Run, training: _Training, step: int) -> dict[str, Any]:
    """What a folder of the model says of how it wants to be asked, and of the trainings that made it."""
    config, examples = training.config, training.examples
    own = {
        "run": run.id,
        "name": run.manifest["name"],
        "seed": config.seed,
        "data": examples.data_name,
        "cities": examples.cities,
        "tasks": list(examples.tasks),
        "step": step,
        "weights": None,
    }
    lineage = [*run.manifest["lineage"], own]
    return {**training.method.settings(), "lineage": lineage}


def _forget_metrics_after(run: Run, step: int, num_steps: int) -> None:
    """Steps after the checkpoint are done again, and must not stand twice; so is the evaluation after the last."""
    if run.metrics_path.exists():
        lines = iterate_json_lines(run.metrics_path) if step else iter(())
        kept = [line for line in lines if line["step"] <= step and (line["step"] < num_steps or "loss" in line)]
        write_atomically(run.metrics_path, b"".join(json_line(line) for line in kept))


def _last_training_metrics(run: Run) -> dict[str, float]:
    lines = [line for line in iterate_json_lines(run.metrics_path) if "loss" in line]
    return {"loss": lines[-1]["loss"]} if lines else {}


def _base(training: _Training) -> dict[str, Any]:
    """What the training rests on; its method holds the model as it is before the first step."""
    first = {"first_weights": weights_digest(training.method.model), "examples": training.examples.fingerprint}
    return {**first, **training.method.base()}


def _manifest(resolved: Resolved[TrainConfig], training: _Training) -> dict[str, Any]:
    method, examples, parent = training.method, training.examples, training.parent
    first_prompt = method.first_prompt()
    return manifest(
        resolved,
        base=_base(training),
        score={"scorer": examples.scorer, "golds": examples.fingerprint},
        ask=Ask(0, ()),
        engine=method.describe(),
        first_prompt=(first_prompt.text, first_prompt.token_ids),
        parents=[*(parent.parents() if parent else []), *examples.parents],
        lineage=parent.lineage() if parent else [],
        num_steps=training.plan.num_steps,
        notes=[*training_notes(resolved.config, parent, examples), *method.notes()],
    )
