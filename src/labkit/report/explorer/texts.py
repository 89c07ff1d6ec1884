"""The kept rollouts of a page as lists, as many and as long as fit into its bytes."""

from __future__ import annotations

from typing import Any

import polars as pl

from labkit.report.explorer.keeping import CELL, LEAST_CHARS, MOST_TEXTS, chosen, cut, fitting_chars, num_bytes
from labkit.report.explorer.reading import RUN

_SCRAP_CHARS = 100
"""Rather than cut the one text of each prompt and arm to fewer characters, fewer prompts are listed."""
_WORD_CHARS, _FEW_WORD_CHARS = 300, 60
"""Characters of an answer, a rule or an error, and where there is no room for so many."""

Json = dict[str, Any]


class _Words:
    """Texts that repeat, each once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: dict[str, int] = {}

    def place(self, text: str | None) -> int | None:
        """Where a text stands; a long one is cut, and says so."""
        if text is None:
            return None
        if len(text) > self._most:
            text = f"{text[: self._most]}… ({len(text) - self._most:,} more characters)"
        return self._places.setdefault(text, len(self._places))

    @property
    def texts(self) -> list[str]:
        return list(self._places)


def kept_rollouts(texts: pl.DataFrame, num_prompts: int, num_bytes_left: int) -> Json | None:
    """`texts`, `words`, `kept`, and `caps` and `num_kept`, which say what was left out; None where they do not fit.

    First fewer texts of each prompt and arm are kept, then answers and errors are cut, then texts to `_SCRAP_CHARS`.

    Args:
        texts: rows of `with_verdicts`, at most `MOST_TEXTS` for each `CELL`, of the first `num_prompts` places
    """
    sizes = texts.group_by(CELL).len()["len"]
    most_texts, word_chars = min(MOST_TEXTS, max(sizes, default=1)), _WORD_CHARS
    while True:
        data, whole = _kept(chosen(texts, most_texts), num_prompts, word_chars)
        most_chars = fitting_chars(whole, num_bytes_left - num_bytes(data))
        is_last = most_texts == 1 and word_chars == _FEW_WORD_CHARS
        if most_chars >= (_SCRAP_CHARS if is_last else LEAST_CHARS):
            break
        if is_last:
            return None
        most_texts, word_chars = max(1, most_texts // 2), _FEW_WORD_CHARS if most_texts == 1 else _WORD_CHARS
    cuts = [cut(text, most_chars) for text in whole]
    caps = {"texts": most_texts, "chars": most_chars, "num_cut": sum(isinstance(each, tuple) for each in cuts)}
    num_kept = sum(len(cell[2]) for cells in data["kept"] for cell in cells)
    return data | {"texts": cuts, "caps": caps, "num_kept": num_kept}


def _kept(texts: pl.DataFrame, num_prompts: int, word_chars: int) -> tuple[Json, list[str]]:
    """Rollouts by prompt and arm, and their different texts.

    A prompt's `kept` has for each arm with rollouts [arm, number of different texts, rollouts]; a rollout is [text,
    verdict, rule, answer, finish reason, tokens, index, copies, run, error, value], with null where there is none.
    """
    words = _Words(word_chars)
    whole: dict[str, int] = {}
    kept: list[dict[int, list[Any]]] = [{} for _ in range(num_prompts)]
    for row in texts.iter_rows(named=True):
        text = row["text"] or None  # an empty one is as good as none
        cell = kept[row["place"]].setdefault(row["arm_place"], [row["num_right"] + row["num_wrong"], []])
        values = [
            None if text is None else whole.setdefault(text, len(whole)),
            None if row["correct"] is None else int(row["correct"]),
            *(words.place(row[name]) for name in ("rule", "answer", "finish_reason")),
            *(row[name] for name in ("num_tokens", "index", "copies", RUN)),
            words.place(row["error"]),
            row["value"],
        ]
        while values[-1] is None:
            values.pop()
        cell[1].append(values)
    listed = [[[arm, *cell] for arm, cell in sorted(cells.items())] for cells in kept]
    return {"words": words.texts, "kept": listed}, list(whole)
