"""The arithmetic of a training: the published numbers of steps, checkpoints and evaluations, and where they fall."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.config.base import Layer, file_layer, resolve
from labkit.config.commands import TrainConfig
from labkit.config.templates import find_template
from labkit.errors import ConfigError
from labkit.train.plan import TrainingPlan, interval_steps, plan_training, steps_per_epoch


def plan(template: str, num_rows: int | None, **values: object) -> TrainingPlan:
    given = {key.replace("__", "."): value for key, value in values.items()}
    layers = [file_layer(find_template(Path(template))), Layer("test", given)]
    return plan_training(resolve(TrainConfig, layers).config, num_rows)


@pytest.mark.parametrize(
    ("template", "num_rows", "num_steps", "checkpoint_every", "evaluate_every"),
    [
        ("exp1-pretrain", 7_000_000, 328_128, 8_204, 1_641),
        ("exp1-finetune", 121_792, 28_560, 714, 143),
        ("exp1-finetune", 241_792, 56_670, 1_417, 284),
    ],
)
def test_the_published_trainings(
    template: str, num_rows: int, num_steps: int, checkpoint_every: int, evaluate_every: int
) -> None:
    found = plan(template, num_rows)
    assert (found.num_steps, found.warmup_steps) == (num_steps, 50)
    assert (found.checkpoint_every, found.evaluate_every) == (checkpoint_every, evaluate_every)
    assert len(found.checkpoint_steps) == 41
    assert (found.checkpoint_steps[0], found.checkpoint_steps[-1]) == (0, num_steps)
    assert len(found.evaluation_steps) in (200, 201) and found.evaluation_steps[-1] == num_steps


def test_one_task_at_a_time_with_more_epochs() -> None:
    found = plan("exp1-pretrain", 1_000_000, optimisation__num_epochs=42)
    assert (found.num_steps, found.checkpoint_every) == (328_146, 8_204)


def test_a_part_of_an_epoch_is_rounded_up_to_whole_steps() -> None:
    found = plan("exp1-finetune", 1001, optimisation__num_epochs=1.5, optimisation__batch_size=100)
    assert steps_per_epoch(1001, 100) == 11
    assert (found.num_steps, found.num_rows) == (17, 1001)
    assert found.num_epochs == pytest.approx(17 / 11)


def test_steps_stand_where_no_epochs_are_given() -> None:
    found = plan("countdown-tiny", None)
    assert (found.num_steps, found.num_epochs, found.warmup_steps) == (160, None, 8)
    assert found.checkpoint_steps == [40, 80, 120, 160]  # the newest are kept, so none of step 0
    assert plan("countdown-tiny", 5120).num_epochs == 16


def test_examples_without_end_have_no_epochs() -> None:
    with pytest.raises(ConfigError, match=r"num_epochs is 6, but dataset examples"):
        plan("exp1-pretrain", None)


@pytest.mark.parametrize(
    ("interval", "num_steps", "expected"), [(7, 3, 7), (0.025, 28_560, 714), (0.035, 400, 14), (0.005, 20, 1)]
)
def test_intervals(interval: float, num_steps: int, expected: int) -> None:
    """0.035 of 400 is 14; its binary fraction is a little more, and would make 15."""
    assert interval_steps(interval, num_steps) == expected


@pytest.mark.parametrize("interval", [0, -1, 1.0, 2.5, 0.0])
def test_what_is_no_interval(interval: float) -> None:
    with pytest.raises(ConfigError, match=r"^checkpoint_every: should be a whole number of steps"):
        plan("exp1-pretrain", 1000, checkpoint_every=interval)


@given(
    every=st.one_of(st.integers(1, 50), st.floats(0.001, 0.999)),
    num_steps=st.integers(1, 300),
    keep=st.sampled_from(["all", "newest"]),
)
def test_checkpoints_are_multiples_and_end_with_the_training(every: float, num_steps: int, keep: str) -> None:
    found = plan(
        "countdown-tiny", None, optimisation__num_steps=num_steps, checkpoint_every=every, keep_checkpoints=keep
    )
    steps = found.checkpoint_steps
    assert steps == sorted(set(steps)) and steps[-1] == num_steps
    assert all(step % found.checkpoint_every == 0 for step in steps[:-1])
    assert (0 in steps) == (keep == "all")
    if isinstance(every, float):
        assert len([step for step in steps if step]) <= 1 / every + 1
