"""Which number a solution gives as its answer, by which rule, and what other harnesses take from the same text."""

from __future__ import annotations

import re
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.tasks.gsm8k import extract_answer
from labkit.tasks.gsm8k.extraction import cut
from labkit.tasks.gsm8k.numbers import canonical, numbers, parse_number, plain
from labkit.tasks.gsm8k.peers import flexible_extract, strict_match
from labkit.tasks.gsm8k.scoring import compare_rules, peer_verdicts, score

# Text, value, rule, strict-match, flexible-extract: what the two harness rules give was worked out from their published
# patterns by hand, faults included.
PITFALLS = [
    ("#### 72.", "72", "hash", "72", "72"),
    ("#### 72.00", "72", "hash", "72.00", "72.00"),
    ("#### $72", "72", "hash", "[invalid]", "72"),
    ("It is $29.00", "29", "last_number", "[invalid]", "29.00"),
    ("####72", "72", "hash", "[invalid]", "72"),
    ("#### **72**", "72", "hash", "[invalid]", "72"),
    ("Answer: 72", "72", "answer_is", "[invalid]", "72"),
    ("Answer:72", "72", "answer_is", "[invalid]", "72"),
    ("is 72...", "72", "last_number", "[invalid]", "72.."),
    ("is 72 ...", "72", "last_number", "[invalid]", ".."),
    ("is 72…", "72", "last_number", "[invalid]", "72"),
    ("$\\boxed{72}$.", "72", "boxed", "[invalid]", ""),
    ("72 clips, altogether.", "72", "last_number", "[invalid]", "72"),
    ("72 in 5 steps", "72", "leading_number", "[invalid]", "5"),
    ("it is 72%", "72", "last_number", "[invalid]", "72"),
    ("(72)", "72", "last_number", "[invalid]", "72"),
    ("72km", "72", "last_number", "[invalid]", "72"),
    ("#### 42 is only the form.\n#### 72", "72", "hash", "42", "72"),
    ("1 1/2", "3/2", "last_number", "[invalid]", "2"),
    ("1 000", "1000", "last_number", "[invalid]", "000"),
    ("−3", "-3", "last_number", "[invalid]", "3"),
    ("125001", "125001", "last_number", "[invalid]", "125001"),
]


@pytest.mark.parametrize(("text", "value", "rule", "strict", "flexible"), PITFALLS)
def test_what_each_rule_makes_of_a_pitfall(text: str, value: str, rule: str, strict: str, flexible: str) -> None:
    found = extract_answer(text)
    assert (found.value, found.rule) == (Fraction(value), rule)
    assert (strict_match(text), flexible_extract(text)) == (strict, flexible)


@pytest.mark.parametrize(
    ("text", "value", "rule"),
    [
        ("#### 1'000", 1000, "hash"), ("#### 1’234’567", 1234567, "hash"), ("#### 1_000", 1000, "hash"),
        ("so \\boxed{12'500}", 12500, "boxed"), ("#### 1,000", 1000, "hash"), ("#### x_1 = 7", 7, "hash_line"),
        ("The answer is not 5 but 6.", 6, "answer_is"), ("The answer is not 5, but rather 6.", 6, "answer_is"),
        ("The answer is 6, not 5.", 6, "answer_is"), ("#### 5-2=3", 3, "hash_line"),
    ],
)  # fmt: skip
def test_separators_and_corrections_are_understood(text: str, value: int, rule: str) -> None:
    found = extract_answer(text)
    assert (found.value, found.rule) == (value, rule)


@pytest.mark.parametrize(
    "text",
    ["#### 1,2,3", "#### 3:30 PM", "#### 10-12", "\\boxed{10-12}", "The answer is 3:30.", "The answer is not 5."],
)
def test_a_number_that_is_part_of_something_else_is_a_guess(text: str) -> None:
    found = extract_answer(text)
    assert found.low_confidence


RUN_ON = "She has #### 72\n\nQuestion: and Ben?\nHe has 6 * 7.\n#### 42"


def test_a_run_on_is_cut_before_anything_is_read() -> None:
    assert (strict_match(RUN_ON), flexible_extract(RUN_ON)) == ("72", "42")
    assert extract_answer(RUN_ON).value == 72
    assert extract_answer(RUN_ON, stop=()).value == 42
    assert peer_verdicts(RUN_ON, Fraction(72)) == (True, True)
    assert extract_answer("#### 72 Question: and Ben? #### 42").value == 72
    assert extract_answer("It is 72<end_of_turn>\n<start_of_turn>user\n5 more").value == 72


def test_a_repeated_question_at_the_start_is_no_run_on() -> None:
    assert cut("\n\nQuestion: how many?\nThere are 72.") == "Question: how many?\nThere are 72."
    assert extract_answer("Question: how many in 5 days?\nThere are 72.").value == 72


def test_only_guesses_are_of_low_confidence() -> None:
    assert extract_answer("72 in 5 steps").low_confidence
    assert extract_answer("so 72").low_confidence
    assert not extract_answer("#### 72").low_confidence
    assert not extract_answer("Answer: 72").low_confidence
    assert not extract_answer("no idea").low_confidence
    assert extract_answer("no idea").rule == "no_answer"


