"""A training as a run: made or resumed, its metrics written as they come, its model saved where the next command finds it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from safetensors import SafetensorError

from labkit.config.base import Resolved, stable_digest
from labkit.config.commands import TrainConfig
from labkit.config.yaml_text import dump
from labkit.errors import MachineError, RecordError
from labkit.models.folder import ModelFolder
from labkit.models.torch_engine import TorchEngine, is_out_of_memory
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
from labkit.train.evaluation import Evaluation
from labkit.train.examples import Examples, load_examples
from labkit.train.first_model import first_engine
from labkit.train.model_folder import save_model
from labkit.train.parent import find_parent, training_notes
from labkit.train.plan import TrainingPlan, plan_training
from labkit.train.sft import Surroundings, quiet_transformers, row_padding, train_sft

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
    examples: Examples
    engine: TorchEngine
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


def _slug(config: TrainConfig, examples: Examples) -> str:
    """What the folder of a training without a name is called."""
    if config.examples.name == "dataset":
        return examples.data_name
    return config.model.id.rsplit("/")[-1] if config.model else config.examples.name


def _prepare(config: TrainConfig) -> _Training:
    examples = load_examples(config.examples, config.seed, config.evaluation.num_prompts)
    plan = plan_training(config, examples.num_rows)
    parent = find_parent(config)
    engine = first_engine(config, parent)
    examples.check_vocabulary(engine.tokenizer)
    return _Training(config, plan, examples, engine, parent)


def _carry_out(run: Run, training: _Training, observer: TrainingObserver) -> None:
    began = time.monotonic()
    config, plan, engine = training.config, training.plan, training.engine
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

    def settings(step: int) -> dict[str, Any]:
        return _folder_settings(run, training, step)

    evaluate = Evaluation(engine, training.examples, row_padding(config, engine), config.evaluation.max_new_tokens)
    try:
        with _machine_errors(folder):
            train_sft(config, plan, engine, training.examples, Surroundings(folder, settings, on_log, evaluate))
            engine.model.train(False)
            final = evaluate() if training.examples.held_out else {}
            if final:
                on_log(plan.num_steps, final)
            with quiet_transformers():
                save_model(engine.model, engine.tokenizer, settings(plan.num_steps), final_dir(run))
    finally:
        log.close()
    result = {
        "num_steps": plan.num_steps,
        "metrics": final | _last_training_metrics(run),
        "weights": engine.weights_digest(),
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
    settings: dict[str, Any] = {"prompt_preset": examples.preset} if examples.preset else {}
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
    return settings | {"max_new_tokens": config.evaluation.max_new_tokens, "lineage": lineage}


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
    """What the training rests on; its engine holds the model as it is before the first step."""
    about = training.engine.describe()
    return {
        "first_weights": training.engine.weights_digest(),
        "chat_template": stable_digest(about["chat_template"]),
        "examples": training.examples.fingerprint,
        "preset": training.examples.preset,
        "dtype": about["dtype"],
        "max_new_tokens": training.config.evaluation.max_new_tokens,
    }


def _manifest(resolved: Resolved[TrainConfig], training: _Training) -> dict[str, Any]:
    engine, examples, parent = training.engine, training.examples, training.parent
    first_prompt = examples.first_prompt(engine)
    return manifest(
        resolved,
        base=_base(training),
        score={"scorer": examples.task.scorer, "golds": examples.fingerprint},
        ask=Ask(0, ()),
        engine={"name": engine.name, "version": engine.version, **engine.describe()},
        first_prompt=(first_prompt.text, first_prompt.token_ids),
        parents=parent.parents() if parent else [],
        lineage=parent.lineage() if parent else [],
        num_steps=training.plan.num_steps,
        notes=training_notes(resolved.config, parent, examples),
    )
