"""One config class a command, and the registry from which everything else learns their names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from labkit.config.base import Config
from labkit.config.sections import CountdownTask, GenerationConfig, ModelConfig, TaskConfig
from labkit.config.training import (
    ArchitectureConfig,
    CountdownExamples,
    EvaluationConfig,
    ExamplesConfig,
    OptimisationConfig,
    TokenizerConfig,
)


def _distinct(values: tuple[float, ...]) -> tuple[float, ...]:
    if len(set(values)) != len(values):
        raise ValueError("a value stands here twice")
    return values


Temperature = Annotated[float, Field(gt=0)]
Temperatures = Annotated[tuple[Temperature, ...], Field(min_length=1), AfterValidator(_distinct)]
Sigma = Annotated[float, Field(ge=0)]
Sigmas = Annotated[tuple[Sigma, ...], Field(min_length=1), AfterValidator(_distinct)]


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


class SweepConfig(RunConfig):
    """What `sample` and `perturb` share: prompts, rollouts, and a greedy baseline beside the sweep."""

    model: ModelConfig = ModelConfig()
    task: TaskConfig = CountdownTask()
    generation: GenerationConfig = GenerationConfig()
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


class TrainConfig(RunConfig):
    """`labkit train`: supervised training of a causal model, from scratch or from a checkpoint."""

    command: Literal["train"] = "train"
    method: Literal["sft"] = "sft"
    """Supervised training on the completions of prompts."""
    model: ModelConfig | None = None
    """The model to go on from; null makes one from `architecture` and `tokenizer`."""
    architecture: ArchitectureConfig | None = None
    tokenizer: TokenizerConfig | None = None
    device: str = "auto"
    """Where a model made from nothing is trained; `auto` is the first accelerator that works, else the CPU."""
    examples: ExamplesConfig = CountdownExamples()
    optimisation: OptimisationConfig = OptimisationConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint_every: Annotated[int, Field(ge=1)] = 100
    """Optimiser steps between checkpoints; the newest two are kept."""
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
        if self.model is not None and self.model.device_map is not None:
            raise ValueError("training keeps the model on one device: leave `model.device_map` out")
        return self


COMMANDS: dict[str, type[RunConfig]] = {"sample": SampleConfig, "perturb": PerturbConfig, "train": TrainConfig}
"""Every command that takes a config, by the value of the config's `command`."""
