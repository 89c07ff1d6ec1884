"""Directions in the space of hidden states: principal components, and the directions that coordinates are read along.

Pure functions on arrays; knows nothing of models, cities or runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PrincipalComponents:
    """The directions of largest variance of N points in D dimensions, the largest first."""

    mean: Array
    """(D,)"""
    axes: Array
    """(K, D), orthonormal rows"""
    variance_ratio: Array
    """(K,) part of the whole variance along each axis; 0 where there is none."""

    def project(self, features: npt.ArrayLike) -> Array:
        """(N, D) points as (N, K) coordinates."""
        return np.asarray((_matrix(features) - self.mean) @ self.axes.T)


def principal_components(features: npt.ArrayLike, num_components: int) -> PrincipalComponents:
    """The first principal components of (N, D) features; there are at most min(N, D).

    The sign of an axis is free; here its largest entry is positive, so that a drawing does not flip.
    """
    points = _matrix(features)
    mean = points.mean(axis=0)
    _, singular, rows = np.linalg.svd(points - mean, full_matrices=False)
    axes = rows[:num_components]
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]
    total = float((singular**2).sum())
    ratio = singular[:num_components] ** 2 / total if total > 0 else np.zeros(len(axes))
    return PrincipalComponents(mean, axes, ratio)


def mixed_axes(features: npt.ArrayLike, x_direction: npt.ArrayLike, y_direction: npt.ArrayLike) -> Array:
    """Three unit axes, (3, D): along the x probe, along the y probe, and the first principal component of what is left.

    The probes' directions are in general not orthogonal. What is left of the features is therefore taken with the
    projector on the plane that the two span, `B^T pinv(B B^T) B` for the rows B, and not by removing one direction
    after the other, which would leave a part of the first one in.

    Args:
        features: (N, D)
        x_direction: (D,) weights of the linear probe of x; a probe without any weight has no direction, and its axis
            is 0
        y_direction: (D,) those of y
    """
    plane = np.stack([_normalised(x_direction), _normalised(y_direction)])  # (2, D)
    points = _matrix(features)
    points = points - points.mean(axis=0)
    rest = points - (points @ plane.T) @ np.linalg.pinv(plane @ plane.T) @ plane  # (N, D)
    return np.concatenate([plane, principal_components(rest, 1).axes])


def project(features: npt.ArrayLike, axes: Array) -> Array:
    """(N, D) features about their mean as (N, K) coordinates along (K, D) axes."""
    points = _matrix(features)
    return np.asarray((points - points.mean(axis=0)) @ axes.T)


def _normalised(direction: npt.ArrayLike) -> Array:
    vector = np.asarray(direction, dtype=np.float64)
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector


def _matrix(features: npt.ArrayLike) -> Array:
    return np.asarray(features, dtype=np.float64)
