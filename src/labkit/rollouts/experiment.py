"""From a config to everything a sweep needs: task, prompts, loaded model, and what the run rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.config.base import stable_digest
from labkit.config.commands import PerturbConfig, SampleConfig, SweepConfig
from labkit.config.sections import CountdownTask
from labkit.models.engine import EncodedPrompt, Engine
from labkit.models.folder import ModelFolder, find_model
from labkit.record.identity import Arm
from labkit.record.run import Ask
from labkit.tasks.base import Prompt, Task
from labkit.tasks.countdown.presets import DEFAULT_PRESET
from labkit.tasks.registry import load_task

DEFAULT_MAX_NEW_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class Experiment:
    """A sweep ready to be carried out."""

    config: SweepConfig
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

    @property
    def ask(self) -> Ask:
        """Every arm over these prompts."""
        return Ask(len(self.prompts), sweep_arms(self.config))


def sweep_arms(config: SweepConfig) -> tuple[tuple[Arm, int], ...]:
    """The arms of a sweep with their rollouts a prompt: the greedy baseline first, with one."""
    how = config.generation
    greedy = Arm("greedy", repetition_penalty=how.repetition_penalty)
    arms: list[tuple[Arm, int]] = [(greedy, 1)] if config.greedy else []
    if isinstance(config, SampleConfig):
        shared: dict[str, Any] = {"top_p": how.top_p, "top_k": how.top_k, "repetition_penalty": how.repetition_penalty}
        arms += [(Arm("temperature", value, **shared), config.num_rollouts) for value in config.temperatures]
    elif isinstance(config, PerturbConfig):
        penalty = how.repetition_penalty
        arms += [
            (Arm("perturbation", value, repetition_penalty=penalty), config.num_rollouts) for value in config.sigmas
        ]
    return tuple(arms)


def prepare(config: SweepConfig, say: Callable[[str], None], known: Sequence[Prompt] = ()) -> Experiment:
    """Find the data and the model, load both, and work out the base.

    Args:
        say: takes a line of talk for the user, such as facts about the data
        known: prompts that a resumed run has already, in its order; the config's own follow them

    Raises:
        InputError: data or model cannot be used. MachineError: the model does not fit or cannot be had.
    """
    task = load_task(config.task)
    folder = find_model(config.model)
    settings = folder.settings()
    # Only Countdown words its prompts; other tasks bring them worded.
    preset = None
    if isinstance(config.task, CountdownTask):
        preset = config.task.preset or settings.get("prompt_preset") or DEFAULT_PRESET
    prompts = task.prompts(preset=preset, offset=config.task.offset, num_prompts=config.task.num_prompts)
    joined = {prompt.id: prompt for prompt in (*known, *prompts)}
    for note in task.notes:
        say(note)
    engine = _load(folder, config)
    encoded = [engine.encode(prompt) for prompt in joined.values()]
    about = engine.describe()
    unknown = sum(about["unknown_token_id"] in prompt.token_ids for prompt in encoded)
    if unknown and about["unknown_token_id"] is not None:
        say(f"{unknown} of {len(encoded)} prompts hold text that this model's tokenizer does not know")
    max_new_tokens = config.generation.max_new_tokens or settings.get("max_new_tokens") or DEFAULT_MAX_NEW_TOKENS
    base = {
        "model": folder.weights_fingerprint(),
        "tokenizer": folder.tokenizer_fingerprint(),
        "chat_template": stable_digest(about["chat_template"]),
        "task": task.name,
        "preset": preset,
        "data": task.data_fingerprint,
        "dtype": about["dtype"],
        "max_new_tokens": max_new_tokens,
        "stop": list(config.generation.stop),
        "end_of_turn": about["end_of_turn_ids"],
    }
    score = {"scorer": task.scorer, "golds": task.data_fingerprint}
    parents = folder.parents()
    return Experiment(
        config, task, list(joined.values()), list(joined), encoded, engine, max_new_tokens, base, score, parents
    )


def _load(folder: ModelFolder, config: SweepConfig) -> Engine:
    from labkit.models.loading import load_engine

    return load_engine(folder, config.model)
