"""`labkit eval --rescore`: verdicts made again without a model, kept beside the old ones, whenever it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eval_worlds import save_city_model, save_world
from goodhart_runs import published, save_published
from killing import only_run
from solved_runs import SCORE, question, solved_run
from tiny_models import save_model

from labkit.record.compaction import compact
from labkit.record.files import read_json, write_json_atomically
from labkit.record.frames import read_scored, read_verdicts
from labkit.record.identity import components_hash
from labkit.record.rescoring import graded_prompts
from labkit.record.run import Run
from labkit.report.explorer.reading import read_explored
from labkit.report.pool import pool, read_part
from labkit.rollouts.checks import check_run
from labkit.rollouts.findings import as_result, as_texts

Labkit = Callable[..., subprocess.CompletedProcess[str]]

TEXTS = [["#### 0", "#### 7", "no idea"], ["#### 1", "so 1", None], ["#### 5", "#### 5", "#### 2"]]


def write_golds(path: Path, golds: dict[int, str]) -> Path:
    lines = [{"question": question(number), "answer": f"It is so.\n#### {gold}"} for number, gold in golds.items()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def row(stdout: str) -> dict[str, Any]:
    (table,) = json.loads(stdout)["tables"]
    assert table["kind"] == "rescored"
    (only,) = table["rows"]
    return dict(only)


def num_correct(run: Run) -> int:
    return int(read_scored(run).frame["correct"].sum())


def test_nothing_changes_where_nothing_is_other(inside: Labkit, tmp_path: Path) -> None:
    run = solved_run(tmp_path / "runs", TEXTS)
    first = inside("eval", "--rescore", "last", "--json")
    assert first.returncode == 0, first.stderr
    assert "nothing has changed" in first.stderr
    found = row(first.stdout)
    assert (found["num_rollouts"], found["now_right"], found["now_wrong"], found["otherwise_changed"]) == (9, 0, 0, 0)
    assert found["before"] == found["after"] == pytest.approx(4 / 9)
    assert run.rescored() is None and len(list((run.path / "scores").iterdir())) == 1


def test_corrected_golds_stand_beside_the_old_verdicts(inside: Labkit, tmp_path: Path) -> None:
    run = solved_run(tmp_path / "runs", TEXTS)
    old = read_verdicts(run, run.score_hash).frame
    corrected = write_golds(tmp_path / "corrected.jsonl", {2: "5", 0: "0", 1: "1"})
    tried = inside("eval", "--rescore", "last", "--data", corrected, "--dry-run", "--json")
    assert "3 of 9 verdicts would be others. Nothing was written." in tried.stderr and run.rescored() is None
    done = inside("eval", "--rescore", "last", "--data", corrected, "--json")
    assert done.returncode == 0, done.stderr
    assert row(done.stdout) == row(tried.stdout)
    assert (row(done.stdout)["now_right"], row(done.stdout)["now_wrong"]) == (2, 1)
    notes = json.loads(done.stdout)["tables"][0]["notes"]
    assert sum("right (hash: '5') now" in note for note in notes) == 2
    assert sum("wrong (hash: '2') now" in note for note in notes) == 1
    assert num_correct(run) == 5
    assert run.score_hash != run.manifest["score_hash"] and run.status() == "done"
    assert read_verdicts(run, run.manifest["score_hash"]).frame.equals(old)
    assert [prompt["gold"]["answer"] for prompt in graded_prompts(run)] == ["0", "1", "5"]
    assert [prompt["gold"]["answer"] for prompt in read_explored([run]).prompts] == ["0", "1", "5"]
    result = run.result()
    assert result is not None and result["arms"][0]["pass_at_k"]["1"][0] == pytest.approx(5 / 9)

    shown = json.loads(inside("report", "last", "--table", "pass_at_k", "--json").stdout)["tables"][0]
    assert shown["rows"][0]["pass@1"] == pytest.approx(5 / 9)
    assert any("was scored again by gsm8k-2 at" in note and run.score_hash in note for note in shown["notes"])

    back = inside("eval", "--rescore", "last", "--json")
    assert back.returncode == 0 and row(back.stdout)["after"] == pytest.approx(4 / 9)
    assert (num_correct(run), run.score_hash) == (4, run.manifest["score_hash"])
    assert [prompt["gold"]["answer"] for prompt in graded_prompts(run)] == ["0", "1", "2"]


def test_questions_without_a_gold_are_left_out_and_counted(inside: Labkit, tmp_path: Path) -> None:
    run = solved_run(tmp_path / "runs", TEXTS)
    done = inside("eval", "--rescore", "last", "--data", write_golds(tmp_path / "g.jsonl", {0: "7", 2: "5"}), "--json")
    assert done.returncode == 0, done.stderr
    assert (row(done.stdout)["num_prompts"], row(done.stdout)["num_rollouts"]) == (2, 6)
    scored = read_scored(run).frame
    assert scored["correct"].null_count() == 3 and num_correct(run) == 3
    shown = json.loads(inside("report", "last", "--table", "pass_at_k", "--json").stdout)["tables"][0]
    assert shown["rows"][0]["num_prompts"] == 2 and shown["rows"][0]["pass@1"] == pytest.approx(0.5)
    assert any("1 prompts have no gold there and are left out" in note for note in shown["notes"])
    strangers = write_golds(tmp_path / "strangers.jsonl", {8: "8"})
    refused = inside("eval", "--rescore", "last", "--data", strangers)
    assert refused.returncode == 2 and "none of the 3 prompts" in refused.stderr


def test_a_compacted_run_is_scored_again_too(inside: Labkit, tmp_path: Path) -> None:
    run = solved_run(tmp_path / "runs", TEXTS)
    compact(run)
    corrected = write_golds(tmp_path / "g.jsonl", {0: "0", 1: "1", 2: "5"})
    assert inside("eval", "--rescore", "last", "--data", corrected).returncode == 0
    assert num_correct(run) == 5
    compact(run)
    assert num_correct(run) == 5 and not list((run.path / "scores").iterdir())
    assert inside("eval", "--rescore", "last").returncode == 0
    assert num_correct(run) == 4


def test_errors_of_questions_without_a_gold_count_neither_way_in_parquet_either(inside: Labkit, tmp_path: Path) -> None:
    run = solved_run(tmp_path / "runs", TEXTS)
    golds = write_golds(tmp_path / "g.jsonl", {0: "7", 2: "5"})
    assert inside("eval", "--rescore", "last", "--data", golds).returncode == 0
    lines = read_part(run)
    compact(run)
    packed = read_part(run)
    assert packed.counts.equals(lines.counts)
    for part in (lines, packed):
        (arm,) = pool([part]).arms
        assert (len(arm.prompts), int(arm.num_correct.sum()), arm.num_errors) == (2, 3, 0)


def test_sides_are_compared_by_the_verdicts_in_force(inside: Labkit, tmp_path: Path) -> None:
    a, b = (solved_run(tmp_path / "runs", TEXTS, seed=seed, slug=f"seed{seed}") for seed in (1, 2))
    golds = write_golds(tmp_path / "g.jsonl", {0: "7", 2: "5"})
    words = ("report", a.id, "--against", b.id, "--intersect", "--table", "comparison", "-k", "1", "--json")
    assert inside("eval", "--rescore", a.id, "--data", golds).returncode == 0
    refused = inside(*words)
    assert refused.returncode == 2 and "the right answers of 2 of 2 prompts" in refused.stderr
    assert inside("eval", "--rescore", b.id, "--data", golds).returncode == 0
    done = inside(*words)
    assert done.returncode == 0, done.stderr
    (table,) = json.loads(done.stdout)["tables"]
    (only,) = table["rows"]
    assert (only["pass_a"], only["pass_b"], only["num_prompts"]) == (pytest.approx(0.5), pytest.approx(0.5), 2)
    assert any(note.startswith(f"B: {b.id} was scored again") for note in table["notes"])


def test_a_damaged_file_of_verdicts_is_made_again(inside: Labkit, tmp_path: Path) -> None:
    run = solved_run(tmp_path / "runs", TEXTS)
    path = run.scores_path(run.score_hash)
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[1][:20] + "\n", *lines[3:]]))
    done = inside("eval", "--rescore", "last")
    assert done.returncode == 0, done.stderr
    assert "2 rollouts had no verdict before" in done.stdout + done.stderr
    assert num_correct(run) == 4
    assert sorted(path.read_text().splitlines()) == sorted(whole.splitlines())


def test_an_older_scorer_is_replaced_and_said(inside: Labkit, tmp_path: Path) -> None:
    run = solved_run(tmp_path / "runs", TEXTS, score=SCORE | {"scorer": "gsm8k-0"})
    done = inside("eval", "--rescore", "last")
    assert done.returncode == 0 and "scorer: gsm8k-0  |  gsm8k-2" in done.stdout + done.stderr
    assert run.score == SCORE and num_correct(run) == 4
    again = inside("eval", "--rescore", "last")
    assert "nothing has changed" in again.stderr


def test_before_and_after_are_of_the_same_rollouts(inside: Labkit, tmp_path: Path) -> None:
    run = solved_run(tmp_path / "runs", TEXTS)
    path = run.scores_path(run.score_hash)
    lines = [line for line in path.read_text().splitlines(keepends=True) if json.loads(line)["index"] > 0]
    path.write_text("".join(lines))  # the first of each prompt has no verdict yet: two of three are right
    found = row(inside("eval", "--rescore", "last", "--json").stdout)
    assert (found["before"], found["after"], found["num_rollouts"]) == (pytest.approx(2 / 6), pytest.approx(2 / 6), 6)
    assert (found["num_new"], found["new"]) == (3, pytest.approx(2 / 3))
    again = row(inside("eval", "--rescore", "last", "--json").stdout)
    assert (again["after"], again["num_new"], again["new"]) == (pytest.approx(4 / 9), 0, None)


def test_findings_of_the_old_rules_go_with_them(inside: Labkit, tmp_path: Path) -> None:
    run = solved_run(tmp_path / "runs", [[f"#### {number}", f"{number} it is. #### {number}"] for number in range(9)])
    path = run.scores_path(run.score_hash)
    older = [json.loads(line) | {"rule": "last_number"} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in older))
    findings = check_run(run)
    run.amend({"checks": as_result(run, findings), "warnings": ["something else", *as_texts(findings)]})
    assert "extraction" in inside("report").stderr + inside("report").stdout
    assert inside("eval", "--rescore", "last").returncode == 0
    result = run.result() or {}
    assert result["warnings"] == ["something else"] and result["checks"]["findings"] == []
    shown = inside("report")
    assert shown.returncode == 0 and "extraction" not in shown.stderr + shown.stdout


KILLED = """
import os, signal, sys
moment = {"verdicts": ("os.rename", "/scores/"), "event": ("open", "/events.jsonl"), "result": ("os.rename", "/result.json")}
kind, part = moment[sys.argv[1]]
def die(event, arguments):
    # Before the file is there, or is written to.
    if event == kind and part in str(arguments[1 if kind == "os.rename" else 0]):
        if kind == "os.rename" or arguments[2] & (os.O_WRONLY | os.O_RDWR):
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(die)
sys.argv[1:] = sys.argv[2:]
from labkit.cli.main import main
main()
"""


@pytest.mark.parametrize("moment", ["verdicts", "event", "result"])
def test_a_kill_leaves_the_old_verdicts_and_the_next_time_completes(
    inside: Labkit, tmp_path: Path, moment: str
) -> None:
    run = solved_run(tmp_path / "runs", TEXTS)
    golds = write_golds(tmp_path / "g.jsonl", {0: "0", 1: "1", 2: "5"})
    command = ["eval", "--rescore", "last", "--data", str(golds)]
    killed = subprocess.run([sys.executable, "-c", KILLED, moment, *command], cwd=tmp_path, env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert num_correct(run) == (5 if moment == "result" else 4)
    assert run.status() == "done"
    done = inside(*command)
    assert done.returncode == 0, done.stderr
    result = run.result()
    assert num_correct(run) == 5 and result is not None
    assert result["arms"][0]["pass_at_k"]["1"][0] == pytest.approx(5 / 9)


def test_a_run_at_work_is_left_alone(inside: Labkit, tmp_path: Path) -> None:
    run = solved_run(tmp_path / "runs", TEXTS)
    with run.working():
        done = inside("eval", "--rescore", "last")
    assert done.returncode == 2 and "another process is working on" in done.stderr


@pytest.mark.parametrize("flags", [["gsm8k"], ["--temperature", "1"], ["--set", "seed=3"], ["--debug"]])
def test_what_would_be_another_run_is_refused(inside: Labkit, tmp_path: Path, flags: list[str]) -> None:
    solved_run(tmp_path / "runs", TEXTS)
    done = inside("eval", *flags, "--rescore", "last")
    assert done.returncode == 2 and "--rescore takes the run as it is" in done.stderr


def test_a_run_scored_again_goes_on_only_under_its_own_golds(inside: Labkit, tiny_folder: Path, tmp_path: Path) -> None:
    write_golds(tmp_path / "g.jsonl", {0: "0", 1: "1"})
    write_golds(tmp_path / "other.jsonl", {0: "7", 1: "1"})
    asked = ["eval", "gsm8k", "--model", tiny_folder, "--device", "cpu", "--data", "g.jsonl", "--preset", "plain",
             "--num-rollouts", "2", "--max-new-tokens", "2"]  # fmt: skip
    assert inside(*asked).returncode == 0
    run = only_run(tmp_path / "runs")
    assert inside("eval", "--rescore", "last", "--data", "other.jsonl").returncode == 0
    refused = inside("eval", "--resume", "last", "--num-rollouts", "3")
    assert refused.returncode == 2 and "rests on another scorer" in refused.stderr
    assert f"labkit eval --rescore {run.path.relative_to(tmp_path)}" in refused.stderr
    assert inside("eval", "--rescore", "last").returncode == 0
    done = inside("eval", "--resume", "last", "--num-rollouts", "3")
    assert done.returncode == 0, done.stderr
    assert read_verdicts(run, run.score_hash).frame.height == 6
    assert inside("eval", "--rescore", "last", "--data", "other.jsonl").returncode == 0
    assert read_verdicts(run, run.score_hash).frame.height == 6


PYTHON_TASK = """
def prompts():
    return [{"prompt": f"{number} + 1 =", "gold": {"answer": str(number + 1)}} for number in range(3)]

