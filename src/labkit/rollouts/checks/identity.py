"""Rows that this run cannot have made, by what stands beside their texts: keys, seeds, attempts, token counts."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from labkit.record.frames import KEY
from labkit.record.identity import draw_seed
from labkit.rollouts.checks.subject import Subject, rows_at
from labkit.rollouts.findings import Finding


def identity_findings(subject: Subject) -> Iterator[Finding]:
    """Rows of another run, of no run, or written twice."""
    yield from _never_asked(subject)
    yield from _repeats(subject)
    if subject.has_draws:
        yield from _seeds(subject)
    yield from _prompt_tokens(subject)
    yield from _logprobs(subject)


def _found(check: str, what: str, rows: pl.DataFrame) -> Iterator[Finding]:
    if rows.height:
        yield Finding(check, "contamination", what.format(count=rows.height), rows.height, rows_at(rows))


def _never_asked(subject: Subject) -> Iterator[Finding]:
    prompts = [line["id"] for line in subject.prompts]
    counts = {arm.key: count for arm, count in subject.ask.arms}
    most = pl.col("arm").replace_strict(counts, default=0, return_dtype=pl.Int64)
    outside = ~pl.col("prompt").is_in(prompts) | (pl.col("index") >= most) | (pl.col("index") < 0)
    yield from _found("rows", "{count} rows were never asked for: another run's?", subject.frame.filter(outside))
    later = pl.col("attempt") > subject.num_attempts
    yield from _found("rows", "{count} rows are of an attempt that never began", subject.frame.filter(later))


def _repeats(subject: Subject) -> Iterator[Finding]:
    repeated = subject.frame.filter(~pl.struct(*KEY, "attempt").is_first_distinct())
    yield from _found("repeats", "{count} rows of a rollout that its attempt had made already", repeated)


def _seeds(subject: Subject) -> Iterator[Finding]:
    """Rows whose draw is not the one that this run makes there. A greedy rollout has no draw."""
    members: dict[int, int] = {}
    methods = {arm.key: arm.method for arm, _ in subject.ask.arms}
    expected: list[int | None] = []
    for prompt, arm, index in subject.frame.select(KEY).iter_rows():
        method = methods.get(arm)
        if method == "temperature":
            expected.append(draw_seed(subject.seed, "rollout", prompt, index))
        elif method == "perturbation":
            if index not in members:
                members[index] = draw_seed(subject.seed, "member", index)
            expected.append(members[index])
        else:
            expected.append(None)
    known = pl.col("arm").is_in(list(methods))
    wanted = pl.Series("expected", expected, dtype=pl.Int64)
    strange = subject.frame.with_columns(wanted).filter(known & pl.col("seed").ne_missing(pl.col("expected")))
    yield from _found(
        "seeds", "{count} rows have a seed that this run does not draw: stale, or another run's?", strange
    )


def _prompt_tokens(subject: Subject) -> Iterator[Finding]:
    """Rows whose prompt had another length than in the prompt's other rows: another tokenizer or template."""
    counted = subject.frame.with_columns(
        usual=pl.col("num_prompt_tokens").mode(maintain_order=True).first().over("prompt"),
    )
    strange = counted.filter(pl.col("num_prompt_tokens") != pl.col("usual"))
    what = "{count} rows had another number of prompt tokens than the same prompt's other rows: another tokenizer?"
    yield from _found("prompt tokens", what, strange)


def _logprobs(subject: Subject) -> Iterator[Finding]:
    """Rows without a log-probability beside rows of their attempt that have one; and log-probabilities above 0.

    The engine itself leaves out a sum that is no finite number, so that a row lacks one may be honest.
    """
    made = subject.frame.filter(pl.col("error").is_null() & (pl.col("num_tokens") > 0))
    kept = pl.col("logprob").is_not_null().mean().over("attempt")
    if (lacking := made.filter(pl.col("logprob").is_null() & (kept > 0))).height:
        what = "rows have no log-probability, as the others of their attempt do: it was infinite, or they are another run's"
        yield Finding("logprobs", "warning", f"{lacking.height} {what}", lacking.height, rows_at(lacking))
    yield from _found(
        "logprobs",
        "{count} rows have a log-probability above 0",
        made.filter(pl.col("logprob") > 1e-3 * pl.col("num_tokens")),
    )
