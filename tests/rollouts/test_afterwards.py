"""What comes after the rollouts of a run: with the model's memory free, and owed alone where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sweeps import Watcher, config, rollouts

from labkit.config.commands import SampleConfig
from labkit.errors import MachineError
from labkit.models.engines import Engines
from labkit.models.torch_engine import TorchEngine
from labkit.record.catalog import run_paths
from labkit.record.run import Run, open_run
from labkit.rollouts.experiment import Experiment, prepare
from labkit.rollouts.session import resume, start


class Weighs:
    """Counts the weights that the model has when it is called, and may find that there is too little memory."""

    names: Sequence[str] = ("scales",)
    parents: Sequence[Mapping[str, str]] = ()

    def __init__(self, experiment: Experiment, *, needs_room: bool = True, fits: bool = True) -> None:
        self.experiment, self.needs_room, self.fits = experiment, needs_room, fits
        self.num_weights = -1

    def __call__(self, run: Run) -> Mapping[str, Any]:
        engine = self.experiment.engine
        assert isinstance(engine, TorchEngine) and run.status() == "running"
        self.num_weights = sum(weight.numel() for weight in engine.model.parameters())
        if not self.fits:
            raise MachineError("it does not fit", "use less")
        return {"warnings": ["weighed"], "weighed": True}


def test_the_model_makes_room_and_is_loaded_again_for_the_next_run(tiny_folder: Path, tmp_path: Path) -> None:
    resolved, engines = config(SampleConfig, tiny_folder, tmp_path), Engines()
    runs = []
    for needs_room in (False, True, True):
        experiment = prepare(resolved.config, print, engines=engines)
        weighs = Weighs(experiment, needs_room=needs_room)
        runs.append(start(resolved, experiment, Watcher(), weighs))
        assert (weighs.num_weights == 0) == needs_room
        result = runs[-1].result() or {}
        assert result["weighed"] and "weighed" in result["warnings"] and "unranked" not in result
        assert runs[-1].status() == "done"
    assert rollouts(runs[0]).equals(rollouts(runs[1])) and rollouts(runs[1]).equals(rollouts(runs[2]))


def test_what_does_not_fit_is_owed_and_the_rest_of_the_result_stands(tiny_folder: Path, tmp_path: Path) -> None:
    resolved = config(SampleConfig, tiny_folder, tmp_path)
    experiment = prepare(resolved.config, print)
    with pytest.raises(MachineError, match="does not fit"):
        start(resolved, experiment, Watcher(), Weighs(experiment, fits=False))
    (path,) = run_paths(tmp_path)
    run = open_run(path)
    assert run.status() == "interrupted" and run.owes_only_rankings()
    assert run.way_on == f"labkit sample --rerank {run.path}"
    before = run.result() or {}
    assert before["unranked"] == ["scales"] and before["arms"][0]["num_rollouts"] > 0
    watcher, again = Watcher(), Weighs(experiment)
    resume(run, resolved, print, watcher, afterwards=again)
    assert watcher.owed == 0 and run.status() == "done" and not run.owes_only_rankings()
    assert (run.result() or {})["arms"] == before["arms"]
