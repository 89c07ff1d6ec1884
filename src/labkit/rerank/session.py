"""Ranking a run: every reranker says what it thinks of every rollout, batch by batch onto the disk.

A ranking that was killed goes on with the rollouts that have no line yet; one whose run has grown, with the new ones.
Prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from labkit.errors import RecordError
from labkit.models.pairs import Pair
from labkit.record.rankings import (
    Ranking,
    RankingWriter,
    RolloutScore,
    announce_ranking,
    announced_rankings,
    owed_scores,
    read_rankings,
)
from labkit.record.run import Run
from labkit.rerank.reranker import Judged, Reranker, ranking_hash
from labkit.rollouts.checks.rankings import ranking_findings
from labkit.tasks.base import Prompt
from labkit.tasks.questions import question_id, question_text, solution_text

Advanced = Callable[[str, int, int], None]
"""Told the name of a reranker, how many rollouts it has scored of those that it owed, and how many it owed."""


def rank(
    run: Run, rerankers: Sequence[Reranker], advanced: Advanced = lambda *_: None, *, failed_too: bool = False
) -> dict[str, Any]:
    """Let rerankers score what they have not scored yet of a run whose lock is held.

    Args:
        failed_too: whether rollouts that they gave no score are scored again

    Returns:
        `rankings`, a summary of every ranking that the run has, and `warnings` about them; for the run's result.

    Raises:
        InputError: a reranker cannot score these texts. MachineError: it does not fit, or the disk is full.
        RecordError: a file of the run is damaged.
    """
    if rerankers:
        asked = _Questions(run)
        for reranker in rerankers:
            _rank_by(run, reranker, owed_scores(run, ranking_hash(reranker), failed_too=failed_too), asked, advanced)
    summaries = [_summary(ranking) for ranking in read_rankings(run)]
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

    @property
    def names(self) -> list[str]:
        """What the user calls the rerankers."""
        return [reranker.name for reranker in self.rerankers]

    @property
    def needs_room(self) -> bool:
        """Whether a model is loaded for it."""
        return any(reranker.needs_room for reranker in self.rerankers)

    def __call__(self, run: Run) -> Mapping[str, Any]:
        return rank(run, self.rerankers, self.advanced)


def rank_again(run: Run, rerankers: Sequence[Reranker], advanced: Advanced = lambda *_: None) -> list[str]:
    """Rank a run that owes no rollouts, and add to its result what came of it; gives the warnings about its rankings.

    Rollouts that a reranker gave no score before are scored again: what it failed on may have been mended.

    Raises:
        RecordError: the run is at work, or owes rollouts. InputError, MachineError: as `rank`.
    """
    _refuse_unfinished(run)
    with run.locked("rerank"):
        before = run.result() or {}
        found = rank(run, rerankers, advanced, failed_too=True)
        stale = {line for ranking in before.get("rankings", ()) for line in ranking["warnings"]}
        others = [line for line in before.get("warnings", ()) if line not in stale]
        spoken = {reranker.name for reranker in rerankers}
        unranked = [name for name in before.get("unranked", ()) if name not in spoken]
        run.amend({**found, "warnings": [*others, *found["warnings"]], "unranked": unranked or None})
    return list(found["warnings"])


def num_owed(run: Run, rerankers: Sequence[Reranker]) -> dict[str, int]:
    """How many rollouts each reranker would score now, by its name.

    Raises:
        RecordError: as `rank_again`.
    """
    _refuse_unfinished(run)
    return {each.name: owed_scores(run, ranking_hash(each), failed_too=True).height for each in rerankers}


def _refuse_unfinished(run: Run) -> None:
    if run.status() == "interrupted" and not run.owes_only_rankings():
        raise RecordError(f"{run.path} is not done", run.way_to_end)


class _Questions:
    """The questions of a run's prompts, and what stands before each solution."""

    def __init__(self, run: Run) -> None:
        task = str(run.manifest["config"]["task"]["name"])
        prompts = [Prompt.from_json(line) for line in run.prompts()]
        self.texts = {prompt.id: question_text(task, prompt) for prompt in prompts}
        self.ids = {name: question_id(text) for name, text in self.texts.items()}
        self._prompts = {prompt.id: prompt for prompt in prompts}

    def pair(self, prompt: str, text: str) -> Pair:
        return Pair(self.texts[prompt], solution_text(self._prompts[prompt], text))


def _rank_by(run: Run, reranker: Reranker, owed: pl.DataFrame, asked: _Questions, advanced: Advanced) -> None:
    key = ranking_hash(reranker)
    if owed.height:
        _score(run, reranker, key, owed, asked, advanced)
    # Under another name it would be a second ranking of the same scores, and a test more to correct for.
    known = next((name for name, event in announced_rankings(run).items() if event["hash"] == key), None)
    if owed.height or known is None:
        overlap = sum(each in reranker.trained_questions for each in asked.ids.values())
        about = {**reranker.about, "trained_on": overlap}
        name = known or reranker.name
        announce_ranking(run, name=name, ranking_hash=key, about=about, parents=reranker.parents)


def _score(run: Run, reranker: Reranker, key: str, owed: pl.DataFrame, asked: _Questions, advanced: Advanced) -> None:
    rows = owed.select("prompt", "arm", "index", "attempt").rows()
    texts = zip(owed["prompt"], owed["text"], strict=True)
    candidates = [asked.pair(prompt, text) for prompt, text in texts]
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
    said = (judged.score, judged.error, judged.cut, judged.num_tokens, judged.num_unknown)
    return RolloutScore(prompt, arm, index, attempt, *said)


def _summary(ranking: Ranking) -> dict[str, Any]:
    """Counts of one ranking, for `result.json`."""
    num_null = ranking.frame["score"].null_count()
    counts = {
        "num_scored": ranking.frame.height - num_null,
        "num_without_score": num_null,
        "num_owed": ranking.num_owed,
        "trained_on": ranking.about.get("trained_on", 0),
    }
    warnings = [finding.what for finding in ranking_findings(ranking)]
    return {"name": ranking.name, "hash": ranking.hash, **counts, "warnings": warnings}
