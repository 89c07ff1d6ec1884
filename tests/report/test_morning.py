import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from recorded_runs import GREEDY, NOISY, WARM, record_run, record_training

from labkit.record.files import exclusive_lock
from labkit.record.identity import Arm
from labkit.report.morning import NUM_LISTED, look
from labkit.report.morning_page import LEAST_LINES, MOST_LINES, page
from labkit.report.overview import report
from labkit.report.screen_lines import duration_text, when_text


def text_of(morning, width=120, height=40):
    return [line.plain for line in page(morning, width, height)]


def stop(run, *, reason=None, message=""):
    """What an attempt leaves that ended early; none at all where it was killed."""
    run.note("start", attempt=1, pid=1)
    if reason:
        run.note("stopped", attempt=1, reason=reason, message=message)


def test_every_run_is_counted_and_the_newest_stand_first(tmp_path):
    first = record_run(tmp_path, {GREEDY: ["+"]}, result={"arms": [], "timings": {"total_s": 125.0}})
    second = record_training(tmp_path, metrics=[{"step": 5, "loss": 1.25}])
    morning = look(tmp_path)
    assert morning.counts == {"done": 2}
    assert [row["run"] for row in morning.newest] == [second.id[-6:], first.id[-6:]]
    assert [row["took_s"] for row in morning.newest] == [None, 125.0]
    lines = text_of(morning)
    assert lines[0].startswith("2 runs  2 done  ")
    (line,) = [line for line in lines if first.id[-6:] in line and "sample" in line]
    assert "2 min" in line
    (line,) = [line for line in lines if second.id[-6:] in line and "train" in line]
    assert "loss 1.25" in line


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (None, "killed, or the machine stopped"),
        ("KeyboardInterrupt", "interrupted by Ctrl-C"),
        ("Terminated", "it was told to end"),
        ("MachineError", "MachineError: out of memory"),
    ],
)
def test_what_stopped_says_why_and_what_goes_on_with_it(tmp_path, reason, words):
    run = record_run(tmp_path, {WARM: ["+-..", "...."]}, done=False)
    stop(run, reason=reason, message="out of\nmemory" if reason == "MachineError" else "")
    (found,) = look(tmp_path).stopped
    assert (found.why, found.done, found.asked) == (words, 2, 8)
    assert found.resume == f"labkit sample --resume {run.id[-6:]}"
    assert look(tmp_path, given_dir=True).stopped[0].resume == f"{found.resume} --runs-dir {tmp_path}"


def test_a_run_that_owes_only_rankings_is_ranked(tmp_path):
    result = {"arms": [], "unranked": ["verifier"]}
    run = record_run(tmp_path, {GREEDY: ["+"]}, command="eval", result=result)
    (found,) = look(tmp_path).stopped
    assert found.resume == f"labkit eval --rerank {run.id[-6:]}"
    assert pool_note(run) == f"resume with labkit eval --rerank {run.path}"


def pool_note(run):
    (table,) = report([], run.path.parents[1], kinds=["pass_at_k"]).tables
    (note,) = [note for note in table.notes if "resume with" in note]
    return note.partition("; ")[2]


def test_a_run_of_which_a_part_is_damaged_stands_among_the_damaged_alone(tmp_path):
    run = record_run(tmp_path, {WARM: ["+-.."]}, done=False)
    run.note("start", attempt=1, pid=1)
    lines = run.events_path.read_text().replace('"time"', '"moment"')
    run.events_path.write_text(lines)
    with exclusive_lock(run.lock_path, {"pid": 1}):
        morning = look(tmp_path)
    assert (morning.newest, morning.at_work, morning.counts) == ([], [], {"damaged": 1})


