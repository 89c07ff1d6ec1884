"""Why the scores of a run's rankings may be worth nothing."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from labkit.record.rankings import Ranking, owed_scores, read_rankings
from labkit.record.run import Run
from labkit.rollouts.findings import Finding


def rankings_findings(run: Run, *, salvage: bool = False) -> list[Finding]:
    """What speaks against any ranking of a run.

    Raises:
        RecordError: a ranking is damaged, and `salvage` is off.
    """
    every = read_rankings(run, salvage=salvage)
    return [each for ranking in every for each in ranking_findings(ranking, owed_scores(run, ranking.hash).height)]


def ranking_findings(ranking: Ranking, num_owed: int) -> Iterator[Finding]:
    """What speaks against one ranking.

    Args:
        num_owed: rollouts that it has not scored
    """
    name, frame = ranking.name, ranking.frame
    for remark in ranking.about.get("remarks", ()):
        yield Finding("scores", "warning", remark, frame.height)
    if trained := ranking.about.get("trained_on", 0):
        what = (
            f"{name} was TRAINED on {trained:,} of this run's questions: what it chooses among their candidates says "
            "nothing of new ones"
        )
        yield Finding("overlap", "contamination", what, trained)
    if num_owed:
        what = f"{name} has not scored {num_owed:,} rollouts: labkit eval --rerank RUN"
        yield Finding("scores", "warning", what, num_owed)
    if missing := frame["score"].null_count():
        why = frame.filter(pl.col("score").is_null())["error"].drop_nulls().value_counts(sort=True)
        mostly = f", mostly: {why['error'][0]}" if why.height else ""
        what = f"{name} gave {missing:,} of {frame.height:,} rollouts no score{mostly}"
        yield Finding("scores", "warning", what, missing)
    yield from _constant(name, frame)


def _constant(name: str, frame: pl.DataFrame) -> Iterator[Finding]:
    scores = frame["score"].drop_nulls()
    if scores.len() > 1 and scores.n_unique() == 1:
        what = f"{name} gave every rollout the same score, {scores[0]:g}: it tells nothing apart"
        yield Finding("scores", "warning", what, scores.len())
    elif _is_constant_within(frame):
        what = f"{name} gave all candidates of a prompt the same score, for every prompt: it judges questions only"
        yield Finding("scores", "warning", what, scores.len())


def _is_constant_within(frame: pl.DataFrame) -> bool:
    """Whether no prompt with several scores has two that differ, as long as there are such prompts."""
    groups = frame.drop_nulls("score").group_by("prompt", "arm").agg(pl.len(), pl.col("score").n_unique())
    several = groups.filter(pl.col("len") > 1)
    return several.height > 0 and several["score"].max() == 1
