"""Arithmetic as people write it: text to postfix, postfix to an exact fraction.

Knows tokens, precedence and fractions. Does *not* know Countdown, answers or scores. Nothing here evaluates text as
code, nothing recurses, and the work is linear in the number of tokens; callers bound the length of the text.

A sign may stand before any operand. Python allows it, so the published scorer did too, and it wins nothing: from
non-negative numbers, a signed expression reaches no non-negative value that an unsigned one does not reach (push the
signs outwards; what is left is at most one, and an expression with a subtraction can be turned round instead).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

Postfix = list[int | str]
"""Operands before their operator: `(1 + 2) * 3` is `[1, 2, "+", 3, "*"]`; `NEGATE` takes one operand."""

NEGATE = "negate"

SCHOOL: Mapping[str, int] = {"(": 0, "+": 1, "-": 1, "*": 2, "/": 2, NEGATE: 3}
"""How tightly each operator of a Countdown answer binds."""

PYTHON: Mapping[str, int] = {**SCHOOL, "//": 2, "**": 4}
"""The same with what else Python reads from these characters; `**` binds tighter than a sign on its left."""

_TOKEN = re.compile(r"\*\*|//|[0-9]+|[-+*/()]")
_CHARACTERS = re.compile(r"[0-9+\-*/()\s]*")


class ExpressionError(ValueError):
    """The text is not an arithmetic expression."""


def tokenize(text: str) -> list[str]:
    """Split at Python's token borders, so that `//` and `**` are never read as two operators.

    Raises:
        ExpressionError: a character is neither a digit, an operator, a parenthesis nor white space.
    """
    if not _CHARACTERS.fullmatch(text):
        raise ExpressionError("a character that no expression has")
    return _TOKEN.findall(text)


def to_postfix(tokens: Iterable[str], binds: Mapping[str, int] = SCHOOL) -> Postfix:
    """Order the tokens for evaluation (Dijkstra's shunting yard); `binds` says which operators exist.

    Raises:
        ExpressionError: an operand, operator or parenthesis is missing, or an operator is not in `binds`.
    """
    output: Postfix = []
    waiting: list[str] = []
    operand_next = True
    for token in tokens:
        if operand_next:
            if token.isdigit():
                output.append(int(token))
                operand_next = False
            elif token == "(":
                waiting.append(token)
            elif token == "-":
                waiting.append(NEGATE)
            elif token != "+":
                raise ExpressionError("an operand is missing")
        elif token == ")":
            _close(waiting, output)
        elif token in binds and token != "(":
            # `**` groups from the right, so it leaves another `**` waiting.
            floor = binds[token] + (token == "**")
            while waiting and binds[waiting[-1]] >= floor:
                output.append(waiting.pop())
            waiting.append(token)
            operand_next = True
        else:
            raise ExpressionError("an operator is missing")
    if operand_next or "(" in waiting:
        raise ExpressionError("the expression is not finished")
    output.extend(reversed(waiting))
    return output


def _close(waiting: list[str], output: Postfix) -> None:
    """Move what waits inside the innermost parenthesis to the output."""
    while waiting:
        operator = waiting.pop()
        if operator == "(":
            return
        output.append(operator)
    raise ExpressionError("a parenthesis was never opened")


def parse(text: str) -> Postfix:
    """Read an expression of `+ - * /`, signs, parentheses and non-negative integers (leading zeros allowed).

    Raises:
        ExpressionError: the text is anything else.
    """
    return to_postfix(tokenize(text))


def literals(postfix: Postfix) -> list[int]:
    """The integers of an expression, in the order in which they are written."""
    return [item for item in postfix if isinstance(item, int)]


def evaluate(postfix: Postfix) -> tuple[int, int]:
    """The exact value as `(numerator, denominator)`, not reduced; the denominator may be negative, never 0.

    Plain integer pairs: `fractions.Fraction` reduces after every step and is several times slower.

    Raises:
        ZeroDivisionError: something is divided by zero.
    """
    stack: list[tuple[int, int]] = []
    for item in postfix:
        if isinstance(item, int):
            stack.append((item, 1))
            continue
        right, right_under = stack.pop()
        if item == NEGATE:
            stack.append((-right, right_under))
            continue
        left, left_under = stack.pop()
        if item == "+":
            stack.append((left * right_under + right * left_under, left_under * right_under))
        elif item == "-":
            stack.append((left * right_under - right * left_under, left_under * right_under))
        elif item == "*":
            stack.append((left * right, left_under * right_under))
        elif right == 0:
            raise ZeroDivisionError
        else:
            stack.append((left * right_under, left_under * right))
    return stack.pop()
