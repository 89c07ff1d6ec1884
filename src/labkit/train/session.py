"""A training as a run: made or resumed, its metrics written as they come, its model saved where the next command finds it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from safetensors import SafetensorError
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM, set_seed

from labkit.config.base import Resolved, stable_digest
from labkit.config.commands import TrainConfig
from labkit.config.training import ArchitectureConfig
from labkit.config.yaml_text import dump
from labkit.errors import ConfigError, MachineError, RecordError
from labkit.models.engine import Decoding
from labkit.models.folder import find_model
from labkit.models.loading import choose_device, load_engine
from labkit.models.torch_engine import TorchEngine, is_out_of_memory
from labkit.record.files import (
    LineFile,
    disk_error,
    iterate_json_lines,
    json_line,
    write_atomically,
)
from labkit.record.identity import components_hash, describe_difference
from labkit.record.provenance import capture
from labkit.record.run import Ask, Run, create_run
from labkit.stats import wilson
from labkit.train.checkpoints import checkpoint_step, newest_checkpoint
from labkit.train.examples import Examples, load_examples
from labkit.train.model_folder import save_model
from labkit.train.sft import quiet_transformers, train_sft
from labkit.train.tokenizer import build_word_tokenizer

_FREE_KEYS = ("name", "runs_dir")
"""Config keys that may change when a training is resumed."""


class TrainingObserver(Protocol):
    """Who watches a training."""

    def started(self, run: Run, num_steps: int, first_step: int) -> None: ...

    def logged(self, step: int, metrics: Mapping[str, float]) -> None: ...


def start(resolved: Resolved[TrainConfig], observer: TrainingObserver) -> Run:
    """Make a run for a training and carry it out."""
    config = resolved.config
    examples = load_examples(config.examples, config.seed, config.evaluation.num_prompts)
    engine = _first_engine(config)
    run = create_run(
        config.runs_dir,
        command="train",
        slug=config.name or (config.model.id.rsplit("/")[-1] if config.model else config.examples.name),
        manifest=_manifest(resolved, engine, examples),
        config_yaml=dump(config.as_json()),
        prompts=[prompt.as_json() for prompt in examples.held_out],
    )
    with run.working():
        _carry_out(run, config, engine, examples, observer)
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
        examples = load_examples(config.examples, config.seed, config.evaluation.num_prompts)
        engine = _first_engine(config)
        if difference := describe_difference(run.manifest["base"], _base(config, engine, examples)):
            raise RecordError(
                f"{run.id} rests on another base (in the run | now):\n{difference}",
                "put back the examples or the model that it was started with, or start a new run without --resume",
            )
        _carry_out(run, config, engine, examples, observer)
    return run


def final_model_dir(run: Run) -> Path:
    """Where a finished training keeps its model, in Hugging Face format."""
    return run.artifacts_dir / "model"


def evaluate_greedy(engine: TorchEngine, examples: Examples, max_new_tokens: int) -> dict[str, float]:
    """Greedy accuracy on the held-out prompts, with its 95 % Wilson interval."""
    encoded = [engine.encode(prompt) for prompt in examples.held_out]
    completions = engine.generate(encoded, Decoding(max_new_tokens))
    correct = sum(
        examples.task.score(prompt, completion.text).correct
        for prompt, completion in zip(examples.held_out, completions, strict=True)
    )
    low, high = wilson(correct, len(encoded))
    return {"eval_accuracy": correct / len(encoded), "eval_accuracy_low": low, "eval_accuracy_high": high}


def _carry_out(
    run: Run, config: TrainConfig, engine: TorchEngine, examples: Examples, observer: TrainingObserver
) -> None:
    began = time.monotonic()
    checkpoints_dir = run.artifacts_dir / "checkpoints"
    checkpoints_dir.mkdir(parents=True, exist_ok=True)
    newest = newest_checkpoint(checkpoints_dir)
    first_step = 0 if newest is None else checkpoint_step(newest)
    _forget_metrics_after(run, first_step, config.optimisation.num_steps)
    observer.started(run, config.optimisation.num_steps, first_step)
    log = LineFile(run.metrics_path)

    def on_log(step: int, metrics: Mapping[str, float]) -> None:
        log.append(json_line({"step": step, **metrics}))
        observer.logged(step, metrics)

    def evaluate() -> dict[str, float]:
        return evaluate_greedy(engine, examples, config.evaluation.max_new_tokens)

    try:
        with _machine_errors(checkpoints_dir):
            train_sft(
                config,
                model=engine.model,
                tokenizer=engine.tokenizer,
                examples=examples,
                encode_prompt=lambda example: engine.encode(example.prompt).token_ids,
                checkpoints_dir=checkpoints_dir,
                on_log=on_log,
                evaluate=evaluate,
            )
            engine.model.train(False)
            final = evaluate() if examples.held_out else {}
            if final:
                on_log(config.optimisation.num_steps, final)
            _save_final(run, config, engine, examples)
    finally:
        log.close()
    result = {
        "num_steps": config.optimisation.num_steps,
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


def _save_final(run: Run, config: TrainConfig, engine: TorchEngine, examples: Examples) -> None:
    """The trained model, with what its folder says of how it wants to be asked."""
    settings: dict[str, Any] = {"prompt_preset": examples.preset} if examples.preset else {}
    settings["max_new_tokens"] = config.evaluation.max_new_tokens
    with quiet_transformers():
        save_model(engine.model, engine.tokenizer, settings, final_model_dir(run))


def _first_engine(config: TrainConfig) -> TorchEngine:
    """The model as it is before the first step."""
    if config.model is not None:
        # Half precision rounds small updates away, so a model is trained in float32 unless it is asked otherwise.
        dtype = "float32" if config.model.dtype == "auto" else config.model.dtype
        _refuse_other_gpu(config.model.device)
        engine = load_engine(find_model(config.model), config.model.model_copy(update={"dtype": dtype}))
        engine.model.requires_grad_(True)
        return engine
    _refuse_other_gpu(config.device)
    assert config.architecture is not None and config.tokenizer is not None  # the config class sees to it
    architecture = config.architecture
    tokenizer = build_word_tokenizer(
        integer_range=config.tokenizer.integer_range,
        words=config.tokenizer.words,
        max_length=architecture.max_position_embeddings,
    )
    set_seed(config.seed % 2**32)
    model = _new_model(architecture, tokenizer)
    model.to(device=choose_device(config.device))  # type: ignore[call-arg]
    return TorchEngine(model, tokenizer)


def _refuse_other_gpu(device: str) -> None:
    """The Trainer takes the first GPU that it sees, whatever device the model is on."""
    if device.startswith("cuda:") and device != "cuda:0":
        number = device.partition(":")[2]
        raise ConfigError(f"training cannot be put on {device}", f"CUDA_VISIBLE_DEVICES={number} makes it the first")


def _new_model(architecture: ArchitectureConfig, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    shape = architecture.model_dump(exclude={"family"})
    return Qwen2ForCausalLM(  # type: ignore[no-untyped-call]
        Qwen2Config(
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
            **shape,
        )
    )


def _forget_metrics_after(run: Run, step: int, num_steps: int) -> None:
    """Steps after the checkpoint are done again, and must not stand twice; so is the evaluation after the last."""
    if run.metrics_path.exists():
        lines = iterate_json_lines(run.metrics_path)
        kept = [line for line in lines if line["step"] <= step and (line["step"] < num_steps or "loss" in line)]
        write_atomically(run.metrics_path, b"".join(json_line(line) for line in kept))


def _last_training_metrics(run: Run) -> dict[str, float]:
    lines = [line for line in iterate_json_lines(run.metrics_path) if "loss" in line]
    return {"loss": lines[-1]["loss"]} if lines else {}


def _base(config: TrainConfig, engine: TorchEngine, examples: Examples) -> dict[str, Any]:
    """What the training rests on; `engine` holds the model as it is before the first step."""
    about = engine.describe()
    return {
        "first_weights": engine.weights_digest(),
        "chat_template": stable_digest(about["chat_template"]),
        "examples": examples.fingerprint,
        "preset": examples.preset,
        "dtype": about["dtype"],
        "max_new_tokens": config.evaluation.max_new_tokens,
    }


def _manifest(resolved: Resolved[TrainConfig], engine: TorchEngine, examples: Examples) -> dict[str, Any]:
    config = resolved.config
    base = _base(config, engine, examples)
    score = {"scorer": examples.task.scorer, "golds": examples.fingerprint}
    first = engine.encode(examples.block(0, 1)[0].prompt)
    return {
        "name": config.name,
        "seed": config.seed,
        "config": config.as_json(),
        "origins": dict(resolved.origins),
        "config_digest": config.digest(),
        "base": base,
        "base_hash": components_hash(base),
        "score": score,
        "score_hash": components_hash(score),
        "ask": Ask(0, ()).as_json(),
        "engine": {"name": engine.name, "version": engine.version, **engine.describe()},
        "provenance": capture(),
        "first_prompt": {"text": first.text, "token_ids": list(first.token_ids)},
        "parents": find_model(config.model).parents() if config.model else [],
    }
