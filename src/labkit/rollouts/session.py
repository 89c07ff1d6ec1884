"""Starting a run, or going on with one: everything between a config and a worker that has something to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar, cast

from labkit.config.base import Resolved
from labkit.config.commands import EvalConfig
from labkit.config.sections import WorldTask as WorldConfig
from labkit.config.yaml_text import dump
from labkit.errors import RecordError
from labkit.models.engines import Engines
from labkit.models.noise import STREAM
from labkit.record.identity import Arm, describe_difference
from labkit.record.manifest import manifest
from labkit.record.run import Ask, Run, create_run
from labkit.rollouts.experiment import AskedConfig, Experiment, prepare, sweep_arms
from labkit.rollouts.work import Afterwards, Observer, Worker
from labkit.tasks.base import Prompt
from labkit.tasks.world.task import WorldTask

AskedT = TypeVar("AskedT", bound=AskedConfig)


RUN_ORIGIN = "run "
"""What the origin of a value begins with that a resumed run was asked before."""

_SWEEP_KEYS = {
    "temperature", "temperatures", "sigmas", "greedy", "generation.top_p", "generation.top_k", "generation.repetition_penalty",
}  # fmt: skip


def start(
    resolved: Resolved[AskedT], experiment: Experiment, observer: Observer, afterwards: Afterwards | None = None
) -> Run:
    """Make a run for an experiment and carry it out."""
    asked, resolved = resolved.config, _with_evaluations(resolved, experiment)
    run = create_run(
        resolved.config.runs_dir,
        command=resolved.config.command,
        slug=resolved.config.name or _model_name(resolved.config, experiment),
        manifest=_manifest(resolved, experiment, asked, afterwards.parents if afterwards else ()),
        config_yaml=dump(resolved.config.as_json()),
        prompts=(prompt.as_json() for prompt in experiment.prompts),
    )
    with run.working() as attempt:
        Worker(run, experiment, attempt, observer, afterwards).carry_out(experiment.ask)
    return run


def _with_evaluations(resolved: Resolved[AskedT], experiment: Experiment) -> Resolved[AskedT]:
    """The config with the evaluations by name: a data set that is built later must not become part of the run."""
    asked = resolved.config.task
    if not (isinstance(asked, WorldConfig) and isinstance(experiment.task, WorldTask)):
        return resolved
    task = asked.model_copy(update={"evaluations": experiment.task.evaluations})
    return replace(resolved, config=cast(AskedT, resolved.config.model_copy(update={"task": task})))


def resume(
    run: Run,
    resolved: Resolved[AskedT],
    say: Callable[[str], None],
    observer: Observer,
    engines: Engines | None = None,
    afterwards: Afterwards | None = None,
) -> Run:
    """Carry out what a run owes, and what is asked beyond that.

    Args:
        engines: where the model may be loaded already; None loads it anew

    Raises:
        RecordError: the config has another base, scorer, engine or seed than the run; says which keys differ.
    """
    refuse_other_seed(run, resolved.config)
    with run.working() as attempt:
        known = [Prompt.from_json(line) for line in run.prompts()]
        experiment = prepare(resolved.config, say, known, engines)
        refuse_other_base(run, experiment)
        # A known prompt may stand in more evaluations now; its newest line counts.
        moved = [new for new, old in zip(experiment.prompts, known, strict=False) if new.source != old.source]
        if news := [*moved, *experiment.prompts[len(known) :]]:
            run.add_prompts([prompt.as_json() for prompt in news])
        before = run.ask()
        ask = before.joined(wanted(before, resolved, experiment))
        if fewer := _fewer_text(before, resolved):
            say(fewer)
        if ask != before:
            run.note("asked", ask=ask.as_json())
        Worker(run, experiment, attempt, observer, afterwards).carry_out(ask)
    return run


def _fewer_text(before: Ask, resolved: Resolved[AskedT]) -> str | None:
    """What to say where fewer rollouts are asked for now than before, of which none is taken away."""
    now, most = resolved.config.num_rollouts, max((count for _, count in before.arms), default=0)
    if (
        resolved.origins["num_rollouts"].startswith(RUN_ORIGIN)
        or resolved.origins["num_rollouts"] == "default"
        or now >= most
    ):
        return None
    return f"the run was asked for {most} rollouts a prompt before: {now} is fewer, and takes none away"


def wanted(before: Ask, resolved: Resolved[AskedT], experiment: Experiment) -> Ask:
    """What a resumed run is asked for now, beside what it was asked before.

    Values of the sweep that were given now are arms of their own, with the rollouts given now or else the run's most.
    `num_rollouts` alone is for every arm of the run, those that were added later too.
    """
    config = resolved.config
    given = {
        key for key, origin in resolved.origins.items() if origin != "default" and not origin.startswith(RUN_ORIGIN)
    }
    num_prompts = len(experiment.prompts)
    most = max((count for _, count in before.arms), default=1)
    num_rollouts = config.num_rollouts if "num_rollouts" in given else most
    if given & _SWEEP_KEYS:
        arms = sweep_arms(config.model_copy(update={"num_rollouts": num_rollouts}))
        if isinstance(config, EvalConfig):
            _refuse_other_arm(before, arms[0][0])
        return Ask(num_prompts, arms)
    if "num_rollouts" in given:
        arms = tuple((arm, 1 if arm.method == "greedy" else num_rollouts) for arm, _ in before.arms)
        return Ask(num_prompts, arms)
    return Ask(num_prompts, before.arms)


def _refuse_other_arm(before: Ask, arm: Arm) -> None:
    """An evaluation decodes in one way: figures of two would stand under one name."""
    (known, _), *_ = before.arms
    if arm.key != known.key:
        raise RecordError(
            f"the run decodes with {known.key}, not {arm.key}",
            "leave the flag out that changed it, or start a new run without --resume",
        )


def refuse_other_seed(run: Run, config: AskedConfig) -> None:
    """A run has one seed: under another its rollouts would be other draws with the same names."""
    if run.manifest["seed"] != config.seed:
        raise RecordError(
            f"{run.id} has the seed {run.manifest['seed']}, not {config.seed}",
            "leave --seed out, or start a new run; labkit report merges the two",
        )


def refuse_other_base(run: Run, experiment: Experiment) -> None:
    """Refuse to go on with another base, scorer or engine, key by key."""
    pairs: list[tuple[str, Mapping[str, object], Mapping[str, object]]] = [
        ("base", run.manifest["base"], experiment.base),
        ("scorer", run.score, experiment.score),
        ("engine", _engine_identity(run.manifest["engine"]), _engine_identity(_engine(experiment))),
    ]
    for what, recorded, present in pairs:
        if difference := describe_difference(recorded, present):
            hint = "leave the flag out that changed it, or start a new run without --resume"
            if what == "scorer":
                hint = f"score it as it would be now, labkit eval --rescore {run.path}, and resume it then"
            raise RecordError(f"{run.id} rests on another {what} (in the run | now):\n{difference}", hint)


def _manifest(
    resolved: Resolved[AskedT], experiment: Experiment, asked: AskedT, parents: Sequence[Mapping[str, str]]
) -> dict[str, object]:
    first = experiment.encoded[0]
    return manifest(
        resolved,
        base=experiment.base,
        score=experiment.score,
        ask=experiment.ask,
        engine=_engine(experiment),
        first_prompt=(first.text, first.token_ids),
        parents=[*experiment.parents, *parents],
        asked=asked,
        lineage=experiment.lineage,
        checkpoint=experiment.checkpoint,
    )


def _model_name(config: AskedConfig, experiment: Experiment) -> str:
    """What the training is called that the model comes from, else the end of what the user called the model."""
    newest = experiment.lineage[-1]
    trained = newest["name"] if newest["run"] else None
    return trained or config.model.id.rsplit(":")[-1].rsplit("/")[-1]


def _engine(experiment: Experiment) -> dict[str, object]:
    about = {"name": experiment.engine.name, "version": experiment.engine.version, "noise": STREAM.decode()}
    return about | experiment.engine.describe()


def _engine_identity(engine: Mapping[str, object]) -> dict[str, object]:
    return {key: engine.get(key) for key in ("name", "version", "noise")}
