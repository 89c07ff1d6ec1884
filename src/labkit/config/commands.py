"""One config class a command, and the registry from which everything else learns their names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from labkit.config.base import Config, Resolved
from labkit.config.data import DataConfig
from labkit.config.sections import CountdownTask, GenerationConfig, ModelConfig, TaskConfig
from labkit.config.training import (
    ArchitectureConfig,
    CountdownExamples,
    EvaluationConfig,
    ExamplesConfig,
    Interval,
    OptimisationConfig,
    RolloutExamples,
    TokenizerConfig,
)
from labkit.errors import ConfigError

_Value = TypeVar("_Value")


def _distinct(values: tuple[_Value, ...]) -> tuple[_Value, ...]:
    if len(set(values)) != len(values):
        raise ValueError("a value stands here twice")
    return values


Temperature = Annotated[float, Field(gt=0)]
Temperatures = Annotated[tuple[Temperature, ...], Field(min_length=1), AfterValidator(_distinct)]
Sigma = Annotated[float, Field(ge=0)]
Sigmas = Annotated[tuple[Sigma, ...], Field(min_length=1), AfterValidator(_distinct)]
Steps = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), AfterValidator(_distinct)]
Layers = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), AfterValidator(_distinct)]


class RunConfig(Config):
    """What every command that makes a run is asked."""

    command: str = ""
    """The labkit command this config is for."""
    name: str | None = None
    """A word for the run's folder; null makes one from the model."""
    runs_dir: Path = Path("runs")
    """Folder under which run folders are made."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    """The run's seed; every draw is a function of it and of what is drawn."""


