"""What can be read from hidden states with a linear map: the coordinates of cities.

Pure functions on arrays; errors are in the units of the coordinates (a tenth of a degree). Knows nothing of models or
runs. scikit-learn, an extra, is imported by the first fit.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from labkit.errors import InputError, MachineError
from labkit.extract.axes import Array, principal_components

Method = Literal["linear", "ridge", "lasso"]
Points = tuple[npt.ArrayLike, npt.ArrayLike]
"""Features (N, D) of cities and their coordinates (N, 2)."""

RIDGE_ALPHA = 10.0
LASSO_ALPHA = 1.0
_LASSO_ITERATIONS = 10_000


@dataclass(frozen=True, slots=True)
class Probe:
    """An affine map from features to the two coordinates."""

    weights: Array
    """(2, D): the directions that x and y are read along"""
    bias: Array
    """(2,)"""
    converged: bool
    """False where the iterations of lasso ended before the solution."""

    def predict(self, features: npt.ArrayLike) -> Array:
        """(N, D) features as (N, 2) coordinates."""
        return np.asarray(np.asarray(features, dtype=np.float64) @ self.weights.T + self.bias)


@dataclass(frozen=True, slots=True)
class ProbeScores:
    """How far predictions are from N cities' coordinates. R² is None where all true values are the same."""

    r2: float | None
    """Mean of `r2_x` and `r2_y`."""
    r2_x: float | None
    r2_y: float | None
    mae: float
    """Mean absolute error of a coordinate, over both."""
    mae_x: float
    mae_y: float
    error_mean: float
    """Mean Euclidean distance between a city and where it was put."""
    error_median: float


@dataclass(frozen=True, slots=True)
class ErrorSummary:
    """Euclidean errors of `n` cities; the standard deviation is that of these, not an estimate (ddof 0)."""

    n: int
    mean: float
    std: float
    median: float


@dataclass(frozen=True, slots=True)
class Generalisation:
    """A probe on cities of its own kind that it has not seen, and on others."""

    num_train: int
    baseline: ErrorSummary
    test: ErrorSummary
    p_value: float
    """Two-sided Mann-Whitney test that both kinds of error are drawn from one distribution."""


def require_scikit_learn() -> None:
    """Raise MachineError where scikit-learn is not installed."""
    try:
        import sklearn  # noqa: F401
    except ModuleNotFoundError:
        raise MachineError(
            "linear probes need scikit-learn, which is not installed", 'pip install "labkit[world]"'
        ) from None


def fit_probe(features: npt.ArrayLike, coordinates: npt.ArrayLike, method: Method = "linear") -> Probe:
    """Fit x and y apart from each other, on targets centred by their mean.

    Args:
        features: (N, D)
        coordinates: (N, 2)
        method: least squares (that of the least norm where N <= D), or with an L2 (`RIDGE_ALPHA`) or L1 (`LASSO_ALPHA`)
            penalty

    Raises:
        InputError: fewer than two rows, or a value that is no number. MachineError: scikit-learn is not installed.
    """
    points, targets = (np.asarray(values, dtype=np.float64) for values in (features, coordinates))
    if len(points) < 2 or len(points) != len(targets):
        raise InputError(f"a probe of {len(points)} rows and {len(targets)} cities", "fit it on two cities or more")
    if not np.isfinite(points).all():
        raise InputError("a representation holds values that are no numbers", "extract it again, in float32")
    centre = targets.mean(axis=0)
    fits = [_fit(points, targets[:, column] - centre[column], method) for column in range(2)]
    weights = np.stack([weights for weights, _, _ in fits])
    bias = np.array([bias for _, bias, _ in fits]) + centre
    return Probe(weights, bias, all(converged for _, _, converged in fits))


