"""The two full sweeps on the shipped model: the room that it must leave, and the shape of both curves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from killing import launch

TEMPLATES = Path(__file__).parents[2] / "templates"


def rates(folder: Path, command: str, template: str) -> dict[str, dict[str, float]]:
    """The report's rows by arm."""
    for arguments in ([command, "--config", TEMPLATES / f"{template}.yaml"], ["report", "last", "--json"]):
        process = launch(folder, *arguments)
        output = process.communicate(timeout=1200)[0].decode()
        assert process.returncode == 0, output
    rows = json.loads(output)["tables"][0]["rows"]
    print("\n".join(f"{row['arm']}: pass@1 {row['pass@1']:.3f}, pass@64 {row.get('pass@64')}" for row in rows))
    return {row["arm"]: row for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "template", "least"),
    [("sample", "countdown-temperature", 0.85), ("perturb", "countdown-sigma", 0.60)],
)
def test_a_full_sweep_peaks_inside_its_range(tmp_path: Path, command: str, template: str, least: float) -> None:
    found = rates(tmp_path, command, template)
    assert 0.10 <= found["greedy"]["pass@1"] <= 0.50
    sweep = [row["pass@64"] for arm, row in found.items() if arm != "greedy"]
    assert max(sweep) >= least
    assert 0 < sweep.index(max(sweep)) < len(sweep) - 1
