"""From a config to everything a sweep needs: task, prompts, loaded model, and what the run rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.config.base import stable_digest
from labkit.config.commands import EvalConfig, PerturbConfig, SampleConfig, SweepConfig
from labkit.config.sections import CountdownTask, Gsm8kTask
from labkit.errors import InputError
from labkit.models.engine import EncodedPrompt, Engine
from labkit.models.engines import Engines
from labkit.models.folder import ModelFolder, find_model
from labkit.record.identity import Arm
from labkit.record.run import Ask
from labkit.rollouts.asking import refuse_two_beginnings, too_long_text, unstopped_text
from labkit.rollouts.plan import Batch, Done, TokenLimit, owed_batches
from labkit.tasks.base import EvaluatedTask, Prompt, Task
from labkit.tasks.countdown.presets import DEFAULT_PRESET
from labkit.tasks.gsm8k import task as gsm8k
from labkit.tasks.questions import QUESTIONS_VERSION, question_id, question_text
from labkit.tasks.registry import load_task

DEFAULT_MAX_NEW_TOKENS = 1024
_MANY_PROMPTS = 20_000
"""So many take a second or more to encode."""

AskedConfig = SweepConfig | EvalConfig
"""A config that says how many rollouts of which arms are wanted."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A sweep ready to be carried out."""

    config: AskedConfig
    task: Task
    prompts: Sequence[Prompt]
    prompt_ids: Sequence[str]
    encoded: Sequence[EncodedPrompt]
    engine: Engine
    max_new_tokens: int
    base: dict[str, Any]
    """What every rollout rests on; runs that share it can be merged."""
    score: dict[str, Any]
    """What every verdict rests on."""
    parents: list[dict[str, str]]
    """The runs that made something of it, each `run`, `role`, `hash`."""
    lineage: list[dict[str, Any]]
    """The trainings that made the model, the oldest first."""
    doubts: Sequence[str]
    """Why it may make no sense to ask this model this task."""
    checkpoint: str | None
    """Which weights of its training run the model is: `final`, `checkpoint-N`; None for one that is of no run."""

    @property
    def ask(self) -> Ask:
        """Every arm over these prompts."""
        return Ask(len(self.prompts), sweep_arms(self.config))

    def owed_batches(self, ask: Ask, done: Done) -> list[Batch]:
        """What is owed of an ask, in batches of the size that the config sets in rollouts and in tokens."""
        how, limit = self.config.generation, None
        if how.batch_tokens is not None:
            limit = TokenLimit(
                [len(prompt.token_ids) + self.max_new_tokens for prompt in self.encoded], how.batch_tokens
            )
        return list(owed_batches(ask, how.batch_size, done, limit))


def sweep_arms(config: AskedConfig) -> tuple[tuple[Arm, int], ...]:
    """The arms of a sweep with their rollouts a prompt: the greedy baseline first, with one. An evaluation has one arm,
    greedy or a temperature."""
    how = config.generation
    greedy = Arm("greedy", repetition_penalty=how.repetition_penalty)
    shared: dict[str, Any] = {"top_p": how.top_p, "top_k": how.top_k, "repetition_penalty": how.repetition_penalty}
    if isinstance(config, EvalConfig):
        warm = Arm("temperature", config.temperature, **shared)
        return ((warm, config.num_rollouts),) if config.temperature > 0 else ((greedy, 1),)
    arms: list[tuple[Arm, int]] = [(greedy, 1)] if config.greedy else []
    if isinstance(config, SampleConfig):
        arms += [(Arm("temperature", value, **shared), config.num_rollouts) for value in config.temperatures]
    elif isinstance(config, PerturbConfig):
        penalty = how.repetition_penalty
        arms += [
            (Arm("perturbation", value, repetition_penalty=penalty), config.num_rollouts) for value in config.sigmas
        ]
    return tuple(arms)


