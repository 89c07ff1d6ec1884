"""Why the scores of a run's rankings may be worth nothing."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from labkit.models.coverage import Coverage
from labkit.record.rankings import Ranking, read_rankings
from labkit.record.run import Run
from labkit.rollouts.findings import Finding


def rankings_findings(run: Run, *, salvage: bool = False) -> list[Finding]:
    """What speaks against any ranking of a run.

    Raises:
        RecordError: a ranking is damaged, and `salvage` is off.
    """
    return [each for ranking in read_rankings(run, salvage=salvage) for each in ranking_findings(ranking)]


def ranking_findings(ranking: Ranking) -> Iterator[Finding]:
    """What speaks against one ranking."""
    name, frame = ranking.name, ranking.frame
    yield from _lost_tokens(name, frame)
    if trained := ranking.about.get("trained_on", 0):
        what = (
            f"{name} was TRAINED on {trained:,} of this run's questions: what it chooses among their candidates says "
            "nothing of new ones"
        )
        yield Finding("overlap", "contamination", what, trained)
    if ranking.num_owed:
        what = (
            f"{name} has not scored {ranking.num_owed:,} rollouts and is left out of reports: labkit eval --rerank RUN"
        )
        yield Finding("scores", "warning", what, ranking.num_owed)
    if missing := frame["score"].null_count():
        what = f"{name} gave {missing:,} of {frame.height:,} rollouts no score, mostly: {_usual_error(frame)}"
        yield Finding("scores", "warning", what, missing)
    yield from _constant(name, frame)


def _lost_tokens(name: str, frame: pl.DataFrame) -> Iterator[Finding]:
    """Texts that were too long, and text that the tokenizer does not know; of every line, whichever process wrote it."""
    read = frame.filter(pl.col("num_tokens").is_not_null())
    counts = (int(read[column].sum()) for column in ("cut", "num_tokens", "num_unknown"))
    for remark in Coverage(read.height, *counts).remarks(name):
        yield Finding("scores", "warning", remark, read.height)


def _usual_error(frame: pl.DataFrame) -> str:
    """Why most of the rollouts without a score have none; of two reasons as frequent, the earlier."""
    failed = frame.filter(pl.col("score").is_null())
    return str(failed["error"].fill_null("unknown").mode(maintain_order=True)[0])


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
