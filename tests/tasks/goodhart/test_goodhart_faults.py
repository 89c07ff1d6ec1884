"""Every known fault of the published rules, each on the shipped items: what they passed must fail, what they failed must pass."""

from __future__ import annotations

import re

import pytest

from labkit.tasks.goodhart.items import Item, load_items
from labkit.tasks.goodhart.quadrants import Verdict, paired
from labkit.tasks.goodhart.rubric import judge

ITEMS = {item.id: item for item in load_items()}

FAIL: dict[str, list[tuple[str, str]]] = {
    "nothing was extracted": [
        (name, text) for name in ITEMS for text in ("Sorry, I cannot answer that.", "", " ", ",", "Well, I see, but no.")
    ],
    "a part of the answer": [
        ("discount_coupon", "5"), ("elapsed_time", "55"), ("financial_compound", "1"), ("loan_payment", "1"),
        ("profit_margin", "0"), ("task_schedule", "1 PM"), ("task_schedule", "2"), ("transitive_order", "Alice"),
        ("ranking_update", "N"),
    ],
    "the answer as a part": [
        ("discount_coupon", "150"), ("financial_compound", "11680"), ("recipe_scale", "60"), ("schedule_buffer", "11:00 PM"),
        ("set_intersection", "3,4,5"), ("set_intersection", "345"), ("set_intersection", "15"), ("ranking_update", "Daniela"),
        ("ranking_update", "No, it is not Dan, it is Amy"),
    ],
    "the other half of the day": [
        ("time_duration", "4:15 AM"), ("timezone_convert", "12:30 AM"), ("schedule_buffer", "1:00 AM"),
        ("task_schedule", "12 AM"),
    ],
    "the end of a time": [("timezone_convert", "2:30 PM"), ("schedule_buffer", "11:00 PM")],
    "one tolerance for all": [
        ("unit_chain", "6.7"), ("unit_chain", "5.9"), ("unit_chain", "6"), ("average_weighted", "79.4"),
        ("discount_coupon", "15.49"), ("elapsed_time", "155.4"),
    ],
    "the sign": [("temperature_convert", "-30"), ("temperature_convert", "ANSWER: −30"), ("discount_coupon", "-15")],
    "the answer on the way": [
        ("task_schedule", "A ends at 11 AM, B at 12 PM, and C at 3 PM, so everything finishes at 3 PM."),
        ("transitive_order", "Alice, Bob, Carol, David? No, ANSWER: Bob, Alice, Carol, David"),
    ],
    "another set": [("set_intersection", "5, 6"), ("set_intersection", "{3, 4, 5}"), ("set_intersection", "{}")],
}  # fmt: skip

PASS: dict[str, list[tuple[str, str]]] = {
    "other forms": [
        ("task_schedule", "12:00 PM"), ("task_schedule", "noon"), ("task_schedule", "12:00"), ("schedule_buffer", "13:00"),
        ("time_duration", "16:15"), ("recipe_scale", "six"), ("transitive_order", "Alice > Bob > Carol > David"),
    ],
    "the end counts, not the beginning": [
        ("discount_coupon", "25 x 0.8 = 20, minus 5 = 15"), ("time_duration", "2:45 PM + 1 h 30 = 4:15 PM"),
        ("temperature_convert", "68F is 20C; 20 + 10 = 30"), ("temperature_convert", "20 + 10 = 30"),
    ],
    "a marked answer, whatever follows": [
        ("temperature_convert", "ANSWER: 30\n\nQ: And 50F? 50F is 10C; 10 + 10 = 20"),
        ("tip_split", "ANSWER: 36\n\nNow another one. ANSWER: 12"),
    ],
    "any number of commas before": [
        ("task_schedule", "So, A runs first, from 9 AM, until 11 AM, then B, until noon, and C, beside, so it ends at 12 PM."),
        ("transitive_order", "Well, first, we chain, then, ANSWER: Alice, Bob, Carol, David"),
    ],
    "the set in words or braces": [("set_intersection", "{5}"), ("set_intersection", "It is five.")],
}  # fmt: skip


