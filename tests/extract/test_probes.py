"""Linear probes: planted maps are found, nothing is found where nothing is, and axes are what they say."""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

from labkit.errors import InputError, MachineError
from labkit.extract.axes import mixed_axes, principal_components, project
from labkit.extract.probes import component_scores, fit_probe, generalise, score_predictions, score_probe

Array = npt.NDArray[np.float64]


def planted(num_rows: int = 400, width: int = 12, noise: float = 0.0, seed: int = 0) -> tuple[Array, Array]:
    """Coordinates of cities, and features that hold them along two directions that are not orthogonal."""
    random = np.random.default_rng(seed)
    coordinates = random.uniform(-1, 1, size=(num_rows, 2)) * [1800, 900] + [100, 50]
    features = random.normal(size=(num_rows, width))
    directions = np.random.default_rng(99).normal(size=(2, width)) + 1
    return features + coordinates @ directions / 300 + noise * random.normal(size=(num_rows, width)), coordinates


@pytest.mark.parametrize("method", ["linear", "ridge", "lasso"])
def test_a_planted_map_is_found(method: str) -> None:
    features, coordinates = planted()
    probe = fit_probe(features[:300], coordinates[:300], method)  # type: ignore[arg-type]
    assert probe.converged
    scores = score_probe(probe, features[300:], coordinates[300:])
    assert scores.r2 is not None and scores.r2 > 0.9
    assert probe.weights.shape == (2, 12)


def test_an_exact_map_is_recovered() -> None:
    random = np.random.default_rng(1)
    features, weights, bias = random.normal(size=(50, 6)), random.normal(size=(2, 6)), np.array([30.0, -7.0])
    probe = fit_probe(features, features @ weights.T + bias)
    np.testing.assert_allclose(probe.weights, weights, atol=1e-10)
    np.testing.assert_allclose(probe.bias, bias, atol=1e-10)


def test_nothing_is_read_where_nothing_is() -> None:
    features, coordinates = planted(num_rows=4000)
    shuffled = np.random.default_rng(2).permutation(coordinates)
    scores = score_probe(fit_probe(features[:3000], shuffled[:3000]), features[3000:], shuffled[3000:])
    assert scores.r2 == pytest.approx(0, abs=0.03)


def test_penalties_shrink() -> None:
    features, coordinates = planted(num_rows=40)
    linear, ridge, lasso = (fit_probe(features, coordinates, method) for method in ("linear", "ridge", "lasso"))
    assert np.linalg.norm(ridge.weights) < np.linalg.norm(linear.weights)
    assert np.abs(lasso.weights).sum() < np.abs(linear.weights).sum()


def test_lasso_says_that_it_did_not_arrive() -> None:
    random = np.random.default_rng(3)
    features = random.normal(size=(40, 1)) * 1000 + random.normal(size=(40, 30))  # all columns nearly the same
    assert not fit_probe(features, 1e4 * random.normal(size=(40, 2)), "lasso").converged


def test_the_scores_are_those_of_their_definitions() -> None:
    truth = np.array([[0.0, 0], [10, 0], [0, 20], [30, 40]])
    predicted = truth + np.array([[3.0, 4], [0, 0], [0, -5], [0, 0]])
    scores = score_predictions(predicted, truth)
    assert (scores.mae_x, scores.mae_y, scores.mae) == (0.75, 2.25, 1.5)
    assert (scores.error_mean, scores.error_median) == (2.5, 2.5)
    assert scores.r2_x == pytest.approx(r2_score(truth[:, 0], predicted[:, 0]))
    assert scores.r2 == pytest.approx(r2_score(truth, predicted))


def test_r2_of_a_single_city_is_none() -> None:
    scores = score_predictions([[1.0, 2.0]], [[1.0, 0.0]])
    assert (scores.r2, scores.r2_x, scores.r2_y, scores.error_mean) == (None, None, None, 2)


@pytest.mark.parametrize(("rows", "words"), [(1, "two cities"), (0, "two cities")])
def test_too_few_cities_for_a_probe(rows: int, words: str) -> None:
    with pytest.raises(InputError) as caught:
        fit_probe(np.ones((rows, 3)), np.ones((rows, 2)))
    assert words in caught.value.hint


