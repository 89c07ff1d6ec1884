"""Keys and values of rows that are decoded together."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Cache:
    """Keys and values of every layer, (layers, N, KV heads, S, head dim) each: N rows, S columns."""

    keys: torch.Tensor
    values: torch.Tensor

    @classmethod
    def empty(cls, shape: tuple[int, int, int, int, int], like: torch.Tensor) -> Cache:
        """Room of a shape, not filled, with the type and device of `like`."""
        return cls(like.new_empty(shape), like.new_empty(shape))

    def part(self, rows: slice, columns: slice) -> Cache:
        """A view of some rows and columns."""
        return Cache(self.keys[:, rows, :, columns], self.values[:, rows, :, columns])

    def clear(self) -> None:
        """Set everything to zero: columns that a mask hides are multiplied by zero, which not-a-numbers survive."""
        self.keys.zero_()
        self.values.zero_()

    def fill(self, source: Cache, rows: torch.Tensor) -> None:
        """Take the rows of another cache with as many columns."""
        self.keys.copy_(source.keys.index_select(1, rows))
        self.values.copy_(source.values.index_select(1, rows))

    def select(self, rows: torch.Tensor) -> Cache:
        """A copy of some rows, (n,) int64."""
        return Cache(self.keys.index_select(1, rows), self.values.index_select(1, rows))

    def widened(self, num_columns: int) -> Cache:
        """A copy with room for more columns on the right."""
        layers, rows, heads, there, size = self.keys.shape
        wide = Cache.empty((layers, rows, heads, num_columns, size), self.keys)
        wide.keys[:, :, :, :there] = self.keys
        wide.values[:, :, :, :there] = self.values
        return wide
