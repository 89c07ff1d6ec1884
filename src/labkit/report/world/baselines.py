"""From evaluations to normalised improvements: which runs are of one model, and which model is its base.

All of it is read from lineages. A model's base is what it was before its last training; both must have been asked the
same questions in the same way. Each figure says by a hash which rows of which data set it is about, so it does not matter
where the data lie, nor whether a run was asked for them at once or grew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from labkit.config.world import ATLANTIS_PREFIX
from labkit.report.naming import config_value, first_few
from labkit.report.world.reading import EvaluatedRun, Evaluation, Training
from labkit.report.world.scores import (
    BASE,
    Measured,
    Mixture,
    Score,
    ScoredModel,
    in_order,
    mixture_of,
    mixture_order,
    seed_order,
)
from labkit.tasks.world.metrics import Mean, Mode, improvement, improvement_with_interval


@dataclass(slots=True)
class Model:
    """One set of weights with every evaluation of it."""

    runs: list[EvaluatedRun]
    """Oldest first."""
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    """By data set, those of one task only; of two runs the newer counts."""
    repeated: set[str] = field(default_factory=set)
    """Data sets that several runs evaluated."""

    @property
    def latest(self) -> EvaluatedRun:
        return self.runs[-1]

    @property
    def last(self) -> Training:
        return self.latest.model

    @property
    def mixture(self) -> Mixture:
        return mixture_of(self.last.tasks, self.last.data) if self.before else Mixture(BASE, ())

    @property
    def before(self) -> tuple[Training, ...]:
        """The lineage of its base; empty for a model before any fine-tuning."""
        return self.latest.lineage[:-1]

    def add(self, run: EvaluatedRun) -> None:
        """Another run of the same weights, newer than those before."""
        self.runs.append(run)
        own = {each.evaluation: each for each in run.evaluations if _is_single(each)}
        self.repeated |= self.evaluations.keys() & own.keys()
        self.evaluations |= own


@dataclass(frozen=True, slots=True)
class MissingBase:
    """A model whose base was not evaluated, or not on all that is needed."""

    model: str
    base: str
    """What to call the base's training."""
    needed: tuple[str, ...]
    """The data sets that it should be asked from."""
    command: str
    """What makes the missing run."""

    @property
    def text(self) -> str:
        return f"{self.model} has no baseline: {self.unmeasured}"

    @property
    def unmeasured(self) -> str:
        return f"{self.base} was not evaluated on {', '.join(self.needed)}, or not on the same rows"


@dataclass(frozen=True, slots=True)
class Experiment:
    """Runs that were asked alike, with the improvements that they give."""

    runs: tuple[EvaluatedRun, ...]
    models: list[ScoredModel]
    """In the order of the registry."""
    counted: list[ScoredModel]
    """Of each mixture and seed one: the newest training, at its last step."""
    missing: list[MissingBase]
    notes: list[str]

    @property
    def settings(self) -> str:
        """What its runs were asked, in words."""
        first = self.runs[0]
        data, split = (config_value(first.run.manifest, f"config.task.{key}") for key in ("data", "split"))
        counts = sorted({each.num_rows for run in self.runs for each in run.evaluations if _is_single(each)})
        rows = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1]))) if counts else "no"
        return f"{data}, split {split}, {rows} rows a set, {first.decoding}"


def experiments(runs: Sequence[EvaluatedRun], mode: Mode) -> list[Experiment]:
    """The experiments among runs, in the order of their first run.

    Args:
        runs: oldest first
    """
    groups: list[_Questions] = []
    for run in runs:
        group = next((group for group in groups if group.fits(run)), None)
        if group is None:
            groups.append(group := _Questions(run.decoding))
        group.add(run)
    return [_experiment(group.runs, mode) for group in groups]


def unfinished_notes(runs: Iterable[EvaluatedRun]) -> list[str]:
    """A sentence for each run that has no figures yet, with the command that goes on."""
    return [f"{run.run.id} has not finished; {run.run.way_to_end}" for run in runs if not run.evaluations]


def missing_notes(found: Iterable[Experiment]) -> list[str]:
    """A sentence for each base that was not evaluated, with the command that does it."""
    by_command: dict[str, list[MissingBase]] = {}
    for each in (each for experiment in found for each in experiment.missing):
        by_command.setdefault(each.command, []).append(each)
    return [
        f"{first.text if len(models) == 1 else f'{len(models)} models have no baseline: {first.unmeasured}'}; make it: {command}"
        for command, models in by_command.items()
        for first in models[:1]
    ]


