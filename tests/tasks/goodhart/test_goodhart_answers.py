"""Answers of the twenty items: what counts as right, what never does, and which rule found it."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.tasks.goodhart.answers import find_answer
from labkit.tasks.goodhart.clock import parse_time
from labkit.tasks.goodhart.items import Item, load_items
from labkit.tasks.goodhart.number_words import number_in_words

ITEMS = {item.id: item for item in load_items()}


@pytest.mark.parametrize("item", ITEMS.values(), ids=list(ITEMS))
@pytest.mark.parametrize(
    "text", ["Sorry, I cannot answer that.", "", " ", ",", ".", "-", "ANSWER:", "ANSWER: none of it"]
)
def test_no_answer_is_never_right(item: Item, text: str) -> None:
    right, found = item.execution(text)
    assert not right
    assert found.reading is None or item.answer.kind == "set", "only a set can be of none"


RIGHT = [
    ("task_schedule", "12:00 PM"),
    ("task_schedule", "noon"),
    ("task_schedule", "12:00"),
    ("task_schedule", "at 12 noon"),
    ("schedule_buffer", "13:00"),
    ("schedule_buffer", "1 o'clock in the afternoon"),
    ("schedule_buffer", "ANSWER:\n1 p.m."),
    ("time_duration", "16:15"),
    ("recipe_scale", "six"),
    ("elapsed_time", "one hundred and fifty-five"),
    ("tip_split", "thirty-six dollars"),
    ("tip_split", "120 * 1.2 = 144\n\n**ANSWER:** $36"),
    ("financial_compound", "ANSWER: $1,168.00"),
    ("currency_exchange", "ANSWER: \\boxed{65}"),
    ("transitive_order", "Alice > Bob > Carol > David"),
    ("transitive_order", "David < Carol < Bob < Alice"),
    ("transitive_order", "1. Alice\n2. Bob\n3. Carol\n4. David"),
    ("transitive_order", "Bob is above Carol, so ANSWER: alice, bob, carol, and david."),
    ("transitive_order", "ANSWER:\n1. Alice\n2. Bob\n3. Carol\n4. David\n\nBob and David are not next to each other."),
    ("transitive_order", "The order is **Alice**, **Bob**, **Carol**, **David**"),
    ("transitive_order", "Alice (tallest), Bob, Carol, David (shortest)"),
    ("ranking_update", "ANSWER: Dan is in front, ahead of Ben"),
    ("unit_chain", "6.3"),
    ("unit_chain", "ANSWER: 6.31 miles"),
    ("set_intersection", "{5}"),
    ("set_intersection", "The only one is five."),
    ("ranking_update", "Dan"),
    ("ranking_update", "It is Dan, not Amy."),
    # The end counts where nothing is marked.
    ("discount_coupon", "25 x 0.8 = 20, minus 5 = 15"),
    ("time_duration", "2:45 PM + 1 h 30 = 4:15 PM"),
    ("temperature_convert", "68F is 20C; 20 + 10 = 30"),
    ("temperature_convert", "20 + 10 = 30"),
    ("task_schedule", "A runs until 11 AM, B, after it, until noon, and C, beside them, from 9 AM, ends at 12 PM."),
    # The first mark counts, whatever the model goes on to ask itself.
    ("tip_split", "ANSWER: 36\n\nNow another.\nANSWER: 12"),
    ("tip_split", "ANSWER: 36\n\nQuestion: and with 5 friends?"),
    ("task_schedule", "ANSWER: 9 AM + 3 hours = 12 PM"),
]


@pytest.mark.parametrize(("name", "text"), RIGHT)
def test_right_answers_in_other_forms(name: str, text: str) -> None:
    assert ITEMS[name].execution(text)[0]


WRONG = [
    # A part of the right answer.
    ("discount_coupon", "5"),
    ("elapsed_time", "55"),
    ("financial_compound", "1"),
    ("loan_payment", "1"),
    ("profit_margin", "0"),
    ("task_schedule", "1 PM"),
    ("task_schedule", "2"),
    ("transitive_order", "Alice"),
    ("ranking_update", "N"),
    # The right answer as a part.
    ("discount_coupon", "150"),
    ("financial_compound", "11680"),
    ("recipe_scale", "60"),
    ("schedule_buffer", "11:00 PM"),
    ("set_intersection", "3,4,5"),
    ("set_intersection", "15"),
    ("ranking_update", "Daniela"),
    ("ranking_update", "No, it is not Dan, it is Amy"),
    ("ranking_update", "ANSWER: Dan or Amy"),
    ("ranking_update", "ANSWER: Dan, Amy"),
    ("ranking_update", "ANSWER: Amy is in front, ahead of Dan"),
    # The other half of the day, another hour, another sign.
    ("time_duration", "4:15 AM"),
    ("time_duration", "4:15"),
    ("timezone_convert", "12:30 AM"),
    ("timezone_convert", "2:30 PM"),
    ("temperature_convert", "-30"),
    ("temperature_convert", "−30"),
    # Near is not right.
    ("unit_chain", "6.7"),
    ("unit_chain", "5.9"),
    ("unit_chain", "6"),
    ("unit_chain", "6.25"),
    ("average_weighted", "79.4"),
    ("discount_coupon", "15.49"),
    # Another set, another order, another end.
    ("set_intersection", "5, 6"),
    ("set_intersection", "{3, 4, 5}"),
    ("transitive_order", "Bob, Alice, Carol, David"),
    ("transitive_order", "Alice is shorter than Bob, Bob is shorter than Carol and Carol than David"),
    ("task_schedule", "A ends at 11 AM, B at 12 PM, and C at 3 PM, so everything finishes at 3 PM."),
    # What was marked counts, not what was said before.
    ("tip_split", "It is 36. ANSWER: unknown"),
]


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_what_only_resembles_the_answer_is_wrong(name: str, text: str) -> None:
    assert not ITEMS[name].execution(text)[0]


def test_the_rule_that_found_an_answer() -> None:
    assert find_answer("**Answer:** 36", "integer").rule == "marker"
    assert find_answer("So the answer is 36, which 4 share.", "integer").rule == "answer_is"
    assert find_answer("120 / 4 = 30", "integer").rule == "last"
    assert find_answer("It is 36. ANSWER: unknown", "integer").rule == "unreadable"
    assert find_answer("nobody knows", "integer").rule == "no_answer"
    assert find_answer("ANSWER: 4:15 pm", "time").reading.shown == "16:15"  # type: ignore[union-attr]
    assert find_answer("ANSWER: {}", "set").reading.shown == "{}"  # type: ignore[union-attr]
    assert find_answer("ANSWER: 1,234.50", "decimal").reading.num_decimals == 2  # type: ignore[union-attr]


def test_a_repeated_question_is_no_answer() -> None:
    item = ITEMS["recipe_scale"]
    assert not item.execution("You asked: " + item.question.replace(" ", "\n").upper())[0]
    assert item.execution(item.question + "\n\nThat makes 6.")[0]


@given(st.integers(0, 23), st.integers(0, 59))
def test_a_time_is_the_same_in_12_and_24_hours(hour: int, minute: int) -> None:
    half = f"{(hour - 1) % 12 + 1}:{minute:02}"
    period = "PM" if hour >= 12 else "AM"
    for text in (f"{hour}:{minute:02}", f"{half} {period}", f"at {half}{period.lower()}.", f"{half} {period[0]}.M."):
        assert parse_time(text) == 60 * hour + minute


@pytest.mark.parametrize("text", ["25:00", "12:60", "0 PM", "13:00 AM", "4.15", "1:2", "noonday", "15"])
def test_what_is_no_time(text: str) -> None:
    assert parse_time(text) is None


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("zero", 0),
        ("Twenty-one", 21),
        ("one hundred and fifty-five", 155),
        ("eleven hundred", None),
        ("one thousand one hundred", 1100),
        ("two hundred thousand and six", 200_006),
        ("five six", None),
        ("twenty thirty", None),
        ("a thousand", None),
        ("nobody", None),
        ("sixty-", None),
    ],
)
def test_numbers_in_words(words: str, value: int | None) -> None:
    assert number_in_words(words) == value


@given(st.integers(-(10**9), 10**9))
def test_an_integer_is_found_whatever_its_size(value: int) -> None:
    for text in (f"ANSWER: {value}", f"ANSWER: {value:,}.0", f"so 2 and then {value}"):
        reading = find_answer(text, "integer").reading
        assert reading is not None and reading.value == Fraction(value)


HOSTILE = [
    "9" * 10**6, "(" * 10**6, "{" * 10**6, "{1," * 300_000, "1," * 500_000, "1:" * 500_000, "12 noon " * 100_000,
    "Alice" * 200_000, "Alice " * 200_000, "Alice > " * 140_000, "ANSWER:" * 140_000, "answer is " * 100_000,
    "one hundred " * 90_000, "not Dan " * 120_000, " " * 10**6 + "x", "\n" * 10**6 + "x", "=" * 10**6,
    "\u0301\u0316" * 500_000, "and " * 250_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:9].encode("unicode_escape").decode() for text in HOSTILE])
def test_hostile_texts_take_bounded_time(text: str) -> None:
    items = {item.answer.kind: item for item in ITEMS.values()}
    assert len(items) == 6
    for item in items.values():
        began = time.process_time()
        item.execution(text)
        item.understanding(text)
        assert time.process_time() - began < 2
