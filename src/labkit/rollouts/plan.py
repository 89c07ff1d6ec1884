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


def batches(ask: Ask, batch_size: int) -> Iterator[Batch]:
    """Cut the whole ask.

    A perturbed member is other weights, so its batch holds one index only. A temperature's batches take several indices
    of all prompts at once, as many as fit.
    """
    for arm, num_rollouts in ask.arms:
        width = min(ask.num_prompts, batch_size)
        depth = max(1, batch_size // width) if arm.method == "temperature" else 1
        for first in range(0, num_rollouts, depth):
            indices = range(first, min(first + depth, num_rollouts))
            for start in range(0, ask.num_prompts, width):
                yield Batch(arm, range(start, min(start + width, ask.num_prompts)), indices)


def owed_batches(ask: Ask, batch_size: int, done: Done) -> Iterator[Batch]:
    """The batches of which anything is owed."""
    for batch in batches(ask, batch_size):
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
