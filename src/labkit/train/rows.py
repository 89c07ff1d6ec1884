"""Training data as a function of the step: the rows of tokens that a step learns from, and their tensors.

Step `i` gets the same rows whether or not the steps before it ran in this process, which is what lets a training
resume exactly. Knows texts and tokens; does *not* know where examples come from, models or optimisers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import torch
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from labkit.errors import InputError

IGNORED_LABEL = -100
"""The label of a token that no loss is taken on, in transformers' convention."""


class Row(NamedTuple):
    """One example as the model reads it."""

    token_ids: Sequence[int]
    num_prompt_tokens: int
    """Tokens at its beginning that the model is given; the others it should write."""


ExampleT = TypeVar("ExampleT")
"""A row, or whatever else is learnt from."""


def joined_rows(
    prompts: Sequence[Sequence[int]], completions: Sequence[str], tokenizer: PreTrainedTokenizerBase
) -> list[Row]:
    """Rows of prompts in tokens and completions in text, each with the end-of-turn token at its end.

    Prompt and completion are tokenised apart, because that is how they meet when the model generates.

    Raises:
        InputError: the tokenizer has no end-of-turn token.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise InputError("the tokenizer has no eos token to end a completion with", "set eos_token in its config")
    written = tokenizer(list(completions), add_special_tokens=False)["input_ids"]
    return [Row([*prompt, *ids, end], len(prompt)) for prompt, ids in zip(prompts, written, strict=True)]


def text_rows(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[Row]:
    """Rows of whole texts that hold their own specials; the prompt of each ends in its first `=`.

    Raises:
        InputError: a text has no `=`.
    """
    for text in texts:
        if "=" not in text:
            raise InputError(f"no `=` in the row {text[:80]!r}", "a row is a prompt up to `=`, and its answer")
    ends = [text.index("=") + 1 for text in texts]
    prompts = [text[:end] for text, end in zip(texts, ends, strict=True)]
    answers = [text[end:] for text, end in zip(texts, ends, strict=True)]
    ids = tokenizer(prompts + answers, add_special_tokens=False, return_attention_mask=False)["input_ids"]
    halves = zip(ids[: len(texts)], ids[len(texts) :], strict=True)
    return [Row([*asked, *answered], len(asked)) for asked, answered in halves]


class Padding:
    """Makes tensors of rows, padded on the right."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, max_length: int, loss_on_prompts: bool = False) -> None:
        """
        Args:
            max_length: most tokens that the model takes
            loss_on_prompts: whether the tokens of prompts have labels too
        """
        filler = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        self._filler = 0 if filler is None else int(filler)
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._loss_on_prompts = loss_on_prompts

    def tensors(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """The tensors of B rows, padded to the longest, T tokens.

        Returns:
            `input_ids` (B, T); `labels` (B, T), ignored where no loss is taken; `attention_mask` (B, T) where some row
            is shorter than T.

        Raises:
            InputError: a row is longer than the model takes.
        """
        lengths = [len(row.token_ids) for row in rows]
        longest = max(lengths)
        if longest > self._max_length:
            self._refuse(rows[lengths.index(longest)])
        padded = [[*row.token_ids, *[self._filler] * (longest - len(row.token_ids))] for row in rows]
        input_ids = torch.tensor(padded)  # (B, T)
        places = torch.arange(longest)  # (T,)
        mask = places < torch.tensor(lengths)[:, None]  # (B, T)
        learnt = mask
        if not self._loss_on_prompts:
            learnt = mask & (places >= torch.tensor([row.num_prompt_tokens for row in rows])[:, None])
        tensors = {"input_ids": input_ids, "labels": input_ids.masked_fill(~learnt, IGNORED_LABEL)}
        if min(lengths) < longest:
            tensors["attention_mask"] = mask.long()
        return tensors

    def _refuse(self, row: Row) -> None:
        text = str(self._tokenizer.decode(list(row.token_ids[: row.num_prompt_tokens])))
        raise InputError(
            f"an example has {len(row.token_ids)} tokens where the model takes {self._max_length}: {text[:80]!r}",
            "leave long examples out",
        )


class MicroBatches(Dataset[dict[str, torch.Tensor]], Generic[ExampleT]):
    """Item `i` is the `i`-th forward pass of a training: part `i % num_parts` of step `i // num_parts`."""

    def __init__(
        self,
        rows_at: Callable[[int], Sequence[ExampleT]],
        tensors: Callable[[Sequence[ExampleT]], dict[str, torch.Tensor]],
        *,
        num_steps: int,
        batch_size: int,
        num_parts: int,
    ) -> None:
        """
        Args:
            rows_at: the examples of a step (counted from 0), at least one; a pure function
            tensors: makes tensors of examples, `labels` among them
        """
        self._rows_at = rows_at
        self._tensors = tensors
        self._num_steps = num_steps
        self._part_size = batch_size // num_parts
        self._num_parts = num_parts
        self._latest: tuple[int, Sequence[ExampleT]] = (-1, ())

    def __len__(self) -> int:
        return self._num_steps * self._num_parts

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        step, part = divmod(index, self._num_parts)
        rows = self._rows_of(step)
        own = rows[part * self._part_size : (part + 1) * self._part_size]
        if own:
            return self._tensors(own)
        # The last step of an epoch may be too short for all its parts: the others pass a row on which no loss is taken.
        tensors = self._tensors(rows[:1])
        return tensors | {"labels": torch.full_like(tensors["labels"], IGNORED_LABEL)}

    def _rows_of(self, step: int) -> Sequence[ExampleT]:
        if self._latest[0] != step:
            self._latest = (step, self._rows_at(step))
        return self._latest[1]
