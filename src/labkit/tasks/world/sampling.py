"""Which cities the rows of a data set ask about.

Rows come in blocks, each a pure function of the seed, the data set, the split and the block's number, so memory does not
grow with the number of rows. Whatever a data set promises is drawn first - how many cities a row has, where the city of
Atlantis stands in it, whether its answer is TRUE - and then cities are redrawn until the row is like that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labkit.errors import InputError
from labkit.record.identity import draw_seed
from labkit.tasks.world.draws import Flags, Hashes, Integers, Stream, permuted
from labkit.tasks.world.geometry import values
from labkit.tasks.world.questions import ABSENT, HELD_OUT, SampleSettings, check_room, question_keys

SAMPLING_VERSION = 1
"""Raised whenever the same arguments would give other rows; part of every recipe."""

BLOCK_ROWS = 1 << 16
_PAIRS = ("distance", "compass")
_PILOT_ROWS = 200_000
_FEWEST_DRAWS, _MOST_DRAWS_A_ROW = 4096, 64
_MOST_IDLE_DRAWS = 300_000
_MOST_DRAWS = 2_000  # for each row of a block


@dataclass(frozen=True, slots=True)
class Population:
    """The N cities that rows are drawn from."""

    points: Integers
    """(N, 2), whole coordinates."""
    ids: Integers
    """(N,)."""
    forced: Integers | None = None
    """Indices of the cities one of which stands in every row; None forces none."""


@dataclass(frozen=True, slots=True)
class Block:
    """R rows."""

    ids: Integers
    """(R, C), in the order of the text; behind a row's last city stands its first."""
    counts: Integers | None
    """(R,), how many of the C cities each row has; None is all."""
    values: NDArray[Any]
    """(R,), as `labkit.tasks.world.geometry.values` gives them."""
    keys: Hashes
    """(R,), the same for rows that ask the same question."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the rows of a block are to be like, before their cities are known."""

    counts: Integers
    positions: Integers
    """Where the forced city stands."""
    labels: Flags | None

    def of(self, rows: Integers) -> _Plan:
        labels = None if self.labels is None else self.labels[rows]
        return _Plan(self.counts[rows], self.positions[rows], labels)


