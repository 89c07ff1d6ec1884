"""Published Goodhart results as runs: what is kept, what is refused, and that nothing is made up."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from goodhart_runs import Outcomes, published, save_published
from killing import only_run

from labkit.errors import InputError
from labkit.record.compaction import compact
from labkit.record.frames import read_rollouts, read_verdicts
from labkit.record.run import open_run
from labkit.report.overview import report
from labkit.rollouts.importing import import_goodhart

Labkit = Callable[..., subprocess.CompletedProcess[str]]

GOOD: Outcomes = {"sum": "bbd", "product": "kkn", "hour": "bdd"}


def test_a_file_becomes_a_finished_run(tmp_path: Path) -> None:
    path = save_published(tmp_path / "result.json", published(GOOD))
    run, is_new = import_goodhart(path, tmp_path / "runs")
    assert is_new and run.status() == "done" and run.command == "eval"
    assert (run.manifest["name"], run.manifest["seed"]) == ("result", 42)
    assert run.manifest["config"]["model"]["id"] == "org/model"
    assert run.manifest["score"]["scorer"] == "goodhart-published-1"
    assert run.manifest["provenance"]["imported"] == {
        "form": "goodhart-published-1",
        "file": "result.json",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    assert (run.result() or {})["quadrants"] == {"temperature=0.3": {"KD": 3, "KF": 2, "DK": 3, "NN": 1}}


def test_rows_hold_what_the_file_has(tmp_path: Path) -> None:
    run, _ = import_goodhart(save_published(tmp_path / "r.json", published(GOOD)), tmp_path / "runs")
    parts = {line["id"]: line["source"]["part"] for line in run.prompts()}
    rows = read_rollouts(run).frame
    assert rows.height == 2 * 9
    assert set(rows["finish_reason"]) == {"unknown"} and rows["seed"].null_count() == rows.height
    texts = [(parts[row["prompt"]], row["text"]) for row in rows.iter_rows(named=True)]
    assert {text for part, text in texts if part == "explain"} == {""}
    assert sorted(text for part, text in texts if part == "answer") == [""] * 3 + ["7"] * 6
    verdicts = read_verdicts(run, run.score_hash).frame
    lengths = [row["value"] for row in verdicts.iter_rows(named=True) if parts[row["prompt"]] == "explain"]
    assert sorted(set(lengths)) == [100, 110, 120] and set(verdicts["rule"]) == {"published"}
    unanswered = [
        row for row in verdicts.iter_rows(named=True) if parts[row["prompt"]] == "answer" and not row["correct"]
    ]
    assert {row["answer"] for row in unanswered} == {None}


def test_the_report_shows_characters_and_no_tokens(tmp_path: Path) -> None:
    run, _ = import_goodhart(save_published(tmp_path / "r.json", published(GOOD)), tmp_path / "runs")
    before = report([run.id], tmp_path / "runs")
    (row,) = before.tables[0].rows
    assert (row["mean_explanation_characters"], row["mean_explanation_tokens"], row["truncated"]) == (110, None, None)
    assert [row[name] for name in ("KD", "KF", "DK", "NN")] == [3, 2, 3, 1]
    assert any("imported from r.json: verdicts as published" in note for note in before.tables[0].notes)
    compact(run)
    assert report([run.id], tmp_path / "runs") == before


def test_a_single_greedy_run_has_plain_ids(tmp_path: Path) -> None:
    content = published({"sum": "b", "hour_run2": "d"})
    content["config"] |= {"temperature": 0}
    run, _ = import_goodhart(save_published(tmp_path / "r.json", content), tmp_path / "runs")
    assert [arm.key for arm, _ in run.ask().arms] == ["greedy"]
    assert {line["source"]["item"] for line in run.prompts()} == {"sum", "hour_run2"}


def test_the_same_content_is_imported_once(tmp_path: Path) -> None:
    path = save_published(tmp_path / "r.json", published(GOOD))
    (tmp_path / "copy.json").write_bytes(path.read_bytes())
    first, _ = import_goodhart(path, tmp_path / "runs")
    again, is_new = import_goodhart(tmp_path / "copy.json", tmp_path / "runs")
    assert (again.id, is_new) == (first.id, False)
    other = save_published(tmp_path / "o.json", published(GOOD, compressed="folder"))
    assert import_goodhart(other, tmp_path / "runs")[1]
    assert len(list((tmp_path / "runs" / "eval").iterdir())) == 2


def test_an_import_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    path = save_published(tmp_path / "r.json", published(GOOD))
    run, _ = import_goodhart(path, tmp_path / "runs")
    run.result_path.unlink()
    (segment,) = run.rows_dir.glob("*.jsonl")
    segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:5]))
    assert open_run(run.path).status() == "interrupted"
    again, is_new = import_goodhart(path, tmp_path / "runs")
    assert (again.id, is_new, again.status()) == (run.id, True, "done")
    (row,) = report([run.id], tmp_path / "runs").tables[0].rows
    assert [row[name] for name in ("KD", "KF", "DK", "NN")] == [3, 2, 3, 1]


def changed(**changes: Any) -> Any:
    return published(GOOD) | changes


def with_summary(**counts: Any) -> Any:
    content = published(GOOD)
    content["summary"] |= counts
    return content


def with_result(place: int, **values: Any) -> Any:
    content = published(GOOD)
    content["results"][place] |= values
    return content


def without_results(*places: int) -> Any:
    content = published(GOOD)
    content["results"] = [each for at, each in enumerate(content["results"]) if at not in places]
    return content


WRONG: dict[str, tuple[Any, str]] = {
    "list": ([1], "lacks model_id, config, summary, results"),
    "no results": ({key: value for key, value in published(GOOD).items() if key != "results"}, "it lacks results"),
    "empty": (changed(results=[]), "results: needs at least 1"),
    "shape": (with_result(0, understands="yes"), "results[0].understands"),
    "runs": (changed(config={"num_runs": 0, "temperature": 0.3, "seed": 1}), "config.num_runs"),
    "understands": (with_summary(understands=6), "understands is 6 there, and 5 results say so"),
    "executes": (with_summary(executes=5), "executes is 5 there, and 6 results say so"),
    "gaps": (with_summary(gaps=3), "gaps is 3 there, and 2 results say so"),
    "dk": (with_summary(does_but_doesnt_know=2), "does_but_doesnt_know is 2 there, and 3 results say so"),
    "gap rate": (with_summary(gap_rate_conditional=0.41), "gap_rate_conditional is 0.41 there, and the results make it 0.4"),
    "dbdk rate": (with_summary(dbdk_rate=0.51), "dbdk_rate is 0.51 there, and the results make it 0.5"),
    "length": (with_summary(mean_explanation_length=110.2), "mean_explanation_length is 110.2 there, and the results"),
    "total": (with_summary(total=10), "total is 10 there, and 9 results say so"),
    "ids": (with_summary(dbdk_ids=["sum_run0", "hour_run1", "hour_run2"]), "dbdk_ids that are right is 2 there, and 3"),
    "category": (with_summary(by_category={"time": {"pass": 2, "fail": 0, "gap": 0}}), "by_category.time.pass is 2 there"),
    "twice": (with_result(1, id="sum_run0"), "run 0 of sum stands there twice"),
    "missing": (without_results(4), "product is missing from run 1 (1 results are missing)"),
    "misspelled": (with_result(4, id="prodct_run1"), "is missing from run"),
    "beyond": (changed(config={"num_runs": 2, "temperature": 0.3, "seed": 1}), "holds run 2 of sum, but config.num_runs is 2"),
    "gap type": (with_result(0, gap_type="KNOWS_BUT_FAILS"), "its verdicts make it None"),
    "another answer": (with_result(0, correct_answer="8"), "sum has two of correct_answer: '8' and '7'"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "words"), WRONG.values(), ids=list(WRONG))
def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path, content: Any, words: str) -> None:
    path = save_published(tmp_path / "wrong.json", content)
    with pytest.raises(InputError) as caught:
        import_goodhart(path, tmp_path / "runs")
    assert words in caught.value.message and "wrong.json" in caught.value.message and caught.value.hint
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("part", [0.001, 0.3, 0.999])
def test_a_file_that_is_cut_off_is_refused_as_such(tmp_path: Path, part: float) -> None:
    text = json.dumps(published(GOOD))
    (tmp_path / "cut.json").write_text(text[: int(part * len(text))])
    with pytest.raises(InputError, match=r"cut\.json is cut off") as caught:
        import_goodhart(tmp_path / "cut.json", tmp_path / "runs")
    assert caught.value.hint == "get the whole file again"


def test_on_the_command_line(inside: Labkit, tmp_path: Path) -> None:
    save_published(tmp_path / "r.json", published(GOOD))
    done = inside("runs", "import", "r.json", "--as", "goodhart", "--name", "baseline")
    assert done.returncode == 0 and "verdicts as published" in done.stderr, done.stderr
    run = only_run(tmp_path / "runs")
    again = inside("runs", "import", "r.json", "--as", "goodhart")
    assert again.returncode == 0 and "was imported before" in again.stderr and run.id in again.stderr
    renamed = inside("runs", "import", "r.json", "--as", "goodhart", "--name", "other")
    assert "r.json was imported before, as baseline: the name other is not used" in renamed.stderr
    listed = json.loads(inside("runs", "list", "--json").stdout)["tables"][0]["rows"]
    assert [(row["name"], row["status"], row["headline"]) for row in listed] == [
        ("baseline", "done", "DBDK 0.500 (3/6) temperature=0.3")
    ]
    shown = inside("runs", "show", "baseline").stdout
    assert "sha256" in shown and "r.json" in shown and "pass@" not in shown
    resumed = inside("eval", "--resume", "baseline")
    assert (resumed.returncode, resumed.stdout) == (2, "") and "was imported from r.json" in resumed.stderr
    carried = inside("run", run.path / "config.yaml")
    assert carried.returncode == 2 and "Traceback" not in carried.stderr
    for arguments, words in (
        (["missing.json", "--as", "goodhart"], "cannot read missing.json"),
        (["r.json", "--as", "gsm8k"], "goodhart"),
        (["r.json"], "--as"),
    ):
        wrong = inside("runs", "import", *arguments)
        assert (wrong.returncode, wrong.stdout) == (2, "") and words in wrong.stderr and "Traceback" not in wrong.stderr


def test_importing_and_reporting_load_no_model_library(tmp_path: Path) -> None:
    save_published(tmp_path / "r.json", published(GOOD))
    code = (
        "import sys\n"
        "from labkit.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "late = {'torch', 'transformers', 'datasets', 'vllm', 'scipy.stats'} & set(sys.modules)\n"
        "assert not late, late\n"
    )
    for arguments in (["runs", "import", "r.json", "--as", "goodhart"], ["report"], ["runs", "list"]):
        subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=tmp_path, check=True, capture_output=True, timeout=60
        )
