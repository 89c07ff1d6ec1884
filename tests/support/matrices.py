"""Matrices as a user would write them, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labkit.gencfg.generate import Generated, generate
from labkit.gencfg.matrix import load_matrix
from labkit.gencfg.plan import Plan, make_plan
from labkit.gencfg.write import carry_out, locked

SWEEP = """\
sections:
  sweep:
    command: sample
    axes:
      temperature: [0.4, 1.0]
      seed: [1, 2, 3]
    path: "configs/t{temperature}/seed{seed}.yaml"
    base:
      seed: "{seed}"
      num_rollouts: 8
      task: {num_prompts: 4}
      temperatures: ["{temperature}"]
"""
"""Two temperatures, three seeds, on the model that comes with labkit."""


def write_matrix(folder: Path, text: str = SWEEP, name: str = "mine.yaml") -> Path:
    """A matrix file."""
    path = folder / name
    path.write_text(text)
    return path


def generated(path: Path, *, extra: Sequence[str] = (), only: Sequence[str] = ()) -> Generated:
    """Everything that a matrix file makes."""
    return generate(load_matrix(path), extra=extra, only=only)


def made(
    path: Path, folder: Path, *,
    overwrite: bool = False, prune: bool = False, extra: Sequence[str] = (), only: Sequence[str] = (),
) -> Plan:  # fmt: skip
    """Write what a matrix makes into a folder, and give the plan that was carried out."""
    wanted = generated(path, extra=extra, only=only)
    with locked(folder):
        plan = make_plan(wanted, folder, take_over=overwrite)
        carry_out(plan, overwrite=overwrite, prune=prune)
    return plan


def planned(path: Path, folder: Path) -> Plan:
    """What would be written."""
    return make_plan(generated(path), folder)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by its path below it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def states(plan: Plan) -> dict[str, int]:
    """How many files are in which state."""
    found: dict[str, int] = {}
    for state in plan.states.values():
        found[state] = found.get(state, 0) + 1
    return found
