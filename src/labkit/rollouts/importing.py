"""Runs from published result files: what the file says, where labkit's own runs keep it, and nothing that it does not say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labkit.config.base import stable_digest
from labkit.config.yaml_text import dump
from labkit.errors import RecordError
from labkit.record.catalog import run_paths
from labkit.record.identity import Arm
from labkit.record.imported import UNKNOWN, imported_from
from labkit.record.manifest import manifest_fields
from labkit.record.provenance import capture
from labkit.record.rows import Rollout, RowWriter, Verdict, VerdictWriter
from labkit.record.run import Ask, Run, create_run, open_run
from labkit.tasks.goodhart.published import FORM, Published, PublishedResult, read_published
from labkit.tasks.goodhart.quadrants import Evaluation, count_quadrants

COMMAND = "eval"
NOTE = "verdicts as published; texts of explanations, tokens and how texts ended are not in the file"
_PARTS = ("explain", "answer")


def import_goodhart(path: Path, runs_dir: Path, name: str | None = None) -> tuple[Run, bool]:
    """Make a finished run of a published Goodhart result; the same content is imported once.

    Args:
        name: what to call the run; None is the name of the file

    Returns:
        The run, and whether it was made now.

    Raises:
        InputError: as `read_published`. RecordError: the runs folder may not be written. MachineError: the disk is full.
    """
    published = read_published(path)
    run = _known_run(published, runs_dir)
    if run is not None and run.status() == "done":
        return run, False
    arm = _arm(published)
    if run is None:
        run = _new_run(published, arm, runs_dir, name or path.stem)
    with run.working() as attempt:  # an import that was cut off is written again, as another attempt
        _write_rows(run, published, arm, attempt)
        result = {"arms": [], "quadrants": {arm.key: _counts(published)}, "warnings": [NOTE]}
        run.finish(result, owed=0, num_asked=run.ask().num_rollouts)
    return run, True


def _known_run(published: Published, runs_dir: Path) -> Run | None:
    for path in run_paths(runs_dir, COMMAND):
        try:
            run = open_run(path)
        except RecordError:  # somebody else's damage is not ours to tell
            continue
        if (imported_from(run) or {}).get("sha256") == published.sha256:
            return run
    return None


def _new_run(published: Published, arm: Arm, runs_dir: Path, name: str) -> Run:
    config = _config(published, name)
    base = {
        "model": published.model_id,
        "compressed": published.compressed,
        "task": "goodhart",
        "data": _digest(published, "category", "correct_answer"),
        "form": FORM,
    }
    score = {"scorer": FORM, "golds": _digest(published, "correct_answer")}
    source = {"form": FORM, "file": published.path.name, "sha256": published.sha256}
    ask = Ask(2 * len(published.items), ((arm, published.config.num_runs),))
    manifest = manifest_fields(
        name=name,
        seed=published.config.seed,
        config=config,
        base=base,
        score=score,
        ask=ask,
        engine={"name": "unknown"},
        provenance=capture() | {"imported": source},
    )
    lines = [_prompt_line(published, item, part) for item in published.items for part in _PARTS]
    text = f"# What {published.path.name} says of the run that it was imported from; no command repeats it.\n{dump(config)}"
    return create_run(runs_dir, command=COMMAND, slug=name, manifest=manifest, config_yaml=text, prompts=lines)


def _config(published: Published, name: str) -> dict[str, Any]:
    """What the file says of how the items were asked, under the names of labkit's own config."""
    return {
        "command": COMMAND,
        "name": name,
        "seed": published.config.seed,
        "model": {"id": published.model_id, "compressed": published.compressed},
        "task": {"name": "goodhart"},
        "temperature": published.config.temperature,
        "num_rollouts": published.config.num_runs,
        "imported": published.path.name,
    }


def _arm(published: Published) -> Arm:
    temperature = published.config.temperature
    return Arm("temperature", temperature) if temperature > 0 else Arm("greedy")


def _digest(published: Published, *fields: str) -> str:
    """Of what is the same of an item in all of its runs."""
    firsts = {item: published.results[item, 0] for item in published.items}
    return stable_digest({item: [getattr(result, field) for field in fields] for item, result in firsts.items()})


def _prompt_id(item: str, part: str) -> str:
    """The wording is not in the file, so the id stands for the item and no prompt of labkit's has it."""
    return stable_digest([FORM, item, part])


def _prompt_line(published: Published, item: str, part: str) -> dict[str, Any]:
    first = published.results[item, 0]
    gold = {"item": item, "part": part} | ({"answer": first.correct_answer} if part == "answer" else {})
    source = {"item": item, "part": part, "category": first.category}
    return {
        "id": _prompt_id(item, part),
        "messages": [],
        "prefill": "",
        "scored_prefix": "",
        "gold": gold,
        "source": source,
    }


def _write_rows(run: Run, published: Published, arm: Arm, attempt: int) -> None:
    rows, verdicts = RowWriter(run.rows_dir, attempt), VerdictWriter(run.scores_path(run.score_hash))
    try:
        rows.append(row for row, _ in _rollouts(published, arm, attempt))
        verdicts.append(verdict for _, verdict in _rollouts(published, arm, attempt))
    finally:
        rows.close()
        verdicts.close()


def _rollouts(published: Published, arm: Arm, attempt: int) -> Iterator[tuple[Rollout, Verdict]]:
    for (item, index), result in published.results.items():
        for part in _PARTS:
            key = (_prompt_id(item, part), arm.key, index, attempt)
            text, correct, length = _of_part(result, part)
            # Seeds of single draws are not in the file, nor how many tokens there were.
            row = Rollout(
                *key, seed=None, text=text, finish_reason=UNKNOWN, num_prompt_tokens=0, num_tokens=0, duration_s=0.0
            )
            yield row, Verdict(*key, correct, float(correct), text or None, "published", length)


def _of_part(result: PublishedResult, part: str) -> tuple[str, bool, float | None]:
    """What is known of a text, its verdict, and the characters of an explanation."""
    if part == "explain":
        return "", result.understands, result.explanation_length
    return result.extracted_answer or "", result.executes_correctly, None


def _counts(published: Published) -> dict[str, int]:
    evaluations = [
        Evaluation(item, result.category, index, result.understands, result.executes_correctly, truncated=False)
        for (item, index), result in published.results.items()
    ]
    return count_quadrants(evaluations)
