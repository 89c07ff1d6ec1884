"""Carrying out what a run owes: generate, write, score, batch by batch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.models.engine import Completion, Decoding, Perturbation
from labkit.record.frames import KEY, read_rollouts, read_scored, read_verdicts
from labkit.record.identity import draw_seed
from labkit.record.rows import Rollout, RowWriter, Verdict, VerdictWriter
from labkit.record.run import Ask, Run
from labkit.rollouts.checks import check_run
from labkit.rollouts.experiment import Experiment
from labkit.rollouts.findings import MOST_ROWS, as_result, as_texts
from labkit.rollouts.grading import verdict_of
from labkit.rollouts.plan import Batch, Done, mark_done, nothing_done, num_owed
from labkit.rollouts.projection import projection
from labkit.stats import pass_at_k_rates, powers_of_two
from labkit.tasks.base import CountedTask, EvaluatedTask, Summary


@dataclass(slots=True)
class Tally:
    """Rollouts and correct ones of every prompt and arm, kept while the run goes on."""

    num_rollouts: dict[str, npt.NDArray[np.int64]]
    """By arm key, (num_prompts,)."""
    num_correct: dict[str, npt.NDArray[np.int64]]
    num_truncated: dict[str, int]
    num_errors: dict[str, int]
    num_prompt_tokens: int = 0
    """Over all arms."""
    num_tokens: int = 0

    @classmethod
    def empty(cls, ask: Ask) -> Tally:
        keys = [arm.key for arm, _ in ask.arms]
        counts = [{key: np.zeros(ask.num_prompts, dtype=np.int64) for key in keys} for _ in range(2)]
        return cls(counts[0], counts[1], dict.fromkeys(keys, 0), dict.fromkeys(keys, 0))

    def add(
        self, arm: str, prompt: int, correct: bool, finish_reason: str, num_prompt_tokens: int, num_tokens: int
    ) -> None:
        self.num_rollouts[arm][prompt] += 1
        self.num_correct[arm][prompt] += correct
        self.num_truncated[arm] += finish_reason == "length"
        self.num_errors[arm] += finish_reason == "error"
        self.num_prompt_tokens += num_prompt_tokens
        self.num_tokens += num_tokens


class Afterwards(Protocol):
    """What is done with a run once all its rollouts are there, before it counts as done."""

    @property
    def names(self) -> Sequence[str]:
        """What is owed until it is done; none where there is nothing to wait for."""
        ...

    @property
    def needs_room(self) -> bool:
        """Whether it needs the memory that the run's model takes."""
        ...

    @property
    def parents(self) -> Sequence[Mapping[str, str]]:
        """The runs that made what it uses."""
        ...

    def __call__(self, run: Run) -> Mapping[str, Any]:
        """Do it; gives what the result says of it, `warnings` among it."""
        ...


class Observer(Protocol):
    """Who watches a run: told of every batch after it is on disk."""

    def started(self, run: Run, ask: Ask, owed: int, tally: Tally) -> None: ...

    def advanced(self, batch: Batch, num_new: int, tally: Tally) -> None: ...

    def foreseen(self, text: str) -> None:
        """After the first batch: that the rest will take long, or more room than there is."""
        ...