def _fit(points: Array, target: Array, method: Method) -> tuple[Array, float, bool]:
    """Weights (D,), intercept, and whether the solution was reached."""
    require_scikit_learn()
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import Lasso, LinearRegression, Ridge

    models = {
        "linear": LinearRegression,
        "ridge": lambda: Ridge(alpha=RIDGE_ALPHA),
        "lasso": lambda: Lasso(alpha=LASSO_ALPHA, max_iter=_LASSO_ITERATIONS),
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model = models[method]().fit(points, target)
    converged = not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    return np.asarray(model.coef_), float(model.intercept_), converged


def score_probe(probe: Probe, features: npt.ArrayLike, coordinates: npt.ArrayLike) -> ProbeScores:
    """Measure a probe on (N, D) features of cities at (N, 2) coordinates."""
    return score_predictions(probe.predict(features), coordinates)


def score_predictions(predicted: npt.ArrayLike, coordinates: npt.ArrayLike) -> ProbeScores:
    """R², absolute and Euclidean errors of (N, 2) predictions."""
    truth = np.asarray(coordinates, dtype=np.float64)
    wrong = np.asarray(predicted, dtype=np.float64) - truth
    left, whole = (wrong**2).sum(axis=0), ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    r2_x, r2_y = (float(1 - left[axis] / whole[axis]) if whole[axis] > 0 else None for axis in range(2))
    mae_x, mae_y = (float(value) for value in np.abs(wrong).mean(axis=0))
    distances = np.hypot(wrong[:, 0], wrong[:, 1])
    return ProbeScores(
        r2=None if r2_x is None or r2_y is None else (r2_x + r2_y) / 2,
        r2_x=r2_x,
        r2_y=r2_y,
        mae=(mae_x + mae_y) / 2,
        mae_x=mae_x,
        mae_y=mae_y,
        error_mean=float(distances.mean()),
        error_median=float(np.median(distances)),
    )


def component_scores(train: Points, test: Points, num_components: Sequence[int]) -> list[dict[str, Any]]:
    """Coordinates read by least squares from the first principal components of the training rows.

    Args:
        num_components: numbers of components to try; those beyond min(N, D) are left out

    Returns:
        For each number: `num_components`, `r2` (the mean of x and y) and `error` (mean Euclidean) on the test rows, and
        `cumulative_variance`, the part of the training rows' variance that the components hold.
    """
    if not num_components:
        return []
    components = principal_components(train[0], max(num_components))
    train_scores, test_scores = components.project(train[0]), components.project(test[0])
    found = []
    for count in num_components:
        if count > len(components.axes):
            continue
        probe = fit_probe(train_scores[:, :count], train[1])
        scores = score_probe(probe, test_scores[:, :count], test[1])
        variance = float(components.variance_ratio[:count].sum())
        found.append(
            {"num_components": count, "r2": scores.r2, "error": scores.error_mean, "cumulative_variance": variance}
        )
    return found


def generalise(train: Points, baseline: Points, test: Points, method: Method = "linear") -> Generalisation:
    """Fit a probe on `train`, and compare its errors on `baseline`, held-out cities of the same kind, with those on
    `test`, cities of another.

    Each argument is features (N, D) with coordinates (N, 2) of its own N.
    """
    from scipy.stats import mannwhitneyu

    probe = fit_probe(*train, method)
    own, other = (_distances(probe, *part) for part in (baseline, test))
    p_value = float(mannwhitneyu(other, own, alternative="two-sided").pvalue)
    return Generalisation(len(np.asarray(train[1])), _summary(own), _summary(other), p_value)


def _distances(probe: Probe, features: npt.ArrayLike, coordinates: npt.ArrayLike) -> Array:
    wrong = probe.predict(features) - np.asarray(coordinates, dtype=np.float64)
    return np.asarray(np.hypot(wrong[:, 0], wrong[:, 1]))


def _summary(errors: Array) -> ErrorSummary:
    return ErrorSummary(len(errors), float(errors.mean()), float(errors.std()), float(np.median(errors)))
