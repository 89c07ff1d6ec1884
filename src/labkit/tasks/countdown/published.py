"""The published scorer's verdicts, its false ones included, without its `eval`.

The published code lets through the characters `0-9 + - * / ( )` and space, compares the sorted integers, hands the text
to Python and takes a value within 1e-5 of the target. So `//` and `**` count as operations, a line break or an `=`
inside the answer is wrong, and `99**98**97` hangs it. Here the same strings get the same verdict in bounded time.

Two borders are ours: answers beyond `MAX_CHARS` are not read, and integers beyond `MAX_BITS` not computed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from labkit.tasks.countdown.expression import NEGATE, PYTHON, ExpressionError, Postfix, to_postfix, tokenize
from labkit.tasks.countdown.rules import Rule

CHARACTERS = re.compile(r"[0-9+\-*/() ]+")
"""The published white list. Theirs ends in `$`, which also matches before one line break at the very end."""

MAX_CHARS = 4000
"""Below the 4,300 digits that Python's `int` refuses, and longer than any answer within 1,024 tokens."""

MAX_BITS = 100_000
"""Integers up to here take milliseconds, even to divide; a float ends at 1,024."""

MAX_NESTING = 200
"""CPython's tokenizer refuses deeper parentheses as a syntax error, which the published code scores 0."""

TOLERANCE = 1e-5


class UnboundedError(ArithmeticError):
    """The next integer would have more than `MAX_BITS` bits."""


def judge_published(answer: str, numbers: Sequence[int], target: str | int) -> Rule:
    """The rule that decides about the text between the answer tags, which is taken unstripped."""
    if len(answer) > MAX_CHARS:
        return "too_long"
    if not CHARACTERS.fullmatch(answer.removesuffix("\n")):
        return "not_an_expression"
    if sorted(map(int, re.findall(r"[0-9]+", answer))) != sorted(numbers):
        return "wrong_numbers"
    try:
        value = evaluate_like_python(_parse_like_python(answer))
        return "published" if abs(float(value) - float(target)) < TOLERANCE else "wrong_value"
    except ExpressionError:
        return "not_an_expression"
    except UnboundedError:
        return "unbounded"
    except ZeroDivisionError:
        return "division_by_zero"
    except OverflowError:
        # No float is that large; the published code scores the exception 0.
        return "wrong_value"


def _parse_like_python(text: str) -> Postfix:
    """Parse with `//` and `**`; refuse the literals and the nesting that CPython calls a syntax error."""
    tokens = tokenize(text)
    depth = 0
    for token in tokens:
        depth += (token == "(") - (token == ")")
        if depth > MAX_NESTING:
            raise ExpressionError("too many nested parentheses")
        if token[0] == "0" and token.strip("0"):
            raise ExpressionError("a literal with leading zeros")
    return to_postfix(tokens, PYTHON)


def evaluate_like_python(postfix: Postfix) -> int | float:
    """The value that Python gives the expression: integers stay exact, `/` and negative powers give floats.

    A complex power gives nan: no later operation makes it real again, and the published code scores it 0.

    Raises:
        UnboundedError: an integer on the way has more than `MAX_BITS` bits.
        ZeroDivisionError, OverflowError: as Python raises them.
    """
    stack: list[int | float] = []
    for item in postfix:
        if isinstance(item, int):
            stack.append(item)
        elif item == NEGATE:
            stack.append(-stack.pop())
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(_bounded(_apply(item, left, right)))
    return stack.pop()


def _apply(operator: str, left: int | float, right: int | float) -> int | float:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case "//":
            return left // right
    return _power(left, right)


def _power(base: int | float, exponent: int | float) -> int | float:
    """`base ** exponent`, refused before it is computed where the integer would be too large."""
    is_integer = isinstance(base, int) and isinstance(exponent, int) and exponent > 0
    if is_integer and abs(base) > 1 and int(base).bit_length() * exponent > MAX_BITS:
        raise UnboundedError
    result = base**exponent
    return float("nan") if isinstance(result, complex) else result


def _bounded(value: int | float) -> int | float:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise UnboundedError
    return value