class RolloutConfig(RunConfig):
    """What every command that makes rollouts is asked."""

    model: ModelConfig = ModelConfig()
    task: TaskConfig = CountdownTask()
    generation: GenerationConfig = GenerationConfig()

    @classmethod
    def implied(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """GSM8K's candidates are long, and ranked by likelihood, among others."""
        return (
            {"generation": {"logprobs": True, "batch_tokens": _GSM8K_TOKENS}} if _task_name(values) == "gsm8k" else {}
        )


class SweepConfig(RolloutConfig):
    """What `sample` and `perturb` share: a sweep, and a greedy baseline beside it."""

    num_rollouts: Annotated[int, Field(ge=1, lt=2**31)] = 512
    """Rollouts a prompt and value of the sweep."""
    greedy: bool = True
    """Whether the unperturbed model's greedy answer is measured beside the sweep."""


class SampleConfig(SweepConfig):
    """`labkit sample`: diversity from the temperature."""

    command: Literal["sample"] = "sample"
    temperatures: Temperatures = (0.4, 0.6, 0.8, 1.0)
    """Temperatures to sweep, each above 0: greedy decoding is an arm of its own."""


class PerturbConfig(SweepConfig):
    """`labkit perturb`: diversity from Gaussian noise on the weights, greedy decoding."""

    command: Literal["perturb"] = "perturb"
    sigmas: Sigmas = (0.001, 0.003, 0.005, 0.01)
    """Standard deviations of the noise, in units of the weights; 0 is the noise floor of decoding itself."""

    @model_validator(mode="after")
    def _greedy_decoding(self) -> PerturbConfig:
        if self.generation.top_p != 1 or self.generation.top_k != 0:
            raise ValueError("perturb decodes greedily: generation.top_p and generation.top_k would do nothing")
        return self


def _task_name(values: Mapping[str, Any]) -> Any:
    task = values.get("task")
    return task.get("name") if isinstance(task, Mapping) else None


_GSM8K_TOKENS = 131_072
"""Keys and values of as many tokens take 17 GiB in Llama-3.1-8B and 1.6 GiB in Qwen2.5-0.5B, both in bfloat16."""
_USUAL_TEMPERATURES = {"gsm8k": 0.7, "goodhart": 0.3}


class EvalConfig(RolloutConfig):
    """`labkit eval`: one way of decoding, over the prompts of one task or of many data sets, with one model load."""

    command: Literal["eval"] = "eval"
    temperature: Annotated[float, Field(ge=0)] = 0.0
    """0 decodes greedily, the default but for GSM8K (0.7) and Goodhart (0.3), which have 5 rollouts and a
    `generation.top_p` of 0.9 at any temperature above 0."""
    num_rollouts: Annotated[int, Field(ge=1, lt=2**31)] = 1
    """Rollouts a prompt."""
    rerankers: Annotated[tuple[str, ...], AfterValidator(_distinct)] = ()
    """What scores every rollout when all are there, lower being better: an energy model (`run:NAME`, a folder, a hub
    id), or a Python file with `score(question, solution)`."""

    @classmethod
    def implied(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Five draws, as GSM8K and Goodhart are usually reported, unless a temperature of 0 is given."""
        name, implied = _task_name(values), super().implied(values)
        if name not in _USUAL_TEMPERATURES or values.get("temperature") == 0:
            return implied
        generation = {**implied.get("generation", {}), "top_p": 0.9}
        return {"temperature": _USUAL_TEMPERATURES[name], "num_rollouts": 5, "generation": generation}

    @model_validator(mode="after")
    def _greedy_is_alone(self) -> EvalConfig:
        if self.temperature == 0 and (self.num_rollouts > 1 or self.generation.top_p != 1 or self.generation.top_k):
            raise ValueError(
                "at temperature 0 every rollout is the same: num_rollouts, generation.top_p and generation.top_k "
                "need a temperature above 0"
            )
        return self


class TrainConfig(RunConfig):
    """`labkit train`: training of a model, from scratch or from a checkpoint."""

    command: Literal["train"] = "train"
    method: Literal["sft", "energy"] = "sft"
    """`sft` teaches a causal model the completions of prompts; `energy` a classifier to tell right solutions of a question
    from wrong ones, from the `rollouts` of earlier runs."""
    model: ModelConfig | None = None
    """The model to go on from; null makes one from `architecture` and `tokenizer`."""
    architecture: ArchitectureConfig | None = None
    tokenizer: TokenizerConfig | None = None
    device: str = "auto"
    """Where a model made from nothing is trained; `auto` is the first accelerator that works, else the CPU."""
    examples: ExamplesConfig = CountdownExamples()
    optimisation: OptimisationConfig = OptimisationConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    loss_on: Literal["completion", "all"] = "completion"
    """Tokens that the loss is taken on: those of completions, or `all`, the prompt's too."""
    checkpoint_every: Interval = 100
    """Optimiser steps between checkpoints, or a part of the run."""
    keep_checkpoints: Literal["newest", "all"] = "newest"
    """`newest` keeps the two that a killed training may go on from; `all` keeps the weights of every one, and those
    before the first step."""
    log_every: Annotated[int, Field(ge=1)] = 10
    """Optimiser steps between lines of `metrics.jsonl`."""

    @model_validator(mode="after")
    def _one_start(self) -> TrainConfig:
        made = self.architecture is not None and self.tokenizer is not None
        if (self.model is not None) == made or (self.architecture is None) != (self.tokenizer is None):
            raise ValueError(
                "give either `model`, to go on from it, or both `architecture` and `tokenizer`, to make one"
            )
        if self.model is not None and self.device != "auto":
            raise ValueError("a loaded model's device is `model.device`; `device` is for one made from nothing")
        if (self.method == "energy") != isinstance(self.examples, RolloutExamples):
            raise ValueError("method: energy learns from examples.name: rollouts, and nothing else does")
        if self.method == "energy" and self.loss_on != "completion":
            raise ValueError("method: energy writes no tokens: loss_on would do nothing")
        if self.method == "energy" and self.evaluation.max_new_tokens != EvaluationConfig().max_new_tokens:
            raise ValueError("method: energy writes no tokens: evaluation.max_new_tokens would do nothing")
        if self.model is not None and self.model.device_map is not None:
            raise ValueError("training keeps the model on one device: leave `model.device_map` out")
        return self


class ProbeConfig(Config):
    """A linear map from hidden states to the coordinates of cities, fitted on some and measured on others."""

    method: Literal["linear", "ridge", "lasso"] = "linear"
    """Least squares, or with an L2 (`ridge`, alpha 10) or L1 (`lasso`, alpha 1) penalty."""
    train: str = "region:.* && city_id:^[1-9]"
    """Filter of the cities that it is fitted on, over the columns of `cities.csv`; ids are padded text there."""
    test: str = "region:.* && city_id:^[1-9]"
    """Filter of the cities that it is measured on, those it was fitted on left out."""
    num_train: Annotated[int, Field(ge=2)] = 3250
    """Most cities to fit on."""
    num_test: Annotated[int, Field(ge=1)] = 1250
    """Most cities to measure on. In a world with fewer than both together a fifth is kept for it."""
    generalisation_train: str = "region:^(?!Atlantis)"
    """Filter of the extracted cities that the probe of generalisation is fitted on."""
    generalisation_test: str = "region:^Atlantis$"
    """Filter of the extracted cities that it must generalise to."""
    num_baseline: Annotated[int, Field(ge=1)] = 100
    """Most cities like those it was fitted on that are held out as a baseline; at most a quarter of them."""
    generalisation_num_train: Annotated[int, Field(ge=2)] = 4000
    """Most cities that the probe of generalisation is fitted on."""


class ExtractConfig(RunConfig):
    """`labkit extract`: hidden states of a model for every city, and what can be read from them."""

    command: Literal["extract"] = "extract"
    model: ModelConfig = ModelConfig()
    checkpoints: Literal["final", "last", "all"] | Steps = "final"
    """Which weights of a training run: `final`, `last` (the numbered checkpoint of the highest step), `all` numbered ones
    and the final model where it is not the last of them, or a list of steps."""
    cities: Path = Path("data/world/cities.csv")
    """The cities, as `labkit data build` writes them."""
    prompt_format: str | None = None
    """`TASK_firstcity_last_and_trans`: the task's prompt up to what follows the first city, read at the last digit and
    at that separator; null takes the task from what the model was trained on."""
    layers: Layers = (5,)
    """Hidden states after these blocks; 0 is the embeddings, and the last is taken behind the final norm."""
    num_cities: Annotated[int, Field(ge=3)] | None = None
    """Most cities to extract; null is those the probe asks for."""
    batch_size: Annotated[int, Field(ge=1)] = 512
    """Most prompts in a forward pass."""
    probe: ProbeConfig = ProbeConfig()
    pca_components: Annotated[tuple[Annotated[int, Field(ge=1)], ...], AfterValidator(_distinct)] = (2, 4, 6, 8, 10)
    """Numbers of principal components that coordinates are read from as well; empty for none."""

    @model_validator(mode="after")
    def _one_choice_of_weights(self) -> ExtractConfig:
        if self.model.checkpoint != "final" and self.checkpoints != "final":
            raise ValueError("checkpoints says which weights are extracted: leave model.checkpoint out")
        return self


COMMANDS: dict[str, type[Config]] = {
    "sample": SampleConfig,
    "perturb": PerturbConfig,
    "train": TrainConfig,
    "eval": EvalConfig,
    "extract": ExtractConfig,
    "data": DataConfig,
}
"""Every command that takes a config, by the value of the config's `command`."""


def refuse_default_model(resolved: Resolved[Any]) -> None:
    """Refuse to ask the built-in model, which knows nothing but Countdown, about anything else, where nobody named one.

    Raises:
        ConfigError: nobody did.
    """
    config = resolved.config
    is_foreign = isinstance(config, ExtractConfig) or (
        isinstance(config, EvalConfig) and config.task.name in ("world", "gsm8k", "goodhart")
    )
    if is_foreign and resolved.origins["model.id"] == "default":
        raise ConfigError("which model?", "--model run:NAME, a folder or a hub id")
