"""The published verdicts, against the published rules applied with Python's own `eval`.

Only strings that this package found bounded, or that hold at most one power of small numbers, reach `eval`.
"""

from __future__ import annotations

import math
import random
import re
import warnings
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.tasks.countdown.published import judge_published
from labkit.tasks.countdown.scorer import judge_exact

CHARACTERS = "0123456789+-*/() "


def python_value(text: str) -> float | None:
    """What `float(eval(text))` gives; None where it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            return float(eval(text, {"__builtins__": None}, {}))
        except Exception:
            return None


def numbers_in(text: str) -> list[int]:
    return [int(digits) for digits in re.findall("[0-9]+", text)]


def is_safe_to_run(text: str) -> bool:
    """One power of operands that are themselves small cannot hang, whatever the parser made of it."""
    return text.count("**") == 0 or (text.count("**") == 1 and len(text) <= 16 and not re.search("[0-9]{4}", text))


def check_against_python(text: str) -> bool:
    """Compare the verdicts; whether Python gave a finite value."""
    rule = judge_published(text, numbers_in(text), "98")
    if rule not in ("published", "wrong_value", "division_by_zero") and not is_safe_to_run(text):
        return False
    value = python_value(text)
    assert (rule == "published") == (value is not None and abs(value - 98) < 1e-5), text
    if value is None or not math.isfinite(value) or abs(value) > 1e40:
        return False
    assert judge_published(text, numbers_in(text), f"{value:.20f}") == "published", text
    assert judge_published(text, numbers_in(text), f"{value + 1 + abs(value) / 4:.20f}") == "wrong_value", text
    return True


def random_expression(rng: random.Random, depth: int) -> str:
    """Mostly well formed: operands, signs, parentheses and all of Python's operators on these characters."""
    if depth == 0 or rng.random() < 0.25:
        return rng.choice(["0", "1", "2", "3", "7", "12", "98", "007", "00"])
    space = rng.choice(["", "", " "])
    match rng.randrange(6):
        case 0:
            return f"({space}{random_expression(rng, depth - 1)}{space})"
        case 1:
            return f"{rng.choice('+-')}{space}{random_expression(rng, depth - 1)}"
    operator = rng.choice(["+", "-", "*", "/", "//", "**"])
    return f"{random_expression(rng, depth - 1)}{space}{operator}{space}{random_expression(rng, depth - 1)}"


def test_random_expressions_get_pythons_verdict() -> None:
    rng = random.Random(20)
    finite = sum(check_against_python(random_expression(rng, 4)) for _ in range(6000))
    assert finite > 2000


def test_random_strings_get_pythons_verdict() -> None:
    rng = random.Random(21)
    finite = sum(check_against_python("".join(rng.choices(CHARACTERS, k=rng.randint(1, 7)))) for _ in range(20_000))
    assert finite > 2000


@given(st.text(alphabet=CHARACTERS, max_size=12))
def test_any_string_of_the_white_list_gets_pythons_verdict(text: str) -> None:
    check_against_python(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("-2**2", "wrong_value"),
        ("0-2**2+102", "published"),
        ("2**-1*196", "published"),
        ("2**3**0+96", "published"),
        ("-7//2+102", "published"),
        ("99 - 1\n", "published"),
        ("99 - 1\n\n", "not_an_expression"),
        ("\n99 - 1", "not_an_expression"),
        ("098", "not_an_expression"),
        ("00 + 98", "published"),
        ("1 / 3 * 294", "published"),
        ("()", "not_an_expression"),
        ("98()", "not_an_expression"),
        ("0 ** -1", "division_by_zero"),
        ("(" * 200 + "98" + ")" * 200, "published"),
        ("(" * 201 + "98" + ")" * 201, "not_an_expression"),
    ],
)
def test_corners_of_pythons_grammar(text: str, rule: str) -> None:
    assert judge_published(text, numbers_in(text), 98) == rule
    if "\n" not in text:
        assert (rule == "published") == (python_value(text) == pytest.approx(98, abs=1e-5))


@given(st.lists(st.sampled_from([*"0123456789+-*/()", "12", " "]), max_size=12).map("".join))
def test_exact_refuses_of_the_published_only_its_own_operators_and_its_rounding(text: str) -> None:
    """Without `//` and `**`, an answer right for the published scorer is right for the exact one."""
    value = None if "//" in text or "**" in text else python_value(text)
    if value is None:
        return
    target = Fraction(value).limit_denominator(10**4)
    if target.denominator == 1 and judge_published(text, numbers_in(text), int(target)) == "published":
        assert judge_exact(text, numbers_in(text), int(target)) == "exact"
