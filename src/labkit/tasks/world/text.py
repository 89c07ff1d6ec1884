"""The one place that knows how a question about cities is written.

Compact text is `dist(c_0865,c_4879)=769`: the *prompt* is everything up to the first `=`, the *answer* what follows.
Stored text has a space between all tokens and a special token at either end: `<bos> d i s t ( c _ 0 8 6 5 , … 9 <eos>`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from labkit.config.base import nearest
from labkit.config.world import TASK_NAMES, TASKS, TaskName
from labkit.errors import InputError
from labkit.tasks.world.geometry import IntArray, answer_texts
from labkit.tasks.world.vocabulary import BOS, EOS

_CITY = "c_"
_BY_TEXT_NAME: dict[str, TaskName] = {task.text_name: task.name for task in TASKS.values()}
_PROMPT = re.compile(r"([a-z]+)\((c_[0-9]+(?:[,;]c_[0-9]+)*)\)=")
_FORMAT_SUFFIX = "_firstcity_last_and_trans"


def separators(task: TaskName, num_cities: int) -> tuple[str, ...]:
    """What stands after each city but the last: a comma, and one semicolon in `inside` and `crossing`."""
    between = [TASKS[task].separator, *[","] * (num_cities - 2)]
    if task == "crossing" and num_cities > 2:
        between[1] = ";"
    return tuple(between[: num_cities - 1])


def prompt_text(task: TaskName, padded_ids: Sequence[str]) -> str:
    """The compact prompt: `dist(c_0865,c_4879)=`."""
    between = (*separators(task, len(padded_ids)), "")
    cities = "".join(f"{_CITY}{name}{separator}" for name, separator in zip(padded_ids, between, strict=True))
    return f"{TASKS[task].text_name}({cities})="


def row_text(prompt: str, answer: str) -> str:
    """The stored row of a compact prompt and its answer; `split_row` is the way back."""
    return f"{stored_prompt(prompt)} {_spaced(answer)} {EOS}"


def stored_prompt(prompt: str) -> str:
    """A compact prompt, or the beginning of one, as it stands in a stored row: `<bos> d i s t ( … ) =`."""
    return f"{BOS} {_spaced(prompt)}"


def compact(stored: str) -> str:
    """A stored text without its spaces and the special tokens at its ends."""
    return stored.replace(" ", "").removeprefix(BOS).removesuffix(EOS)


def split_row(stored: str) -> tuple[str, str]:
    """The compact prompt, which ends in the first `=`, and the answer of a stored row.

    Raises:
        InputError: there is no `=`.
    """
    prompt, equals, answer = compact(stored).partition("=")
    if not equals:
        raise _no_row(stored)
    return prompt + equals, answer


def num_tokens(stored: str) -> int:
    """Tokens of a stored text, the specials included."""
    return len(stored.split())


def loss_mask(stored: str) -> str:
    """A digit for each token: 0 up to the first `=`, 1 for the answer and `<eos>`.

    Raises:
        InputError: there is no `=`.
    """
    tokens = stored.split()
    if "=" not in tokens:
        raise _no_row(stored)
    num_asked = tokens.index("=") + 1
    return "0" * num_asked + "1" * (len(tokens) - num_asked)


def parse_prompt(prompt: str) -> tuple[TaskName, tuple[str, ...]]:
    """The task and the padded ids of a compact prompt, as `prompt_text` writes it.

    Raises:
        InputError: it is not written so.
    """
    found = _PROMPT.fullmatch(prompt)
    task = _BY_TEXT_NAME.get(found[1]) if found else None
    if found and task:
        ids = tuple(city.removeprefix(_CITY) for city in re.split("[,;]", found[2]))
        if prompt_text(task, ids) == prompt:
            return task, ids
    raise InputError(f"not a question about cities: {prompt[:80]!r}", "one is `dist(c_0865,c_4879)=`, without spaces")


def row_texts(
    task: TaskName, ids: IntArray, counts: IntArray | None, values: NDArray[Any], id_digits: int
) -> pl.DataFrame:
    """Many stored rows of one task at once.

    Args:
        task: one of the seven
        ids: (R, C), the ids of the cities in the order of the text
        counts: (R,), how many of the C each row has, and what stands behind them is not looked at; None is all
        values: (R,), as `labkit.tasks.world.geometry.values` gives them
        id_digits: the width that ids are padded to

    Returns:
        R rows of `text` (String), `token_lengths` (Int32) and `loss_mask` (String).

    Raises:
        InputError: an id is wider than that.
    """
    num_rows, width = ids.shape
    counts = np.full(num_rows, width, dtype=np.int64) if counts is None else counts
    different, which = np.unique(values, return_inverse=True)
    answers = answer_texts(task, different)
    sizes = np.array([len(answer) for answer in answers], dtype=np.int64)[which]
    pieces = _city_pieces(task, ids, counts, id_digits)
    pieces.append(pl.Series("answer", [f" ) = {_spaced(answer)} {EOS}" for answer in answers], pl.String).gather(which))
    text = pl.select(pl.concat_str(pl.lit(stored_prompt(TASKS[task].text_name + "(")), *pieces).alias("text"))
    asked = len(TASKS[task].text_name) + 3 + counts * (len(_CITY) + id_digits + 1)  # a separator or ) after each city
    return text.with_columns(
        pl.Series("token_lengths", asked + sizes + 1, pl.Int32),
        _loss_masks(asked, sizes + 1),
    )


def _city_pieces(task: TaskName, ids: IntArray, counts: IntArray, id_digits: int) -> list[pl.Series]:
    """For each position the spaced cities of all rows with what stands before them; empty behind a row's last."""
    present = np.arange(ids.shape[1]) < counts[:, None]
    known = np.unique(ids[present])
    if known.size and not 0 <= known[0] <= known[-1] < 10**id_digits:
        raise InputError(f"the id {known[-1]} has no room in {id_digits} digits", "raise cities.id_digits")
    spaced = [_spaced(f"{_CITY}{name:0{id_digits}d}") for name in known.tolist()]
    places = np.where(present, np.searchsorted(known, ids), len(spaced))
    pieces = []
    for position, separator in enumerate(("", *separators(task, ids.shape[1]))):
        before = f" {separator} " if separator else " "
        table = pl.Series(f"city_{position}", [*(before + city for city in spaced), ""], pl.String)
        pieces.append(table.gather(places[:, position]))
    return pieces


