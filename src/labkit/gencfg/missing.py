"""Inputs that configs name and nobody has or makes, told in a few lines."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from labkit.config.references import Reference
from labkit.gencfg.generate import Generated, needs_of
from labkit.gencfg.needs import Needs

_MAX_NAMED = 3


def missing_inputs(generated: Generated, folders: Collection[Path]) -> list[str]:
    """A line for each sort of input that is neither there nor made by a config of the matrix; nothing if none is missing.

    Args:
        folders: where relative paths are looked for
    """
    missing = generated.needs.missing(folders)
    if not missing:
        return []
    makers = _makers_that_are_off(generated)
    sorts: dict[tuple[str, str, str], list[tuple[Reference, set[str]]]] = {}
    for reference, groups in missing.items():
        option = next((name for name, needs in makers.items() if needs.maker(reference) is not None), "")
        place = os.path.dirname(reference.name) if reference.kind == "path" else reference.runs_dir
        sorts.setdefault((option, reference.kind, place), []).append((reference, groups))
    return ["not there, and made by no config of this matrix:", *(_line(*sort, found) for sort, found in sorts.items())]


def _makers_that_are_off(generated: Generated) -> dict[str, Needs]:
    off = [r for name, r in generated.recipes.items() if name not in generated.groups and r.schema is not None]
    return {recipe.name: needs_of(recipe, generated.file) for recipe in off}


def _line(option: str, kind: str, place: str, found: list[tuple[Reference, set[str]]]) -> str:
    names = [f"run:{ref.name}" if kind == "run" else os.path.basename(ref.name) for ref, _ in found]
    more = ", …" if len(names) > _MAX_NAMED else ""
    groups = sorted(set().union(*(groups for _, groups in found)))
    if kind == "run":
        what = f"{len(names):,} finished training{'s' if len(names) > 1 else ''} under {place}"
    else:
        what = f"{len(names):,} path{'s' if len(names) > 1 else ''} in {place or '.'}"
    way = f"; --with {option} makes {'them' if len(names) > 1 else 'it'}" if option else ""
    return f"  {what}, for {', '.join(groups)}: {', '.join(names[:_MAX_NAMED])}{more}{way}"
