"""The table of kind `gsm8k_rules`: one accuracy for each rule by which the same solutions can be graded."""

from __future__ import annotations

from fractions import Fraction

import polars as pl

from labkit.record.rescoring import graded_prompts
from labkit.report.pool import Pool
from labkit.report.prompt_means import mean_by_prompt
from labkit.report.table import Cell, Table
from labkit.tasks.gsm8k.extraction import LOW_CONFIDENCE
from labkit.tasks.gsm8k.scoring import peer_verdicts

RULES = {
    "labkit": "ranked rules, exact numbers",
    "strict-match": "lm-evaluation-harness: right after `#### `, compared as text",
    "flexible-extract": "lm-evaluation-harness: the last number, compared as text",
}
_COLUMNS = ["run", "arm", "rule", "num_prompts", "num_rollouts", "accuracy", "accuracy_low", "accuracy_high"]


def rules_table(pooled: Pool) -> Table:
    """Mean accuracy over GSM8K by each rule, with 95 % intervals over problems.

    labkit's own is that of the verdicts in force; the others are worked out from the texts.

    Args:
        pooled: read with its candidates and texts
    """
    golds = {line["id"]: Fraction(line["gold"]["answer"]) for run in pooled.runs for line in graded_prompts(run)}
    graded = _graded(pooled.rollouts().filter(pl.col("correct").is_not_null()), golds)
    runs = pooled.runs[0].id if len(pooled.runs) == 1 else f"{len(pooled.runs)} runs"
    rows: list[dict[str, Cell]] = []
    notes = [f"{name}: {meaning}" for name, meaning in RULES.items()]
    for arm in (counts.arm.key for counts in pooled.arms):
        of_arm = graded.filter(pl.col("arm") == arm)
        rows += [{"run": runs, "arm": arm, "rule": rule, **_accuracy(of_arm, rule)} for rule in RULES]
        where = f"{arm}: " if len(pooled.arms) > 1 else ""
        guessed, missing = (of_arm.filter(name).height / of_arm.height for name in ("guessed", "missing"))
        notes.append(
            f"{where}labkit had to guess {guessed:.1%} of the answers (low confidence) and found none in {missing:.1%}"
        )
    title = f"gsm8k, {runs}: {graded.height} solutions by each rule"
    return Table("gsm8k_rules", title, _COLUMNS, rows, notes, ["run", "arm", "num_prompts"])


def _graded(frame: pl.DataFrame, golds: dict[str, Fraction]) -> pl.DataFrame:
    """One row a solution: `arm`, `prompt`, a verdict by each rule, whether the answer was `guessed` or is `missing`."""
    peers = [
        peer_verdicts(text or "", golds[prompt]) for prompt, text in zip(frame["prompt"], frame["text"], strict=True)
    ]
    return frame.select(
        "arm",
        "prompt",
        pl.col("correct").alias("labkit"),
        pl.Series("strict-match", [strict for strict, _ in peers], dtype=pl.Boolean),
        pl.Series("flexible-extract", [flexible for _, flexible in peers], dtype=pl.Boolean),
        pl.col("rule").is_in(list(LOW_CONFIDENCE)).alias("guessed"),
        pl.col("answer").is_null().alias("missing"),
    )


def _accuracy(graded: pl.DataFrame, rule: str) -> dict[str, Cell]:
    counts: dict[str, Cell] = {"num_prompts": graded["prompt"].n_unique(), "num_rollouts": graded.height}
    return counts | mean_by_prompt("accuracy", graded, rule)
