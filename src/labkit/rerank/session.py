"""Ranking a run: every reranker says what it thinks of every rollout, batch by batch onto the disk.

A ranking that was killed goes on with the rollouts that have no line yet; one whose run has grown, with the new ones.
Prints nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from labkit.errors import RecordError
from labkit.record.files import exclusive_lock
from labkit.record.rankings import (
    Ranking,
    RankingWriter,
    RolloutScore,
    announce_ranking,
    announced_rankings,
    owed_scores,
    read_rankings,
)
from labkit.record.run import Run, now
from labkit.rerank.reranker import Candidate, Judged, Reranker, ranking_hash
from labkit.rollouts.checks.rankings import ranking_findings
from labkit.tasks.base import Prompt
from labkit.tasks.questions import question_id, question_text, solution_text

Advanced = Callable[[str, int, int], None]
"""Told the name of a reranker, how many rollouts it has scored of those that it owed, and how many it owed."""


def rank(run: Run, rerankers: Sequence[Reranker], advanced: Advanced = lambda *_: None) -> dict[str, Any]:
    """Let rerankers score what they have not scored yet of a run whose lock is held.

    Returns:
        `rankings`, a summary of every ranking that the run has, and `warnings` about them; for the run's result.

    Raises:
        InputError: a reranker cannot score these texts. MachineError: it does not fit, or the disk is full.
        RecordError: a file of the run is damaged.
    """
    if rerankers:
        asked = _Questions(run)
        for reranker in rerankers:
            _rank_by(run, reranker, asked, advanced)
    summaries = [_summary(run, ranking) for ranking in read_rankings(run)]
    doubts = [line for summary in summaries for line in summary["warnings"]]
    return {"rankings": summaries, "warnings": doubts} if summaries else {"warnings": []}


@dataclass(frozen=True, slots=True)
class Ranker:
    """Rerankers that are to be asked when a run has all its rollouts."""

    rerankers: Sequence[Reranker]
    advanced: Advanced

    @property
    def parents(self) -> list[Mapping[str, str]]:
        """The runs that made the rerankers."""
        return [parent for reranker in self.rerankers for parent in reranker.parents]

    def __call__(self, run: Run) -> Mapping[str, Any]:
        return rank(run, self.rerankers, self.advanced)


def rank_again(run: Run, rerankers: Sequence[Reranker], advanced: Advanced = lambda *_: None) -> list[str]:
    """Rank a run that is done, and add to its result what came of it; gives the warnings about its rankings.

    Raises:
        RecordError: the run is at work, or is not done. InputError, MachineError: as `rank`.
    """
    if run.status() == "interrupted":
        raise RecordError(f"{run.path} is not done", f"finish it first: labkit {run.command} --resume {run.path}")
    with exclusive_lock(run.lock_path, {"pid": os.getpid(), "start": now(), "doing": "rerank"}):
        before = run.result() or {}
        found = rank(run, rerankers, advanced)
        stale = {line for ranking in before.get("rankings", ()) for line in ranking["warnings"]}
        others = [line for line in before.get("warnings", ()) if line not in stale]
        run.amend({**found, "warnings": [*others, *found["warnings"]]})
    return list(found["warnings"])


class _Questions:
    """The questions of a run's prompts, and what stands before each solution."""

    def __init__(self, run: Run) -> None:
        task = str(run.manifest["config"]["task"]["name"])
        prompts = [Prompt.from_json(line) for line in run.prompts()]
        self.texts = {prompt.id: question_text(task, prompt) for prompt in prompts}
        self.ids = {name: question_id(text) for name, text in self.texts.items()}
        self._prompts = {prompt.id: prompt for prompt in prompts}

    def candidate(self, prompt: str, text: str) -> Candidate:
        return Candidate(self.texts[prompt], solution_text(self._prompts[prompt], text))


def _rank_by(run: Run, reranker: Reranker, asked: _Questions, advanced: Advanced) -> None:
    name, key = reranker.name, ranking_hash(reranker)
    owed = owed_scores(run, key).filter(pl.col("prompt").is_in(list(asked.texts)))
    if owed.height:
        _score(run, reranker, key, owed, asked, advanced)
    known = announced_rankings(run).get(name)
    if owed.height or known is None or known["hash"] != key:
        overlap = sum(each in reranker.trained_questions for each in asked.ids.values())
        about = {**reranker.about, "trained_on": overlap, "remarks": list(reranker.remarks())}
        announce_ranking(run, name=name, ranking_hash=key, about=about)


def _score(run: Run, reranker: Reranker, key: str, owed: pl.DataFrame, asked: _Questions, advanced: Advanced) -> None:
    rows = owed.select("prompt", "arm", "index", "attempt").rows()
    texts = zip(owed["prompt"], owed["text"], strict=True)
    candidates = [asked.candidate(prompt, text) for prompt, text in texts]
    writer = RankingWriter(run, key)
    num_done = 0
    advanced(reranker.name, num_done, len(rows))
    try:
        for batch in reranker.judge(candidates):
            writer.append(_line(rows[each.position], each) for each in batch)
            num_done += len(batch)
            advanced(reranker.name, num_done, len(rows))
    finally:
        writer.close()


def _line(row: Sequence[Any], judged: Judged) -> RolloutScore:
    prompt, arm, index, attempt = row
    return RolloutScore(prompt, arm, index, attempt, judged.score, judged.error)


def _summary(run: Run, ranking: Ranking) -> dict[str, Any]:
    """Counts of one ranking, for `result.json`."""
    num_null = ranking.frame["score"].null_count()
    counts = {
        "num_scored": ranking.frame.height - num_null,
        "num_without_score": num_null,
        "num_owed": owed_scores(run, ranking.hash).height,
        "trained_on": ranking.about.get("trained_on", 0),
    }
    warnings = [finding.what for finding in ranking_findings(ranking, counts["num_owed"])]
    return {"name": ranking.name, "hash": ranking.hash, **counts, "warnings": warnings}
