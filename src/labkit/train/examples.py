"""What a model learns from: the examples of a step as a pure function of (seed, step), and prompts held out from them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from labkit.config.base import stable_digest
from labkit.config.training import CountdownExamples as CountdownConfig
from labkit.config.training import DatasetExamples as DatasetConfig
from labkit.config.training import ExamplesConfig
from labkit.config.training import Gsm8kExamples as Gsm8kConfig
from labkit.config.training import PromptFileExamples as PromptFileConfig
from labkit.config.training import RolloutExamples as RolloutsConfig
from labkit.errors import InputError
from labkit.models.engine import EncodedPrompt
from labkit.record.identity import draw_seed
from labkit.tasks.base import Prompt, Task
from labkit.tasks.countdown import PRESETS, CountdownTask, Settings, generate_block
from labkit.tasks.countdown.choice import check_choice
from labkit.tasks.gsm8k.problems import HUB_ID
from labkit.tasks.gsm8k.task import Gsm8kTask
from labkit.tasks.prompt_file import PromptFileTask
from labkit.tasks.questions import question_id, question_text
from labkit.train.dataset import CityQuestions, DatasetExamples, HasVocabulary
from labkit.train.rollout_pairs import RolloutExamples

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from labkit.models.torch_engine import TorchEngine
    from labkit.train.rows import Row


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and what the model should write after it (and after its prefill)."""

    prompt: Prompt
    completion: str


class TrainingData(Protocol):
    """What can be said of whatever a model learns from, before a model is loaded."""

    held_out: Sequence[Prompt]
    """What the model is measured on."""
    fingerprint: str
    num_rows: int | None = None
    """Examples that there are; None where they are generated without end."""
    data_name: str
    """What the lineage of a trained model says that it learnt from."""
    cities: str | None = None
    """Fingerprint of the cities that they are about; None where they are about none, or nothing says which."""
    tasks: Sequence[str] = ()
    """The named tasks that are trained, in the canonical order. Rows of others may remind a model of what it knows."""

    parents: Sequence[Mapping[str, str]] = ()
    """The runs that they come from, as in `run.json`."""

    @property
    def scorer(self) -> str:
        """Who says what is right."""
        ...

    def check_vocabulary(self, tokenizer: HasVocabulary) -> None:
        """Refuse, with an `InputError`, a model whose vocabulary is not the one that the rows were written for."""
        return

    def notes(self, batch_size: int) -> Sequence[str]:
        """Facts that the user should see once, of examples that are learnt so many a step."""
        return ()


class Examples(TrainingData, Protocol):
    """Texts that a causal model learns to write."""

    preset: str | None = None
    """The wording, which the trained model's folder then names as its own."""
    task: Task | CityQuestions
    """Scores the held-out prompts."""

    @property
    def scorer(self) -> str:
        return self.task.scorer

    def rows_at(self, step: int, size: int, engine: TorchEngine) -> Sequence[Row]:
        """The rows of one optimiser step, independent of the steps before it."""
        ...

    def first_prompt(self, engine: TorchEngine) -> EncodedPrompt:
        """The first prompt that is learnt from."""
        ...

    def trained_questions(self, num_examples: int) -> frozenset[str]:
        """Ids (`question_id`) of the questions among the first examples; none where the data have splits of their own, which
        tell what was learnt from without them."""
        return frozenset()

    def validation_rows(self, tokenizer: PreTrainedTokenizerBase) -> Sequence[Row]:
        """Held-out rows on which the loss is measured."""
        return ()


class PairExamples(Examples):
    """Prompts with their completions."""

    @abstractmethod
    def block(self, step: int, size: int) -> list[Example]:
        """The examples of one optimiser step, independent of the steps before it."""

    def rows_at(self, step: int, size: int, engine: TorchEngine) -> Sequence[Row]:
        from labkit.train.rows import joined_rows  # loads torch, which a dry run does without

        block = self.block(step, size)
        prompts = [engine.encode(example.prompt).token_ids for example in block]
        return joined_rows(prompts, [example.completion for example in block], engine.tokenizer)

    def first_prompt(self, engine: TorchEngine) -> EncodedPrompt:
        return engine.encode(self.block(0, 1)[0].prompt)


class CountdownExamples(PairExamples):
    """Generated problems of the training split; held out are those of the validation split."""

    data_name = "countdown"

    def __init__(self, config: CountdownConfig, seed: int, num_held_out: int) -> None:
        check_choice("prompt preset", config.preset, PRESETS)
        self.preset = config.preset
        self._seed = draw_seed(seed, "examples", config.data_seed)
        self._settings = Settings(config.num_numbers, config.number_range, config.target_range)
        self._wording = PRESETS[config.preset]
        self.task = CountdownTask(
            split="validation",
            seed=config.data_seed,
            num_numbers=config.num_numbers,
            number_range=config.number_range,
            target_range=config.target_range,
        )
        self.fingerprint = self.task.data_fingerprint
        self.held_out = (
            self.task.prompts(preset=config.preset, offset=0, num_prompts=num_held_out) if num_held_out else []
        )

    def block(self, step: int, size: int) -> list[Example]:
        problems = generate_block(self._seed, "train", step, size, self._settings)
        return [
            Example(self._wording.render(problem), self._wording.completion(problem.solution or ""))
            for problem in problems
        ]


