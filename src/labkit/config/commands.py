"""One config class a command, and the registry from which everything else learns their names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from labkit.config.base import Config
from labkit.config.sections import CountdownTask, GenerationConfig, ModelConfig, TaskConfig


def _distinct(values: tuple[float, ...]) -> tuple[float, ...]:
    if len(set(values)) != len(values):
        raise ValueError("a value stands here twice")
    return values


Temperature = Annotated[float, Field(gt=0)]
Sigma = Annotated[float, Field(ge=0)]


class RunConfig(Config):
    """What every command that makes a run is asked."""

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
    temperatures: Annotated[tuple[Temperature, ...], Field(min_length=1), AfterValidator(_distinct)] = (0.4, 0.6, 0.8, 1.0)
    """Temperatures to sweep, each above 0: greedy decoding is an arm of its own."""


class PerturbConfig(SweepConfig):
    """`labkit perturb`: diversity from Gaussian noise on the weights, greedy decoding."""

    command: Literal["perturb"] = "perturb"
    sigmas: Annotated[tuple[Sigma, ...], Field(min_length=1), AfterValidator(_distinct)] = (0.001, 0.003, 0.005, 0.01)
    """Standard deviations of the noise, in units of the weights; 0 is the noise floor of decoding itself."""


class ArchitectureConfig(Config):
    """A model made from nothing."""

    family: Literal["qwen2"] = "qwen2"
    """Architecture, by its `model_type` in transformers."""
    hidden_size: Annotated[int, Field(ge=1)] = 128
    """Width of the residual stream."""
    intermediate_size: Annotated[int, Field(ge=1)] = 384
    """Width of the MLP."""
    num_hidden_layers: Annotated[int, Field(ge=1)] = 4
    """Layers."""
    num_attention_heads: Annotated[int, Field(ge=1)] = 4
    """Query heads."""
    num_key_value_heads: Annotated[int, Field(ge=1)] = 2
    """Key and value heads."""
    max_position_embeddings: Annotated[int, Field(ge=1)] = 64
    """Longest sequence, in tokens."""
    tie_word_embeddings: bool = True
    """Whether the output layer is the embedding."""


COMMANDS: dict[str, type[RunConfig]] = {"sample": SampleConfig, "perturb": PerturbConfig}
"""Every command that takes a config, by the value of the config's `command`."""
