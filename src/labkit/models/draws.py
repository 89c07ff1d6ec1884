"""Choosing tokens: one uniform number a rollout and step, a pure function of the rollout's seed.

Batching, order and resuming cannot change which number a rollout gets, only rounding in the logits can.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from transformers import LogitsProcessor, RepetitionPenaltyLogitsProcessor

_CHUNK_ELEMENTS = 1 << 24  # float64 copies of this many logits take 128 MiB
_CACHED_ELEMENTS = 1 << 18  # float32, 1 MiB


def uniforms(seeds: npt.NDArray[np.uint64], step: int) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1) for step `step` of each stream: SplitMix64 (Steele, Lea & Flood 2014), 53 bits.

    Args:
        seeds: (B,) well-mixed 64-bit seeds
        step: tokens drawn before

    Returns:
        (B,)
    """
    state = seeds + np.uint64(((step + 1) * 0x9E3779B97F4A7C15) % 2**64)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def draw(logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """The token at which the cumulative probability passes each uniform number.

    Args:
        logits: (B, V), already scaled and filtered; -inf is never drawn
        uniform: (B,) float64 in [0, 1)

    Returns:
        (B,) int64
    """
    tokens = []
    rows = max(1, _CHUNK_ELEMENTS // logits.shape[-1])
    for part, target in zip(torch.split(logits, rows), torch.split(uniform, rows), strict=True):
        cumulative = torch.softmax(part.double(), dim=-1).cumsum(dim=-1)  # (b, V)
        passed = torch.searchsorted(cumulative, (target * cumulative[:, -1])[:, None], right=True)  # (b, 1)
        tokens.append(passed.squeeze(-1))
    return torch.cat(tokens).clamp_(max=logits.shape[-1] - 1)


def token_logprobs(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """The natural log-probability of one token a row.

    A few rows at a time in one buffer: a second copy of all logits would leave a CPU's cache and cost more than the sums.

    Args:
        logits: (B, V) float32, as the model gave them
        tokens: (B,) int64

    Returns:
        (B,) float32
    """
    own = logits.gather(1, tokens[:, None])  # (B, 1)
    rows = max(1, (_CACHED_ELEMENTS if logits.device.type == "cpu" else _CHUNK_ELEMENTS) // logits.shape[1])
    buffer = torch.empty_like(logits[:rows])
    odds = []  # 1 / probability
    for part, chosen in zip(torch.split(logits, rows), torch.split(own, rows), strict=True):
        odds.append(torch.sub(part, chosen, out=buffer[: len(part)]).exp_().sum(dim=1))
    found = torch.cat(odds).log_().neg_()
    unlikely = found.isinf().nonzero().flatten()  # below 1e-38, which needs the shift by the highest logit
    if len(unlikely):
        found[unlikely] = torch.log_softmax(logits[unlikely], dim=1).gather(1, tokens[unlikely, None]).squeeze(1)
    return found


class SeededDraw(LogitsProcessor):
    """The last processor of a chain: leaves only the token drawn for each row, which greedy search then takes."""

    def __init__(self, seeds: Sequence[int], num_prompt_tokens: int) -> None:
        self._seeds = np.asarray(seeds, dtype=np.uint64)
        self._num_prompt_tokens = num_prompt_tokens

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        step = input_ids.shape[1] - self._num_prompt_tokens
        # MPS has no float64: the draw is made where the number type is.
        where = torch.device("cpu") if scores.device.type == "mps" else scores.device
        uniform = torch.from_numpy(uniforms(self._seeds, step)).to(where)
        tokens = draw(scores.to(where), uniform).to(scores.device)
        chosen = torch.full_like(scores, -torch.inf)
        return chosen.scatter_(1, tokens[:, None], 0.0)  # type: ignore[return-value]


class NumberCheck(LogitsProcessor):
    """The first processor of a chain: remembers rows whose logits were not numbers, which no draw could make sense of."""

    def __init__(self) -> None:
        self._lost: torch.Tensor | None = None  # (B,) bool

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        lost = scores.isnan().any(dim=-1)
        self._lost = lost if self._lost is None else self._lost | lost
        return scores

    def lost_rows(self) -> set[int]:
        """Rows of the batch that were lost at some step."""
        return set() if self._lost is None else set(self._lost.nonzero().flatten().tolist())


class LogprobsKept:
    """The log-probabilities of the tokens that `generate` takes: `first` looks at the logits before the other processors
    of a chain, `last` at what they left, whose highest greedy search takes."""

    def __init__(self) -> None:
        self._logits: torch.Tensor | None = None  # (B, V)
        self._steps: list[torch.Tensor] = []  # (B,) each

    def first(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Keep the model's own logits until the token is known; no processor writes into what it is given."""
        self._logits = scores
        return scores

    def last(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Note the token's log-probability."""
        assert self._logits is not None
        self._steps.append(token_logprobs(self._logits, scores.argmax(dim=-1)))
        self._logits = None
        return scores

    def rows(self) -> list[list[float]]:
        """Of every row the log-probability of each token, those after its end too."""
        rows: list[list[float]] = torch.stack(self._steps, dim=1).tolist()
        return rows


class PenalisedRepetition(RepetitionPenaltyLogitsProcessor):
    """transformers' penalty, blind to padding: the padding token is often an end of turn, and how much padding a row
    has depends on the rows beside it."""

    def __init__(self, penalty: float, mask: torch.Tensor) -> None:
        super().__init__(penalty)
        self._padding = mask == 0  # (B, S)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        width = self._padding.shape[1]
        seen = input_ids.clone()
        # A prompt's last token is always its own, and a repeated token is penalised once.
        seen[:, :width] = torch.where(self._padding, input_ids[:, width - 1 : width], input_ids[:, :width])
        penalised: torch.FloatTensor = super().__call__(seen, scores)
        return penalised