@dataclass(slots=True)
class Worker:
    """One attempt at a run."""

    run: Run
    experiment: Experiment
    attempt: int
    observer: Observer
    afterwards: Afterwards | None = None

    def carry_out(self, ask: Ask) -> None:
        """Do every batch of which anything is owed, then write the result."""
        began = time.monotonic()
        position = {prompt: at for at, prompt in enumerate(self.experiment.prompt_ids)}
        self._score_what_has_no_verdict(position)
        done, tally = what_is_there(self.run, ask, position)
        owed = num_owed(done)
        self.observer.started(self.run, ask, owed, tally)
        rows = RowWriter(self.run.rows_dir, self.attempt)
        verdicts = VerdictWriter(self.run.scores_path(self.run.score_hash))
        try:
            batches = self.experiment.owed_batches(ask, done)
            for number, batch in enumerate(batches):
                new, duration_s = self._do(batch, done, rows, verdicts, tally)
                self.observer.advanced(batch, new, tally)
                if number == 0:
                    for text in projection(self.run, batches, new, owed, duration_s):
                        self.observer.foreseen(text)
        finally:
            rows.close()
            verdicts.close()
        self.experiment.engine.perturb(None)
        evaluated = self._evaluated(ask)
        result = summarise(ask, tally) | {
            "timings": self._timings(owed, time.monotonic() - began),
            "tokens": {"prompt": tally.num_prompt_tokens, "generated": tally.num_tokens},
            "warnings": [
                *self.experiment.task.notes,
                *self.experiment.doubts,
                *(evaluated.warnings if evaluated else ()),
            ],
        }
        if ask.num_rollouts <= MOST_ROWS:
            findings = check_run(self.run)
            result["checks"] = as_result(self.run, findings)
            result["warnings"] += as_texts(findings)
        if evaluated is not None:
            result["evaluations"] = list(evaluated.evaluations)
        if isinstance(task := self.experiment.task, CountedTask):
            verdicts_made = read_verdicts(self.run, self.run.score_hash, columns=["correct"]).frame
            result |= task.counts(self.experiment.prompts, verdicts_made)
        self._finish(result, num_owed(done), ask)

    def _finish(self, result: dict[str, Any], owed: int, ask: Ask) -> None:
        """Write the result, and do what comes afterwards. Where that fails, it is owed and the rest of the result stands."""
        todo = list(self.afterwards.names) if self.afterwards else []
        self.run.finish(result | ({"unranked": todo} if todo else {}), owed=owed, num_asked=ask.num_rollouts)
        if self.afterwards is None:
            return
        if self.afterwards.needs_room:
            self.experiment.engine.release()
        more = dict(self.afterwards(self.run))
        self.run.amend(more | {"warnings": [*result["warnings"], *more["warnings"]], "unranked": None})

    def _evaluated(self, ask: Ask) -> Summary | None:
        """The figures of the task's evaluations, where it has such and the run decodes in one way."""
        task = self.experiment.task
        if not isinstance(task, EvaluatedTask) or len(ask.arms) != 1:
            return None
        ((arm, _),) = ask.arms
        verdicts = read_verdicts(self.run, self.run.score_hash, columns=["value", "answer"]).frame
        return task.summarise(self.experiment.prompts, verdicts.filter(pl.col("arm") == arm.key))

    def _timings(self, owed: int, attempt_s: float) -> dict[str, float]:
        """Seconds of this attempt and of all; an attempt that had nothing to do leaves them as they were."""
        before: dict[str, float] = (self.run.result() or {}).get("timings", {})
        if owed == 0 and before:
            return before
        return {"attempt_s": attempt_s, "total_s": before.get("total_s", 0.0) + attempt_s}

    def _do(
        self, batch: Batch, done: Done, rows: RowWriter, verdicts: VerdictWriter, tally: Tally
    ) -> tuple[int, float]:
        """One batch, from the weights to the disk; gives the number of rollouts that were owed, and the seconds it took."""
        began = time.monotonic()
        cells = list(batch.cells)
        completions, seeds = generate_batch(self.experiment, batch)
        each_s = round((time.monotonic() - began) / len(cells), 6)
        new: list[tuple[int, Rollout]] = []
        for (prompt, index), completion, seed in zip(cells, completions, seeds, strict=True):
            if not done[batch.arm.key][prompt, index]:
                new.append((prompt, self._rollout(prompt, batch.arm.key, index, seed, completion, each_s)))
        rows.append(row for _, row in new)
        scored = [(prompt, row, self._verdict(prompt, row)) for prompt, row in new]
        verdicts.append(verdict for _, _, verdict in scored)
        for prompt, row, verdict in scored:
            done[row.arm][prompt, row.index] = True
            tally.add(row.arm, prompt, verdict.correct, row.finish_reason, row.num_prompt_tokens, row.num_tokens)
        return len(new), time.monotonic() - began

    def _rollout(
        self, prompt: int, arm: str, index: int, seed: int | None, done: Completion, duration_s: float
    ) -> Rollout:
        return Rollout(
            prompt=self.experiment.prompt_ids[prompt],
            arm=arm,
            index=index,
            attempt=self.attempt,
            seed=seed,
            text=done.text,
            finish_reason=done.finish_reason,
            num_prompt_tokens=done.num_prompt_tokens,
            num_tokens=done.num_tokens,
            duration_s=duration_s,
            logprob=done.logprob,
            error=done.error,
        )

    def _verdict(self, prompt: int, row: Rollout) -> Verdict:
        return verdict_of(self.experiment.task, self.experiment.prompts[prompt], row)

    def _score_what_has_no_verdict(self, position: dict[str, int]) -> None:
        """A crash can come between a batch's rows and its verdicts: score those rows now."""
        # Verdicts are not synced: what a power cut damaged in their middle is made again, too.
        there = read_verdicts(self.run, self.run.score_hash, columns=[], salvage=True).frame
        missing = read_rollouts(self.run).frame.join(there, on=[*KEY, "attempt"], how="anti")
        if not missing.height:
            return
        writer = VerdictWriter(self.run.scores_path(self.run.score_hash))
        try:
            writer.append(
                self._verdict(position[row["prompt"]], Rollout(**row))
                for row in missing.iter_rows(named=True)
                if row["prompt"] in position
            )
        finally:
            writer.close()