def with_bases(runs: Sequence[EvaluatedRun], others: Iterable[EvaluatedRun]) -> list[EvaluatedRun]:
    """The runs, and those among `others` that evaluated a base of theirs on the same questions; oldest first."""
    tuned = [run for run in runs if len(run.lineage) > 1]
    known = {run.run.path.resolve() for run in runs}
    found = [
        other
        for other in others
        if other.run.path.resolve() not in known
        and any(run.lineage[-2].is_same(other.model) and _alike(run, other) for run in tuned)
    ]
    return sorted([*runs, *found], key=lambda run: run.run.id)


@dataclass(slots=True)
class _Questions:
    """Runs that were decoded in one way and, where they share an evaluation, asked the same rows of it."""

    decoding: str
    runs: list[EvaluatedRun] = field(default_factory=list)
    asked: dict[tuple[str, str], str] = field(default_factory=dict)
    """By evaluation and task."""

    def fits(self, run: EvaluatedRun) -> bool:
        return run.decoding == self.decoding and all(
            self.asked.get(place, asked) == asked for place, asked in _asked(run).items()
        )

    def add(self, run: EvaluatedRun) -> None:
        self.runs.append(run)
        self.asked |= _asked(run)


def _asked(run: EvaluatedRun) -> dict[tuple[str, str], str]:
    """What improvement is measured by; how many rows of a mixture of tasks were asked is of no account to it."""
    return {(each.evaluation, each.task): each.asked for each in run.evaluations if _is_single(each)}


def _alike(run: EvaluatedRun, other: EvaluatedRun) -> bool:
    group = _Questions(run.decoding)
    group.add(run)
    return group.fits(other)


def _experiment(runs: Sequence[EvaluatedRun], mode: Mode) -> Experiment:
    models = _models(runs)
    seeds = _seeds(models)
    notes = [
        f"{model.latest.model_name}: {len(model.repeated)} evaluations stand in several runs; the newest counts"
        for model in models
        if model.repeated
    ]
    scored: list[tuple[Model, ScoredModel]] = []
    missing = []
    for model in models:
        base = _find(models, model.before[-1]) if model.before else model
        scores, needed = _scores(model, base, mode)
        if scores:
            about = (model.latest.model_name, model.mixture, seeds[id(model)], model.latest.checkpoint)
            scored.append((model, ScoredModel(*about, scores)))
        if needed:
            missing.append(_missing(model, base, needed))
    scored.sort(key=lambda each: (*mixture_order(each[1].mixture), seed_order(each[1].seed)))
    every = [model for _, model in scored]
    counted = _newest(scored)
    taken = {id(about) for about in counted}
    older = [_called(model) for model, about in scored if id(about) not in taken]
    if older:
        some = "1 model has" if len(older) == 1 else f"{len(older)} models have"
        notes.append(f"{some} a newer training or step, which counts instead: {first_few(older)}")
    return Experiment(tuple(runs), every, counted, missing, notes)


def _called(model: Model) -> str:
    """The training and step, which tell a model from its namesakes."""
    step = "" if model.last.step is None else f" at step {model.last.step}"
    return f"{model.last.run or model.latest.model_name}{step}"


def _newest(scored: Sequence[tuple[Model, ScoredModel]]) -> list[ScoredModel]:
    """Of each mixture and seed the model of the newest training, at its last step."""
    newest: dict[tuple[str, str], tuple[Model, ScoredModel]] = {}
    for model, about in scored:
        known = newest.setdefault((about.mixture.name, about.seed), (model, about))
        if _age(model) > _age(known[0]):
            newest[about.mixture.name, about.seed] = (model, about)
    return [about for _, about in newest.values()]


def _age(model: Model) -> tuple[str, int, str]:
    return model.last.run or "", model.last.step or 0, model.latest.run.id


def _models(runs: Iterable[EvaluatedRun]) -> list[Model]:
    models: list[Model] = []
    index: dict[tuple[object, ...], Model] = {}
    for run in runs:
        model = next((index[key] for key in _keys(run.model) if key in index), None)
        if model is None:
            models.append(model := Model([]))
        model.add(run)
        index |= dict.fromkeys(_keys(run.model), model)
    return models


