"""The verdict on an answer, rule by rule."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.config.world import TASK_NAMES, TASKS
from labkit.errors import InputError
from labkit.tasks.world.geometry import COMPASS_POINTS
from labkit.tasks.world.scoring import MAX_DIGITS, RowScore, score_row

PROMPTS = {
    "distance": "dist(c_0865,c_4879)=",
    "trianglearea": "triarea(c_1234,c_5678,c_9012)=",
    "angle": "angle(c_2345,c_6789,c_0123)=",
    "compass": "compass(c_1234,c_5678)=",
    "inside": "inside(c_9012;c_3456,c_7890,c_1234)=",
    "perimeter": "perimeter(c_4567,c_8901)=",
    "crossing": "cross(c_2345,c_6789;c_0123,c_4567)=",
}
TRUTHS = dict.fromkeys(TASK_NAMES, "769") | {"compass": "NE", "inside": "TRUE", "crossing": "FALSE"}
ERRORS = [name for name in TASK_NAMES if TASKS[name].kind == "error"]


def scored(task: str, text: str, truth: str | None = None) -> RowScore:
    return score_row(task, PROMPTS[task], text, truth or TRUTHS[task])


@pytest.mark.parametrize("task", ERRORS)
@pytest.mark.parametrize(
    ("text", "error", "answer"),
    [
        ("769", 0, "769"),
        (" 7 6 9 <eos>", 0, "769"),
        ("700", 69, "700"),
        ("0769", 0, "769"),
        ("000", 769, "0"),
        ("769)=12", 0, "769"),
        ("769.9", 0, "769"),
        ("7<eos>69", 762, "7"),
        ("99999999", 99999230, "99999999"),  # beyond the failure value, and kept
    ],
)
def test_errors(task: str, text: str, error: int, answer: str) -> None:
    assert scored(task, text) == RowScore(float(error), error == 0, answer, "digits")


@pytest.mark.parametrize("task", TASK_NAMES)
@pytest.mark.parametrize("text", ["", "<eos>", "x769", "-769", "=769", "NEE", "<eos>769", "TRUE!", "٧٦٩"])
def test_what_cannot_be_read_costs_the_failure_value(task: str, text: str) -> None:
    assert scored(task, text) == RowScore(TASKS[task].failure_value, False, None, "unreadable")


def test_failure_values() -> None:
    expected = [math.sqrt(3600**2 + 1800**2), 3_240_000, 180, 0, 0, 20_000, 0]
    assert [scored(task, "?").value for task in TASK_NAMES] == pytest.approx(expected)
    assert round(scored("distance", "?").value, 2) == 4024.92


@pytest.mark.parametrize(
    ("task", "text", "truth", "answer"),
    [
        ("compass", "NE", "NE", "NE"),
        ("compass", "n e <eos>", "NE", "NE"),
        ("compass", "S", "NE", "S"),
        ("compass", "SW=NE", "NE", "NE"),  # the last `=` counts
        ("inside", "True", "TRUE", "TRUE"),
        ("inside", "FALSE", "TRUE", "FALSE"),
        ("crossing", "F A L S E <eos> <pad>", "F A L S E <eos>", "FALSE"),
    ],
)
def test_labels(task: str, text: str, truth: str, answer: str) -> None:
    right = answer == truth.replace(" ", "").removesuffix("<eos>")
    assert scored(task, text, truth) == RowScore(float(right), right, answer, "label")


def test_a_label_of_another_task_is_not_read() -> None:
    assert scored("compass", "TRUE").rule == scored("inside", "NE").rule == "unreadable"


@given(st.sampled_from(COMPASS_POINTS), st.sampled_from(COMPASS_POINTS))
def test_every_compass_point_is_read(said: str, truth: str) -> None:
    assert scored("compass", said, truth) == RowScore(float(said == truth), said == truth, said, "label")


@given(st.integers(0, 10**20), st.integers(0, 10**7))
def test_the_error_is_the_difference(said: int, truth: int) -> None:
    found = scored("trianglearea", str(said), str(truth))
    assert found.value == float(abs(said - truth)) and found.correct == (said == truth)


@given(st.sampled_from(TASK_NAMES), st.text())
def test_any_text_has_a_finite_value(task: str, text: str) -> None:
    found = scored(task, text)
    assert math.isfinite(found.value) and found.value >= 0
    assert (found.answer is None) == (found.rule in ("unreadable", "too_long"))


def test_numbers_of_any_length_are_bounded() -> None:
    for digits in (MAX_DIGITS + 1, 5000, 10**6):
        assert scored("distance", "9" * digits) == RowScore(TASKS["distance"].failure_value, False, None, "too_long")
    longest = scored("distance", "0" * 10**6 + "9" * MAX_DIGITS)
    assert longest.rule == "digits" and math.isfinite(longest.value**2)
    assert scored("distance", "0" * 10**6 + "769").correct
    assert scored("inside", "=" * 10**6).rule == "unreadable"


@pytest.mark.parametrize("task", TASK_NAMES)
def test_a_truth_that_is_no_answer_is_refused(task: str) -> None:
    with pytest.raises(InputError, match="'maybe' is no answer"):
        scored(task, "769", "maybe")
