"""Right and wrong solutions of the same questions, from the rollouts of earlier runs.

A question belongs to training or to validation by its own hash: in every run, under every seed, in every wording it is
on the same side, so a training on the runs of another never learns from what the other was measured on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from labkit.config.base import stable_digest
from labkit.config.names import ROLLOUT_COMMANDS
from labkit.config.training import RolloutExamples as RolloutsConfig
from labkit.errors import InputError
from labkit.record.frames import read_scored
from labkit.record.identity import draw_seed
from labkit.record.imported import refuse_imported
from labkit.record.named_runs import NamedRuns, unfinished
from labkit.record.run import Run
from labkit.tasks.base import Prompt
from labkit.tasks.questions import question_id, question_text, solution_text
from labkit.train.dataset import HasVocabulary
from labkit.train.plan import steps_per_epoch


class SolutionPair(NamedTuple):
    """A right solution and a wrong one of the same question."""

    question: str
    right: str
    wrong: str


@dataclass(slots=True)
class Question:
    """A question with the solutions that were found for it, each text once."""

    text: str
    prompt: Prompt
    """One of the prompts that asked it."""
    right: set[str] = field(default_factory=set)
    wrong: set[str] = field(default_factory=set)

    def pairs(self) -> list[SolutionPair]:
        """Every right solution with every wrong one, in an order that depends on nothing but the texts."""
        return [SolutionPair(self.text, right, wrong) for right in sorted(self.right) for wrong in sorted(self.wrong)]


class RolloutExamples:
    """The `TrainingData` of an energy model."""

    cities: str | None = None
    tasks: Sequence[str] = ()

    def __init__(self, config: RolloutsConfig, seed: int, num_held_out: int, runs_dir: Path) -> None:
        """Read the runs.

        Args:
            num_held_out: most questions of the validation side that are measured on

        Raises:
            InputError: the runs are of several tasks, one is not done, or no question that may be learnt from has both a
                right and a wrong solution. RecordError: there is no such run, it is damaged, or was imported.
        """
        runs = _found(config.runs, runs_dir)
        task = _common_task(runs)
        found = _questions(runs, task)
        both = {name: each for name, each in sorted(found.items()) if each.right and each.wrong}
        held_out = {name for name in both if _draw(name) < config.validation_share}
        self.trained = {name: each for name, each in both.items() if name not in held_out}
        self._refuse_no_pairs(config, len(found), len(held_out))
        self.measured = [both[name] for name in sorted(held_out, key=_draw)[:num_held_out]]
        self.held_out: Sequence[Prompt] = [each.prompt for each in self.measured]
        self._pairs = [
            pair for name, each in self.trained.items() for pair in _drawn(each, name, seed, config.pairs_per_question)
        ]
        self.num_rows: int | None = len(self._pairs)
        self.data_name = f"{task} rollouts"
        self.fingerprint = stable_digest(
            [[name, sorted(each.right), sorted(each.wrong)] for name, each in both.items()], digest_size=16
        )
        self._scorers = _scorers(runs)
        self.scorer = ", ".join(self._scorers)
        self.parents: Sequence[Mapping[str, str]] = [
            {"run": run.id, "role": "rollouts", "hash": run.base_hash} for run in runs
        ]
        self._seed = seed
        self._counts = len(both), len(found)
        self._measures = num_held_out > 0
        self._splits = {_split(run.manifest["config"]["task"]) for run in runs}

    def pairs_at(self, step: int, size: int) -> list[SolutionPair]:
        """The pairs of one optimiser step (counted from 0); the last step of an epoch has what is left."""
        epoch, position = divmod(step, steps_per_epoch(len(self._pairs), size))
        rng = np.random.Generator(np.random.PCG64(draw_seed(self._seed, "epoch", epoch)))
        order = rng.permutation(len(self._pairs))[position * size : (position + 1) * size]
        return [self._pairs[at] for at in order]

    def check_vocabulary(self, tokenizer: HasVocabulary) -> None:
        """Texts have no vocabulary of their own."""
        return

    def notes(self, batch_size: int) -> Sequence[str]:
        """How much there is to learn from, and what is doubtful about it."""
        num_both, num_questions = self._counts
        said = [
            f"{num_both:,} of {num_questions:,} questions have both right and wrong solutions: {len(self._pairs):,} pairs of "
            f"{len(self.trained):,} questions to learn from, {num_both - len(self.trained):,} questions held out"
        ]
        if len(self._scorers) > 1:
            named = ", ".join(f"{scorer} ({run})" for scorer, run in self._scorers.items())
            said.append(
                f"the verdicts of these runs are of different scorers: {named}; labkit eval --rescore RUN gives all the same"
            )
        if self._measures and not self.measured:
            said.append("no question is held out: nothing will be measured")
        if "test" in self._splits:
            said.append(
                "some of these rollouts answer questions of a test split: a ranking of them says nothing afterwards, and "
                "is warned about"
            )
        return said

    def _refuse_no_pairs(self, config: RolloutsConfig, num_questions: int, num_held_out: int) -> None:
        if self.trained:
            return
        kept = f", but for {num_held_out} that are held out" if num_held_out else ""
        raise InputError(
            f"none of the {num_questions} questions of {', '.join(config.runs)} has both a right and a wrong solution{kept}",
            "give runs with more questions, more rollouts a question, or a model that is right some of the time",
        )


def _split(task: Mapping[str, Any]) -> str | None:
    """The split that a run asked; None where its problems come from a file of GSM8K's form, which is what it is."""
    return None if task["name"] == "gsm8k" and task.get("data") is not None else task.get("split")


