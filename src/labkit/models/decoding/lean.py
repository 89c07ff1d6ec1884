"""Decoding a batch: prompts of one length together, shared prefixes once, finished rows dropped.

A batch is sorted and cut into blocks that fit into a CPU's cache. A block's prompts are read by length, so nothing is
padded; then its rows draw tokens together, aligned on the right. What lies where depends on the batch alone, so the same
batch gives the same bits. Knows token ids and logits. Does *not* know texts, nor how a token is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch

from labkit.models.decoding.cache import Cache
from labkit.models.decoding.network import Angles, Network
from labkit.models.decoding.prefixes import Stage, stages
from labkit.models.draws import token_logprobs

Choose = Callable[[torch.Tensor, list[int], int], torch.Tensor]
"""`choose(logits, rows, step)`: (n, V) float32 logits of some rows of the batch, as step `step`, to (n,) tokens."""

BLOCK_ROWS = 128
"""Rows that draw together: their keys and values stay in a CPU's cache, and a step is long beside its overhead."""
CALL_TOKENS = 512
"""Tokens that one call of the network reads at most, if there is more than one row: what stays in the cache."""
ROOM_COLUMNS = 32
"""Columns that a block starts with beyond its prompts; with more tokens the room is doubled."""
LONGEST_PROMPT = 1024
"""In tokens; attention to a longer one is better left to kernels that need no mask."""


@dataclass(slots=True)
class Drawn:
    """What was drawn for one row."""

    tokens: list[int]
    """With the end of turn, if it came."""
    lost: bool = False
    """The logits were not numbers at some step."""
    logprobs: list[float] = field(default_factory=list)
    """Of each token, before it was chosen among; empty where they are not wanted."""


def decode(
    network: Network,
    prompts: Sequence[tuple[int, ...]],
    choose: Choose,
    *,
    max_new_tokens: int,
    end_ids: Sequence[int],
    logprobs: bool = False,
) -> list[Drawn]:
    """Draw tokens after each prompt until an end of turn.

    Args:
        network: the model
        prompts: token ids, at least one each and `LONGEST_PROMPT` at most
        choose: called once a step with the rows of a block
        max_new_tokens: at least 1; prompt and new tokens together must fit into the context
        end_ids: tokens that end a turn
        logprobs: whether the tokens' log-probabilities are wanted
    """
    drawn = [Drawn([]) for _ in prompts]
    ends = torch.tensor(list(end_ids))
    longest = max(map(len, prompts))
    angles = network.angles(longest + max_new_tokens)
    # One room for all blocks: memory that is touched for the first time is slow.
    room = network.room(min(BLOCK_ROWS, len(prompts)), longest + min(max_new_tokens - 1, ROOM_COLUMNS))
    order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), prompts[row]))
    for start in range(0, len(order), BLOCK_ROWS):
        rows = order[start : start + BLOCK_ROWS]
        block, logits = _read_block(network, [prompts[row] for row in rows], rows, room, angles)
        _draw_block(network, block, logits, drawn, choose, max_new_tokens, ends, logprobs)
    return drawn


@dataclass(slots=True)
class _Block:
    """Rows that draw together; prompts end at the same column."""

    rows: list[int]
    """Which rows of the batch, (n,)."""
    cache: Cache
    lengths: torch.Tensor
    """(n,): tokens of each prompt."""
    width: int
    """Columns of the longest prompt."""
    angles: Angles

    def mask(self) -> torch.Tensor | None:
        """What hides the columns before each prompt, (n, 1, 1, S); None if all are of one length."""
        padding = self.width - self.lengths  # (n,)
        if not padding.any():
            return None
        hidden = torch.arange(self.cache.keys.shape[3]) < padding[:, None]  # (n, S)
        empty = self.cache.keys.new_zeros(hidden.shape)
        return empty.masked_fill_(hidden, -torch.inf)[:, None, None]

    def keep(self, kept: torch.Tensor) -> None:
        """Drop all other rows; `kept` are positions, (m,)."""
        self.rows = [self.rows[at] for at in kept.tolist()]
        self.cache, self.lengths = self.cache.select(kept), self.lengths[kept]


