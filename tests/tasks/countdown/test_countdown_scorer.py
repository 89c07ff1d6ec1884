"""The exact verdicts, the reward, and that no text takes long."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import InputError
from labkit.tasks.countdown import score
from labkit.tasks.countdown.published import evaluate_like_python
from labkit.tasks.countdown.rules import ACCEPTING, RULES, SCORER_MODES, Rule, ScorerMode
from labkit.tasks.countdown.scorer import format_score, last_answer

NUMBERS = [44, 19, 35]


def judge(answer: str, mode: ScorerMode = "exact", numbers: list[int] = NUMBERS, target: str | int = "98") -> str:
    return score(f"<answer>{answer}</answer>", numbers, target, mode=mode).rule


@pytest.mark.parametrize(
    ("answer", "exact", "published"),
    [
        ("44 + 19 + 35", "exact", "published"),
        ("(44+19)+35", "exact", "published"),
        (" 44 + 19 + 35 ", "exact", "published"),
        ("44 + 19 + 35\n", "exact", "published"),
        ("\n44 + 19 + 35\n", "exact", "not_an_expression"),
        ("44 +\n19 +\t35", "normalised", "not_an_expression"),
        ("44+19+35 = 98", "equation", "not_an_expression"),
        ("98=44+19+35", "equation", "not_an_expression"),
        ("44+19+35 = 98.0", "equation", "not_an_expression"),
        ("44+19+35 = 99", "wrong_value", "not_an_expression"),
        ("44+19+35 = 98 = 98", "not_an_expression", "not_an_expression"),
        ("44+19+35 = 35+19+44", "not_an_expression", "not_an_expression"),
        ("44+19 = 98", "wrong_numbers", "not_an_expression"),
        ("-(35 - 44) + 19", "wrong_value", "wrong_value"),
        ("44 + 19", "wrong_numbers", "wrong_numbers"),
        ("44 + 19 + 35 + 35 - 35", "wrong_numbers", "wrong_numbers"),
        ("44 - 19 + 35", "wrong_value", "wrong_value"),
        ("44 / (19 - 19) + 35", "wrong_numbers", "wrong_numbers"),
        ("forty-four + 19 + 35", "not_an_expression", "not_an_expression"),
        ("44 + 19 + 35)", "not_an_expression", "not_an_expression"),
        ("044 + 19 + 35", "exact", "not_an_expression"),
        ("", "not_an_expression", "not_an_expression"),
    ],
)
def test_verdicts_on_three_numbers(answer: str, exact: str, published: str) -> None:
    assert (judge(answer), judge(answer, "published")) == (exact, published)


@pytest.mark.parametrize(
    ("answer", "numbers", "target", "exact", "published"),
    [
        ("7 // 2", [7, 2], 3, "not_an_expression", "published"),
        ("2 ** 5", [2, 5], 32, "not_an_expression", "published"),
        ("6 × 7", [6, 7], 42, "normalised", "not_an_expression"),
        ("6 · 7", [6, 7], 42, "normalised", "not_an_expression"),
        ("42 ÷ 7", [42, 7], 6, "normalised", "not_an_expression"),
        ("9 − 7", [9, 7], 2, "normalised", "not_an_expression"),
        ("9 – 7", [9, 7], 2, "normalised", "not_an_expression"),
        ("6 × 7 = 42", [6, 7], 42, "equation", "not_an_expression"),
        ("3 - 14 = −11", [3, 14], "-11", "equation", "not_an_expression"),
        ("5 / (7 - 7)", [5, 7, 7], 5, "division_by_zero", "division_by_zero"),
        ("5 + 5", [5], 10, "wrong_numbers", "wrong_numbers"),
        ("5", [5, 5], 5, "wrong_numbers", "wrong_numbers"),
        # Float arithmetic takes 1/99999999 for nothing; fractions do not.
        ("5 + 1 / 99999999", [5, 1, 99999999], 5, "wrong_value", "published"),
    ],
)
def test_where_the_modes_differ(answer: str, numbers: list[int], target: Any, exact: str, published: str) -> None:
    assert judge(answer, "exact", numbers, target) == exact
    assert judge(answer, "published", numbers, target) == published


@pytest.mark.parametrize(
    ("answer", "numbers", "target", "right"),
    [
        ("(98 / (47 - 52)) + 47", [98, 47, 47, 52], "27.4", True),
        ("(98 / (47 - 52)) + 47", [98, 47, 52], "27.4", False),
        ("(97 + 76) / (86 - 97)", [97, 76, 86, 97], "-15.727272727272727", True),
        ("(97 + 76) / (86 - 97) = -15.727272727272727", [97, 76, 86, 97], "-15.727272727272727", True),
        # The published target carries the rounding errors of its own computation.
        ("(2 + (51 / 18)) - 2", [2, 51, 18, 2], "2.833333333333334", True),
        ("69 - (55 + 25)", [69, 55, 25], "-11", True),
        ("69 - (55 + 25)", [69, 55, 25], -11, True),
        ("1 / 3", [1, 3], "0.333333", False),
        ("1 / 3", [1, 3], "0.3333333333333333", True),
        ("33333333333 / 100000000000", [33333333333, 10**11], "0.3333333333333333", False),
        ("5 / 2", [5, 2], "2.50", True),
    ],
)
def test_decimal_targets(answer: str, numbers: list[int], target: Any, right: bool) -> None:
    assert score(f"<answer>{answer}</answer>", numbers, target).correct is right


def test_the_last_answer_counts() -> None:
    wrong, right = "<answer>44</answer>", "<answer>44 + 19 + 35</answer>"
    assert score(wrong + right, NUMBERS, 98).correct
    assert not score(right + wrong, NUMBERS, 98).correct
    assert last_answer("<answer>a<answer>b</answer>c</answer>") == "a<answer>b"
    assert last_answer("<answer>a</answer><answer>b") == "a"
    assert last_answer("</answer><answer>") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>a</think>\n<answer>b</answer>", 1.0),
        ("<think>a</think>\n<answer>b</answer>\n", 1.0),
        ("<think></think>\n<answer></answer>", 1.0),
        ("<think>a\nb</think>\n<answer>b</answer>c</answer>", 1.0),
        ("<think>a</think>\n<answer>b</answer>\n\n", 0.6),
        ("<think>a</think> <answer>b</answer>", 0.6),
        (" <think>a</think>\n<answer>b</answer>", 0.6),
        ("<think>a</answer></think>\n<answer>b", 0.1),
        ("<think>a<answer>b</answer>", 0.5),
        ("<think>a</think>", 0.1),
        ("</think><think>", 0.0),
        ("", 0.0),
    ],
)
def test_format_score(text: str, expected: float) -> None:
    assert format_score(text) == pytest.approx(expected)


def test_reward_is_a_tenth_of_the_format_and_the_answer() -> None:
    right = "<answer>44 + 19 + 35</answer>"
    assert score(f"<think>hm</think>\n{right}", NUMBERS, 98).reward == pytest.approx(1.1)
    assert score(f"<think>hm</think>{right}", NUMBERS, 98).reward == pytest.approx(1.06)
    assert score(right, NUMBERS, 98).reward == pytest.approx(1.05)
    assert score("<think>hm</think>\n<answer>44</answer>", NUMBERS, 98).reward == pytest.approx(0.1)
    nothing = score("I give up", NUMBERS, 98)
    assert (nothing.reward, nothing.answer, nothing.rule) == (0.0, None, "no_answer")


def test_what_cannot_be_graded_is_an_error() -> None:
    with pytest.raises(InputError, match="not a number"):
        score("<answer>1</answer>", [1], "ninety")
    with pytest.raises(InputError, match="not a number"):
        score("<answer>1</answer>", [1], "ninety", mode="published")
    with pytest.raises(InputError) as caught:
        score("<answer>1</answer>", [1], 1, mode="publised")  # type: ignore[arg-type]
    assert "did you mean 'published'" in caught.value.hint


HOSTILE: dict[str, tuple[str, list[int], Rule, Rule]] = {
    "power tower": ("99**98**97", [99, 98, 97], "not_an_expression", "unbounded"),
    "powers multiplied": ("99**9999*99**9999", [99, 9999, 99, 9999], "not_an_expression", "unbounded"),
    "too large for a float": ("99**9801", [99, 9801], "not_an_expression", "wrong_value"),
    "one to a large power": ("1**(99**99)", [1, 99, 99], "not_an_expression", "wrong_value"),
    "complex": ("(0-8)**(1/2)", [0, 8, 1, 2], "not_an_expression", "wrong_value"),
    "open parentheses": ("(" * 10_000, [1], "too_long", "too_long"),
    "nested parentheses": ("(" * 450 + "1" + ")" * 450, [1], "wrong_value", "not_an_expression"),
    "signs": ("-" * 900 + "1", [1], "wrong_value", "wrong_value"),
    "digits": ("9" * 1_000_000, [9], "too_long", "too_long"),
    "numbers": ("1 " * 500_000, [1], "too_long", "too_long"),
    "equals": ("=" * 900, [1], "not_an_expression", "not_an_expression"),
    "long equation": ("1=" + "1" * 900, [1], "wrong_value", "not_an_expression"),
}


@pytest.mark.parametrize(("answer", "numbers", "exact", "published"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_answers_get_a_verdict_at_once(answer: str, numbers: list[int], exact: Rule, published: Rule) -> None:
    start = perf_counter()
    assert judge(answer, "exact", numbers, 98) == exact
    assert judge(answer, "published", numbers, 98) == published
    assert perf_counter() - start < 1.0


@pytest.mark.parametrize("mode", SCORER_MODES)
@pytest.mark.parametrize("tag", ["<answer>", "</answer>", "<think>", "</think>\n<answer>", "<answer></answer>"])
def test_a_megabyte_of_tags_gets_a_verdict_at_once(tag: str, mode: ScorerMode) -> None:
    start = perf_counter()
    assert not score("<think>" + tag * (1_000_000 // len(tag)), NUMBERS, 98, mode=mode).correct
    assert perf_counter() - start < 1.0


def test_a_score_keeps_little_of_a_long_answer() -> None:
    kept = score(f"<answer>{'9' * 1_000_000}</answer>", NUMBERS, 98).answer
    assert kept is not None
    assert len(kept) < 3000


@given(st.text(alphabet="0123456789+-*/()= \n×÷−<>answerthik", max_size=60), st.sampled_from(SCORER_MODES))
def test_any_text_gets_a_documented_rule(answer: str, mode: ScorerMode) -> None:
    verdict = score(f"<think></think>\n<answer>{answer}</answer>", NUMBERS, 98, mode=mode)
    assert verdict.rule in RULES
    assert verdict.correct == (verdict.rule in ACCEPTING)
    assert 0.0 <= verdict.reward <= 1.1 + 1e-9


def test_powers_and_floor_division_are_pythons() -> None:
    assert evaluate_like_python([2, 3, "negate", "**"]) == 0.125
    assert evaluate_like_python([7, "negate", 2, "//"]) == -4
