"""Files in the published format, the published one among them where it lies beside the repository."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from labkit.errors import InputError
from labkit.tasks.countdown import CountdownTask
from labkit.tasks.countdown.problem_file import Filters, load_problems

REPOSITORY = Path(__file__).parents[3]
SHARED_DATA = Path(os.environ.get("SHARED_DATA_DIR", REPOSITORY.parent / "shared" / "data"))
PUBLISHED_FILE = SHARED_DATA / "countdown.json"

needs_published_file = pytest.mark.skipif(
    not PUBLISHED_FILE.exists(), reason=f"the published countdown.json is not at {PUBLISHED_FILE} (SHARED_DATA_DIR)"
)

GOOD = {"id": 0, "context": "…", "numbers": [44, 19, 35], "target": "98", "solution": "((44 + 19) + 35)"}


def write(folder: Path, content: Any) -> Path:
    path = folder / "problems.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(json.dumps(content), encoding="utf-8")
    return path


@needs_published_file
def test_the_published_file_loads_whole_and_its_14_unsolvable_problems_are_named() -> None:
    file = load_problems(PUBLISHED_FILE)
    assert len(file.rows) == 2200
    assert len(file.notes) == 1
    assert file.notes[0].startswith("14 of 2200 problems have no solution (ids 263, 281, ")
    assert {"-15.727272727272727", "27.4", "-11"} <= {row.problem.target for row in file.rows}


@needs_published_file
def test_the_published_splits_and_filters_have_their_sizes() -> None:
    assert len(load_problems(PUBLISHED_FILE, "train").rows) == 200
    test = load_problems(PUBLISHED_FILE, "test").rows
    assert (len(test), test[0].index) == (2000, 200)
    three = Filters(num_numbers=(3,), target_range=(10, 100))
    assert len(load_problems(PUBLISHED_FILE, "all", three).rows) == 1044


@needs_published_file
def test_published_prompts_are_worded_as_in_the_file() -> None:
    """The file's `context` joins system and user without a separator and prints the numbers as NumPy does."""
    entries = json.loads(PUBLISHED_FILE.read_text(encoding="utf-8"))
    prompts = CountdownTask(data=PUBLISHED_FILE, split="all").prompts(preset=None, offset=0, num_prompts=2200)
    for entry, prompt in zip(entries, prompts, strict=True):
        before, _, rest = entry["context"].partition("[")
        context = f"{before}{entry['numbers']}{rest.partition(']')[2]}"
        assert "".join(message["content"] for message in prompt.messages) + prompt.prefill == context


@needs_published_file
@pytest.mark.parametrize("mode", ["exact", "published"])
def test_published_solutions_are_right_where_they_use_the_numbers(mode: Any) -> None:
    task = CountdownTask(data=PUBLISHED_FILE, split="all", scorer_mode=mode)
    prompts = task.prompts(preset="short", offset=0, num_prompts=2200)
    verdicts = [task.score(prompt, f"{prompt.source['solution']}</answer>").rule for prompt in prompts]
    assert len(verdicts) - sum(rule in ("exact", "published") for rule in verdicts) == 19 + 15
    assert verdicts.count("not_an_expression") == 19
    assert verdicts.count("wrong_numbers") == 15


def test_a_small_file_loads_with_its_optional_keys_missing(tmp_path: Path) -> None:
    (row,) = load_problems(write(tmp_path, [{"numbers": [1, 2], "target": 3}])).rows
    assert (row.id, row.problem.numbers, row.problem.target, row.problem.solution) == ("0", (1, 2), "3", None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"[]", "the list is empty"),
        (b"{}", "one dict, not a list"),
        (b'[\n{"numbers": [1, 2],\n]', "line 3, column 1: not valid JSON"),
        (b'[\n"\xff"]', "line 2: byte 3 is not UTF-8"),
        (b"[" * 100_000, "cannot be read"),
        (b"[" + b"9" * 10_000 + b"]", "cannot be read"),
    ],
    ids=["empty", "blank", "no entries", "object", "malformed", "latin-1", "deep", "digits"],
)
def test_an_unreadable_file_is_an_error_that_says_where(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_problems(write(tmp_path, content))
    assert message in caught.value.message
    assert "problems.json" in caught.value.message
    assert caught.value.hint


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InputError, match="cannot read the problem file"):
            load_problems(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"numbers": None}, "'numbers' is None"),
        ({"numbers": []}, "'numbers' is []"),
        ({"numbers": [1, "2"]}, "'numbers' is [1, '2']"),
        ({"numbers": [1, 2.0]}, "'numbers' is [1, 2.0]"),
        ({"numbers": [True, 2]}, "'numbers' is [True, 2]"),
        ({"numbers": [-1, 2]}, "'numbers' is [-1, 2]"),
        ({"target": None}, "'target' is None"),
        ({"target": 27.4}, "'target' is 27.4"),
        ({"target": "ninety"}, "'ninety' is not a number"),
        ({"solution": 98}, "'solution' is 98"),
    ],
)
def test_a_bad_entry_is_named_with_its_key(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_problems(write(tmp_path, [GOOD, {**GOOD, **change}]))
    assert "entry 1" in caught.value.message
    assert message in caught.value.message


def test_a_missing_key_and_a_bare_value_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"entry 0 .* the key 'target' is missing"):
        load_problems(write(tmp_path, [{"numbers": [1]}]))
    with pytest.raises(InputError, match=r"entry 1 .* 5 is not an object"):
        load_problems(write(tmp_path, [GOOD, 5]))


def test_filters_let_through_what_they_say(tmp_path: Path) -> None:
    entries = [
        {"numbers": [1, 2], "target": "3"},
        {"numbers": [1, 2], "target": "0.5"},
        {"numbers": [1, 20], "target": "21"},
        {"numbers": [1, 2, 3], "target": "6"},
    ]
    path = write(tmp_path, entries)

    def kept(**filters: Any) -> list[int]:
        return [row.index for row in load_problems(path, "all", Filters(**filters)).rows]

    assert kept() == [0, 1, 2, 3]
    assert kept(num_numbers=(2,)) == [0, 1, 2]
    assert kept(number_range=(1, 3)) == [0, 1, 3]
    assert kept(target_range=(0, 6)) == [0, 3]
    with pytest.raises(InputError, match="no problem is left of 4"):
        kept(num_numbers=(4,))


def test_repeated_prompts_are_left_out_and_counted(tmp_path: Path) -> None:
    other_order = {**GOOD, "numbers": [19, 44, 35]}
    file = load_problems(write(tmp_path, [GOOD, {**GOOD, "id": 1}, other_order, {**GOOD, "target": 98}]))
    assert [row.index for row in file.rows] == [0, 2]
    assert file.notes == ("2 rows repeat an earlier prompt and are left out",)


def test_what_is_not_searched_is_said(tmp_path: Path) -> None:
    file = load_problems(write(tmp_path, [{"numbers": [1, 2, 3, 4, 5], "target": 15}]))
    assert file.notes == ("1 problems of over 4 numbers come without a valid solution",)