def prepare(
    config: AskedConfig, say: Callable[[str], None], known: Sequence[Prompt] = (), engines: Engines | None = None
) -> Experiment:
    """Find the data and the model, load both, and work out the base.

    Args:
        say: takes a line of talk for the user, such as facts about the data
        known: prompts that a resumed run has already, in its order; the config's own follow them
        engines: where the model may be loaded already; None loads it anew

    Raises:
        InputError: data or model cannot be used. MachineError: the model does not fit or cannot be had.
    """
    task = load_task(config.task)
    folder = find_model(config.model, config.runs_dir)
    preset = _preset(config, folder)
    prompts = task.prompts(preset=preset, offset=config.task.offset, num_prompts=config.task.num_prompts)
    if short := _short_text(config, len(prompts)):
        say(short)
    joined = _joined(task, known, prompts)
    lineage = folder.lineage()
    doubts = [*(task.doubts(lineage) if isinstance(task, EvaluatedTask) else ()), *_trained_on(folder, task, joined)]
    for note in (*task.notes, *doubts):
        say(note)
    engine = (engines or Engines()).load(folder, config.model)
    if len(joined) >= _MANY_PROMPTS:
        say(f"encoding {len(joined):,} prompts")
    encoded = [engine.encode(prompt) for prompt in joined.values()]
    _check_text_is_known(task, encoded, engine, say)
    about = engine.describe()
    refuse_two_beginnings(encoded, about, folder.name)
    remarks = [text for text in (unstopped_text(about), too_long_text(encoded, about, folder.name)) if text]
    for remark in remarks:
        say(remark)
    max_new_tokens = _max_new_tokens(config, task, folder)
    return Experiment(
        config=config,
        task=task,
        prompts=list(joined.values()),
        prompt_ids=list(joined),
        encoded=encoded,
        engine=engine,
        max_new_tokens=max_new_tokens,
        base=_base(config, task, folder, engine) | {"preset": preset, "max_new_tokens": max_new_tokens},
        score={"scorer": task.scorer, "golds": task.data_fingerprint},
        parents=folder.parents(),
        lineage=lineage,
        doubts=[*doubts, *remarks],
        checkpoint=folder.checkpoint,
    )


def _trained_on(folder: ModelFolder, task: Task, prompts: Mapping[str, Prompt]) -> Iterator[str]:
    """Whether the model's trainings say that it has learnt the answers to these prompts."""
    if not (trained := folder.trained_questions(QUESTIONS_VERSION)):
        return
    num_known = sum(question_id(question_text(task.name, prompt)) in trained for prompt in prompts.values())
    if num_known:
        yield (
            f"overlap: the model was TRAINED on {num_known:,} of these {len(prompts):,} prompts: what it does there says nothing "
            "of prompts that it has not seen"
        )


def _short_text(config: AskedConfig, num_prompts: int) -> str | None:
    """What to say where the data hold fewer prompts than were asked for; the world's evaluations say so each."""
    asked = config.task.num_prompts
    there = num_prompts // 2 if config.task.name == "goodhart" else num_prompts  # counted in items
    if asked is None or config.task.name == "world" or there >= asked:
        return None
    return f"{asked} prompts were asked for, and the data hold {there} after the offset: these are all"


def _preset(config: AskedConfig, folder: ModelFolder) -> str | None:
    """Only Countdown and GSM8K word their prompts; other tasks bring them worded."""
    own = folder.settings().get("prompt_preset")
    if isinstance(config.task, Gsm8kTask):
        return config.task.preset or (own if own in gsm8k.PRESETS else gsm8k.DEFAULT_PRESET)
    if not isinstance(config.task, CountdownTask):
        return None
    return config.task.preset or own or DEFAULT_PRESET


def _max_new_tokens(config: AskedConfig, task: Task, folder: ModelFolder) -> int:
    if config.generation.max_new_tokens is not None:
        return config.generation.max_new_tokens
    if isinstance(task, EvaluatedTask):
        return task.max_new_tokens
    return int(folder.settings().get("max_new_tokens") or DEFAULT_MAX_NEW_TOKENS)


def _base(config: AskedConfig, task: Task, folder: ModelFolder, engine: Engine) -> dict[str, Any]:
    about = engine.describe()
    return {
        "model": folder.weights_fingerprint(),
        "tokenizer": folder.tokenizer_fingerprint(),
        "chat_template": stable_digest(about["chat_template"]),
        "task": task.name,
        "data": task.data_fingerprint,
        "dtype": about["dtype"],
        "stop": list(config.generation.stop),
        "end_of_turn": about["end_of_turn_ids"],
    }


def _joined(task: Task, known: Sequence[Prompt], prompts: Sequence[Prompt]) -> dict[str, Prompt]:
    """The prompts of a run by id: known ones where they stand, new ones behind them."""
    found = {prompt.id: prompt for prompt in known}
    for prompt in prompts:
        before = found.get(name := prompt.id)
        found[name] = task.joined(before, prompt) if before and isinstance(task, EvaluatedTask) else prompt
    return found


def _check_text_is_known(
    task: Task, encoded: Sequence[EncodedPrompt], engine: Engine, say: Callable[[str], None]
) -> None:
    unknown_id = engine.describe()["unknown_token_id"]
    unknown = [] if unknown_id is None else [prompt.text for prompt in encoded if unknown_id in prompt.token_ids]
    if not unknown:
        return
    what = f"{len(unknown)} of {len(encoded)} prompts hold text that this model's tokenizer does not know"
    if isinstance(task, EvaluatedTask) and task.known_text_only:
        raise InputError(f"{what}, such as {unknown[0]!r}", "evaluate a model that was trained on data of this kind")
    say(what)
