"""Verdicts that replace a run's earlier ones, which stay beside them.

They are in force from the event `rescored` on, which comes last: whatever is cut short before it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from labkit.record.files import iterate_json_lines, json_line, write_atomically
from labkit.record.identity import components_hash
from labkit.record.rows import Verdict, verdict_lines
from labkit.record.run import Run

Golds = Mapping[str, Mapping[str, Any]]
"""By the prompt's id what the scorer compares with."""


def put_in_force(
    run: Run, score: Mapping[str, Any], verdicts: Iterable[Verdict], golds: Golds | None, left_out: int
) -> None:
    """Write verdicts, and say that they are the run's from now on.

    Args:
        score: what they rest on
        verdicts: of every rollout but those of left-out prompts
        golds: of every graded prompt, where they are others than the prompts hold
        left_out: prompts without a gold, which have no verdict
    """
    score_hash = components_hash(score)
    for path in (run.scores_path(score_hash), run.golds_path(score_hash)):
        path.parent.mkdir(exist_ok=True)
    if golds is not None:
        lines = (json_line({"id": name, "gold": dict(gold)}) for name, gold in golds.items())
        write_atomically(run.golds_path(score_hash), b"".join(lines))
    write_atomically(run.scores_path(score_hash), verdict_lines(verdicts))
    run.note("rescored", hash=score_hash, score=dict(score), left_out=left_out)


def graded_prompts(run: Run) -> list[dict[str, Any]]:
    """`Run.prompts` with the golds that the verdicts in force compare with; without prompts that they leave out.

    Raises:
        RecordError: a file is damaged.
    """
    path = run.golds_path(run.score_hash)
    if not path.exists():
        return run.prompts()
    golds = {line["id"]: line["gold"] for line in iterate_json_lines(path)}
    return [prompt | {"gold": golds[prompt["id"]]} for prompt in run.prompts() if prompt["id"] in golds]
