"""Everything that is worked out from one checkpoint's hidden states: probes, components, generalisation, projections.

A pure function of the saved states, the cities and the config, so that a resumed run comes to the same results.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from labkit.config.commands import ExtractConfig
from labkit.extract.axes import Array, mixed_axes, principal_components, project
from labkit.extract.files import Representations
from labkit.extract.probes import (
    Points,
    component_scores,
    fit_probe,
    generalise,
    score_probe,
)
from labkit.extract.selection import Mask, drawing_order
from labkit.tasks.world.cities import Cities
from labkit.tasks.world.filters import select

_BASELINE_SHARE = 4
"""The baseline takes at most one in so many of the cities that the probe of generalisation could be fitted on."""

_DIGITS = 6
"""Significant digits of a projected coordinate."""


@dataclass(frozen=True, slots=True)
class ExtractedCities:
    """The cities of a run's rows, and what each is used for."""

    cities: Cities
    is_train: Mask
    """(N,) cities that the probes are fitted on; they are measured on the others"""
    generalisation: tuple[Mask, Mask, Mask]
    """(N,) each: those that the probe of generalisation is fitted on, its baseline, and those it must generalise to"""
    coordinates: Array
    """(N, 2) x and y"""


def assign_cities(cities: Cities, is_train: Mask, config: ExtractConfig) -> ExtractedCities:
    """Decide what each extracted city is used for."""
    probe = config.probe
    test = select(cities, probe.generalisation_test)
    pool = select(cities, probe.generalisation_train) & ~test
    order = drawing_order(cities.padded_ids, config.seed)
    drawn = order[pool[order]]
    num_baseline = min(probe.num_baseline, len(drawn) // _BASELINE_SHARE)
    baseline, train = np.zeros_like(pool), np.zeros_like(pool)
    baseline[drawn[:num_baseline]] = True
    train[drawn[num_baseline : num_baseline + probe.generalisation_num_train]] = True
    coordinates = np.stack([cities.x, cities.y], axis=1).astype(np.float64)
    return ExtractedCities(cities, is_train, (train, baseline, test), coordinates)


def analyse(representations: Representations, extracted: ExtractedCities, config: ExtractConfig) -> dict[str, Any]:
    """What `result.json` says of one checkpoint, beside its name: `probes`, `pca` and `generalisation`, each a list of
    objects with their `layer`. Errors are in scaled units, tenths of a degree."""
    found: dict[str, Any] = {"probes": [], "pca": [], "generalisation": []}
    for layer in representations.layers:
        features = representations.features(layer)
        train, test = (_points(features, extracted, rows) for rows in (extracted.is_train, ~extracted.is_train))
        found["probes"].append({"layer": layer, **_probe(train, test, config)})
        components = component_scores(train, test, config.pca_components)
        found["pca"] += [{"layer": layer, **line} for line in components]
        found["generalisation"].append({"layer": layer, **_generalisation(features, extracted, config)})
    return found


def projections_csv(representations: Representations, extracted: ExtractedCities, config: ExtractConfig) -> bytes:
    """Every city's place along three axes, as CSV: columns `mode`, `layer`, `city_id`, `axis1`, `axis2`, `axis3`.

    The mode `mixed` has the directions of the x and y probes and the first component of what they leave; `pca` the
    first three principal components.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["mode", "layer", "city_id", "axis1", "axis2", "axis3"])
    for layer in representations.layers:
        features = representations.features(layer)
        probe = fit_probe(*_points(features, extracted, extracted.is_train), config.probe.method)
        components = principal_components(features, 3)
        for mode, axes in (("mixed", mixed_axes(features, *probe.weights)), ("pca", components.axes)):
            places = project(features, axes).tolist()
            writer.writerows(
                [mode, layer, city, *(f"{value:.{_DIGITS}g}" for value in place)]
                for city, place in zip(extracted.cities.padded_ids, places, strict=True)
            )
    return out.getvalue().encode()


def warnings_of(extracted: ExtractedCities, num_features: int) -> list[str]:
    """What a reader of the probes must know."""
    num_train = int(extracted.is_train.sum())
    if num_train > num_features:
        return []
    return [
        f"the probes have {num_features} features for {num_train} cities to fit on: least squares fits those exactly, "
        "whatever the features are; only the test values say something"
    ]


def _points(features: npt.NDArray[np.float32], extracted: ExtractedCities, rows: Mask) -> Points:
    return features[rows], extracted.coordinates[rows]


def _probe(train: Points, test: Points, config: ExtractConfig) -> dict[str, Any]:
    probe = fit_probe(*train, config.probe.method)
    return {
        "method": config.probe.method,
        "num_features": probe.weights.shape[1],
        "num_train": len(np.asarray(train[1])),
        "num_test": len(np.asarray(test[1])),
        "converged": probe.converged,
        "train": asdict(score_probe(probe, *train)),
        "test": asdict(score_probe(probe, *test)),
    }


def _generalisation(
    features: npt.NDArray[np.float32], extracted: ExtractedCities, config: ExtractConfig
) -> Mapping[str, Any]:
    """Errors of both kinds of cities; where there are too few of one, nothing but the reason."""
    reason = _why_not(extracted, config)
    if reason:
        return {"baseline": None, "atlantis": None, "p_value": None, "reason": reason}
    train, baseline, test = (_points(features, extracted, rows) for rows in extracted.generalisation)
    found = generalise(train, baseline, test, config.probe.method)
    return {
        "num_train": found.num_train,
        "baseline": asdict(found.baseline),
        "atlantis": asdict(found.test),
        "p_value": found.p_value,
        "reason": None,
    }


def _why_not(extracted: ExtractedCities, config: ExtractConfig) -> str | None:
    train, baseline, test = (int(rows.sum()) for rows in extracted.generalisation)
    checks: Sequence[tuple[bool, str, str]] = (
        (test == 0, "probe.generalisation_test", config.probe.generalisation_test),
        (baseline == 0 or train < 2, "probe.generalisation_train", config.probe.generalisation_train),
    )
    matched = {"probe.generalisation_test": test, "probe.generalisation_train": train + baseline}
    for failed, key, expression in checks:
        if failed:
            return f"{key} {expression!r} matches {matched[key]} of the {len(extracted.is_train)} extracted cities"
    return None
