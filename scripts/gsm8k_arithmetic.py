"""A reranker without a model: how many calculations of a solution are wrong, and how many it lacks of two. Lower is better."""

import re
from fractions import Fraction

CALCULATION = re.compile(r"(\d+) ([-+*/]) (\d+) = (\d+)")


def score(question: str, solution: str) -> float:
    found = CALCULATION.findall(solution)
    wrong = sum(not is_right(Fraction(x), symbol, Fraction(y), Fraction(result)) for x, symbol, y, result in found)
    return wrong + abs(2 - len(found))


def is_right(x: Fraction, symbol: str, y: Fraction, result: Fraction) -> bool:
    if symbol == "/":
        return y != 0 and x == result * y
    return result == {"+": x + y, "-": x - y, "*": x * y}[symbol]
