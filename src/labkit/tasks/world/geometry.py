"""The values of the seven geometric tasks, exact where integers can be and for many rows at once.

Points are pairs of whole numbers, tenths of a degree on a flat plane: x is longitude, y latitude, nothing wraps around.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labkit.config.world import TASKS, TaskName

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

COMPASS_POINTS = ("E", "NE", "N", "NW", "W", "SW", "S", "SE")
"""The answers of `compass`, by sector: anticlockwise, the first around the x axis."""
TRUTHS = ("FALSE", "TRUE")
"""The answers of `inside` and `crossing`, by truth."""

_NORTH = COMPASS_POINTS.index("N")


def values(task: TaskName, points: IntArray, counts: IntArray | None = None) -> NDArray[Any]:
    """What the rows of one task ask for.

    Args:
        task: one of the seven
        points: (R, C, 2), the cities of each row in the order of its text
        counts: (R,), how many of the C cities each row has, for `inside` and `perimeter`; what stands behind them is
            not looked at. None is C in every row

    Returns:
        (R,): whole numbers, rounded half to even, for tasks that are measured in errors; the sector (int64, an index of
        `COMPASS_POINTS`) for `compass`; booleans for `inside` and `crossing`.
    """
    if counts is None:
        counts = np.full(len(points), points.shape[1], dtype=np.int64)
    match task:
        case "distance":
            return _rounded(_lengths(points[:, 1] - points[:, 0]))
        case "trianglearea":
            return triangle_areas(points)
        case "angle":
            return angles(points)
        case "compass":
            return compass_sectors(points)
        case "inside":
            return is_inside(points, counts)
        case "perimeter":
            return perimeters(points, counts)
        case "crossing":
            return is_crossing(points)


def answer_texts(task: TaskName, found: NDArray[Any]) -> list[str]:
    """The answers as they stand in text, `769`, `NE` or `TRUE`, for (R,) values of a task."""
    if TASKS[task].kind == "error":
        return [str(value) for value in found.tolist()]
    labels = COMPASS_POINTS if task == "compass" else TRUTHS
    return [labels[value] for value in found.tolist()]


def triangle_areas(points: IntArray) -> IntArray:
    """(R,): half the absolute shoelace determinant of three points (R, 3, 2), rounded in whole numbers."""
    doubled = np.abs(_orientation(points[:, 0], points[:, 1], points[:, 2]))
    halves: IntArray = doubled // 2
    halves += doubled & halves & 1  # a half goes up exactly where that makes the result even
    return halves


def angles(points: IntArray) -> IntArray:
    """(R,): the angle at the second of three points (R, 3, 2), in degrees from 0 to 180; 0 without a direction.

    The arc tangent of cross and dot product keeps its precision near 0 and 180, where the arc cosine loses it.
    """
    first, second = points[:, 0] - points[:, 1], points[:, 2] - points[:, 1]
    dots = (first * second).sum(axis=1)
    return _rounded(np.degrees(np.arctan2(np.abs(_cross(first, second)), dots)))


def compass_sectors(points: IntArray) -> IntArray:
    """(R,): which of eight sectors of 45 degrees the second of two points (R, 2, 2) lies in, seen from the first.

    No point of whole numbers lies on the border of two sectors, whose slope is irrational. A point seen from itself
    lies in the north.
    """
    steps = points[:, 1] - points[:, 0]
    degrees = np.degrees(np.arctan2(steps[:, 1], steps[:, 0]))
    sectors: IntArray = (((degrees + 22.5) % 360) // 45).astype(np.int64)
    sectors[(steps == 0).all(axis=1)] = _NORTH
    return sectors


def is_inside(points: IntArray, counts: IntArray) -> BoolArray:
    """(R,): whether the first of the points (R, C, 2) lies in the convex hull of those that follow, or on its border.

    A hull without an area holds nothing. Whatever is in a hull is in a triangle of its points, so all are tried: a
    triangle holds the point where its three sides turn the same way around it. The three turns add up to twice the
    signed area, so that a triangle without an area, whose turns are all 0 or differ in sign, is told apart.
    """
    hull = points[:, 1:]
    pairs = combinations(range(hull.shape[1]), 2)
    turns = {(a, b): _orientation(hull[:, a], hull[:, b], points[:, 0]) for a, b in pairs}
    found = np.zeros(len(points), dtype=np.bool_)
    for a, b, c in combinations(range(hull.shape[1]), 3):
        sides = np.stack([turns[a, b], turns[b, c], -turns[a, c]])
        one_way = (sides >= 0).all(axis=0) | (sides <= 0).all(axis=0)
        found |= one_way & (sides.sum(axis=0) != 0) & (counts > c + 1)
    return found


def perimeters(points: IntArray, counts: IntArray) -> IntArray:
    """(R,): the way along the first `counts` of the points (R, C, 2) and back, rounded once; with two points one way."""
    steps = _lengths(np.diff(points, axis=1))
    along = np.where(np.arange(1, points.shape[1]) < counts[:, None], steps, 0.0).sum(axis=1)
    last = points[np.arange(len(points)), counts - 1]
    back = np.where(counts > 2, _lengths(points[:, 0] - last), 0.0)
    return _rounded(along + back)


def is_crossing(points: IntArray) -> BoolArray:
    """(R,): whether the segment of the first two of four points (R, 4, 2) crosses that of the other two.

    The ends of each segment must differ in whether they lie strictly to the left of the other one. Ends that touch
    follow from that: they lie on no strict side, so a segment's direction can matter.
    """
    a, b, c, d = (points[:, position] for position in range(4))
    apart: BoolArray = (_orientation(c, d, a) > 0) != (_orientation(c, d, b) > 0)
    apart &= (_orientation(a, b, c) > 0) != (_orientation(a, b, d) > 0)
    return apart


def _orientation(a: IntArray, b: IntArray, c: IntArray) -> IntArray:
    """Twice the signed area of the triangles (R, 2) each: positive where a, b, c turn to the left."""
    return _cross(b - a, c - a)


def _cross(first: IntArray, second: IntArray) -> IntArray:
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def _lengths(steps: IntArray) -> FloatArray:
    return np.hypot(steps[..., 0], steps[..., 1])


def _rounded(numbers: FloatArray) -> IntArray:
    return np.rint(numbers).astype(np.int64)
