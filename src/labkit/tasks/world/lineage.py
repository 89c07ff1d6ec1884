"""Which cities a model has learnt of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def other_cities(lineage: Sequence[Mapping[str, Any]], cities: str | None, what: str) -> list[str]:
    """A warning where a training of the model was on other cities: one id is then two places.

    Args:
        lineage: the trainings that made the model, as a model's folder has them
        cities: fingerprint of the cities that it meets now; None where nothing says which these are
        what: where it meets them
    """
    taught = [entry for entry in lineage if entry["cities"] not in (None, cities)]
    if cities is None or not taught:
        return []
    newest = taught[-1]
    return [
        f"the cities of {what} are not those of {newest['data']}, which the model learnt in its training "
        f"{newest['name'] or newest['run']}: an id is another place there"
    ]
