"""An extraction as a run: one file of hidden states for each checkpoint, and what can be read from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from labkit.config.base import Resolved
from labkit.config.commands import ExtractConfig
from labkit.config.yaml_text import dump
from labkit.errors import RecordError
from labkit.extract.analysis import (
    ExtractedCities,
    analyse,
    assign_cities,
    projections_csv,
    warnings_of,
)
from labkit.extract.files import (
    Representations,
    index_path,
    is_whole,
    projections_path,
    read_index,
    read_representations,
    representations_path,
    write_index,
    write_representations,
)
from labkit.extract.hidden_states import TokenIds, encode_prompts, read_hidden_states
from labkit.extract.plan import Plan
from labkit.extract.probes import require_scikit_learn
from labkit.models.engines import Engines
from labkit.models.folder import ModelFolder
from labkit.models.torch_engine import TorchEngine
from labkit.record.files import write_atomically
from labkit.record.identity import describe_difference
from labkit.record.manifest import manifest
from labkit.record.run import Ask, Run, create_run

_FREE_KEYS = ("name", "runs_dir", "batch_size", "cities", "model")
"""Config keys that may change when an extraction is resumed; cities and weights are compared themselves."""


class ExtractionObserver(Protocol):
    """Who watches an extraction."""

    def started(self, run: Run, num_checkpoints: int, num_done: int) -> None: ...

    def extracted(self, checkpoint: str, num_cities: int, duration_s: float) -> None: ...


def start(
    resolved: Resolved[ExtractConfig], plan: Plan, observer: ExtractionObserver, engines: Engines | None = None
) -> Run:
    """Make a run for an extraction and carry it out.

    Args:
        engines: where the model may be loaded already; None loads it anew

    Raises:
        InputError: the model does not read the prompts as the positions need it. MachineError: out of memory, a full
            disk, or scikit-learn is not installed.
    """
    require_scikit_learn()
    config = resolved.config
    engines = engines or Engines()
    engine = engines.load(next(iter(plan.folders.values())), config.model)
    tokens = encode_prompts(engine, plan.prompts, plan.positions)
    run = create_run(
        config.runs_dir,
        command="extract",
        slug=config.name or config.model.id.rsplit(":")[-1].rsplit("/")[-1],
        manifest=_manifest(resolved, plan, engine, tokens),
        config_yaml=dump(config.as_json()),
        prompts=[],
    )
    del engine  # see `_carry_out`
    with run.working():
        run.artifacts_dir.mkdir(exist_ok=True)
        write_index(index_path(run), plan.chosen, plan.selection.is_train)
        _carry_out(run, config, plan, observer, engines)
    return run


def resume(
    run: Run,
    config: ExtractConfig,
    make_plan: Callable[[], Plan],
    observer: ExtractionObserver,
    engines: Engines | None = None,
) -> Run:
    """Go on with the checkpoints that are missing; an extraction that has them all has nothing to do.

    Args:
        make_plan: finds the cities and the checkpoints; asked only where something is to be done
        engines: where the model may be loaded already; None loads it anew

    Raises:
        RecordError: the config, the cities or the weights differ from the run's.
    """
    recorded, present = (_fixed(values) for values in (run.manifest["config"], config.as_json()))
    _refuse_difference(run, "was asked otherwise", recorded, present)
    if is_whole(run):
        return run
    require_scikit_learn()
    with run.working():
        plan = make_plan()
        _refuse_difference(run, "rests on another base", run.manifest["base"], plan.base())
        run.artifacts_dir.mkdir(exist_ok=True)
        write_index(index_path(run), plan.chosen, plan.selection.is_train)
        _carry_out(run, config, plan, observer, engines or Engines())
    return run


def _fixed(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a resumed extraction must be asked as it was; of the model's settings only the number format."""
    kept = {key: value for key, value in config.items() if key not in _FREE_KEYS}
    return kept | {"model.dtype": config["model"]["dtype"]}


def _refuse_difference(run: Run, what: str, recorded: Mapping[str, Any], present: Mapping[str, Any]) -> None:
    if difference := describe_difference(recorded, present):
        raise RecordError(
            f"{run.id} {what} (in the run | now):\n{difference}",
            "put back what changed, or start a new run without --resume",
        )


def _carry_out(run: Run, config: ExtractConfig, plan: Plan, observer: ExtractionObserver, engines: Engines) -> None:
    began = time.monotonic()
    missing = [name for name in plan.folders if not representations_path(run, name).exists()]
    observer.started(run, len(plan.folders), len(plan.folders) - len(missing))
    for name in missing:
        # No name here may hold the engine: the next one is loaded into the room that it leaves.
        seconds = _extract(run, config, plan, name, engines.load(plan.folders[name], config.model))
        observer.extracted(name, len(plan.chosen), seconds)
    cities, is_train = read_index(index_path(run))
    extracted = assign_cities(cities, is_train, config)
    found = []
    for name in plan.folders:
        representations = read_representations(representations_path(run, name), cities, is_train)
        found.append(_analysed(run, config, representations, extracted))
    result = {
        "task": plan.task,
        "prompt_format": plan.prompt_format,
        "positions": {"last_digit": plan.positions[0], "separator": plan.positions[1]},
        "num_cities": len(cities),
        "checkpoints": found,
        "warnings": [*plan.notes, *warnings_of(extracted, 2 * plan.hidden_size)],
        "timings": {"attempt_s": time.monotonic() - began},
    }
    run.finish(result, owed=0, num_asked=0)


def _extract(run: Run, config: ExtractConfig, plan: Plan, name: str, engine: TorchEngine) -> float:
    """Save a checkpoint's hidden states; gives the seconds that it took."""
    began = time.monotonic()
    tokens = encode_prompts(engine, plan.prompts, plan.positions)
    values = read_hidden_states(
        engine, tokens, positions=plan.positions, layers=config.layers, batch_size=config.batch_size
    )
    about = {
        "checkpoint": name,
        "step": _step(plan.folders[name]),
        "layers": list(config.layers),
        "prompt_format": plan.prompt_format,
        "positions": list(plan.positions),
    }
    write_representations(representations_path(run, name), values, about)
    return time.monotonic() - began


def _analysed(
    run: Run, config: ExtractConfig, representations: Representations, extracted: ExtractedCities
) -> dict[str, Any]:
    """The entry of `result.json`; the projections go into their file."""
    path = projections_path(run, representations.checkpoint)
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, projections_csv(representations, extracted, config))
    file = representations_path(run, representations.checkpoint).relative_to(run.path)
    about = {"name": representations.checkpoint, "step": representations.step, "file": str(file)}
    return about | analyse(representations, extracted, config)


def _step(folder: ModelFolder) -> int | None:
    step = folder.lineage()[-1]["step"]
    return None if step is None else int(step)


def _manifest(resolved: Resolved[ExtractConfig], plan: Plan, engine: TorchEngine, tokens: TokenIds) -> dict[str, Any]:
    config, base = resolved.config, plan.base()
    score = {
        "analysis": "linear-probe-1",
        "probe": config.probe.as_json(),
        "pca_components": list(config.pca_components),
    }
    names = list(plan.folders)
    return manifest(
        resolved,
        base=base,
        score=score,
        ask=Ask(0, ()),
        engine={"name": engine.name, "version": engine.version, **engine.describe()},
        first_prompt=(plan.prompts[0], tokens[0].tolist()),
        parents=plan.folders[names[-1]].parents(),
        lineage=plan.lineage,
        checkpoint=names[0] if len(names) == 1 else None,
    )