@pytest.mark.parametrize("read", ["failed_items", "run_paths", "headless_paths"])
def test_a_folder_that_cannot_be_read_is_told_of(tmp_path, monkeypatch, read):
    def failing(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    record_run(tmp_path, {GREEDY: ["+"]})
    monkeypatch.setattr(f"labkit.report.morning.{read}", failing)  # the administrator may read every folder
    assert look(tmp_path).damaged == [f"{tmp_path} cannot be read: [Errno 13] Permission denied: '{tmp_path}'"]


def test_a_command_is_whole_however_narrow_the_terminal(tmp_path):
    run = record_run(tmp_path, {WARM: ["+-.."]}, done=False, name="a very long name " * 9)
    stop(run)
    assert any(f"labkit sample --resume {run.id[-6:]}  a very" in line for line in text_of(look(tmp_path), 60, 24))


def test_a_command_with_a_long_folder_is_whole_too(tmp_path):
    folder = tmp_path / ("long" * 20)
    run = record_run(folder, {WARM: ["+-.."]}, done=False, name="nightly")
    stop(run)
    lines = text_of(look(folder, given_dir=True), 60, 24)
    assert any(f"labkit sample --resume {run.id[-6:]} --runs-dir {folder}" in line for line in lines)
    assert [line for line in lines if len(line) > 60 and "--resume" not in line] == []


def test_a_tail_that_is_not_unique_is_not_used(tmp_path):
    run = record_run(tmp_path, {GREEDY: ["+"]})
    other = record_run(tmp_path, {GREEDY: ["+"]}, slug=f"copy of {run.id[-6:]}")
    assert [row["run"] for row in look(tmp_path).newest] == [other.id[-6:], run.id]


def test_a_run_at_work_says_how_fast_and_until_when(tmp_path):
    run = record_run(tmp_path, {WARM: ["+-+-....", "++++...."]}, done=False)
    run.note("start", attempt=1, pid=1)
    began = datetime.fromisoformat(run.events()[-1]["time"])
    with exclusive_lock(run.lock_path, {"pid": 1}):
        (at_work,) = look(tmp_path, now=began + timedelta(seconds=4)).at_work
        assert (at_work.done, at_work.asked, at_work.rate, at_work.left_s) == (8, 16, 2.0, 4.0)
        assert any(
            "8 of 16 (50%), 4 s left, until" in line
            for line in text_of(look(tmp_path, now=began + timedelta(seconds=4)))
        )
        later = look(tmp_path, now=began + timedelta(hours=2))
        assert any("nothing written for 2 h 00" in line and "left" not in line for line in text_of(later))
    assert look(tmp_path).at_work == []


def test_the_rate_is_that_of_the_attempt(tmp_path):
    from recorded_runs import write_rows

    run = record_run(tmp_path, {WARM: ["+-+-........"]}, done=False)
    stop(run)
    run.note("start", attempt=2, pid=1)
    write_rows(run, {WARM: ["....++......"]}, attempt=2)
    began = datetime.fromisoformat(run.events()[-1]["time"])
    with exclusive_lock(run.lock_path, {"pid": 1}):
        (at_work,) = look(tmp_path, now=began + timedelta(seconds=1)).at_work
    assert (at_work.done, at_work.rate, at_work.left_s) == (6, 2.0, 3.0)


def test_damaged_runs_are_lines_and_the_rest_is_shown(tmp_path):
    good = record_run(tmp_path, {GREEDY: ["+"]})
    damages = {"run.json": "{", "events.jsonl": "garbage\n{}\n", "rows.parquet": "no parquet"}
    broken = []
    for name, content in damages.items():
        run = record_run(tmp_path, {GREEDY: ["+"]}, done=name != "events.jsonl")
        (run.path / name).write_text(content)
        broken.append(run.id[-6:])
    newer = record_run(tmp_path, {GREEDY: ["+"]})
    manifest = json.loads((newer.path / "run.json").read_text())
    (newer.path / "run.json").write_text(json.dumps(manifest | {"schema": 99}))
    morning = look(tmp_path)
    assert morning.counts == {"done": 2, "damaged": 3}
    text = "\n".join(morning.damaged)
    assert broken[0] in text and newer.id[-6:] in text and "schema 99" in text
    (shown,) = morning.tables
    assert shown.table is not None and [row["run"] for row in shown.table.rows] == [good.id]
    assert len(text_of(morning)) <= MOST_LINES - 1


def test_warnings_of_runs_are_shown_once_a_run(tmp_path):
    run = record_run(tmp_path, {GREEDY: ["+"]}, result={"arms": [], "warnings": ["few\nprompts", "other"]})
    assert look(tmp_path).warnings == [f"{run.id[-6:]} (and 1 more): few prompts"]
    assert any("few prompts" in line for line in text_of(look(tmp_path)))


def test_the_newest_table_is_that_of_the_report(tmp_path):
    record_run(tmp_path, {GREEDY: ["-"]}, base={"model": "old"})
    record_run(tmp_path, {GREEDY: ["+", "-"]})
    record_run(tmp_path, {WARM: ["+-+-", "--+-"]}, command="perturb")
    (shown,) = look(tmp_path).tables
    tables = report([], tmp_path, kinds=["pass_at_k"]).tables
    assert shown.table is not None
    assert sorted(table.rows == shown.table.rows for table in tables) == [False, True]
    assert len(shown.table.rows) == 2
    assert shown.command == "labkit report --table pass_at_k"


def test_a_large_run_is_shown_by_what_it_wrote_down(tmp_path, monkeypatch):
    monkeypatch.setattr("labkit.report.newest_tables.MOST_ROLLOUTS", 3)
    arms = [{"key": "temperature=0.4", "pass_at_k": {"1": [0.25, 0.1, 0.5], "4": [0.75, 0.5, 0.9]}}]
    record_run(tmp_path, {WARM: ["+-+-"]}, result={"arms": arms})
    (shown,) = look(tmp_path).tables
    assert shown.table is not None
    assert [row["pass@4"] for row in shown.table.rows] == [0.75]
    record_run(tmp_path, {GREEDY: ["+"]}, result={"arms": []})  # small, and of the same base
    (shown,) = look(tmp_path).tables
    assert shown.table is not None
    assert ([row["arm"] for row in shown.table.rows], shown.left_out) == (["greedy"], "without 1 of 2 runs")
    text = "\n".join(line.plain for line in page(look(tmp_path), 80, 24))
    assert "without 1 of 2 runs, labkit report --table pass_at_k" in text


def test_many_small_runs_stand_in_one_table(tmp_path, monkeypatch):
    monkeypatch.setattr("labkit.report.newest_tables.MOST_ROLLOUTS", 4)
    for arm in (WARM, NOISY, Arm("temperature", 1.0)):
        record_run(tmp_path, {arm: ["+-+-"]})
    (shown,) = look(tmp_path).tables
    assert shown.table is not None
    assert (len(shown.table.rows), shown.left_out) == (3, "")


@pytest.mark.parametrize("height", [10, 24, 31, 40, 100])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_page_fits_whatever_there_is(tmp_path, width, height):
    for number in range(14):
        run = record_run(tmp_path, {WARM: ["+-"] * 2}, slug=f"run {number}", done=number % 2 == 0)
        stop(run)
    for _ in range(3):
        broken = record_run(tmp_path, {GREEDY: ["+"]}, slug="日本語 broken")
        (broken.path / "run.json").write_text("{")
    record_training(tmp_path, metrics=[{"step": 5, "loss": 1.25}])
    lines = page(look(tmp_path), width, height)
    assert LEAST_LINES - 6 <= len(lines) <= min(max(height, LEAST_LINES), MOST_LINES) - 1
    assert max(line.cell_len for line in lines) <= width
    starts = [line.plain.split()[0].strip(":") for line in lines if line.plain]
    assert [word for word in starts if word in ("interrupted", "damaged", "when", "pass@k,", "training")] == [
        "interrupted", "damaged", "when", *sorted(("pass@k,", "training"), reverse=True),
    ]  # fmt: skip
    assert height > LEAST_LINES or any(" more" in line.plain for line in lines)


def test_names_cannot_move_the_cursor(tmp_path):
    run = record_run(tmp_path, {WARM: ["+."]}, done=False, name="a\x1b[2Jb\u202ec\nd")
    stop(run, reason="Error", message="\x1b]0;title\x07")
    assert not set("\n".join(text_of(look(tmp_path)))) & set("\x1b\u202e\x07")


def test_only_so_many_unfinished_runs_are_told_of(tmp_path):
    for _ in range(NUM_LISTED + 3):
        record_run(tmp_path, {GREEDY: ["."]}, done=False)
    morning = look(tmp_path)
    assert (morning.counts["interrupted"], len(morning.stopped)) == (NUM_LISTED + 3, NUM_LISTED)


def test_items_that_never_became_runs_are_told_of_until_one_does(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    head = "--- 2026-01-01T00:00:00.000Z labkit run cfg/a.yaml\n"
    endings = {
        "0" * 16: head + "loading\nthere is no ./nowhere\n→ give a model\n",
        "1" * 16: head + "there was an error\n→ mend it\n" + head + "loading\nmodel loaded\n",
        "3" * 16: head + "loading\n" * 9000 + "it is too long\n→ shorten it\n",
        "2" * 16: head + "Traceback (most recent call last):\n  File x\nKeyError: 'a'\n",
    }
    for number, (digest, text) in enumerate(endings.items()):
        path = logs / f"eval-a-{digest}.log"
        path.write_text(text)
        os.utime(path, (number, number))
    found = look(tmp_path).failed
    assert [(item.item, item.why) for item in found] == [
        ("cfg/a.yaml", "KeyError: 'a'"),
        ("cfg/a.yaml", "it is too long"),
        ("cfg/a.yaml", "there is no ./nowhere"),
    ]
    assert any("labkit run cfg/a.yaml  KeyError: 'a'" in line for line in text_of(look(tmp_path)))
    record_run(tmp_path, {GREEDY: ["+"]}, command="eval", config_digest="2" * 16)
    record_run(tmp_path, {GREEDY: ["+"]}, command="eval", config_digest="3" * 16)
    assert [item.why for item in look(tmp_path).failed] == ["there is no ./nowhere"]


def test_an_empty_or_absent_folder_is_no_error(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        morning = look(folder)
        assert (morning.counts, morning.tables, morning.failed) == ({}, [], [])
        assert text_of(morning)[0].startswith("0 runs  ")


def test_times_are_said_as_people_say_them():
    now = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    assert when_text("2026-11-21T02:14:00.000Z", now) == "02:14"
    assert when_text("2026-11-20T23:50:00.000Z", now) == "Fri 23:50"
    assert when_text("2026-11-02T23:50:00.000Z", now) == "2026-11-02"
    assert [duration_text(seconds) for seconds in (0.4, 12, 99, 125, 5999, 7500)] == [
        "< 1 s", "12 s", "99 s", "2 min", "1 h 40", "2 h 05",
    ]  # fmt: skip


def test_reading_changes_nothing(tmp_path):
    run = record_run(tmp_path, {WARM: ["+-.."]}, done=False)
    stop(run)
    before = {path: path.read_bytes() for path in Path(tmp_path).rglob("*") if path.is_file()}
    page(look(tmp_path), 80, 24)
    assert {path: path.read_bytes() for path in Path(tmp_path).rglob("*") if path.is_file()} == before


def test_the_page_loads_no_model_library(tmp_path):
    record_run(tmp_path, {WARM: ["+-", "--"]})
    code = (
        "import sys, pathlib\n"
        "from labkit.report.morning import look\n"
        "from labkit.report.morning_page import page\n"
        "lines = page(look(pathlib.Path(sys.argv[1])), 80, 24)\n"
        "assert any('pass@2' in line.plain for line in lines)\n"
        "late = {'torch', 'transformers', 'datasets', 'vllm'} & set(sys.modules)\n"
        "assert not late, late\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=True, timeout=60)
