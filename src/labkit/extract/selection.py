"""Which cities a run extracts, and which of them its probes are fitted and measured on.

A draw takes the candidates in the order of a hash of the seed and the city, so every model that is asked with one seed
is asked about the same cities.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labkit.config.commands import ProbeConfig
from labkit.errors import ConfigError
from labkit.record.identity import draw_seed
from labkit.tasks.world.cities import Cities
from labkit.tasks.world.filters import select

_KEPT_FOR_TEST = 5
"""One city in so many is measured on at least, unless fewer are asked for."""

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Selection:
    """Cities to extract."""

    rows: Rows
    """(N,) rows of the world's cities, ascending"""
    is_train: Mask
    """(N,) those that the probe is fitted on; it is measured on the others"""
    notes: tuple[str, ...]
    """What differs from what was asked for."""


def select_cities(cities: Cities, probe: ProbeConfig, *, seed: int, num_cities: int | None = None) -> Selection:
    """Draw the cities of a probe: those to fit on, and among the others those to measure on.

    In a world with fewer cities than the two ask for together, at least a fifth of them is kept for measuring.

    Args:
        num_cities: most cities; None is as many as the probe asks for

    Raises:
        ConfigError: a filter leaves too few cities; names it, and how many it matches.
    """
    train, test = select(cities, probe.train), select(cities, probe.test)
    order = drawing_order(cities.padded_ids, seed)
    num_train, num_test = _sizes(train, test, probe, num_cities)
    if num_train < 2:
        raise ConfigError(
            f"probe.train {probe.train!r} matches {train.sum()} of the {len(train)} cities",
            "a probe is fitted on two cities or more: correct the filter",
        )
    fitted = _first(order, train, num_train)
    measured = _first(order, test & ~fitted, num_test)
    if not measured.any():
        raise ConfigError(
            f"probe.test {probe.test!r} matches {test.sum()} of the {len(test)} cities, {(test & fitted).sum()} of them "
            "among those that the probe is fitted on",
            "correct the filter, or lower probe.num_train",
        )
    rows = np.flatnonzero(fitted | measured)
    asked = (probe.num_train, probe.num_test)
    given = (int(fitted.sum()), int(measured.sum()))
    note = (
        f"{given[0]} cities to fit the probes on and {given[1]} to measure them on, of the {asked[0]} and {asked[1]} asked "
        f"for: the filters match {train.sum()} and {test.sum()}"
        + ("" if num_cities is None else f", and num_cities is {num_cities}")
    )
    return Selection(rows, fitted[rows], (note,) if given != asked else ())


def drawing_order(padded_ids: Iterable[str], seed: int) -> Rows:
    """(N,) rows in the order in which they are drawn; a city's place does not depend on which others there are."""
    keys = [draw_seed(seed, "city", padded_id) for padded_id in padded_ids]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


def _sizes(train: Mask, test: Mask, probe: ProbeConfig, num_cities: int | None) -> tuple[int, int]:
    """How many to fit on and to measure on. Where not all can be had, a fifth is kept for measuring."""
    num_train, num_test = min(probe.num_train, int(train.sum())), min(probe.num_test, int(test.sum()))
    room = int((train | test).sum())
    room = room if num_cities is None else min(room, num_cities)
    if num_train + num_test > room:
        kept = min(num_test, max(1, room // _KEPT_FOR_TEST))
        num_train = min(num_train, room - kept)
        num_test = min(num_test, room - num_train)
    return num_train, num_test


def _first(order: Rows, candidates: Mask, count: int) -> Mask:
    """(N,) the first `count` candidates in the order."""
    chosen = np.zeros(len(candidates), dtype=np.bool_)
    chosen[order[candidates[order]][: max(count, 0)]] = True
    return chosen
