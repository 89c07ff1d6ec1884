"""Who is who: arms, seeds and hashes. Everything here is a pure function of its arguments, on every machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from labkit.config.base import stable_digest

Method = Literal["greedy", "temperature", "perturbation"]


@dataclass(frozen=True, slots=True)
class Arm:
    """One setting of a sweep: where diversity comes from, and how tokens are drawn."""

    method: Method
    value: float | None = None
    """The temperature, or sigma; None for greedy."""
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0

    @property
    def key(self) -> str:
        """Canonical text, the same for the same setting in every run: `sigma=0.001`, `temperature=0.4,top_p=0.9`."""
        name = {"greedy": "greedy", "temperature": "temperature", "perturbation": "sigma"}[self.method]
        parts = [name if self.value is None else f"{name}={canonical_number(self.value)}"]
        # Neutral values are left out, so that an option added later does not rename the arms of older runs.
        if self.method == "temperature":
            parts += [f"top_p={canonical_number(self.top_p)}"] if self.top_p != 1 else []
            parts += [f"top_k={self.top_k}"] if self.top_k else []
        penalty = canonical_number(self.repetition_penalty)
        parts += [f"repetition_penalty={penalty}"] if self.repetition_penalty != 1 else []
        return ",".join(parts)

    def as_json(self) -> dict[str, Any]:
        """The fields, for the record."""
        return {
            "method": self.method,
            "value": self.value,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "repetition_penalty": self.repetition_penalty,
        }


def canonical_number(value: float) -> str:
    """The shortest text that reads back as the same float: 1, 0.001, 1e-05."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def draw_seed(run_seed: int, *parts: str | int) -> int:
    """A stable seed in [0, 2^63) for one draw of a run.

    A perturbation member's parts are ("member", index), a decoding's ("rollout", prompt, index): arms are no part, so
    all sigmas share their members and all temperatures their draws, and neither order nor batching changes one.
    """
    text = "\x1f".join(str(part) for part in (run_seed, *parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def components_hash(components: Mapping[str, Any]) -> str:
    """The `base` or `score` hash of its components: 16 hex digits."""
    return stable_digest(dict(components))


def describe_difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """The components that differ, a line each, both values beside each other; one that is absent is None.

    Where both have a section, its own components that differ are shown, by dotted key.
    """
    return "\n".join(
        f"{key}: {'  |  '.join(_shortened(str(left), str(right)))}" for key, left, right in _differing(ours, theirs, "")
    )


def _differing(ours: Mapping[str, Any], theirs: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any, Any]]:
    for key in sorted({*ours, *theirs}):
        left, right = ours.get(key), theirs.get(key)
        if left == right:
            continue
        lines: list[tuple[str, Any, Any]] = []
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            lines = list(_differing(left, right, f"{prefix}{key}."))
        # Sections that differ only in what is absent from one have no such line, and yet are not the same.
        yield from lines or [(prefix + key, left, right)]


def _shortened(*texts: str) -> list[str]:
    """At most 60 characters of each text, from shortly before the first in which they differ."""
    start = max(0, len(os.path.commonprefix(texts)) - 20) if max(map(len, texts)) > 60 else 0  # noqa: RUF071  # letters are meant
    cut = [("…" if start else "") + text[start:] for text in texts]
    return [text if len(text) <= 60 else text[:59] + "…" for text in cut]