class ShuffledExamples(PairExamples):
    """A list of examples in an order that is drawn anew each time round."""

    def __init__(self, task: Task, examples: Sequence[Example], held_out: Sequence[Prompt], seed: int) -> None:
        self.task = task
        self.fingerprint = task.data_fingerprint
        self.num_rows = len(examples)
        self.held_out = held_out
        self._examples = examples
        self._seed = seed

    def block(self, step: int, size: int) -> list[Example]:
        positions = range(step * size, (step + 1) * size)
        length = len(self._examples)
        orders = {epoch: self._order(epoch) for epoch in range(positions[0] // length, positions[-1] // length + 1)}
        return [self._examples[orders[at // length][at % length]] for at in positions]

    def trained_questions(self, num_examples: int) -> frozenset[str]:
        seen = self._order(0)[:num_examples]  # all of them, once round
        prompts = (self._examples[at].prompt for at in seen)
        return frozenset(question_id(question_text(self.task.name, prompt)) for prompt in prompts)

    def _order(self, epoch: int) -> list[int]:
        rng = np.random.Generator(np.random.PCG64(draw_seed(self._seed, "epoch", epoch)))
        return [int(position) for position in rng.permutation(len(self._examples))]


class PromptFileExamples(ShuffledExamples):
    """The prompts of a JSONL file that have an answer."""

    data_name = "jsonl"

    def __init__(self, config: PromptFileConfig, seed: int, num_held_out: int) -> None:
        task = PromptFileTask(config.path)
        prompts = task.prompts(preset=None, offset=0, num_prompts=None)
        examples = [Example(prompt, prompt.gold["answers"][0]) for prompt in prompts if "answers" in prompt.gold]
        super().__init__(task, *_last_held_out(examples, str(config.path), num_held_out), seed)


class Gsm8kExamples(ShuffledExamples):
    """Word problems with their worked solutions."""

    data_name = "gsm8k"

    def __init__(self, config: Gsm8kConfig, seed: int, num_held_out: int) -> None:
        self.preset = config.preset
        task = Gsm8kTask(config.path, "train")
        prompts = task.prompts(preset=config.preset, offset=0, num_prompts=None)
        examples = [Example(*pair) for pair in zip(prompts, task.solutions(), strict=True)]
        where = str(config.path or HUB_ID)
        if config.validation_path is None:
            super().__init__(task, *_last_held_out(examples, where, num_held_out), seed)
            return
        validation = Gsm8kTask(config.validation_path, "train")
        held_out = validation.prompts(preset=config.preset, offset=0, num_prompts=None)
        _refuse_shared(prompts, where, held_out, config.validation_path)
        super().__init__(task, examples, held_out[:num_held_out], seed)
        self.fingerprint = stable_digest([task.data_fingerprint, validation.data_fingerprint], digest_size=16)


def _last_held_out(
    examples: Sequence[Example], where: str, num_held_out: int
) -> tuple[Sequence[Example], list[Prompt]]:
    """What is learnt from, and the prompts of the last examples.

    Raises:
        InputError: nothing would be left to learn from.
    """
    num_rows = len(examples) - num_held_out
    if num_rows <= 0:
        raise InputError(
            f"{where} has {len(examples)} prompts with an answer, and {num_held_out} are to be held out",
            "add examples, or lower evaluation.num_prompts",
        )
    return examples[:num_rows], [example.prompt for example in examples[num_rows:]]


def _refuse_shared(learnt: Sequence[Prompt], where: str, held_out: Sequence[Prompt], path: Path) -> None:
    asked = {prompt.id for prompt in learnt}
    if shared := sum(prompt.id in asked for prompt in held_out):
        raise InputError(
            f"{shared} of the {len(held_out)} problems of {path} are in {where} too",
            "what is measured on must not be learnt from: leave them out of one",
        )


def load_examples(config: ExamplesConfig, seed: int, num_held_out: int, runs_dir: Path) -> Examples | RolloutExamples:
    """The examples that a config names.

    Args:
        runs_dir: where runs are looked for

    Raises:
        InputError: their data cannot be used.
    """
    if isinstance(config, CountdownConfig):
        return CountdownExamples(config, seed, num_held_out)
    if isinstance(config, DatasetConfig):
        return DatasetExamples(config, seed, num_held_out)
    if isinstance(config, Gsm8kConfig):
        return Gsm8kExamples(config, seed, num_held_out)
    if isinstance(config, RolloutsConfig):
        return RolloutExamples(config, seed, num_held_out, runs_dir)
    return PromptFileExamples(config, seed, num_held_out)
