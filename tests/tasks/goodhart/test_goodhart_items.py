"""The items and their self-test: explanations in other words pass; echoes, refusals and parts of words do not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit.errors import InputError
from labkit.tasks.goodhart import quadrant
from labkit.tasks.goodhart.items import SHIPPED, Item, load_items, self_test
from labkit.tasks.goodhart.quadrants import Verdict, paired
from labkit.tasks.goodhart.rubric import judge

ITEMS = {item.id: item for item in load_items()}


def test_there_are_twenty_in_seven_categories() -> None:
    assert Counter(item.category for item in ITEMS.values()) == {
        "multi_step_math": 4, "financial": 4, "time": 3, "units": 3, "logic": 3, "scheduling": 2, "recipe": 1,
    }  # fmt: skip
    assert all(item.also_right for item in ITEMS.values())


@pytest.mark.parametrize("item", ITEMS.values(), ids=list(ITEMS))
def test_an_item_passes_its_self_test_and_every_idea_can_be_said(item: Item) -> None:
    assert self_test(item) == []
    texts = [item.reference, *item.also_right]
    for name in item.rubric.ideas:
        assert any(name in item.understanding(text).ideas for text in texts), name


@pytest.mark.parametrize("item", ITEMS.values(), ids=list(ITEMS))
def test_echoes_and_refusals_explain_nothing(item: Item) -> None:
    for text in (
        item.explain,
        f"I have no idea. You asked: {item.explain}",
        item.question,
        "",
        " ",
        "I don't know how.",
    ):
        assert not item.understanding(text).understands
    assert item.understanding(f"I don't know. {item.reference}").rule == "refusal"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("reverse_percentage", "Divide the discounted price by (1 − rate) to get what it was."),
        ("set_intersection", "Take one set, go through its members, and keep those that every other set has, too."),
        (
            "task_schedule",
            "Sum up the hours of the dependent jobs; what runs in parallel adds nothing; the latest end decides.",
        ),
        ("timezone_convert", "Find how many hours ahead it is there and add them."),
        ("transitive_order", "If A beats B and B beats C, A beats C: chain them, from the tallest down."),
        ("discount_coupon", "Don't forget: first multiply by the rate, then **subtract** the coupon."),
    ],
)
def test_right_explanations_in_other_words_pass(name: str, text: str) -> None:
    assert ITEMS[name].understanding(text).understands


def understands(text: str, *synonyms: str) -> bool:
    return judge(text, {"it": synonyms}, 1).understands


@pytest.mark.parametrize(
    ("word", "within"),
    [
        ("tip", "multiply"), ("ratio", "operation"), ("sum", "assume"), ("rate", "generate"), ("time", "sometimes"),
        ("add", "additional"), ("15", "150"), ("weight", "lightweight"), ("beat", "upbeat"), ("dan", "Daniela"),
    ],
)  # fmt: skip
def test_words_are_matched_whole(word: str, within: str) -> None:
    assert not understands(f"so {within} it", word)
    assert understands(f"so {word.upper()}, it", word)


def test_endings_phrases_and_signs() -> None:
    assert understands("You are dividing it.", "divid*") and not understands("subdivide", "divid*")
    assert understands("Taking it\n off", "tak* it off") and not understands("take off", "tak* it off")
    assert understands("by 20% of it", "%") and understands("it is 5/9.", "5/9") and not understands("15/9", "5/9")
    assert understands("(1 – rate)", "1 - rate") and understands("**Sum** it", "sum")


def test_what_is_negated_does_not_count() -> None:
    assert not understands("Do not multiply.", "multiply")
    assert not understands("Never ever divide it", "divide")
    assert not understands("You don't really have it without adding.", "adding")
    assert understands("Do not add, but multiply", "multiply")
    assert understands("Don't forget to multiply", "multiply")
    assert understands("Not only multiply", "multiply")


def test_nothing_is_understood_without_an_idea() -> None:
    assert not judge("Multiply.", {}, 0).understands
    assert not judge("Multiply.", {"it": ["multiply"]}, 0).understands


@pytest.mark.parametrize(
    ("understands", "executes", "expected"),
    [(True, True, "KD"), (True, False, "KF"), (False, True, "DK"), (False, False, "NN")],
)
def test_the_quadrant_of_two_verdicts(understands: bool, executes: bool, expected: str) -> None:
    assert quadrant(understands, executes) == expected


def test_verdicts_are_paired_by_item_and_index() -> None:
    verdicts = [
        Verdict("a", "time", "explain", 0, True, False),
        Verdict("b", "logic", "explain", 0, False, False),
        Verdict("a", "time", "answer", 1, True, False),
        Verdict("a", "time", "answer", 0, False, True),
        Verdict("b", "logic", "answer", 0, True, False),
    ]
    found = paired(verdicts)
    assert [(each.item, each.category, each.index, each.quadrant) for each in found] == [
        ("a", "time", 0, "KF"), ("b", "logic", 0, "DK"),
    ]  # fmt: skip
    assert [each.truncated for each in found] == [True, False]
    assert len(paired([*verdicts, Verdict("a", "time", "explain", 1, False, False)])) == 3


# Items of a user's own

OWN: dict[str, Any] = {
    "id": "paint",
    "category": "units",
    "prompt": "A tin of paint covers 8 square metres. How many tins do 40 square metres need?",
    "answer": {"kind": "integer", "value": 5},
    "explain": "Explain how to find how many tins of paint a wall needs.",
    "rubric": {"needed": 1, "ideas": {"divide": ["divid*"], "area": ["area", "surface"]}},
    "reference": "Divide the area of the wall by what one tin covers.",
}


def own(tmp_path: Path, **changes: Any) -> tuple[Item, ...]:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"items": [{**OWN, **changes}]}))
    return load_items(path)


def test_items_of_a_users_own(tmp_path: Path) -> None:
    (item,) = own(tmp_path)
    assert item.execution("40 / 8 = 5 tins")[0] and item.understanding("Divide them.").understands
    assert item.question.endswith("just the number, as `ANSWER: 7`.")


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "unsatisfiable": ({"reference": "Measure the wall."}, "'Measure the wall.' does not pass its rubric"),
    "echo": ({"explain": "Explain how to divide the area of walls."}, "holds the ideas that it asks for"),
    "no ideas": ({"rubric": {"needed": 1, "ideas": {}}}, "items[0].rubric.ideas"),
    "no words": ({"rubric": {"needed": 1, "ideas": {"divide": []}}}, "items[0].rubric.ideas"),
    "none needed": ({"rubric": {"needed": 0, "ideas": {"divide": ["divid*"]}}}, "items[0].rubric.needed"),
    "too many needed": ({"rubric": {"needed": 2, "ideas": {"divide": ["divid*"]}}}, "2 ideas are needed of 1"),
    "text for a number": ({"answer": {"kind": "integer", "value": "5"}}, "a whole number"),
    "no time": ({"answer": {"kind": "time", "value": "25:00"}}, "a time of day"),
    "one name": ({"answer": {"kind": "list", "value": ["Ann"]}}, "two names or more"),
    "stranger": ({"answer": {"kind": "name", "value": "Eve", "choices": ["Ann", "Bo"]}}, "one of its choices"),
    "no choices": ({"answer": {"kind": "name", "value": "Ann"}}, "a name needs `choices`"),
    "wrong rounding": ({"answer": {"kind": "decimal", "value": "6.3", "exact": "6.2"}}, "`exact` rounds to it"),
    "unknown kind": ({"answer": {"kind": "number", "value": 5}}, "items[0].answer.kind"),
    "misspelled": ({"refrence": "x"}, "items[0].refrence: there is no such key"),
}


@pytest.mark.parametrize(("changes", "words"), FAULTS.values(), ids=list(FAULTS))
def test_a_bad_item_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        own(tmp_path, **changes)
    assert words in caught.value.message and "mine.yaml" in caught.value.message
    assert caught.value.hint


def test_a_question_that_gives_its_answer_away_is_refused(tmp_path: Path) -> None:
    item = {**OWN, "prompt": "Eight tins do 64; the answer is 5. How many tins do 40 need?"}
    item["answer"] = {"kind": "integer", "value": 5}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"items": [item]}))
    with pytest.raises(InputError, match="gives its own answer away"):
        load_items(path)


def test_a_mistyped_key_is_the_only_complaint(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"items": [{**OWN, "hint": "none"}]}))
    with pytest.raises(InputError, match="there is no such key") as caught:
        load_items(path)
    assert "needs at least" not in caught.value.message


def test_a_bad_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    for text, words in (
        ("items: []\n", "items"),
        ("- 1\n", "mine.yaml"),
        ("items: [\n", "mine.yaml"),
        (yaml.safe_dump({"items": [OWN, OWN]}), "the id 'paint' stands here twice"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=r"mine\.yaml") as caught:
            load_items(path)
        assert words in caught.value.message
    with pytest.raises(InputError, match=r"missing\.yaml"):
        load_items(tmp_path / "missing.yaml")


def test_the_shipped_file_is_found_beside_the_code() -> None:
    assert SHIPPED.is_file()