def test_features_that_are_no_numbers() -> None:
    with pytest.raises(InputError, match="no numbers"):
        fit_probe(np.full((5, 3), np.inf), np.ones((5, 2)))


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MachineError) as caught:
        fit_probe(np.ones((5, 3)), np.ones((5, 2)))
    assert caught.value.hint == 'pip install "labkit[world]"'


def test_principal_components_are_those_of_scikit_learn() -> None:
    features, _ = planted()
    ours, theirs = principal_components(features, 4), PCA(4).fit(features)
    np.testing.assert_allclose(np.abs(ours.axes), np.abs(theirs.components_), atol=1e-8)
    np.testing.assert_allclose(ours.variance_ratio, theirs.explained_variance_ratio_, atol=1e-10)
    assert (ours.axes.max(axis=1) >= -ours.axes.min(axis=1)).all()


def test_components_hold_more_the_more_there_are() -> None:
    features, coordinates = planted(noise=0.5)
    train, test = (features[:300], coordinates[:300]), (features[300:], coordinates[300:])
    found = component_scores(train, test, [2, 6, 12, 13])
    assert [line["num_components"] for line in found] == [2, 6, 12]  # there is no 13th
    assert found[-1]["cumulative_variance"] == pytest.approx(1)
    whole = score_probe(fit_probe(*train), *test)
    assert found[-1]["r2"] == pytest.approx(whole.r2)
    assert found[-1]["error"] == pytest.approx(whole.error_mean)
    assert component_scores(train, test, []) == []


def test_mixed_axes_are_the_probes_and_a_direction_orthogonal_to_both() -> None:
    features, coordinates = planted()
    probe = fit_probe(features, coordinates)
    axes = mixed_axes(features, *probe.weights)
    np.testing.assert_allclose(np.linalg.norm(axes, axis=1), 1)
    for row, weights in zip(axes[:2], probe.weights, strict=True):
        np.testing.assert_allclose(row * np.linalg.norm(weights), weights)
    assert abs(axes[0] @ axes[1]) > 0.05  # the case in which removing one after the other goes wrong
    np.testing.assert_allclose(axes[2] @ axes[:2].T, 0, atol=1e-10)


def test_the_third_axis_is_the_largest_of_what_is_left() -> None:
    random = np.random.default_rng(4)
    x_direction, y_direction = np.array([1.0, 0, 0, 0]), np.array([1.0, 1, 0, 0])
    features = random.normal(size=(500, 4)) * [50, 40, 1, 9]
    axes = mixed_axes(features, x_direction, y_direction)
    assert abs(axes[2, 3]) == pytest.approx(1, abs=1e-2)
    np.testing.assert_allclose(project(features, axes).mean(axis=0), 0, atol=1e-10)


@pytest.mark.parametrize("y_direction", [[2.0, 0, 0], [0.0, 0, 0]])
def test_parallel_and_missing_directions_leave_a_third_axis(y_direction: list[float]) -> None:
    features = np.random.default_rng(5).normal(size=(100, 3)) * [1, 5, 1]
    axes = mixed_axes(features, [1.0, 0, 0], y_direction)
    assert np.isfinite(axes).all()
    assert axes[2] @ [1.0, 0, 0] == pytest.approx(0, abs=1e-10)
    assert np.linalg.norm(axes[2]) == pytest.approx(1)


def test_generalisation_tells_cities_that_the_map_does_not_hold_for() -> None:
    features, coordinates = planted(num_rows=600, noise=0.5)
    train, held_out = (features[:400], coordinates[:400]), (features[400:500], coordinates[400:500])
    elsewhere = (features[500:], coordinates[500:] + np.array([900, 0]))
    found = generalise(train, held_out, elsewhere)
    assert (found.num_train, found.baseline.n, found.test.n) == (400, 100, 100)
    assert found.test.mean > 5 * found.baseline.mean
    assert found.p_value < 1e-10
    same = generalise(train, held_out, (features[500:], coordinates[500:]))
    assert same.p_value > 1e-3
