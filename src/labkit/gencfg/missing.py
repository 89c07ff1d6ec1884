"""Inputs that configs name and nobody has or makes, told in a few lines."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from labkit.config.references import Reference
from labkit.gencfg.generate import Generated, needs_of
from labkit.gencfg.needs import Needs

_MAX_NAMED = 2
_MAX_SORTS = 10


def missing_inputs(generated: Generated, folders: Collection[Path], runs_dir: str | None = None) -> list[str]:
    """Two lines for each sort of input that is neither there nor made by a config of the matrix, and two for what several
    configs make; none if nothing is amiss.

    Args:
        folders: where relative paths are looked for
        runs_dir: a folder of runs beside those that the configs name
    """
    missing = generated.needs.missing(folders, runs_dir)
    twice = _made_twice(generated.needs)
    if not missing:
        return twice
    makers = _makers_that_are_off(generated)
    sorts: dict[tuple[str, str, str], list[tuple[Reference, set[str]]]] = {}
    for reference, groups in missing.items():
        option = next((name for name, needs in makers.items() if needs.maker(reference) is not None), "")
        place = os.path.dirname(reference.name) if reference.kind == "path" else reference.runs_dir
        sorts.setdefault((option, reference.kind, place), []).append((reference, groups))
    lines = [line for sort, found in list(sorts.items())[:_MAX_SORTS] for line in _lines(*sort, found)]
    if len(sorts) > _MAX_SORTS:
        rest = sum(map(len, list(sorts.values())[_MAX_SORTS:]))
        lines.append(f"  and {rest:,} more in {len(sorts) - _MAX_SORTS:,} other places")
    return [*twice, "inputs that are not there, and that no config of this matrix makes:", *lines]


def _made_twice(needs: Needs) -> list[str]:
    """What nobody here needs and several make: a model, which is asked for by its name later, or files. Rollouts may share
    a name, as those of several seeds do."""
    twice = [made for made in needs.made_twice if made.kind != "rollouts"]
    if not twice:
        return []
    names = [made.name if made.kind == "path" else f"run:{made.name}" for made in twice]
    first = twice[0]
    return [
        f"several configs make the same: {_first(names)}",
        f"    {_first([needs.made[first], needs.made_twice[first]])}",
    ]


def _makers_that_are_off(generated: Generated) -> dict[str, Needs]:
    off = [r for name, r in generated.recipes.items() if name not in generated.groups and r.schema is not None]
    return {recipe.name: needs_of(recipe, generated.file) for recipe in off}


def _lines(option: str, kind: str, place: str, found: list[tuple[Reference, set[str]]]) -> list[str]:
    names = [os.path.basename(ref.name) if kind == "path" else f"run:{ref.name}" for ref, _ in found]
    groups = sorted(set().union(*(groups for _, groups in found)))
    many = "s" if len(names) > 1 else ""
    noun = {"run": "training", "rollouts": "run", "path": "path"}[kind]
    what = f"{len(names):,} {noun}{many}"
    way = f"; --with {option} makes {'them' if many else 'it'}" if option else ""
    return [f"  {what} in {place or '.'}: {_first(names)}", f"    needed by {_first(groups)}{way}"]


def _first(names: list[str]) -> str:
    """The first two of many names."""
    return ", ".join(names[:_MAX_NAMED]) + (f" and {len(names) - _MAX_NAMED:,} more" if len(names) > _MAX_NAMED else "")
