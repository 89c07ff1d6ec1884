"""The parser and evaluator, against a computation of the same trees with `fractions.Fraction`."""

from __future__ import annotations

from fractions import Fraction
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.tasks.countdown.expression import ExpressionError, evaluate, literals, parse

BINDS = {"+": 1, "-": 1, "*": 2, "/": 2}
ATOM = 4

Tree = tuple[str, int, Fraction | None, list[int]]
"""Text, how tightly its outermost operator binds, value (None after a division by zero), literals."""


def leaf(number: int) -> Tree:
    return str(number), ATOM, Fraction(number), [number]


def wrapped(tree: Tree, spaces: str = "") -> Tree:
    text, _, value, numbers = tree
    return f"({spaces}{text}{spaces})", ATOM, value, numbers


def negated(tree: Tree) -> Tree:
    text, _, value, numbers = tree if tree[1] > 2 else wrapped(tree)
    return f"-{text}", 3, None if value is None else -value, numbers


def joined(left: Tree, right: Tree, operator: str, space: str) -> Tree:
    binds = BINDS[operator]
    left = left if left[1] >= binds else wrapped(left)
    right = right if right[1] > binds else wrapped(right)
    return f"{left[0]}{space}{operator}{space}{right[0]}", binds, combined(left, right, operator), left[3] + right[3]


def combined(left: Tree, right: Tree, operator: str) -> Fraction | None:
    a, b = left[2], right[2]
    if a is None or b is None or (operator == "/" and b == 0):
        return None
    return {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else None}[operator]


TREES = st.recursive(
    st.integers(0, 120).map(leaf),
    lambda trees: st.one_of(
        st.builds(joined, trees, trees, st.sampled_from("+-*/"), st.sampled_from(["", " ", "\n", " \t"])),
        st.builds(wrapped, trees, st.sampled_from(["", " "])),
        trees.map(negated),
    ),
    max_leaves=12,
)


@given(TREES)
def test_any_tree_has_the_value_that_fractions_give(tree: Tree) -> None:
    text, _, value, numbers = tree
    postfix = parse(text)
    assert literals(postfix) == numbers
    if value is None:
        with pytest.raises(ZeroDivisionError):
            evaluate(postfix)
    else:
        assert Fraction(*evaluate(postfix)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 - 3 - 4", -5),
        ("24 / 4 / 2", 3),
        ("2 + 3 * 4", 14),
        ("-2 * 3", -6),
        ("2 * -3", -6),
        ("2 - -3", 5),
        ("+7", 7),
        ("-(1 + 2)", -3),
        ("007", 7),
    ],
)
def test_grouping_and_signs(text: str, value: int) -> None:
    assert Fraction(*evaluate(parse(text))) == value


@pytest.mark.parametrize(
    "text",
    ["", " ", "()", "1 2", "1 +", "* 1", "(1", "1)", ")1(", "2 ** 3", "7 // 2", "2 * * 3", "7 / / 2", "1.5", "1e3", "x",
     "٣", "1(2)", "(1)(2)", "1 + (", "1, 2", "1 = 1", "__import__('os')"],
)  # fmt: skip
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


@pytest.mark.parametrize(
    "text", ["(" * 10_000, "(" * 10_000 + "1" + ")" * 10_000, "-" * 10_000 + "1", "1" + "+1" * 10_000]
)
def test_depth_and_length_cost_no_recursion_and_little_time(text: str) -> None:
    start = perf_counter()
    try:
        evaluate(parse(text))
    except ExpressionError:
        assert ")" not in text
    assert perf_counter() - start < 1.0