def _keys(training: Training) -> list[tuple[object, ...]]:
    """What tells weights from others: a step of a run, or where there is no run, the fingerprint."""
    by_run: list[tuple[object, ...]] = [(training.run, training.step)] if training.run else []
    return by_run + ([(training.weights,)] if training.weights else [])


def _find(models: Sequence[Model], training: Training) -> Model | None:
    return next((model for model in models if model.last.is_same(training)), None)


def _seeds(models: Sequence[Model]) -> dict[int, str]:
    """What tells models of one mixture apart: the seed, and where bases share it, the base beside it."""
    bases: dict[str, list[Training]] = {}
    for model in models:
        known = bases.setdefault(_seed(model), [])
        if model.before and not any(each.is_same(model.before[-1]) for each in known):
            known.append(model.before[-1])
    labels = {}
    for model in models:
        seed, base = _seed(model), model.before[-1] if model.before else model.last
        others = [each for each in bases[seed] if not each.is_same(base)]
        namesakes = any(each.name == base.name for each in others)
        labels[id(model)] = f"{seed} of {base.run if namesakes else base.name}" if others else seed
    return labels


def _seed(model: Model) -> str:
    return "none" if model.last.seed is None else str(model.last.seed)


def _scores(model: Model, base: Model | None, mode: Mode) -> tuple[dict[str, Score], list[str]]:
    """The scores of a model by task, and the data sets that its base lacks for further ones."""
    tasks = [name.removeprefix(ATLANTIS_PREFIX) for name in model.evaluations if name.startswith(ATLANTIS_PREFIX)]
    scores: dict[str, Score] = {}
    needed: list[str] = []
    for task in in_order(tasks):
        measured = base.evaluations if base else {}
        baselines = {name: measured.get(name) for name in (ATLANTIS_PREFIX + task, task)}
        atlantis, standard = baselines.values()
        if atlantis is not None and standard is not None:
            scores[task] = _score(model.evaluations[ATLANTIS_PREFIX + task], atlantis, standard, base is model, mode)
        elif base is not model:  # a base by itself needs no baseline
            needed += [name for name, found in baselines.items() if found is None]
    return scores, needed


def _score(value: Evaluation, atlantis: Evaluation, standard: Evaluation, is_base: bool, mode: Mode) -> Score:
    v, a, s = (Mean(each.mean, each.std, each.num_rows) for each in (value, atlantis, standard))
    measured = Measured(v, a, s, value.kind)
    if not is_base:
        return Score(improvement_with_interval(v, a, s, value.kind, mode=mode), measured)
    # v and A are one measurement: what is left has no interval.
    return Score(improvement(v.value, a.value, s.value, value.kind, mode=mode), measured)


def _missing(model: Model, base: Model | None, needed: Sequence[str]) -> MissingBase:
    last = model.before[-1]
    data = config_value(model.latest.run.manifest, "config.task.data")
    # By id: `run:NAME` would be the newest training of the name, and bases of several seeds may share one.
    name = f"run:{last.run}" if last.run else str(last.name)
    if base is not None and not base.latest.evaluations:
        run = base.latest.run
        command = run.way_to_end if run.status() == "running" else run.way_on
    else:
        command = " ".join([f"labkit eval world --model {name} --data {data}", *_asked_otherwise(model)])
    return MissingBase(model.latest.model_name, str(last.name or last.run or last.weights), tuple(needed), command)


def _asked_otherwise(model: Model) -> list[str]:
    """The flags that ask a base as the model was asked, where that was not by default."""
    task = config_value(model.latest.run.manifest, "config.task") or {}
    flags = [f"--split {task['split']}"] if task.get("split", "test") != "test" else []
    flags += [f"--offset {task['offset']}"] if task.get("offset") else []
    if task.get("num_prompts") is not None:  # the run may have grown since
        flags.append(f"--num-prompts {max(each.num_rows for each in model.evaluations.values())}")
    temperature = config_value(model.latest.run.manifest, "config.temperature")
    return flags + ([f"--temperature {temperature}"] if temperature else [])


def _is_single(evaluation: Evaluation) -> bool:
    return evaluation.evaluation in (evaluation.task, ATLANTIS_PREFIX + evaluation.task)
