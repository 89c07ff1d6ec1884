"""Training data as a function of the step: which (prompt, completion) pairs a step learns from, and their tensors.

Step `i` gets the same pairs whether or not the steps before it ran in this process, which is what lets a training
resume exactly. Knows texts and tokens; does *not* know tasks, models or optimisers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from labkit.errors import InputError

IGNORED_LABEL = -100
"""The label of a token that no loss is taken on, in transformers' convention."""


class Pair(NamedTuple):
    """What the model is given and what it should say."""

    prompt: Sequence[int]
    """Tokens of the text after the chat template, with the prefill of the assistant's turn at its end."""
    completion: str
    """Text that follows directly; the end-of-turn token is added to it."""


PairsAt = Callable[[int], Sequence[Pair]]
"""The `batch_size` pairs of a step (counted from 0); a pure function."""


def encode_pairs(
    pairs: Sequence[Pair], tokenizer: PreTrainedTokenizerBase, *, max_length: int
) -> dict[str, torch.Tensor]:
    """The tensors of a batch of B pairs, padded on the right to the longest, T tokens.

    Prompt and completion are tokenised apart, because that is how they meet when the model generates.

    Returns:
        `input_ids` (B, T); `labels` (B, T), ignored on prompts and padding; `attention_mask` (B, T) where some row is
        shorter than T.

    Raises:
        InputError: a pair is longer than `max_length`, or the tokenizer has no end-of-turn token.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise InputError("the tokenizer has no eos token to end a completion with", "set eos_token in its config")
    prompts = [pair.prompt for pair in pairs]
    completions = tokenizer([pair.completion for pair in pairs], add_special_tokens=False)["input_ids"]
    lengths = [len(prompt) + len(completion) + 1 for prompt, completion in zip(prompts, completions, strict=True)]
    longest = max(lengths)
    if longest > max_length:
        text = str(tokenizer.decode(list(prompts[lengths.index(longest)])))
        raise InputError(
            f"a pair has {longest} tokens where the model takes {max_length}: {text[:80]!r}", "leave long pairs out"
        )
    filler = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    input_ids = torch.full((len(pairs), longest), filler)  # (B, T)
    labels = torch.full((len(pairs), longest), IGNORED_LABEL)  # (B, T)
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        input_ids[row, : lengths[row]] = torch.tensor([*prompt, *completion, end])
        labels[row, len(prompt) : lengths[row]] = torch.tensor([*completion, end])
    tensors = {"input_ids": input_ids, "labels": labels}
    if min(lengths) < longest:
        tensors["attention_mask"] = (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()  # (B, T)
    return tensors


class MicroBatches(Dataset[dict[str, torch.Tensor]]):
    """Item `i` is the `i`-th forward pass of a training: part `i % num_parts` of step `i // num_parts`."""

    def __init__(
        self,
        pairs_at: PairsAt,
        tokenizer: PreTrainedTokenizerBase,
        *,
        num_steps: int,
        batch_size: int,
        num_parts: int,
        max_length: int,
    ) -> None:
        self._pairs_at = pairs_at
        self._tokenizer = tokenizer
        self._num_steps = num_steps
        self._batch_size = batch_size
        self._num_parts = num_parts
        self._max_length = max_length
        self._latest: tuple[int, Sequence[Pair]] = (-1, ())

    def __len__(self) -> int:
        return self._num_steps * self._num_parts

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        step, part = divmod(index, self._num_parts)
        size = self._batch_size // self._num_parts
        pairs = self._pairs_of(step)[part * size : (part + 1) * size]
        return encode_pairs(pairs, self._tokenizer, max_length=self._max_length)

    def _pairs_of(self, step: int) -> Sequence[Pair]:
        if self._latest[0] != step:
            pairs = self._pairs_at(step)
            if len(pairs) != self._batch_size:
                raise InputError(f"step {step} has {len(pairs)} pairs where the batch size is {self._batch_size}")
            self._latest = (step, pairs)
        return self._latest[1]
