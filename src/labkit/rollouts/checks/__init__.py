"""What the rows of a run say against it: rows of another origin, texts that no model wrote, figures that mislead.

A function of the record alone: it loads no model and does not import torch, so a report can do it again at any time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from labkit.record.frames import KEY, read_every_row, read_verdicts
from labkit.record.imported import imported_from
from labkit.record.run import Run
from labkit.rollouts.checks.identity import identity_findings
from labkit.rollouts.checks.style import style_findings
from labkit.rollouts.checks.subject import Subject, question_of, rows_at
from labkit.rollouts.checks.texts import text_findings
from labkit.rollouts.findings import Finding, gravest_first
from labkit.tasks.gsm8k.extraction import LOW_CONFIDENCE

MOST_TRUNCATED = 0.05
"""Share of an arm's rollouts that may end at the token limit before it is a warning."""
MOST_GUESSED = 0.05
"""Share of the answers that may be guessed, where a task has rules that guess."""
GUESSING_RULES: Mapping[str, Collection[str]] = {"gsm8k": LOW_CONFIDENCE, "goodhart": {"last"}}
"""By task the scoring rules that take something for the answer that the text does not mark as one."""

_SPECIAL = re.compile(r"<[^<>\s]{1,32}>")


def check_run(run: Run, *, salvage: bool = False) -> list[Finding]:
    """Everything that the record of a run says against it, the gravest first.

    Raises:
        RecordError: the record is damaged, and `salvage` is off or does not help.
    """
    return check_rows(subject_of(run, salvage=salvage))


def check_rows(subject: Subject) -> list[Finding]:
    """The findings about rows, the gravest first."""
    if not subject.frame.height:
        return list(_missing(subject))
    found = [
        *identity_findings(subject),
        *_missing(subject),
        *_errors(subject),
        *(text_findings(subject) if subject.has_texts else ()),
        *(style_findings(subject) if subject.has_texts else ()),
        *_truncation(subject),
        *_guesses(subject),
    ]
    return gravest_first(found)


def subject_of(run: Run, *, salvage: bool = False) -> Subject:
    """What is to be checked of a run, in the order in which it was written."""
    ask, result = run.ask(), run.result()
    prompts = run.prompts() if ask.arms else []
    frame = read_every_row(run, salvage=salvage).frame
    if run.parquet_path.exists():  # packing sorted its rows: as they are asked for is nearest to how they came
        place = pl.DataFrame({"prompt": [line["id"] for line in prompts], "place": range(len(prompts))})
        joined = frame.join(place, on="prompt", how="left", maintain_order="left")
        frame = joined.sort("attempt", "arm", "index", "place", maintain_order=True).drop("place")
    verdicts = read_verdicts(run, run.score_hash, columns=["correct", "rule"], salvage=salvage).frame
    return Subject(
        frame=frame.join(verdicts.unique([*KEY, "attempt"]), on=[*KEY, "attempt"], how="left", maintain_order="left"),
        ask=ask,
        seed=int(run.manifest["seed"]),
        prompts=prompts[: ask.num_prompts],
        num_attempts=sum(event.get("event") == "start" for event in run.events()),
        has_draws=run.manifest.get("engine", {}).get("name") != "unknown",
        has_texts=imported_from(run) is None,
        is_done=result is not None and result["owed"] == 0 and ask.num_rollouts <= result["num_asked"],
        task=str(run.manifest["config"].get("task", {}).get("name")),
        answer_start=_answer_start(prompts, str(run.manifest.get("first_prompt", {}).get("text", ""))),
    )


def _answer_start(prompts: Sequence[Mapping[str, Any]], rendered: str) -> str:
    """What the template writes between a prompt's last message and what the model adds, without special tokens."""
    last = question_of(prompts[0]).strip() if prompts else ""
    if not last or last not in rendered:
        return ""
    behind = rendered.rpartition(last)[2]
    return _SPECIAL.sub("", behind.removesuffix(prompts[0].get("prefill", "")))


def _truncation(subject: Subject) -> Iterator[Finding]:
    for arm, rows in subject.arms():
        cut = int((rows["finish_reason"] == "length").sum())
        if cut > MOST_TRUNCATED * rows.height:
            what = f"{arm.key}: {cut / rows.height:.0%} of the rollouts end at the token limit; raise --max-new-tokens"
            yield Finding("truncation", "warning", what, cut, rows_at(rows.filter(pl.col("finish_reason") == "length")))


def _guesses(subject: Subject) -> Iterator[Finding]:
    rules = GUESSING_RULES.get(subject.task, ())
    answers = subject.newest.filter(~pl.col("prompt").is_in(_explanations(subject)))
    guessed = answers.filter(pl.col("rule").is_in(list(rules)))
    if guessed.height > MOST_GUESSED * answers.height:
        shares = guessed["rule"].value_counts(sort=True).iter_rows()
        named = ", ".join(f"{rule} {count}" for rule, count in shares)
        what = (
            f"{guessed.height} of {answers.height} answers ({guessed.height / answers.height:.0%}) are guesses, not marked "
            f"as answers ({named})"
        )
        yield Finding("extraction", "warning", what, guessed.height, rows_at(guessed))


def _explanations(subject: Subject) -> list[str]:
    """Prompts that ask for no answer: Goodhart's, which ask for the way to it."""
    return [line["id"] for line in subject.prompts if line.get("gold", {}).get("part") == "explain"]


def _errors(subject: Subject) -> Iterator[Finding]:
    """Rollouts that never came about: they count as wrong in every figure."""
    for arm, rows in subject.arms():
        failed = rows.filter(pl.col("error").is_not_null())
        if failed.height:
            reason = failed["error"].value_counts(sort=True)["error"][0]
            what = f"{arm.key}: {failed.height} of {rows.height} rollouts failed and count as wrong, mostly: {reason}"
            yield Finding("errors", "warning", what, failed.height, rows_at(failed))


def _missing(subject: Subject) -> Iterator[Finding]:
    """Rollouts that were asked for and are not there: lost, where the run was done already."""
    num_prompts = len(subject.prompts)
    for arm, num_rollouts in subject.ask.arms:
        rows = subject.newest.filter((pl.col("arm") == arm.key) & pl.col("index").is_between(0, num_rollouts - 1))
        asked = num_prompts * num_rollouts
        missing = asked - rows.select("prompt", "index").n_unique()
        if missing > 0 and subject.is_done:
            what = (
                f"{arm.key}: {missing} of {asked} rollouts are missing from a finished run, of "
                f"{_num_short(rows, num_prompts, num_rollouts)} of {num_prompts} prompts: were rows removed?"
            )
            yield Finding("missing", "warning", what, missing)


def _num_short(rows: pl.DataFrame, num_prompts: int, num_rollouts: int) -> int:
    """Prompts that lack a rollout."""
    return (
        num_prompts
        - rows.group_by("prompt").agg(pl.col("index").n_unique()).filter(pl.col("index") >= num_rollouts).height
    )