@pytest.mark.parametrize(
    ("text", "value", "rule"),
    [
        ("#### -$5", "-5", "hash"),
        ("#### $-5", "-5", "hash"),
        ("#### - 5", "-5", "hash"),
        ("#### \\$1{,}000", "1000", "hash"),
        ("####\n\n**72**", "72", "hash"),
        ("#### 72\n####", "72", "hash"),
        ("#### Answer: 5", "5", "hash"),
        ("#### 3 * 24 = 72", "72", "hash"),
        ("#### 72 (since 9 * 8 = 72 and 5 = 5)", "72", "hash"),
        ("#### Janet makes 72 dollars", "72", "hash_line"),
        ("#### Step 3: add\nSo \\boxed{\\frac{3}{4}}", "3/4", "boxed"),
        ("#### 1. Find it\n9 * 8 = 72", "72", "last_number"),
        ("\\boxed{x = 7 \\text{ km}}", "7", "boxed"),
        ("\\boxed{7} and \\boxed{}", "7", "boxed"),
        ("The answer is: **$1,234.50**.", "2469/2", "answer_is"),
        ("the final answer is\n\n72", "72", "answer_is"),
        ("The answer, which Bob found, is .5", "1/2", "answer_is"),
        ("So the answer is 20 miles x 3 = 60", "60", "answer_is"),
        ("The answer is 72. Check: 9 + 1 = 10", "72", "answer_is"),
        ("The answer to question 3 is 7", "7", "last_number"),
        ("Answer:\n\nStep 1: we have 5 apples. So 12", "12", "last_number"),
        ("so 5² = 25 cm²", "25", "last_number"),
        ("10^{2} = 100 = x_1", "100", "last_number"),
        ("1½", "3/2", "last_number"),
        ("２４", "24", "last_number"),
        ("₹12,34,567", "1234567", "last_number"),
        ("7 - 3 = 4 on the 3rd", "4", "last_number"),
        ("8-3", "3", "last_number"),
        ("version 1.2.3", None, "no_answer"),
        ("the answer is 1/0", None, "no_answer"),
        ("####", None, "no_answer"),
        ("", None, "no_answer"),
    ],
)
def test_the_ranked_rules(text: str, value: str | None, rule: str) -> None:
    found = extract_answer(text)
    assert (found.value, found.rule) == (None if value is None else Fraction(value), rule)


@given(st.integers(-(10**30), 10**30), st.integers(0, 6))
def test_a_number_reads_back_however_it_is_spelled(whole: int, zeros: int) -> None:
    value = Fraction(whole)
    ending = "." + "0" * zeros if zeros else ""
    for spelled in (f"{whole}{ending}", f"{whole:,}{ending}", f"{whole}".replace("-", "−"), canonical(value)):
        assert parse_number(spelled) == value
        assert extract_answer(f"So 5 + 5.\n#### {spelled}.").value == value
    tenths = Fraction(whole, 10)
    assert parse_number(canonical(tenths)) == tenths


@given(st.text(max_size=200))
def test_any_text_has_an_answer_or_none(text: str) -> None:
    found = extract_answer(text)
    assert (found.value is None) == (found.rule == "no_answer")
    assert score(text, Fraction(7)).correct == (found.value == 7)


@given(st.text(alphabet="0123456789.,$- #x\n", max_size=60))
def test_reading_from_the_end_finds_what_reading_the_whole_finds(text: str) -> None:
    every = re.findall(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", text)
    last = (every[-1][0] or every[-1][1]) if every else "[invalid]"
    assert flexible_extract(text) == last.replace(",", "").replace("$", "").removesuffix(".")
    assert flexible_extract("1 2 " * 40 + text) == (flexible_extract(" " + text) if every else "2")


@given(st.text(alphabet="0123456789.,$-/ \nx", max_size=60))
def test_the_last_number_is_found_without_reading_the_whole(text: str) -> None:
    said = plain(("7 of 1 000. It is $3.50 x\n" + text).strip())
    found = extract_answer(said)
    every = list(numbers(said))
    assert found.rule in ("last_number", "no_answer") and found.value == (every[-1].value if every else None)


def test_numbers_are_compared_exactly() -> None:
    assert not score("#### 125001", Fraction(125000)).correct
    assert score("#### 125,000.00", Fraction(125000)).correct
    third = score("#### 1/3", Fraction(1, 3))
    assert (third.correct, third.reward, third.answer, third.rule) == (True, 1.0, "1/3", "hash")
    assert not score("#### 0.3333333333", Fraction(1, 3)).correct


def test_rules_side_by_side() -> None:
    solutions = [(text, Fraction("72")) for text in ("#### 72", "#### $72", "so 72", "so 72...", "none", RUN_ON)]
    found = compare_rules(solutions)
    assert (found.num_solutions, found.labkit, found.strict, found.flexible) == (6, 5, 2, 4)
    assert (found.low_confidence, found.no_answer) == (2, 1)


HOSTILE = [
    "9" * 10**6, "#### " + "9" * 10**6, "(" * 10**6, "\\boxed{" * 140_000, "{" * 10**6, "####" * 250_000, "1," * 500_000,
    "1,111" * 200_000, "answer is " * 100_000, "answer:" * 140_000, "-" * 10**6, "$" * 10**6, "1 " * 500_000,
    "1/" * 500_000, ".1" * 500_000, "\u0301\u0316" * 500_000, "\ufdfa" * 10**6, "\\frac{" * 160_000, "\n" * 10**6,
    "Question:" * 110_000, "=" * 10**6,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:9].encode("unicode_escape").decode() for text in HOSTILE])
def test_hostile_texts_take_bounded_time(text: str) -> None:
    began = time.process_time()
    score(text, Fraction(7))
    peer_verdicts(text, Fraction(7))
    assert time.process_time() - began < 2
    assert extract_answer("9" * 10**6 + "\n#### 7").value == 7


def test_a_plain_text_keeps_powers_and_fractions_apart() -> None:
    assert plain("10² ¾") == "10^2  3/4"
