"""What `run.json` says of every run, whichever command made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labkit.config.asked import asked_digest
from labkit.config.base import Resolved
from labkit.config.commands import RunConfig
from labkit.record.identity import components_hash
from labkit.record.provenance import capture
from labkit.record.run import Ask


def manifest(
    resolved: Resolved[Any],
    *,
    base: Mapping[str, Any],
    score: Mapping[str, Any],
    ask: Ask,
    engine: Mapping[str, Any],
    first_prompt: tuple[str, Sequence[int]],
    parents: Sequence[Mapping[str, str]],
    asked: RunConfig | None = None,
    **others: Any,
) -> dict[str, Any]:
    """The manifest of a new run.

    Args:
        resolved: the config, a `RunConfig`, and where its values came from
        base: what every rollout rests on
        score: what every verdict rests on
        ask: what is asked first
        engine: name, version, and what the engine says of the model
        first_prompt: text and token ids, for people who wonder what the model saw
        parents: the runs that made something of it, each `run`, `role`, `hash`
        asked: the config as it was asked, where the recorded one says more; `labkit run` knows the run by it
        others: what only this command has
    """
    config: RunConfig = resolved.config
    text, token_ids = first_prompt
    return manifest_fields(
        name=config.name,
        seed=config.seed,
        config=config.as_json(),
        base=base,
        score=score,
        ask=ask,
        engine=engine,
        provenance=capture(),
        origins=dict(resolved.origins),
        config_digest=asked_digest(asked or config),
        first_prompt={"text": text, "token_ids": [int(token) for token in token_ids]},
        parents=parents,
        **others,
    )


def manifest_fields(
    *,
    name: str | None,
    seed: int,
    config: Mapping[str, Any],
    base: Mapping[str, Any],
    score: Mapping[str, Any],
    ask: Ask,
    engine: Mapping[str, Any],
    provenance: Mapping[str, Any],
    origins: Mapping[str, str] | None = None,
    parents: Sequence[Mapping[str, str]] = (),
    **others: Any,
) -> dict[str, Any]:
    """What every manifest has, also that of a run whose config is none of ours; arguments as those of `manifest`."""
    return {
        "name": name,
        "seed": seed,
        "config": config,
        "origins": origins or {},
        "base": base,
        "base_hash": components_hash(base),
        "score": score,
        "score_hash": components_hash(score),
        "ask": ask.as_json(),
        "engine": engine,
        "provenance": provenance,
        "parents": parents,
        **others,
    }
