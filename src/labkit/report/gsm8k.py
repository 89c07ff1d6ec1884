"""The table of kind `gsm8k_rules`: one accuracy for each rule by which the same solutions can be graded."""

from __future__ import annotations

from fractions import Fraction

import polars as pl

from labkit.record.frames import read_scored
from labkit.record.run import Run
from labkit.report.table import Cell, Table
from labkit.stats import wilson_mean
from labkit.tasks.gsm8k.extraction import extract_answer
from labkit.tasks.gsm8k.scoring import peer_verdicts

RULES = {
    "labkit": "ranked rules, exact numbers",
    "strict-match": "lm-evaluation-harness: right after `#### `, compared as text",
    "flexible-extract": "lm-evaluation-harness: the last number, compared as text",
}
_SCHEMA = {"prompt": pl.String, **dict.fromkeys(RULES, pl.Float64), "guessed": pl.Float64, "no answer": pl.Float64}


def rules_table(run: Run) -> Table:
    """Mean accuracy of an eval run over GSM8K by each rule, with 95 % intervals over problems.

    Raises:
        RecordError: the record is damaged.
    """
    golds = {line["id"]: Fraction(line["gold"]["answer"]) for line in run.prompts()}
    frame = read_scored(run, columns=["text"]).frame
    graded = [_graded(row["prompt"], row["text"] or "", golds[row["prompt"]]) for row in frame.iter_rows(named=True)]
    verdicts = pl.DataFrame(graded, schema=_SCHEMA, orient="row")
    by_problem = verdicts.group_by("prompt").mean()
    rows: list[dict[str, Cell]] = []
    for rule in RULES:
        values = by_problem[rule].to_numpy()
        low, high = wilson_mean(values, num_trials=float(verdicts.height))
        rows.append({"rule": rule, "accuracy": float(values.mean()), "accuracy_low": low, "accuracy_high": high})
    guessed, missing = (float(verdicts[name].mean() or 0.0) for name in ("guessed", "no answer"))  # type: ignore[arg-type]
    notes = [f"{name}: {meaning}" for name, meaning in RULES.items()]
    notes.append(f"labkit had to guess {guessed:.1%} of the answers (low confidence) and found none in {missing:.1%}")
    columns = ["rule", "accuracy", "accuracy_low", "accuracy_high"]
    return Table("gsm8k_rules", f"gsm8k, {run.id}: {verdicts.height} solutions by each rule", columns, rows, notes)


def _graded(prompt: str, text: str, gold: Fraction) -> tuple[str, bool, bool, bool, bool, bool]:
    found = extract_answer(text)
    strict, flexible = peer_verdicts(text, gold)
    return prompt, found.value == gold, strict, flexible, found.low_confidence, found.value is None