def _read_block(
    network: Network, prompts: list[tuple[int, ...]], rows: list[int], room: Cache, angles: Angles
) -> tuple[_Block, torch.Tensor]:
    """Read the sorted prompts of a block; gives its rows and their logits, (n, V)."""
    distinct = list(dict.fromkeys(prompts))
    width = len(distinct[-1])
    cache = room.part(slice(0, len(distinct)), slice(None))
    states, first = [], 0
    for length, group in groupby(distinct, key=len):
        ids = np.array(list(group), dtype=np.int64)  # (R, length)
        those = slice(first, first + len(ids))
        cache.part(those, slice(0, width - length)).clear()
        states.append(_read_group(network, stages(ids), cache.part(those, slice(width - length, width)), angles))
        first += len(ids)
    logits = network.head(torch.cat(states))
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    if len(distinct) < len(prompts):
        place = {prompt: at for at, prompt in enumerate(distinct)}
        repeated = torch.tensor([place[prompt] for prompt in prompts])
        cache, logits = cache.select(repeated), logits[repeated]
    return _Block(rows, cache, lengths, width, angles), logits


def _read_group(network: Network, plan: list[Stage], cache: Cache, angles: Angles) -> torch.Tensor:
    """Read prompts of one length into `cache`, as wide as they are; gives the states of their last tokens, (R, hidden)."""
    before = cache
    for stage in plan[:-1]:
        here = network.room(len(stage.tokens), stage.end)
        _read_stage(network, stage, before, here, angles, last=False)
        before = here
    return torch.cat(_read_stage(network, plan[-1], before, cache, angles, last=True))


def _read_stage(
    network: Network, stage: Stage, before: Cache, here: Cache, angles: Angles, *, last: bool
) -> list[torch.Tensor]:
    """Read a stage in calls of bounded size; gives the states of each call's last tokens, if wanted."""
    tokens, parents = torch.from_numpy(stage.tokens), torch.from_numpy(stage.parents)
    width = stage.end - stage.start
    own = angles.at(torch.arange(stage.start, stage.end))
    mask = _causal_mask(stage.start, stage.end, here.keys) if width > 1 else None
    states = []
    size = max(1, CALL_TOKENS // width)
    for first in range(0, len(tokens), size):
        rows = slice(first, first + size)
        part = here.part(rows, slice(0, stage.end))
        if stage.start:
            part.part(slice(None), slice(0, stage.start)).fill(before, parents[rows])
        found = network.read(tokens[rows], part, own, mask, last=last)
        states += [] if found is None else [found]
    return states


def _causal_mask(start: int, end: int, like: torch.Tensor) -> torch.Tensor:
    """(Q, S): each of the last Q = end - start columns sees itself and all before."""
    ahead = torch.arange(end) > torch.arange(start, end)[:, None]
    return like.new_zeros(ahead.shape).masked_fill_(ahead, -torch.inf)


def _draw_block(
    network: Network,
    block: _Block,
    logits: torch.Tensor,
    drawn: list[Drawn],
    choose: Choose,
    max_new_tokens: int,
    ends: torch.Tensor,
    logprobs: bool,
) -> None:
    """Draw until every row of the block has ended."""
    mask = block.mask()
    going = torch.ones(len(block.rows), dtype=torch.bool)
    for step in range(max_new_tokens):
        tokens = choose(logits.float(), block.rows, step)  # (n,)
        lost = logits.isnan().any(dim=-1)
        _note(drawn, block.rows, tokens, lost, going)
        if logprobs:
            _note_logprobs(drawn, block.rows, token_logprobs(logits.float(), tokens), going)
        going &= ~(torch.isin(tokens, ends) | lost)
        if step + 1 == max_new_tokens or not going.any():
            return
        # Dropping rows copies the others' keys and values, about what a step of theirs costs.
        if 4 * int(going.sum()) <= 3 * len(block.rows):
            kept = going.nonzero().flatten()
            block.keep(kept)
            tokens, going, mask = tokens[kept], going[kept], block.mask()
        end = block.width + step + 1
        if end > block.cache.keys.shape[3]:
            block.cache = block.cache.widened(block.width + 2 * (end - block.width))
            mask = block.mask()
        states = network.read(
            tokens[:, None],
            block.cache.part(slice(None), slice(0, end)),
            block.angles.at((block.lengths + step)[:, None]),
            None if mask is None else mask[..., :end],
            last=True,
        )
        assert states is not None
        logits = network.head(states)


def _note(drawn: list[Drawn], rows: list[int], tokens: torch.Tensor, lost: torch.Tensor, going: torch.Tensor) -> None:
    for row, token, is_lost, goes in zip(rows, tokens.tolist(), lost.tolist(), going.tolist(), strict=True):
        if goes:
            drawn[row].tokens.append(token)
            drawn[row].lost |= is_lost


def _note_logprobs(drawn: list[Drawn], rows: list[int], values: torch.Tensor, going: torch.Tensor) -> None:
    for row, value, goes in zip(rows, values.tolist(), going.tolist(), strict=True):
        if goes:
            drawn[row].logprobs.append(value)