def _loss_masks(asked: IntArray, answered: IntArray) -> pl.Series:
    """The masks of rows with so many tokens up to the `=`, and so many after."""
    both, which = np.unique(np.stack([asked, answered]), axis=1, return_inverse=True)
    masks = ["0" * zeros + "1" * ones for zeros, ones in both.T.tolist()]
    return pl.Series("loss_mask", masks, pl.String).gather(which.reshape(-1))


def extraction_prompt(prompt_format: str, padded_id: str) -> str:
    """The beginning of a compact prompt, up to what follows its first city: `dist(c_0865,`.

    Raises:
        InputError: the format is unknown.
    """
    task = TASKS[_task_of_format(prompt_format)]
    return f"{task.text_name}({_CITY}{padded_id}{task.separator}"


def extraction_positions(prompt_format: str, id_digits: int) -> tuple[int, int]:
    """Where the last digit of the first city and what follows it stand among the tokens; `<bos>` is 0.

    Raises:
        InputError: the format is unknown.
    """
    last_digit = len(TASKS[_task_of_format(prompt_format)].text_name) + 1 + len(_CITY) + id_digits
    return last_digit, last_digit + 1


def extraction_format(task: TaskName) -> str:
    """The name of a task's prompt format: `distance_firstcity_last_and_trans`."""
    return task + _FORMAT_SUFFIX


def _task_of_format(prompt_format: str) -> TaskName:
    task = prompt_format.removesuffix(_FORMAT_SUFFIX)
    if prompt_format.endswith(_FORMAT_SUFFIX) and task in TASKS:
        return TASKS[task].name
    known = [extraction_format(name) for name in TASK_NAMES]
    guess = nearest(prompt_format, known)
    suggestion = f"did you mean {guess!r}? " if guess else ""
    raise InputError(f"no prompt format is called {prompt_format!r}", f"{suggestion}known: {', '.join(known)}")


def _no_row(stored: str) -> InputError:
    return InputError(f"no `=` in the row {stored[:80]!r}", "a row is `<bos> d i s t ( … ) = 7 6 9 <eos>`")


def _spaced(text: str) -> str:
    return " ".join(text)
