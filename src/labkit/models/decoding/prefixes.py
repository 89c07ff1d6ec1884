"""Which tokens of a group of prompts have to be computed: shared prefixes once.

Knows token ids. Does *not* know models or tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]

CALL_TOKENS = 64
"""What another call of the network costs, in tokens: measured at hidden size 128, where it matters most."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Some columns of a group's prompts, each distinct prefix once."""

    start: int
    """Columns before the stage, which its parents hold."""
    tokens: Ids
    """(U, Q): the columns from `start` on, of every distinct prefix that ends with them."""
    parents: Ids
    """(U,): which row of the stage before is the prefix's beginning; zeros for the first stage."""

    @property
    def end(self) -> int:
        """Columns after the stage."""
        return self.start + int(self.tokens.shape[1])


def stages(prompts: Ids) -> list[Stage]:
    """Cut a group of prompts where computing the distinct prefixes apart saves more tokens than the calls cost.

    Args:
        prompts: (R, L), one row a prompt, distinct and in lexicographic order

    Returns:
        stages that cover all columns; the last one has R rows, in the order of the prompts
    """
    num_rows, length = prompts.shape
    branches = _first_differences(prompts)  # (R - 1,)
    num_distinct = 1 + np.searchsorted(np.sort(branches), np.arange(length + 1))  # (L + 1,): of the first c columns
    found, parent = [], np.zeros(num_rows, dtype=np.int64)
    cuts = _cuts(num_distinct)
    for start, end in pairwise(cuts):
        node = np.concatenate(([0], np.cumsum(branches < end)))  # (R,): which distinct prefix each row begins with
        first_rows = np.searchsorted(node, np.arange(num_distinct[end]))  # (U,)
        found.append(Stage(start, prompts[first_rows, start:end], parent[first_rows]))
        parent = node
    return found


def _first_differences(prompts: Ids) -> Ids:
    """(R - 1,): the first column in which each row differs from the one before."""
    return np.asarray((prompts[1:] != prompts[:-1]).argmax(axis=1), dtype=np.int64)


def _cuts(num_distinct: Ids) -> list[int]:
    """Where the stages begin and end: the cheapest choice among the last columns with at most 1, 2, 4, … prefixes.

    Args:
        num_distinct: (L + 1,), ascending: how many distinct prefixes of each length there are
    """
    length = len(num_distinct) - 1
    limits = [1 << power for power in range(int(num_distinct[-1]).bit_length())]
    last = {int(np.searchsorted(num_distinct, limit, side="right")) - 1 for limit in limits}
    ends = sorted({column for column in last if 0 < column < length} | {length})
    cheapest: dict[int, tuple[int, list[int]]] = {0: (0, [0])}
    for end in ends:
        cheapest[end] = min(
            (cost + CALL_TOKENS + int(num_distinct[end]) * (end - start), [*cuts, end])
            for start, (cost, cuts) in cheapest.items()
        )
    return cheapest[length][1]
