"""How alike two sets of hidden states of the same things are: linear CKA and Procrustes.

Pure functions on arrays of which row i is about the same thing in both; knows nothing of models, cities or runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labkit.errors import InputError
from labkit.extract.axes import Array, principal_components

_NOTHING = 1e-12
"""Spread about the mean below this part of the values' own size is rounding."""

NUM_COMPONENTS = 3
"""Principal components that Procrustes compares, as published."""


def linear_cka(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Linear centred kernel alignment, between 0 and 1.

    With centred features it is |Y^T X|^2 / (|X^T X| |Y^T Y|) in Frobenius norms (Kornblith et al., 2019, "Similarity of
    Neural Network Representations Revisited", section 3): the same number as with N x N kernels, from D x D matrices.
    It does not change under rotations, reflections and a common scale of either side; it does under other linear maps.

    Args:
        x: (N, D)
        y: (N, E)

    Raises:
        InputError: the numbers of rows differ, a value is no number, or the rows of one side are all the same.
    """
    return prepare(x, num_components=0).cka(prepare(y, num_components=0))


def procrustes_similarity(x: npt.ArrayLike, y: npt.ArrayLike, num_components: int = NUM_COMPONENTS) -> float:
    """1 less the Procrustes disparity of the first principal components: 1 for shapes that differ by position, size,
    rotation and reflection only, towards 0 for unrelated ones.

    Args:
        x: (N, D)
        y: (N, E)
        num_components: components of each side that are compared

    Raises:
        InputError: as `linear_cka`; or a side has fewer dimensions or rows than there are components.
    """
    return prepare(x, num_components=num_components).procrustes(prepare(y, num_components=num_components))


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One side of a comparison. What does not depend on the other side is worked out once, for comparisons with many."""

    values: Array
    """(N, D), centred"""
    norm: float
    """|X^T X|"""
    shape: Array
    """(N, K) the first principal components, as many as there are"""
    num_components: int
    """How many were asked for."""

    def cka(self, other: Prepared) -> float:
        """`linear_cka` of the two sides."""
        _check_rows(self, other)
        return float(np.linalg.norm(other.values.T @ self.values) ** 2 / (self.norm * other.norm))

    def procrustes(self, other: Prepared) -> float:
        """`procrustes_similarity` of the two sides."""
        from scipy.spatial import procrustes

        _check_rows(self, other)
        for side in (self, other):
            if side.shape.shape[1] < self.num_components:
                raise InputError(
                    f"{self.num_components} principal components of {len(side.values)} rows in {side.values.shape[1]} "
                    "dimensions are asked for",
                    "compare more cities, or fewer components",
                )
        _, _, disparity = procrustes(self.shape, other.shape)
        return float(1 - disparity)


def prepare(features: npt.ArrayLike, *, num_components: int = NUM_COMPONENTS) -> Prepared:
    """Make one side of a comparison ready.

    Args:
        features: (N, D)
        num_components: components that Procrustes will compare; 0 for none

    Raises:
        InputError: a value is no number, there are fewer than two rows, or all rows are the same.
    """
    points = np.asarray(features, dtype=np.float64)
    if points.ndim != 2:
        raise InputError(f"representations of shape {points.shape} are compared", "give a row for each city")
    if len(points) < 2:
        raise InputError(f"{len(points)} rows have no similarity", "compare at least two cities")
    if not np.isfinite(points).all():
        raise InputError("a representation holds values that are no numbers", "extract it again, in float32")
    centred: Array = points - points.mean(axis=0)
    if np.abs(centred).max() <= _NOTHING * np.abs(points).max():
        raise InputError("the representations of all cities are the same", "choose another layer")
    shape = np.empty((len(points), 0))
    if num_components:
        shape = principal_components(centred, num_components).project(centred)
    return Prepared(centred, float(np.linalg.norm(centred.T @ centred)), shape, num_components)


def _check_rows(first: Prepared, second: Prepared) -> None:
    if len(first.values) != len(second.values):
        raise InputError(
            f"{len(first.values)} rows are compared with {len(second.values)}",
            "compare the cities that both sides have, in one order",
        )
