"""Checks of runs of the model that comes with labkit: prompts that leak, rows that are gone, prompts that do not fit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contaminated_runs import evaluate, read_rows, write_rows
from sweeps import Watcher

from labkit.config.base import Layer, flatten, resolve
from labkit.config.commands import EvalConfig
from labkit.errors import InputError
from labkit.record.compaction import compact
from labkit.record.run import Run, open_run
from labkit.report.listing import runs_table
from labkit.report.overview import report
from labkit.rollouts.checks import check_run
from labkit.rollouts.experiment import prepare
from labkit.rollouts.findings import Finding
from labkit.rollouts.session import resume, start

Row = dict[str, Any]


def save_questions(path: Path, count: int, ending: str = "") -> Path:
    """Word problems that end in a number and a question mark."""
    names = ("Finn", "Dan", "Mia", "Zoe")
    questions = [
        f"{names[at % 4]} has {3 + at} apples and finds {50 - at} more on day {at % 5}. "
        f"How many are there at the end of week {at % 9}?{ending}"
        for at in range(count)
    ]
    lines = [json.dumps({"question": each, "answer": "#### 53"}) + "\n" for each in questions]
    path.write_text("".join(lines))
    return path


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("planted")
    data = save_questions(folder / "w.jsonl", 50)
    shared = {"model__id": "builtin:countdown-tiny", "num_rollouts": 4, "generation__max_new_tokens": 12}
    return {
        "gsm8k": evaluate(
            folder, task__name="gsm8k", task__data=str(data), task__preset="plain", temperature=0.7, **shared
        ),
        "countdown": evaluate(folder, task__name="countdown", task__num_prompts=60, temperature=0.8, **shared),
    }


def changed(run: Run, folder: Path, change: Callable[[list[Row]], list[Row]]) -> Run:
    copy = open_run(Path(shutil.copytree(run.path, folder / "runs" / "eval" / run.id)))
    write_rows(copy, change(read_rows(copy)))
    return copy


def named(findings: list[Finding], check: str) -> list[Finding]:
    return [finding for finding in findings if finding.check == check]


def contents(run: Run) -> dict[str, str]:
    return {line["id"]: line["messages"][-1]["content"] for line in run.prompts()}


@pytest.mark.parametrize("task", ["gsm8k", "countdown"])
@pytest.mark.parametrize("share", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("cut", [-25, 3, 6, 8, 10], ids=str)
def test_the_end_of_a_prompt_is_found_before_answers(
    honest: dict[str, Run], tmp_path: Path, task: str, share: float, cut: int
) -> None:
    prompts, draws = contents(honest[task]), np.random.default_rng(abs(cut))

    def plant(rows: list[Row]) -> list[Row]:
        for row in rows:
            prompt = prompts[row["prompt"]]
            tail = prompt[cut:] if cut < 0 else " ".join(prompt.split()[-cut:])
            if draws.random() < share:
                row["text"] = tail + "\n" + row["text"]
        return rows

    assert not named(check_run(honest[task]), "leaked prompt")
    found = named(check_run(changed(honest[task], tmp_path, plant)), "leaked prompt")
    assert found
    # A whole sentence or the whole prompt may be a model's own restatement; the middle of one is none.
    whole = cut == 10 if task == "gsm8k" else cut != 3
    if not whole:
        assert found[0].severity == "contamination"
    elif task == "countdown":
        assert found[0].severity == "warning"


@pytest.mark.parametrize("task", ["gsm8k", "countdown"])
def test_a_whole_prompt_before_answers_is_a_warning(honest: dict[str, Run], tmp_path: Path, task: str) -> None:
    prompts = contents(honest[task])

    def echo(rows: list[Row]) -> list[Row]:
        for row in rows[::7]:
            row["text"] = prompts[row["prompt"]] + " " + row["text"]
        return rows

    (found,) = named(check_run(changed(honest[task], tmp_path, echo)), "leaked prompt")
    assert (found.severity, "whole prompt" in found.what) == ("warning", True)


@pytest.mark.parametrize("packed", [False, True])
def test_rows_that_are_gone_from_a_finished_run_are_counted(
    honest: dict[str, Run], tmp_path: Path, packed: bool
) -> None:
    run = honest["gsm8k"]
    assert not named(check_run(run), "missing")
    shorter = changed(run, tmp_path, lambda rows: rows[:120])
    if packed:
        compact(shorter)
    (found,) = named(check_run(shorter), "missing")
    arm = run.ask().arms[0][0].key
    assert (found.count, f"{arm}: 80 of 200 rollouts are missing" in found.what) == (80, True)
    lost = {(row["prompt"], row["index"]) for row in read_rows(run)[120:]}
    assert f"of {len({prompt for prompt, _ in lost})} of 50 prompts" in found.what
    notes = [note for table in report([shorter.id], tmp_path / "runs").tables for note in table.notes]
    assert any(f"80 of the 200 rollouts of {arm}" in note for note in notes)
    listed = runs_table(tmp_path / "runs").notes
    assert any("have changed since it was done" in note for note in listed) is not packed  # packing keeps no size


def test_rows_that_a_run_still_owes_are_not_lost(honest: dict[str, Run], tmp_path: Path) -> None:
    run = changed(honest["gsm8k"], tmp_path, lambda rows: rows[:120])
    run.result_path.unlink()
    assert not named(check_run(run), "missing")


def test_prompts_beyond_the_context_are_told_before_decoding(tmp_path: Path) -> None:
    long = save_questions(tmp_path / "long.jsonl", 3, ending=" and more" * 200)
    given = {"model__id": "builtin:countdown-tiny", "task__name": "gsm8k", "task__preset": "plain", "temperature": 0.0}
    with pytest.raises(InputError, match=r"3 of 3 prompts do not fit into the context of .*: the longest has"):
        evaluate(tmp_path, task__data=str(long), **given)
    assert not (tmp_path / "eval").exists()
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text(long.read_text() + save_questions(tmp_path / "short.jsonl", 9).read_text())
    run = evaluate(tmp_path, task__data=str(mixed), generation__max_new_tokens=8, **given)
    (failed,) = named(check_run(run), "errors")
    assert (failed.severity, failed.count) == ("warning", 3)
    warnings = (run.result() or {})["warnings"]
    assert any("3 of 12 prompts do not fit" in text for text in warnings)


def test_data_are_refused_before_the_model_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"typo\.jsonl"):
        evaluate(
            tmp_path, task__name="gsm8k", task__data=str(tmp_path / "typo.jsonl"), model__id=str(tmp_path / "no-model")
        )


def test_asking_for_more_prompts_than_there_are_and_for_fewer_rollouts_is_told(tmp_path: Path) -> None:
    data, said = save_questions(tmp_path / "w.jsonl", 2), list[str]()
    values = {"task.name": "gsm8k", "task.data": str(data), "task.num_prompts": 9, "model.id": "builtin:countdown-tiny"}
    values |= {
        "generation.max_new_tokens": 4,
        "runs_dir": str(tmp_path),
        "num_rollouts": 5,
        "task.preset": "plain",
        "model.device": "cpu",
    }
    resolved = resolve(EvalConfig, [Layer("flag", values)])
    run = start(resolved, prepare(resolved.config, said.append), Watcher())
    assert "9 prompts were asked for, and the data hold 2 after the offset: these are all" in said
    again = [Layer(f"run {run.id}", dict(flatten(run.manifest["config"]))), Layer("flag", {"num_rollouts": 3})]
    resume(run, resolve(EvalConfig, again), said.append, Watcher())
    assert "the run was asked for 5 rollouts a prompt before: 3 is fewer, and takes none away" in said


def test_guesses_are_counted_among_answers(tmp_path: Path) -> None:
    run = evaluate(tmp_path, task__name="goodhart", model__id="builtin:countdown-tiny", generation__max_new_tokens=16)
    found = named(check_run(run), "extraction")
    num_answers = sum(line["gold"]["part"] == "answer" for line in run.prompts()) * run.ask().arms[0][1]
    assert found
    assert f" of {num_answers} answers (" in found[0].what
