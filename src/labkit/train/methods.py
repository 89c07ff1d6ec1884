"""From a training's config to its method. Adding a method is one class and one line here."""

from __future__ import annotations

from labkit.config.commands import TrainConfig
from labkit.models.folder import ModelFolder
from labkit.tasks.questions import QUESTIONS_VERSION
from labkit.train.energy import Energy
from labkit.train.examples import Examples
from labkit.train.first_model import first_engine
from labkit.train.method import Method
from labkit.train.rollout_pairs import RolloutExamples
from labkit.train.sft import Sft


def make_method(config: TrainConfig, parent: ModelFolder | None, examples: Examples | RolloutExamples) -> Method:
    """The method with its model loaded, on its device.

    Args:
        parent: the model that is gone on from; None where one is made

    Raises:
        ConfigError: it cannot be trained on that device as asked. InputError: the model cannot be loaded, or is not for
            these examples. MachineError: there is no such device, or not enough memory.
    """
    if isinstance(examples, RolloutExamples):  # the config class sees to it that these go with `energy`
        return Energy(config, parent, examples)
    inherited = parent.trained_questions(QUESTIONS_VERSION) if parent else frozenset()
    return Sft(config, first_engine(config, parent), examples, inherited)
