"""Countdown: make a target from given numbers with + - * /, each number exactly once.

Knows the problems, their prompts and the verdict on an answer. Does *not* know models, runs or training.
"""

from labkit.tasks.countdown.generator import Settings, generate, generate_block
from labkit.tasks.countdown.presets import PRESETS
from labkit.tasks.countdown.problems import Problem, solve
from labkit.tasks.countdown.scorer import score
from labkit.tasks.countdown.task import CountdownTask

__all__ = ["PRESETS", "CountdownTask", "Problem", "Settings", "generate", "generate_block", "score", "solve"]