class Sampler:
    """The rows of one data set of one task."""

    def __init__(self, settings: SampleSettings, population: Population) -> None:
        """Check that the cities are enough.

        Raises:
            InputError: there are fewer cities than a row names, or test and validation would take more than half of
                all the questions that can be asked.
        """
        self.settings = settings
        self._population = population
        self._num_cities = len(population.ids)
        self._forced = population.forced
        self._sized = settings.num_cities[0] != settings.num_cities[1]
        self._held: dict[str, Hashes] = {}
        check_room(settings, self._num_cities, 0 if self._forced is None else len(self._forced))

    def blocks(self, split: str) -> Iterator[Block]:
        """The rows of a split, at most `BLOCK_ROWS` at once.

        Raises:
            InputError: rows that the settings ask for were not found.
        """
        banned = self._banned(split)
        kept: list[Hashes] = []
        for number in range(-(-self.settings.sizes.get(split, 0) // BLOCK_ROWS)):
            block = self._block(split, number, banned)
            yield block
            if self._is_distinct(split):
                kept.append(block.keys)
                banned = np.sort(np.concatenate([banned, block.keys]))
        if self._is_distinct(split):
            self._held[split] = np.concatenate([np.zeros(0, np.uint64), *kept])

    def _is_distinct(self, split: str) -> bool:
        return self.settings.overlap == "exclude" and split in HELD_OUT

    def _banned(self, split: str) -> Hashes:
        """Keys of the questions that a split must not ask, sorted."""
        banned = [np.zeros(0, np.uint64)]
        if self.settings.overlap == "exclude":
            for other in HELD_OUT[: HELD_OUT.index(split) if split in HELD_OUT else None]:
                if other not in self._held:
                    for _ in self.blocks(other):
                        pass
                banned.append(self._held[other])
        return np.sort(np.concatenate(banned))

    def _block(self, split: str, number: int, banned: Hashes) -> Block:
        start = number * BLOCK_ROWS
        end = min(start + BLOCK_ROWS, self.settings.sizes[split])
        stream = Stream(draw_seed(self.settings.seed, self.settings.name, split, number))
        if self.settings.task in _PAIRS and self._forced is None:
            return self._finished(self._pairs(stream, split, start, end), np.full(end - start, 2))
        plan = self._plan(stream, start, end)
        return self._finished(self._filled(stream, split, plan, banned), plan.counts)

    def _finished(self, members: Integers, counts: Integers) -> Block:
        found = values(self.settings.task, self._population.points[members], counts)
        ids = self._population.ids[members]
        return Block(ids, counts if self._sized else None, found, self._keys(ids, counts))

    def _keys(self, ids: Integers, counts: Integers) -> Hashes:
        named = np.arange(ids.shape[1]) < counts[:, None]
        return question_keys(self.settings.task, np.where(named, ids, ABSENT))

    def _pairs(self, stream: Stream, split: str, start: int, end: int) -> Integers:
        """(R, 2) members: pairs without replacement, of which each split takes its own part of one permutation.

        Training rows that the rest of the pairs does not suffice for are drawn from it with replacement.
        """
        sizes, num_pairs = self.settings.sizes, math.comb(self._num_cities, 2)
        key, first = draw_seed(self.settings.seed, self.settings.name, "pairs", split), 0
        if self.settings.overlap == "exclude":
            key = draw_seed(self.settings.seed, self.settings.name, "pairs")
            earlier = HELD_OUT[: HELD_OUT.index(split)] if split in HELD_OUT else HELD_OUT
            first = sum(sizes.get(name, 0) for name in earlier)
        if sizes[split] <= num_pairs - first:
            numbers = np.arange(first + start, first + end)
        else:
            numbers = first + stream.below(num_pairs - first, end - start)
        return _swapped(stream, _pair(permuted(numbers, num_pairs, key)))

    def _plan(self, stream: Stream, start: int, end: int) -> _Plan:
        size = end - start
        labels = None
        if self.settings.true_ratio is not None:
            quota = _quota(self.settings.true_ratio, end) - _quota(self.settings.true_ratio, start)
            labels = stream.order(size) < quota
        counts = self._counts(stream, size, labels)
        return _Plan(counts, stream.below(counts, size), labels)

    def _counts(self, stream: Stream, size: int, labels: Flags | None) -> Integers:
        fewest, most = self.settings.num_cities
        if not self._sized or labels is None:
            return fewest + stream.below(most - fewest + 1, size)
        steps = np.cumsum(self._size_shares, axis=1)[labels.astype(np.int64)]
        numbers: Integers = (stream.uniform(size)[:, None] >= steps[:, :-1]).sum(axis=1)
        return fewest + numbers

    @cached_property
    def _size_shares(self) -> NDArray[np.float64]:
        """(2, S): how often each number of cities comes among rows whose answer is FALSE, and among those TRUE, when
        numbers and cities are drawn uniformly. A large hull holds a city more often than a small one."""
        stream = Stream(draw_seed(self.settings.seed, self.settings.name, "sizes"))
        fewest, most = self.settings.num_cities
        counts = fewest + stream.below(most - fewest + 1, _PILOT_ROWS)
        plan = _Plan(counts, stream.below(counts, _PILOT_ROWS), None)
        answers = values(self.settings.task, self._population.points[self._drawn(stream, plan)], counts)
        found = np.stack([np.bincount(counts[answers == label], minlength=most + 1)[fewest:] for label in (0, 1)])
        for label, number in zip(("FALSE", "TRUE"), found.sum(axis=1), strict=True):
            if number == 0:
                raise InputError(
                    f"none of {_PILOT_ROWS:,} random rows of {self.settings.name} has the answer {label}",
                    "the world needs cities that are farther apart: raise cities.num_cities",
                )
        shares: NDArray[np.float64] = found / found.sum(axis=1, keepdims=True)
        return shares

    def _filled(self, stream: Stream, split: str, plan: _Plan, banned: Hashes) -> Integers:
        """(R, C) members such that every row is as planned."""
        members = np.zeros((len(plan.counts), self.settings.num_cities[1]), np.int64)
        pending, taken = np.arange(len(members)), banned
        num_drawn = num_idle = 0
        while pending.size:
            # Several tries at once for each row when few rows are left.
            tries = min(max(1, _FEWEST_DRAWS // pending.size), _MOST_DRAWS_A_ROW)
            wanted = plan.of(np.repeat(pending, tries))
            drawn = self._drawn(stream, wanted)
            fits = self._fits(drawn, wanted, taken).reshape(-1, tries)
            found = np.flatnonzero(fits.any(axis=1))
            chosen = drawn[found * tries + fits[found].argmax(axis=1)]
            if self._is_distinct(split):
                keys = self._keys(self._population.ids[chosen], plan.counts[pending[found]])
                keys, firsts = np.unique(keys, return_index=True)
                found, chosen, taken = found[firsts], chosen[firsts], np.sort(np.concatenate([taken, keys]))
            members[pending[found]] = chosen
            pending = np.delete(pending, found)
            num_drawn += len(drawn)
            num_idle = 0 if found.size else num_idle + len(drawn)
            if pending.size and (num_idle > _MOST_IDLE_DRAWS or num_drawn > _MOST_DRAWS * (1000 + len(members))):
                raise self._exhausted(split, plan.of(pending), num_drawn)
        return members

    def _fits(self, drawn: Integers, plan: _Plan, taken: Hashes) -> Flags:
        """(R,): whether cities have the answer that is planned, and ask nothing that is taken (sorted keys)."""
        fits = np.ones(len(drawn), np.bool_)
        if plan.labels is not None:
            fits = values(self.settings.task, self._population.points[drawn], plan.counts) == plan.labels
        if taken.size:
            keys = self._keys(self._population.ids[drawn], plan.counts)
            fits &= taken[np.searchsorted(taken, keys).clip(max=taken.size - 1)] != keys
        return fits

    def _drawn(self, stream: Stream, plan: _Plan) -> Integers:
        """(R, C) members: different cities, uniformly, the forced one at its position; the first one behind the last."""
        size, width = len(plan.counts), self.settings.num_cities[1]
        members = np.zeros((size, width), np.int64)
        forced = self._forced
        first = stream.below(self._num_cities if forced is None else len(forced), size)
        members[:, 0] = first if forced is None else forced[first]
        for column in range(1, width):
            # The number of the city among those not yet taken, moved past each taken one that stands before it.
            number = stream.below(self._num_cities - column, size)
            for taken in np.sort(members[:, :column], axis=1).T:
                number += number >= taken
            members[:, column] = number
        if forced is not None:
            rows, chosen = np.arange(size), members[:, 0].copy()
            members[:, 0] = members[rows, plan.positions]
            members[rows, plan.positions] = chosen
        if self._sized:
            members = np.where(np.arange(width) < plan.counts[:, None], members, members[:, :1])
        return members

    def _exhausted(self, split: str, left: _Plan, num_drawn: int) -> InputError:
        size = min(BLOCK_ROWS, self.settings.sizes[split])
        parts = [f"{len(left.counts)} of {size} rows"]
        if left.labels is not None:
            num_true = int(left.labels.sum())
            parts.append(f"{num_true} of them with the answer TRUE, {len(left.labels) - num_true} with FALSE")
        return InputError(
            f"{', '.join(parts)} of the {split} split of {self.settings.name} were not found in {num_drawn:,} draws "
            f"from {self._num_cities} cities",
            f"ask for fewer {split} rows, for another true_ratio, or for more cities (cities.num_cities)",
        )


def _quota(ratio: float, num_rows: int) -> int:
    """TRUE rows among the first so many, so that every beginning has the ratio to within half a row."""
    return math.floor(ratio * num_rows + 0.5)


def _pair(numbers: Integers) -> Integers:
    """(R, 2): the pairs a > b with the numbers a (a - 1) / 2 + b."""
    larger = ((1 + np.sqrt(8.0 * numbers + 1)) / 2).astype(np.int64)
    larger -= larger * (larger - 1) // 2 > numbers  # a rounded root may be one too large, or one too small
    larger += larger * (larger + 1) // 2 <= numbers
    return np.stack([larger, numbers - larger * (larger - 1) // 2], axis=1)


def _swapped(stream: Stream, pairs: Integers) -> Integers:
    turned = stream.below(2, len(pairs)) == 1
    return np.where(turned[:, None], pairs[:, ::-1], pairs)
