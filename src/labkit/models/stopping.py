"""Texts that end a rollout, found across the borders of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, StoppingCriteria


class StopTexts(StoppingCriteria):
    """Ends a row once its text holds a stop text. Decodes the newest tokens of each row, so that a stop text may lie
    across tokens of any tokenizer; transformers' own criterion fails on word-level ones."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str], num_prompt_tokens: int) -> None:
        self._tokenizer, self._stop, self._num_prompt_tokens = tokenizer, stop, num_prompt_tokens
        # No token is shorter than a byte, except for those that vanish in decoding: leave some room for them.
        self._window = max(len(text.encode()) for text in stop) + 8

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: Any) -> torch.BoolTensor:
        newest = input_ids[:, max(self._num_prompt_tokens, input_ids.shape[1] - self._window) :]
        texts = self._tokenizer.batch_decode(newest, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        ended = [holds_any(text, self._stop) for text in texts]
        return torch.tensor(ended, device=input_ids.device)  # type: ignore[return-value]


def holds_any(text: str, parts: Sequence[str]) -> bool:
    """Whether any of `parts` stands in `text`."""
    return any(part in text for part in parts)