def _found(references: Sequence[str], runs_dir: Path) -> list[Run]:
    """The runs that a config names, each once, and each with rollouts that are all there."""
    named = NamedRuns()
    runs = [named.rollouts(reference, runs_dir) for reference in references]
    for run in runs:
        if run.command not in ROLLOUT_COMMANDS:
            raise InputError(f"{run.id} is a run of labkit {run.command} and has no rollouts", "name evaluations")
        refuse_imported(run)
        if run.status() != "done":
            raise unfinished(run)
    return list({run.path.resolve(): run for run in runs}.values())


def _common_task(runs: Sequence[Run]) -> str:
    tasks = {str(run.manifest["config"]["task"]["name"]): run.id for run in runs}
    if len(tasks) > 1:
        said = ", ".join(f"{name} ({run})" for name, run in sorted(tasks.items()))
        raise InputError(f"the runs are of different tasks: {said}", "an energy model learns one task")
    return next(iter(tasks))


def _scorers(runs: Sequence[Run]) -> dict[str, str]:
    """Who gave the verdicts that are in force, each with the first run of its own."""
    found: dict[str, str] = {}
    for run in runs:
        found.setdefault(str(run.score.get("scorer", "")), run.id)
    return found


def _questions(runs: Sequence[Run], task: str) -> dict[str, Question]:
    """Every question of the runs by its id. What one run calls right and another wrong is left out."""
    found: dict[str, Question] = {}
    for run in runs:
        prompts = {str(line["id"]): Prompt.from_json(line) for line in run.prompts()}
        texts = {name: question_text(task, prompt) for name, prompt in prompts.items()}
        for prompt, text, correct in _solutions(run):
            if prompt in prompts:
                asked = texts[prompt]
                question = found.setdefault(question_id(asked), Question(asked, prompts[prompt]))
                side = question.right if correct else question.wrong
                side.add(solution_text(prompts[prompt], text))
    for question in found.values():
        disputed = question.right & question.wrong
        question.right -= disputed
        question.wrong -= disputed
    return found


def _solutions(run: Run) -> Iterator[tuple[str, str, bool]]:
    """Prompt, text and verdict of every rollout that has a text."""
    frame = read_scored(run, columns=["text", "error"]).frame
    frame = frame.filter(pl.col("error").is_null() & pl.col("correct").is_not_null())
    yield from frame.select("prompt", "text", "correct").iter_rows()


def _draw(name: str) -> float:
    """A stable number in [0, 1) for a question."""
    return draw_seed(0, "validation", name) / 2**63


def _drawn(question: Question, name: str, seed: int, most: int) -> list[SolutionPair]:
    pairs = question.pairs()
    if len(pairs) <= most:
        return pairs
    rng = np.random.Generator(np.random.PCG64(draw_seed(seed, "pairs", name)))
    return [pairs[at] for at in sorted(rng.choice(len(pairs), most, replace=False))]