def generate_batch(experiment: Experiment, batch: Batch) -> tuple[list[Completion], Sequence[int | None]]:
    """Completions of a batch's cells, with the seed that each one's diversity came from (None for greedy)."""
    config, engine, arm = experiment.config, experiment.engine, batch.arm
    cells = list(batch.cells)
    prompts = [experiment.encoded[prompt] for prompt, _ in cells]
    decoding = Decoding(
        experiment.max_new_tokens,
        temperature=arm.value if arm.method == "temperature" and arm.value is not None else 0.0,
        top_p=arm.top_p,
        top_k=arm.top_k,
        repetition_penalty=arm.repetition_penalty,
        stop=config.generation.stop,
        logprobs=config.generation.logprobs,
    )
    if arm.method == "perturbation":
        member = draw_seed(config.seed, "member", batch.indices.start)
        engine.perturb(Perturbation(member, arm.value or 0.0))
        return engine.generate(prompts, decoding), [member] * len(cells)
    engine.perturb(None)
    if arm.method == "greedy":
        return engine.generate(prompts, decoding), [None] * len(cells)
    seeds = [draw_seed(config.seed, "rollout", experiment.prompt_ids[prompt], index) for prompt, index in cells]
    return engine.generate(prompts, decoding, seeds), seeds


def already_done(run: Run, ask: Ask, experiment: Experiment) -> Done:
    """Which rollouts of an ask a run has."""
    return what_is_there(run, ask, {prompt: at for at, prompt in enumerate(experiment.prompt_ids)})[0]


def what_is_there(run: Run, ask: Ask, position: dict[str, int]) -> tuple[Done, Tally]:
    """Which rollouts of an ask a run has, and their counts.

    Args:
        position: of each prompt, by id
    """
    done, tally = nothing_done(ask), Tally.empty(ask)
    counted = ("finish_reason", "num_prompt_tokens", "num_tokens")
    frame = read_scored(run, columns=(*counted, "error")).frame.filter(pl.col("prompt").is_in(list(position)))
    for (arm,), rows in frame.group_by("arm"):
        prompts = [position[prompt] for prompt in rows["prompt"]]
        mark_done(done, str(arm), prompts, rows["index"].to_list())
        if arm in tally.num_rollouts:
            columns = (rows[name] for name in counted)
            for prompt, correct, *rest in zip(prompts, rows["correct"].fill_null(False), *columns, strict=True):
                tally.add(str(arm), prompt, correct, *rest)
    return done, tally


def summarise(ask: Ask, tally: Tally) -> dict[str, Any]:
    """The metrics of `result.json`: for every arm its counts, and pass@k with 95 % intervals over prompts."""
    arms = []
    for arm, _ in ask.arms:
        made, correct = tally.num_rollouts[arm.key], tally.num_correct[arm.key]
        rates = pass_at_k_rates(made, correct, powers_of_two(int(made.min()))) if made.min() else {}
        arms.append(
            {
                "key": arm.key,
                "num_prompts": len(made),
                "num_rollouts": int(made.min()),
                "solved": int((correct > 0).sum()),
                "pass_at_k": {str(k): [rate.value, rate.low, rate.high] for k, rate in rates.items()},
                "truncated": tally.num_truncated[arm.key],
                "errors": tally.num_errors[arm.key],
            }
        )
    return {"arms": arms}
