"""Linear CKA and Procrustes: what they may and may not depend on, against their definitions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import ortho_group

from labkit.errors import InputError
from labkit.extract.similarity import linear_cka, procrustes_similarity

Array = npt.NDArray[np.float64]


def states(seed: int, num_rows: int = 60, width: int = 8) -> Array:
    """Points with a mean and a spread of their own in every direction."""
    random = np.random.default_rng(seed)
    return random.normal(size=(num_rows, width)) * np.linspace(0.5, 3, width) + random.normal(size=width)


def kernel_cka(x: Array, y: Array) -> float:
    """The definition, with N x N kernels."""
    centring = np.eye(len(x)) - 1 / len(x)
    kernel, other = centring @ x @ x.T @ centring, centring @ y @ y.T @ centring
    return float((kernel * other).sum() / (np.linalg.norm(kernel) * np.linalg.norm(other)))


def test_cka_of_a_set_with_itself_is_1() -> None:
    assert linear_cka(states(0), states(0)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("widths", [(8, 8), (8, 5), (80, 3)])
def test_cka_is_the_kernel_formula(widths: tuple[int, int]) -> None:
    x, y = states(1, width=widths[0]), states(2, width=widths[1])
    y[:, :2] += x[:, :2]
    assert linear_cka(x, y) == pytest.approx(kernel_cka(x, y), rel=1e-10)
    assert linear_cka(x, y) == pytest.approx(linear_cka(y, x), rel=1e-12)
    assert 0 < linear_cka(x, y) < 1


def test_cka_does_not_change_under_rotation_scale_and_shift() -> None:
    x, y = states(3), states(4)
    moved = 7.5 * x @ ortho_group.rvs(8, random_state=0) + np.arange(8)
    assert linear_cka(moved, y) == pytest.approx(linear_cka(x, y), rel=1e-10)
    assert linear_cka(moved, x) == pytest.approx(1, abs=1e-10)


def test_cka_changes_under_a_linear_map_that_is_no_rotation() -> None:
    x = states(5)
    stretched = x @ np.diag([20.0, 1, 1, 1, 1, 1, 1, 1])
    assert linear_cka(x, stretched) < 0.5


def test_unrelated_states_are_less_alike_than_related_ones() -> None:
    x = states(6, num_rows=2000)
    noisy = x + 0.3 * states(7, num_rows=2000)
    assert linear_cka(x, states(8, num_rows=2000)) < 0.05 < 0.8 < linear_cka(x, noisy)


def test_procrustes_of_similar_shapes_is_1() -> None:
    x = states(9)
    moved = 0.01 * x @ ortho_group.rvs(8, random_state=1) - 40
    assert procrustes_similarity(x, moved) == pytest.approx(1, abs=1e-10)
    assert procrustes_similarity(x, states(10)) < 0.3


def test_procrustes_compares_the_first_components_only() -> None:
    x = states(11) * np.array([1, 1, 1, 1, 1, 50, 60, 70])
    other = x.copy()
    other[:, :5] = states(12)[:, :5]
    assert procrustes_similarity(x, other) > 0.999
    assert procrustes_similarity(x, other, num_components=8) < 0.9999


@pytest.mark.parametrize("similarity", [linear_cka, procrustes_similarity])
@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (states(0), states(0, num_rows=59), "60 rows are compared with 59"),
        (states(0), np.full((60, 8), 0.1), "are the same"),
        (np.full((60, 8), np.nan), states(0), "no numbers"),
        (states(0)[:1], states(0)[:1], "no similarity"),
        (states(0)[:, 0], states(0), "shape"),
    ],
)
def test_what_cannot_be_compared(similarity, x: Array, y: Array, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=words):
        similarity(x, y)


def test_too_few_dimensions_for_the_components() -> None:
    with pytest.raises(InputError, match="3 principal components of 60 rows in 2 dim"):
        procrustes_similarity(states(0, width=2), states(1))
