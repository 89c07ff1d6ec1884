"""What is owed, in batches that do not depend on what is done.

The grid of an ask (arm x index x prompt) is always cut at the same places, and a batch of which anything is owed is done
again whole. So a rollout is decoded beside the same others whether or not the run was interrupted, and resuming gives the
same text to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labkit.record.identity import Arm
from labkit.record.run import Ask

Done = dict[str, npt.NDArray[np.bool_]]
"""For each arm key which of its rollouts are there: (num_prompts, num_rollouts)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rollouts that are decoded together: a block of prompts x a block of indices of one arm."""

    arm: Arm
    prompts: range
    """Positions among the run's prompts."""
    indices: range

    @property
    def cells(self) -> Iterator[tuple[int, int]]:
        """(prompt position, index) of every rollout, in the order in which they are decoded."""
        return ((prompt, index) for index in self.indices for prompt in self.prompts)

    def __len__(self) -> int:
        return len(self.prompts) * len(self.indices)


@dataclass(frozen=True, slots=True)
class TokenLimit:
    """How much of a batch is in memory at once, in tokens."""

    sizes: Sequence[int]
    """Of each prompt, in the run's order: its own tokens and the most that may follow it."""
    most: int
    """Rollouts of a batch times the largest size among them; a prompt that alone is larger is decoded alone."""


def batches(ask: Ask, batch_size: int, limit: TokenLimit | None = None) -> Iterator[Batch]:
    """Cut the whole ask.

    A perturbed member is other weights, so its batch holds one index only. A temperature's batches take several indices
    of all prompts at once, as many as fit.

    Args:
        batch_size: most rollouts of a batch
        limit: most tokens of one; None is any number
    """
    blocks = list(_blocks(ask.num_prompts, batch_size, limit))
    for arm, num_rollouts in ask.arms:
        depth = _depth(blocks[0], batch_size, limit) if arm.method == "temperature" and len(blocks) == 1 else 1
        for first in range(0, num_rollouts, depth):
            indices = range(first, min(first + depth, num_rollouts))
            for block in blocks:
                yield Batch(arm, block, indices)


def _blocks(num_prompts: int, batch_size: int, limit: TokenLimit | None) -> Iterator[range]:
    """Prompts that are decoded together, as many neighbours as fit."""
    start, longest = 0, 0
    for at in range(num_prompts):
        size = 0 if limit is None else limit.sizes[at]
        too_large = limit is not None and (at + 1 - start) * max(longest, size) > limit.most
        if at > start and (at - start == batch_size or too_large):
            yield range(start, at)
            start, longest = at, 0
        longest = max(longest, size)
    if num_prompts:
        yield range(start, num_prompts)


def _depth(block: range, batch_size: int, limit: TokenLimit | None) -> int:
    """Indices of all prompts that fit into one batch, at least one."""
    most = batch_size if limit is None else min(batch_size, limit.most // max(limit.sizes[at] for at in block))
    return max(1, most // len(block))


def owed_batches(ask: Ask, batch_size: int, done: Done, limit: TokenLimit | None = None) -> Iterator[Batch]:
    """The batches of which anything is owed."""
    for batch in batches(ask, batch_size, limit):
        there = done[batch.arm.key][batch.prompts.start : batch.prompts.stop, batch.indices.start : batch.indices.stop]
        if not there.all():
            yield batch


def nothing_done(ask: Ask) -> Done:
    """An empty tally."""
    return {arm.key: np.zeros((ask.num_prompts, count), dtype=np.bool_) for arm, count in ask.arms}


def mark_done(done: Done, arm: str, prompts: Sequence[int], indices: Sequence[int]) -> None:
    """Tick rollouts off; those outside of the ask do not count."""
    if arm in done:
        rows, columns = np.asarray(prompts, dtype=np.int64), np.asarray(indices, dtype=np.int64)
        inside = (rows >= 0) & (rows < done[arm].shape[0]) & (columns < done[arm].shape[1])
        done[arm][rows[inside], columns[inside]] = True


def num_owed(done: Done) -> int:
    """Rollouts that are not there yet."""
    return int(sum((~there).sum() for there in done.values()))
