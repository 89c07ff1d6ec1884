"""The values of the tasks, against Qhull, fractions, and what moving and turning must not change."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import Delaunay, QhullError

from labkit.config.world import TASK_NAMES, TaskName
from labkit.tasks.world.geometry import COMPASS_POINTS, answer_texts, values

NUM_CITIES = {"distance": 2, "trianglearea": 3, "angle": 3, "compass": 2, "inside": 6, "perimeter": 5, "crossing": 4}

POINT = st.tuples(st.integers(-1800, 1800), st.integers(-900, 900))
NEAR = st.tuples(st.integers(-3, 3), st.integers(-3, 3))  # often on one line, or the same

Points = list[tuple[int, int]]


def value(task: TaskName, points: Points) -> float:
    return values(task, np.array([points], dtype=np.int64))[0].item()


def rows(size: int) -> st.SearchStrategy[Points]:
    return st.lists(POINT, min_size=size, max_size=size) | st.lists(NEAR, min_size=size, max_size=size)


def turn(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


@pytest.mark.parametrize("task", TASK_NAMES)
@given(data=st.data())
def test_moving_all_cities_changes_nothing(task: TaskName, data: st.DataObject) -> None:
    points = data.draw(rows(NUM_CITIES[task]))
    right, up = data.draw(POINT)
    assert value(task, points) == value(task, [(x + right, y + up) for x, y in points])


@given(rows(5))
def test_what_does_not_depend_on_the_order(points: Points) -> None:
    assert value("distance", points[:2]) == value("distance", points[1::-1])
    assert value("trianglearea", points[:3]) == value("trianglearea", [points[2], points[0], points[1]])
    assert value("angle", points[:3]) == value("angle", points[2::-1])
    assert value("perimeter", points) == value("perimeter", points[::-1]) == value("perimeter", points[2:] + points[:2])
    assert value("inside", points) == value("inside", [points[0], *reversed(points[1:])])
    assert value("crossing", points[:4]) == value("crossing", points[2:4] + points[:2])


@given(rows(2))
def test_the_way_back_has_the_opposite_direction(points: Points) -> None:
    there, back = value("compass", points), value("compass", points[::-1])
    assert back == (there if points[0] == points[1] else (there + 4) % 8)


@given(rows(4))
def test_crossing_is_where_both_segments_are_cut(points: Points) -> None:
    a, b, c, d = points
    turns = (turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b))
    assume(all(turns))
    # How far along each segment the lines of both meet: strictly between the ends where they cross.
    along = Fraction(turns[2], turns[2] - turns[3]) if turns[2] != turns[3] else Fraction(-1)
    across = Fraction(turns[0], turns[0] - turns[1]) if turns[0] != turns[1] else Fraction(-1)
    expected = 0 < along < 1 and 0 < across < 1
    assert value("crossing", points) == expected
    assert value("crossing", [b, a, c, d]) == value("crossing", [a, b, d, c]) == expected


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        # The second segment begins on the first one and goes to its left: one end strictly there, the other not.
        ([(0, 0), (4, 0), (2, 0), (2, 5)], True),
        # The first segment drawn from its other end: now neither end is strictly to its left.
        ([(4, 0), (0, 0), (2, 0), (2, 5)], False),
        ([(0, 0), (4, 0), (1, 0), (3, 0)], False),  # all on one line
        ([(0, 0), (4, 0), (0, 0), (4, 0)], False),
    ],
)
def test_segments_that_touch_follow_from_the_strict_test(points: Points, expected: bool) -> None:
    assert value("crossing", points) == expected


def in_hull_by_qhull(point: NDArray[np.int64], hull: NDArray[np.int64]) -> bool:
    try:
        return bool(Delaunay(hull).find_simplex(point) >= 0)
    except QhullError:
        return False


@pytest.mark.parametrize("reach", [1, 2, 5, 30, 900])
def test_inside_agrees_with_qhull(reach: int) -> None:
    random = np.random.default_rng(reach)
    points = random.integers(-reach, reach + 1, (400, 6, 2))
    counts = random.integers(4, 7, 400)
    found = values("inside", points, counts)
    expected = [in_hull_by_qhull(row[0], row[1:count]) for row, count in zip(points, counts, strict=True)]
    assert found.tolist() == expected
    assert 20 < sum(expected) < 380


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(0, 0), (0, 0), (4, 0), (0, 4)], True),  # a corner
        ([(2, 2), (0, 0), (4, 0), (0, 4)], True),  # on a side
        ([(1, 1), (0, 0), (2, 2), (4, 4)], False),  # a hull without an area
        ([(0, 0), (0, 0), (0, 0), (0, 0)], False),
        ([(2, 1), (0, 0), (4, 0), (4, 0), (0, 4)], True),  # a city twice
        ([(0, 1000000), (-999999, 1000000), (1000000, 999999), (1000000, 1000000)], True),
        ([(0, 999999), (-999999, 1000000), (1000000, 1000001), (1000000, 1000002)], False),
    ],
)
def test_the_border_of_a_hull(points: Points, expected: bool) -> None:
    assert value("inside", points) == expected


@given(rows(5), st.integers(2, 5), rows(3))
def test_cities_behind_the_count_are_not_looked_at(points: Points, count: int, others: Points) -> None:
    padded = points[:count] + others[: 5 - count]
    row, counts = np.array([padded], dtype=np.int64), np.array([count])
    assert values("perimeter", row, counts)[0] == value("perimeter", points[:count])
    assert values("inside", row, counts)[0] == value("inside", points[:count])


def test_areas_are_rounded_half_to_even() -> None:
    areas = [value("trianglearea", [(0, 0), (1, 0), (0, doubled)]) for doubled in range(8)]
    assert areas == [0, 0, 1, 2, 2, 2, 3, 4]


@given(st.lists(st.tuples(*2 * [st.integers(-(10**9) // 2, 10**9 // 2)]), min_size=3, max_size=3))
def test_large_areas_are_exact(points: Points) -> None:
    assert value("trianglearea", points) == round(Fraction(abs(turn(points[0], points[1], points[2])), 2))


@pytest.mark.parametrize(
    ("points", "degrees"),
    [
        ([(5, 0), (0, 0), (9, 0)], 0),
        ([(-5, 0), (0, 0), (9, 0)], 180),
        ([(1800, 900), (0, 0), (-1800, -900)], 180),
        ([(0, -3), (0, 0), (9, 0)], 90),
        ([(7, 7), (0, 0), (9, 0)], 45),
        ([(-7, 7), (0, 0), (9, 0)], 135),
        ([(30, 40), (0, 0), (9, 0)], 53),
        ([(4, 4), (4, 4), (9, 0)], 0),
        ([(1, 2), (4, 4), (4, 4)], 0),
    ],
)
def test_angles(points: Points, degrees: int) -> None:
    assert value("angle", points) == degrees


@pytest.mark.parametrize(
    ("step", "label"),
    # The slope of a sector's border is tan 22.5° = 0.41421356…
    [
        ((1000, 414), "E"),
        ((1000, 415), "NE"),
        ((414, 1000), "N"),
        ((415, 1000), "NE"),
        ((-415, 1000), "NW"),
        ((-1000, 0), "W"),
        ((-1000, -415), "SW"),
        ((414, -1000), "S"),
        ((415, -1000), "SE"),
        ((1000, -415), "SE"),
        ((1000, -414), "E"),
        ((0, 0), "N"),
    ],
)
def test_compass(step: tuple[int, int], label: str) -> None:
    found = values("compass", np.array([[(10, 20), (10 + step[0], 20 + step[1])]]))
    assert answer_texts("compass", found) == [label]


def test_answers_as_they_stand_in_text() -> None:
    assert answer_texts("perimeter", np.array([0, 769])) == ["0", "769"]
    assert answer_texts("compass", np.arange(8)) == list(COMPASS_POINTS)
    assert answer_texts("inside", np.array([True, False])) == ["TRUE", "FALSE"]


def test_kinds_of_values() -> None:
    kinds = {task: values(task, np.zeros((3, NUM_CITIES[task], 2), np.int64)).dtype for task in TASK_NAMES}
    truths = {"inside", "crossing"}
    assert {task for task, kind in kinds.items() if kind == np.bool_} == truths
    assert all(kind == np.int64 for task, kind in kinds.items() if task not in truths)
