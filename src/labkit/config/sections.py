"""The parts that several commands' configs share: model, task, generation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from labkit.config.base import Config

Split = Literal["all", "train", "validation", "test"]


def _checkpoint(value: str) -> str:
    if value in ("final", "last") or (value.isascii() and value.isdecimal()):
        return value
    raise ValueError("should be final, last, or a step, such as 200")


def _step_as_text(value: object) -> object:
    """A step is a number to whoever writes YAML."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class ModelConfig(Config):
    """Which weights, and how they are held."""

    id: str = "builtin:countdown-tiny"
    """A hub id, a folder in Hugging Face format, `builtin:NAME`, a training run's folder, or `run:NAME` for the newest
    finished training of that name (or id) in the runs folder."""
    checkpoint: Annotated[str, BeforeValidator(_step_as_text), AfterValidator(_checkpoint)] = "final"
    """Which weights of a training run: `final`, `last` (the numbered checkpoint of the highest step), or a step."""
    revision: str | None = None
    """Branch, tag or commit of a hub id; null is its default branch."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights; `auto` is the one they were saved in (float32 in a training)."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps`; `auto` is the first accelerator that works, else the CPU."""
    device_map: Literal["auto", "balanced", "sequential"] | None = None
    """Spread a model over several devices, in accelerate's words; null keeps it on one."""


class CountdownTask(Config):
    """Countdown: reach a target with the given numbers, each used once."""

    name: Literal["countdown"] = "countdown"
    data: Path | None = None
    """A file of problems in the published JSON format; null generates them."""
    split: Split = "test"
    """Part of the data; the parts share no problem. A file has `all`, `train` (its first 200 rows) and `test`."""
    offset: Annotated[int, Field(ge=0)] = 0
    """Prompts of the split to pass over."""
    num_prompts: Annotated[int, Field(ge=1)] = 128
    """Prompts to take after the offset."""
    preset: str | None = None
    """How a problem is worded; null is what the model's folder names, else `published`."""
    data_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the generated problems."""
    num_numbers: tuple[int, ...] | None = None
    """How many numbers a problem has; several values mix. Null is 3 when generating, anything in a file."""
    number_range: tuple[int, int] | None = None
    """Lowest and highest number. Null is 1-99 when generating, anything in a file."""
    target_range: tuple[int, int] | None = None
    """Lowest and highest target, whole targets only. Null is 10-100 when generating, anything in a file."""
    scorer: Literal["exact", "published"] = "exact"
    """`exact` fractions, or the `published` verdicts with their known faults, for comparison."""


class PromptFileTask(Config):
    """A JSONL file of prompts, one object a line: `prompt` or `messages`, and optionally `answer`."""

    name: Literal["jsonl"]
    path: Path
    """The file."""
    offset: Annotated[int, Field(ge=0)] = 0
    """Lines to pass over."""
    num_prompts: Annotated[int, Field(ge=1)] | None = None
    """Most prompts to take after the offset; null takes them all."""


class PythonTask(Config):
    """A task of the user's own: a Python file with `prompts()` and `score(prompt, text)`."""

    name: Literal["python"]
    path: Path
    """The file."""
    split: Split = "test"
    """Handed to `prompts`."""
    offset: Annotated[int, Field(ge=0)] = 0
    """Prompts to pass over."""
    num_prompts: Annotated[int, Field(ge=1)] | None = None
    """Most prompts to take after the offset; null takes them all."""


class WorldTask(Config):
    """Geometric questions about cities, from data sets made by `labkit data build`."""

    name: Literal["world"]
    data: Path = Path("data/world")
    """The folder that holds the data sets."""
    evaluations: tuple[str, ...] | None = None
    """Names of the data sets to ask from; null is every task on Atlantis, every task, and `multi_task`, as far as they
    are there."""
    split: Literal["train", "validation", "test"] = "test"
    """Which split of each."""
    offset: Annotated[int, Field(ge=0)] = 0
    """Rows of each evaluation to pass over."""
    num_prompts: Annotated[int, Field(ge=1)] | None = None
    """Most rows of each evaluation, drawn by the fingerprint of its data set; null is up to 10,000."""


class Gsm8kTask(Config):
    """GSM8K: grade-school word problems whose answer is a number."""

    name: Literal["gsm8k"]
    data: Path | None = None
    """A JSONL file of problems in the published form; null takes the published data set from the hub."""
    split: Literal["train", "test"] = "test"
    """Which split of the published data set; a file is what it is."""
    offset: Annotated[int, Field(ge=0)] = 0
    """Problems to pass over."""
    num_prompts: Annotated[int, Field(ge=1)] | None = None
    """Most problems to take after the offset; null takes them all."""
    preset: Literal["instruct", "plain"] | None = None
    """`instruct` asks for steps and an answer after `####`; `plain` is the question alone. Null is what the model's folder
    names, else `instruct`."""


class GoodhartTask(Config):
    """Goodhart: for each item the answer is asked, and in a conversation of its own the way to it."""

    name: Literal["goodhart"]
    data: Path | None = None
    """A YAML file of items; null takes the twenty that come with labkit."""
    offset: Annotated[int, Field(ge=0)] = 0
    """Items to pass over."""
    num_prompts: Annotated[int, Field(ge=1)] | None = None
    """Most items to take after the offset, each of two prompts; null takes them all."""


def _task_name(value: object) -> object:
    return value.get("name", "countdown") if isinstance(value, dict) else getattr(value, "name", None)


TaskConfig = Annotated[
    Annotated[CountdownTask, Tag("countdown")]
    | Annotated[PromptFileTask, Tag("jsonl")]
    | Annotated[PythonTask, Tag("python")]
    | Annotated[WorldTask, Tag("world")]
    | Annotated[Gsm8kTask, Tag("gsm8k")]
    | Annotated[GoodhartTask, Tag("goodhart")],
    Discriminator(
        _task_name,
        custom_error_type="task",
        custom_error_message="a task's name is countdown, goodhart, gsm8k, jsonl, python or world",
    ),
]


class GenerationConfig(Config):
    """How tokens are drawn. Nothing hidden in a model's own `generation_config` is ever applied."""

    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    """Most tokens a rollout may have; null is what the model's folder names, else 1024, and 30 for the world, whose
    answers are shorter."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus: draw among the likeliest tokens that hold this much probability; 1 is all of them."""
    top_k: Annotated[int, Field(ge=0)] = 0
    """Draw among this many likeliest tokens; 0 is all of them."""
    repetition_penalty: Annotated[float, Field(gt=0)] = 1.0
    """Divides the score of tokens seen before; 1 is none."""
    stop: tuple[str, ...] = ()
    """Texts that end a rollout, beside the model's end of turn; they are cut from its text."""
    batch_size: Annotated[int, Field(ge=1)] = 512
    """Most rollouts decoded at once; halved by itself when memory runs out."""
    batch_tokens: Annotated[int, Field(ge=1)] | None = None
    """Most tokens in memory at once: rollouts of a batch times the longest prompt among them and `max_new_tokens`; null is
    any number, and 131,072 for GSM8K."""
    logprobs: bool = False
    """Whether each rollout keeps the sum of the log-probabilities of its tokens under the model's own distribution,
    temperature 1 and nothing filtered; true for GSM8K unless set."""
