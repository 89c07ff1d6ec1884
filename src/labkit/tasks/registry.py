"""From a task's config to the task. Adding a task is one config class and one entry here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labkit.config.sections import CountdownTask as CountdownConfig
from labkit.config.sections import GoodhartTask as GoodhartConfig
from labkit.config.sections import Gsm8kTask as Gsm8kConfig
from labkit.config.sections import PromptFileTask as PromptFileConfig
from labkit.config.sections import PythonTask as PythonConfig
from labkit.config.sections import TaskConfig
from labkit.config.sections import WorldTask as WorldConfig
from labkit.tasks.base import Scorer, Task
from labkit.tasks.countdown import CountdownTask
from labkit.tasks.countdown.task import CountdownScorer
from labkit.tasks.goodhart.task import GoodhartTask
from labkit.tasks.gsm8k.task import Gsm8kScorer, Gsm8kTask
from labkit.tasks.prompt_file import PromptFileTask, TextScorer
from labkit.tasks.python_file import PythonFileTask
from labkit.tasks.world.task import WorldScorer, WorldTask


def _countdown(config: CountdownConfig) -> Task:
    return CountdownTask(
        split=config.split,
        seed=config.data_seed,
        data=config.data,
        num_numbers=config.num_numbers,
        number_range=config.number_range,
        target_range=config.target_range,
        scorer_mode=config.scorer,
    )


_TASKS: dict[type, Callable[[Any], Task]] = {
    CountdownConfig: _countdown,
    GoodhartConfig: lambda config: GoodhartTask(config.data),
    Gsm8kConfig: lambda config: Gsm8kTask(config.data, config.split),
    PromptFileConfig: lambda config: PromptFileTask(config.path),
    PythonConfig: lambda config: PythonFileTask(config.path, config.split),
    WorldConfig: lambda config: WorldTask(config.data, config.evaluations, config.split),
}


def load_task(config: TaskConfig) -> Task:
    """The task that a config names.

    Raises:
        InputError: its data cannot be used.
    """
    return _TASKS[type(config)](config)


_SCORERS: dict[type, Callable[[Any], Scorer]] = {
    CountdownConfig: lambda config: CountdownScorer(config.scorer),
    Gsm8kConfig: lambda _: Gsm8kScorer(),
    PromptFileConfig: lambda _: TextScorer(),
    WorldConfig: lambda _: WorldScorer(),
}


def load_scorer(config: TaskConfig) -> Scorer | None:
    """The scorer of a task whose prompts hold all that it compares with, so that its data need not be there; None where
    golds and rules stand in the task's own file, and the task is to be loaded."""
    make = _SCORERS.get(type(config))
    return None if make is None else make(config)