def score(prompt, text):
    return len(text) > LEAST
"""


def test_other_tasks_are_scored_again(inside: Labkit, tmp_path: Path) -> None:
    model = ["--model", save_model(tmp_path / "model", context=512), "--device", "cpu", "--max-new-tokens", "3"]
    (tmp_path / "mine.py").write_text(PYTHON_TASK.replace("LEAST", "-1"))
    (tmp_path / "p.jsonl").write_text('{"prompt": "a", "answer": "b"}\n{"prompt": "c", "answer": "d"}\n')
    for task in ("./mine.py", "./p.jsonl", "countdown", "goodhart"):
        more = ["--num-prompts", "2"] if task in ("countdown", "goodhart") else []
        made = inside("eval", task, *model, *more)
        assert made.returncode == 0, made.stderr
        done = inside("eval", "--rescore", "last")
        assert done.returncode == 0, done.stderr
        assert "nothing has changed" in done.stderr
        if task == "./mine.py":
            (tmp_path / "mine.py").write_text(PYTHON_TASK.replace("LEAST", "1000"))
            mended = inside("eval", "--rescore", "last", "--json")
            assert row(mended.stdout)["now_wrong"] == 3


def test_another_mode_of_a_scorer_can_be_asked_for(inside: Labkit, tmp_path: Path) -> None:
    assert inside("eval", "countdown", "--num-prompts", "2", "--max-new-tokens", "3").returncode == 0
    run = only_run(tmp_path / "runs")
    done = inside("eval", "--rescore", "last", "--set", "task.scorer=published")
    assert done.returncode == 0, done.stderr
    assert run.score["scorer"] == "countdown-published-1"
    refused = inside("eval", "--rescore", "last", "--data", "x.json")
    assert refused.returncode == 2 and "the prompts of countdown hold their golds" in refused.stderr


def test_figures_of_a_world_are_worked_out_again(inside: Labkit, tmp_path: Path) -> None:
    save_world(tmp_path / "world", num_rows=8)
    save_city_model(tmp_path / "model")
    made = inside("eval", "world", "--model", "model", "--data", "world", "--device", "cpu")
    assert made.returncode == 0, made.stderr
    run = only_run(tmp_path / "runs")
    result = run.result()
    assert result is not None
    run.result_path.write_text(json.dumps(result | {"evaluations": []}))
    done = inside("eval", "--rescore", "last")
    assert done.returncode == 0, done.stderr
    assert (run.result() or {})["evaluations"] == result["evaluations"] and run.status() == "done"
    manifest = json.loads((run.path / "run.json").read_text())
    older = {"scorer": "world-0", "golds": manifest["score"]["golds"]}
    (run.path / "run.json").write_text(json.dumps(manifest | {"score": older, "score_hash": components_hash(older)}))
    assert inside("eval", "--rescore", "last").returncode == 0
    assert "was scored again by world-1 at" in inside("report", "last", "--markdown").stdout
    (tmp_path / "world").rename(tmp_path / "moved")
    lost = inside("eval", "--rescore", "last")
    assert lost.returncode == 2 and "world" in lost.stderr
    assert inside("eval", "--rescore", "last", "--data", "moved").returncode == 0
    save_world(tmp_path / "world", num_rows=9)
    other = inside("eval", "--rescore", "last")
    assert other.returncode == 2 and "are not those that" in other.stderr


def test_it_imports_no_model_library(inside: Labkit, tmp_path: Path) -> None:
    solved_run(tmp_path / "runs", TEXTS)
    golds = write_golds(tmp_path / "g.jsonl", {0: "0", 1: "1", 2: "5"})
    code = (
        "import sys\nfrom labkit.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "assert not {'torch', 'transformers', 'datasets'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", code, "eval", "--rescore", "last", "--data", str(golds)]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_quadrants_are_counted_again(inside: Labkit, tiny_folder: Path, tmp_path: Path) -> None:
    made = inside("eval", "goodhart", "--model", tiny_folder, "--num-prompts", "2", "--max-new-tokens", "3")
    assert made.returncode == 0, made.stderr
    run = only_run(tmp_path / "runs")
    counted = read_json(run.result_path)
    write_json_atomically(run.result_path, counted | {"quadrants": {}})
    assert inside("eval", "--rescore", "last").returncode == 0
    assert read_json(run.result_path)["quadrants"] == counted["quadrants"] != {}


def test_published_verdicts_cannot_be_made_again(inside: Labkit, tmp_path: Path) -> None:
    save_published(tmp_path / "published.json", published({"sum": "bbd", "product": "kkn"}))
    assert inside("runs", "import", "published.json", "--as", "goodhart").returncode == 0
    (tmp_path / "mine.py").write_text("def score(q, s):\n    return len(s)\n")
    for flags in (["--rescore", "last"], ["--rerank", "last", "--reranker", "mine.py"]):
        refused = inside("eval", *flags)
        assert refused.returncode == 2 and "was imported from published.json" in refused.stderr