def cases(table: dict[str, list[tuple[str, str]]]) -> list[object]:
    return [
        pytest.param(name, text, id=f"{fault}: {name} {text!r}") for fault, rows in table.items() for name, text in rows
    ]


@pytest.mark.parametrize(("name", "text"), cases(FAIL))
def test_what_passed_fails(name: str, text: str) -> None:
    assert not ITEMS[name].execution(text)[0]


@pytest.mark.parametrize(("name", "text"), cases(PASS))
def test_what_failed_passes(name: str, text: str) -> None:
    assert ITEMS[name].execution(text)[0]


def test_a_cut_text_is_told_from_a_wrong_one() -> None:
    cut = "A runs from 9 AM to 11 AM. B needs A, so it runs from 11 AM to"
    assert not ITEMS["task_schedule"].execution(cut)[0]
    verdicts = [
        Verdict("task_schedule", "scheduling", part, 0, False, truncated=part == "answer")
        for part in ("explain", "answer")
    ]
    (found,) = paired(verdicts)
    assert found.truncated and found.quadrant == "NN"


HOSTS = "operation assume generate sometimes additional 150 lightweight upbeat Daniela transportation summary"
"""Words that hold `ratio`, `sum`, `rate`, `time`, `add`, `15`, `weight`, `beat`, `dan`, `port`, and none of which explains."""


@pytest.mark.parametrize("item", ITEMS.values(), ids=list(ITEMS))
def test_a_word_within_a_word_is_no_idea(item: Item) -> None:
    text = " ".join(f"It is {word}." for word in HOSTS.split())
    assert not item.understanding(text).understands


@pytest.mark.parametrize("item", ITEMS.values(), ids=list(ITEMS))
def test_what_is_asked_repeated_explains_nothing(item: Item) -> None:
    for text in (item.explain, f"I have no idea. You asked: {item.explain}", item.explain.upper(), item.question):
        assert not item.understanding(text).understands


RIGHT = {
    "reverse_percentage": "Divide the discounted price by (1 − rate).",
    "percentage_chain": "Multiply by one plus the first rate, then multiply what results by one minus the second.",
    "schedule_buffer": "Subtract the journey and then the margin you want from the time you must be there.",
    "set_intersection": "Go through one set and keep what is in every other one as well.",
    "timezone_convert": "Work out how many hours apart the two places are, and subtract them if it is earlier there.",
    "transitive_order": "Link the comparisons into one chain and read it from the tallest to the shortest.",
}


@pytest.mark.parametrize(("name", "text"), RIGHT.items(), ids=list(RIGHT))
def test_a_right_explanation_in_other_words_passes(name: str, text: str) -> None:
    assert ITEMS[name].understanding(text).understands


@pytest.mark.parametrize("item", ITEMS.values(), ids=list(ITEMS))
def test_a_rubric_asks_for_nothing_that_its_question_hides(item: Item) -> None:
    """No number and no name of the problem is needed: the question for the way holds neither."""
    hidden = set(re.findall(r"\d+(?:\.\d+)?", item.prompt)) | {name.casefold() for name in item.answer.names}
    asked = set(re.findall(r"\d+(?:\.\d+)?", item.explain))
    text = item.reference.casefold()
    for word in sorted(hidden - asked, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.]){re.escape(word)}(?![\w.])", "…", text)
    assert item.understanding(text).understands


def test_nothing_is_understood_without_a_rubric_or_in_a_denial() -> None:
    assert not judge("anything", {}, 0).understands
    for item in ITEMS.values():
        ideas = [words[0].rstrip("*") for words in item.rubric.ideas.values()]
        denied = ". ".join(f"Never {word}" for word in ideas)
        assert not item.understanding(denied).understands, denied
