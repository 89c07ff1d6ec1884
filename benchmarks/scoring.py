"""How many Countdown answers one core scores in a second, by mode and kind of answer, and how long GSM8K's solutions take."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

from labkit.tasks.countdown import generate, score
from labkit.tasks.gsm8k.scoring import compare_rules

HOSTILE = ["99**98**97", "(" * 10_000, "9" * 1_000_000, "1+" * 200_000]


def per_second(call: Callable[[], object], count: int) -> float:
    """Median rate of five goes."""
    rates = []
    for _ in range(5):
        began = time.perf_counter()
        call()
        rates.append(count / (time.perf_counter() - began))
    return statistics.median(rates)


def main() -> None:
    problems = list(generate(0, "test", 2000))
    short = [f"<answer>{problem.solution}</answer>" for problem in problems]
    long = [f"<think>{'so 3 + 4 = 7, then ' * 16}</think>\n{text}" for text in short]
    print("| answers | mode | scored a second | target |\n|---|---|---|---|")
    for name, texts in (("31 characters", short), ("350 characters", long)):
        for mode in ("exact", "published"):

            def score_all(texts: list[str] = texts, mode: str = mode) -> None:
                for problem, text in zip(problems, texts, strict=True):
                    score(text, problem.numbers, problem.target, mode=mode)  # type: ignore[arg-type]

            print(f"| {name} | {mode} | {per_second(score_all, len(problems)):,.0f} | 30,000 |")
    slowest = 0.0
    for text in HOSTILE:
        began = time.perf_counter()
        score(f"<answer>{text}</answer>", [99, 98, 97], 98)
        slowest = max(slowest, time.perf_counter() - began)
    print(f"| slowest of {len(HOSTILE)} hostile answers | exact | {1000 * slowest:.1f} ms each | bounded |")
    print("\n| GSM8K solutions | marked by | all three rules | target |\n|---|---|---|---|")
    for mark, ending in (
        ("####", "\n#### {}"),
        ("boxed", " \\boxed{{{}}}."),
        ("nothing", " That makes {} in the end."),
    ):
        solutions = list(word_problem_solutions(ending))
        rate = per_second(lambda solutions=solutions: compare_rules(solutions), len(solutions))  # type: ignore[misc]
        print(
            f"| {len(solutions):,} of {len(solutions[0][0])} characters | {mark} | {len(solutions) / rate:.2f} s | 2 s |"
        )


def word_problem_solutions(ending: str) -> Iterator[tuple[str, Fraction]]:
    """As many solutions as 16 candidates for each problem of the test set, of its usual length."""
    draw = random.Random(0)
    for _ in range(1319 * 16):
        price, count, spent = draw.randint(2, 99), draw.randint(2, 99), draw.randint(1, 50)
        total, rest = price * count, price * count - spent
        steps = (
            f"First she sells {count} boxes for ${price} each: {count} * {price} = <<{count}*{price}={total}>>{total}. "
        )
        steps += (
            f"Then she spends ${spent} on bread, so there remain {total} - {spent} = <<{total}-{spent}={rest}>>{rest}. "
        )
        yield steps + "It was a long day." + ending.format(f"{rest:,}"), Fraction(rest)


if __name__ == "__main__":
    main()
