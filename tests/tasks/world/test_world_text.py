"""The text of the rows, against rows written and counted by hand."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.config.world import TASK_NAMES, TASKS, TaskName
from labkit.errors import InputError
from labkit.tasks.world import text
from labkit.tasks.world.geometry import answer_texts, values
from labkit.tasks.world.scoring import score_row
from labkit.tasks.world.vocabulary import VOCABULARY, token_ids, vocabulary_digest

CITIES = {
    "1000": (0, 0),
    "2000": (30, 40),
    "3000": (100, 0),
    "4000": (100, 100),
    "5000": (0, 100),
    "6000": (50, 50),
    "0023": (-350, 350),
    "7000": (-1800, -900),
    "8000": (1800, 900),
    "9000": (-10, 0),
}

# Task, compact row, tokens up to the `=` (<bos> included), tokens after it (<eos> included).
ROWS: list[tuple[TaskName, str, int, int]] = [
    ("distance", "dist(c_1000,c_2000)=50", 21, 3),
    ("distance", "dist(c_7000,c_8000)=4025", 21, 5),
    ("distance", "dist(c_0023,c_1000)=495", 21, 4),
    ("distance", "dist(c_1000,c_3000)=100", 21, 4),
    ("trianglearea", "triarea(c_1000,c_3000,c_4000)=5000", 31, 5),
    ("trianglearea", "triarea(c_1000,c_2000,c_3000)=2000", 31, 5),
    ("trianglearea", "triarea(c_1000,c_6000,c_4000)=0", 31, 2),
    ("angle", "angle(c_3000,c_1000,c_5000)=90", 29, 3),
    ("angle", "angle(c_3000,c_1000,c_4000)=45", 29, 3),
    ("angle", "angle(c_3000,c_1000,c_9000)=180", 29, 4),
    ("angle", "angle(c_2000,c_1000,c_3000)=53", 29, 3),
    ("compass", "compass(c_1000,c_3000)=E", 24, 2),
    ("compass", "compass(c_1000,c_5000)=N", 24, 2),
    ("compass", "compass(c_1000,c_4000)=NE", 24, 3),
    ("compass", "compass(c_3000,c_5000)=NW", 24, 3),
    ("compass", "compass(c_4000,c_1000)=SW", 24, 3),
    ("compass", "compass(c_5000,c_1000)=S", 24, 2),
    ("compass", "compass(c_1000,c_9000)=W", 24, 2),
    ("compass", "compass(c_5000,c_3000)=SE", 24, 3),
    ("perimeter", "perimeter(c_1000,c_2000)=50", 26, 3),
    ("perimeter", "perimeter(c_1000,c_3000,c_4000)=341", 33, 4),
    ("perimeter", "perimeter(c_1000,c_3000,c_4000,c_5000)=400", 40, 4),
    ("inside", "inside(c_6000;c_1000,c_3000,c_4000,c_5000)=TRUE", 44, 5),
    ("inside", "inside(c_7000;c_1000,c_3000,c_4000)=FALSE", 37, 6),
    ("crossing", "cross(c_1000,c_4000;c_3000,c_5000)=TRUE", 36, 5),
    ("crossing", "cross(c_1000,c_3000;c_4000,c_5000)=FALSE", 36, 6),
]

EXAMPLES = [
    "dist(c_0865,c_4879)=769",
    "triarea(c_1234,c_5678,c_9012)=458231",
    "angle(c_2345,c_6789,c_0123)=97",
    "compass(c_1234,c_5678)=NE",
    "inside(c_9012;c_3456,c_7890,c_1234,c_5678)=FALSE",
    "perimeter(c_4567,c_8901,c_2345,c_6789)=2856",
    "cross(c_2345,c_6789;c_0123,c_4567)=TRUE",
]

TASK = st.sampled_from(TASK_NAMES)
FEWEST = {"distance": 2, "compass": 2, "trianglearea": 3, "angle": 3, "crossing": 4, "inside": 4, "perimeter": 2}
MOST = FEWEST | {"inside": 6, "perimeter": 5}


def stored(row: str) -> str:
    return "<bos> " + " ".join(row) + " <eos>"


def ids_of(row: str) -> list[str]:
    return re.findall("c_([0-9]+)", row)


@pytest.mark.parametrize(("task", "row", "num_asked", "num_answered"), ROWS, ids=[row for _, row, _, _ in ROWS])
def test_rows_made_by_hand(task: TaskName, row: str, num_asked: int, num_answered: int) -> None:
    names = ids_of(row)
    points = np.array([[CITIES[name] for name in names]])
    found = values(task, points)
    (answer,) = answer_texts(task, found)
    prompt = text.prompt_text(task, names)
    assert prompt + answer == row
    assert text.row_text(prompt, answer) == stored(row)
    assert text.num_tokens(stored(row)) == num_asked + num_answered == len(token_ids(stored(row)))
    assert text.loss_mask(stored(row)) == "0" * num_asked + "1" * num_answered
    many = text.row_texts(task, np.array([[int(name) for name in names]]), None, found, 4)
    assert many.schema == {"text": pl.String, "token_lengths": pl.Int32, "loss_mask": pl.String}
    assert many.row(0) == (stored(row), num_asked + num_answered, "0" * num_asked + "1" * num_answered)
    verdict = score_row(task, prompt, answer, answer)
    assert verdict.correct and verdict.value == (0 if TASKS[task].kind == "error" else 1)


@pytest.mark.parametrize("row", EXAMPLES)
def test_rows_read_back(row: str) -> None:
    prompt, answer = text.split_row(stored(row))
    assert prompt + answer == row == text.compact(stored(row))
    assert prompt.endswith("=")
    task, names = text.parse_prompt(prompt)
    assert list(names) == ids_of(row)
    assert text.prompt_text(task, names) == prompt
    assert text.row_text(prompt, answer) == stored(row) == f"{text.stored_prompt(prompt)} {' '.join(answer)} <eos>"
    ids = token_ids(stored(row))
    assert " ".join(VOCABULARY[index] for index in ids) == stored(row)
    assert ids == [2, *token_ids(row), 3]


def test_an_answer_may_hold_an_equals_sign() -> None:
    assert text.split_row("<bos> d i s t ( c _ 1 , c _ 2 ) = 7 = 8 <eos>") == ("dist(c_1,c_2)=", "7=8")
    assert text.loss_mask("<bos> a = 7 = 8 <eos>") == "0001111"


@st.composite
def _many(draw: st.DrawFn) -> tuple[TaskName, list[list[int]]]:
    task = draw(TASK)
    row = st.lists(st.integers(0, 9999), min_size=FEWEST[task], max_size=MOST[task])
    return task, draw(st.lists(row, max_size=8))


@given(_many(), st.integers(4, 6))
def test_many_rows_are_the_rows_one_by_one(many: tuple[TaskName, list[list[int]]], id_digits: int) -> None:
    task, rows = many
    width = MOST[task]
    # What stands behind a row's last city is not looked at, whatever it is.
    ids = np.array([row + [-1] * (width - len(row)) for row in rows], dtype=np.int64).reshape(-1, width)
    counts = np.array([len(row) for row in rows], dtype=np.int64)
    points = np.stack([ids * 7 % 3601 - 1800, ids * 11 % 1801 - 900], axis=-1)
    found = values(task, points, counts)
    table = text.row_texts(task, ids, counts, found, id_digits)
    answers = answer_texts(task, found)
    prompts = [text.prompt_text(task, [f"{name:0{id_digits}d}" for name in row]) for row in rows]
    expected = [text.row_text(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    assert table["text"].to_list() == expected
    assert table["token_lengths"].to_list() == [text.num_tokens(row) for row in expected]
    assert table["loss_mask"].to_list() == [text.loss_mask(row) for row in expected]


def test_an_id_without_room() -> None:
    with pytest.raises(InputError, match="1000 has no room in 3 digits"):
        text.row_texts("distance", np.array([[1000, 2]]), None, np.array([5]), 3)


def test_the_longest_row_has_57_tokens() -> None:
    ids = np.array([[1, 2, 3, 4, 5, 6]])
    points = np.array([[[90, 90], [0, 0], [1, 0], [0, 1], [1, 1], [2, 2]]])
    longest = text.row_texts("inside", ids, None, values("inside", points), 4)
    assert longest["token_lengths"].to_list() == [57]
    corners = np.array([[-1800, -900], [1800, 900]])[[0, 1, 0, 1, 0, 1]][None]
    for task in TASK_NAMES:
        width = MOST[task]
        found = values(task, corners[:, :width])
        assert text.row_texts(task, ids[:, :width], None, found, 4)["token_lengths"][0] <= 57


@pytest.mark.parametrize(
    "prompt",
    [
        "dist(c_1,c_2)",
        "dist(c_1,c_2)=7",
        "dist(c_1;c_2)=",
        "dist(1,2)=",
        "walk(c_1,c_2)=",
        "inside(c_1,c_2,c_3)=",
        "cross(c_1,c_2,c_3;c_4)=",
        "d i s t ( c _ 1 , c _ 2 ) =",
        "",
    ],
)
def test_other_questions_are_refused(prompt: str) -> None:
    with pytest.raises(InputError, match="not a question about cities"):
        text.parse_prompt(prompt)


def test_a_row_without_an_equals_sign_is_refused() -> None:
    for read in (text.split_row, text.loss_mask):
        with pytest.raises(InputError, match="no `=` in the row"):
            read("<bos> d i s t <eos>")


@pytest.mark.parametrize(
    ("task", "prompt", "positions"),
    [
        ("distance", "dist(c_1234,", (11, 12)),
        ("trianglearea", "triarea(c_1234,", (14, 15)),
        ("angle", "angle(c_1234,", (12, 13)),
        ("compass", "compass(c_1234,", (14, 15)),
        ("inside", "inside(c_1234;", (13, 14)),
        ("perimeter", "perimeter(c_1234,", (16, 17)),
        ("crossing", "cross(c_1234,", (12, 13)),
    ],
)
def test_where_the_first_city_ends(task: TaskName, prompt: str, positions: tuple[int, int]) -> None:
    prompt_format = f"{task}_firstcity_last_and_trans"
    assert text.extraction_format(task) == prompt_format
    assert text.extraction_prompt(prompt_format, "1234") == prompt
    assert text.extraction_positions(prompt_format, 4) == positions
    tokens = text.stored_prompt(prompt).split()
    assert [tokens[position] for position in positions] == ["4", prompt[-1]]
    assert text.extraction_positions(prompt_format, 3) == (positions[0] - 1, positions[1] - 1)


def test_an_unknown_prompt_format_names_the_nearest() -> None:
    with pytest.raises(InputError, match="distanse_firstcity") as caught:
        text.extraction_positions("distanse_firstcity_last_and_trans", 4)
    assert "did you mean 'distance_firstcity_last_and_trans'?" in caught.value.hint
    assert all(name in caught.value.hint for name in TASK_NAMES)
    with pytest.raises(InputError):
        text.extraction_prompt("distance", "1234")


def test_the_vocabulary() -> None:
    assert len(VOCABULARY) == len(set(VOCABULARY)) == 98
    assert VOCABULARY[:4] == ("<pad>", "<unk>", "<bos>", "<eos>")
    assert set(VOCABULARY[4:]) == set(map(chr, range(33, 127)))
    published = {"!": 4, "(": 11, ")": 12, ",": 15, ";": 20, "=": 22, "A": 26, "_": 56, "a": 58, "z": 83, "~": 87}
    assert {token: VOCABULARY.index(token) for token in published} == published
    assert VOCABULARY[88:] == tuple("0123456789")
    assert re.fullmatch("[0-9a-f]{16}", vocabulary_digest())


def test_token_ids_of_the_published_example() -> None:
    ids = [2, 61, 66, 76, 77, 11, 60, 56, 88, 96, 94, 93, 15, 60, 56, 92, 96, 95, 97, 12, 22, 95, 94, 97, 3]
    assert token_ids("<bos> d i s t ( c _ 0 8 6 5 , c _ 4 8 7 9 ) = 7 6 9 <eos>") == ids
    assert len(ids) == 25
    assert token_ids("dist(") == ids[1:6]
    assert token_ids("é <pad>") == [1, 0]
    assert token_ids("") == []
