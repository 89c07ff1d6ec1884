import json
import os
import subprocess
import sys

import pytest
import typer
from recorded_runs import BASE, GREEDY, NOISY, SCORE, WARM, new_run, record_run, record_training, write_rows
from typer.testing import CliRunner

from labkit.cli import runs
from labkit.errors import ConfigError, RecordError
from labkit.record.catalog import run_paths
from labkit.record.files import is_locked
from labkit.record.run import open_run
from labkit.report.watching import watch

WORKING_CHILD = """
import sys
from pathlib import Path
from recorded_runs import WARM, write_rows
from labkit.record.run import open_run

run = open_run(Path(sys.argv[1]))
with run.working():
    for attempt, letters in enumerate(["+...", ".-..", "..+-"], start=1):
        write_rows(run, {WARM: [letters]}, attempt=attempt)
        print("wrote", flush=True)
        if not sys.stdin.readline():
            sys.exit("killed")
    run.finish({"arms": []}, owed=0, num_asked=4)
"""


def run_runs(*arguments, input=None):
    app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})
    runs.register(app)
    return CliRunner().invoke(app, ["runs", *map(str, arguments)], input=input)


def listed(tmp_path, *arguments):
    return json.loads(run_runs("list", "--runs-dir", tmp_path, "--json", *arguments).stdout)["tables"][0]


@pytest.fixture
def working_child(tmp_path):
    """A run of four rollouts, and a process that writes them, the next ones for every line on its stdin."""
    run = new_run(tmp_path, {WARM: ["...."]}, seed=42, base=BASE, score=SCORE)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    child = subprocess.Popen(
        [sys.executable, "-c", WORKING_CHILD, str(run.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
    )  # fmt: skip
    assert child.stdout.readline() == "wrote\n"
    yield run, child
    child.kill()
    child.communicate()


def test_list_has_the_newest_first_with_state_and_headline(tmp_path):
    arms = [{"key": "greedy", "pass_at_k": {"1": [0.5, 0.1, 0.9]}}]
    arms += [
        {"key": key, "pass_at_k": {"1": [0.2, 0, 1], "16": [rate, 0, 1]}} for key, rate in (("a", 0.25), ("b", 0.75))
    ]
    done = record_run(tmp_path, {GREEDY: ["+", "-"]}, result={"arms": arms}, name="first")
    stopped = record_run(tmp_path, {WARM: ["+-.", "+.."]}, done=False, command="perturb")
    # Two runs of the same second are told apart by their random part; order them by hand.
    stopped.path.rename(stopped.path.with_name("29990101T000000Z-tiny-000000"))
    table = listed(tmp_path)
    assert table["kind"] == "runs"
    newest, oldest = table["rows"]
    assert (newest["run"], newest["status"], newest["done"], newest["asked"]) == (
        "29990101T000000Z-tiny-000000", "interrupted", 3, 6,
    )  # fmt: skip
    shown = ("run", "command", "name", "model", "task", "status", "done", "asked", "headline")
    assert [oldest[key] for key in shown] == [
        done.id, "sample", "first", "tiny", "countdown", "done", 2, 2, "pass@16 0.750 b",
    ]  # fmt: skip
    assert [row["command"] for row in listed(tmp_path, "--limit", 1)["rows"]] == ["perturb"]
    assert [row["command"] for row in listed(tmp_path, "--command", "sample")["rows"]] == ["sample"]


def test_list_shows_damaged_runs_as_such(tmp_path):
    record_run(tmp_path, {GREEDY: ["+"]})
    broken = record_run(tmp_path, {GREEDY: ["+"]}, slug="broken")
    (broken.path / "run.json").write_text('{"schema": 99}')
    table = listed(tmp_path)
    assert {row["run"]: row["status"] for row in table["rows"]}[broken.id] == "damaged"
    assert len(table["rows"]) == 2
    assert any("schema 99" in note for note in table["notes"])


def test_list_counts_what_was_compacted_before_a_run_grew(tmp_path):
    run = record_run(tmp_path, {WARM: ["+-", "--"]})
    assert run_runs("compact", run.id, "--runs-dir", tmp_path).exit_code == 0
    larger = {"num_prompts": 2, "arms": [{**run.manifest["ask"]["arms"][0], "num_rollouts": 4}]}
    run.note("asked", ask=larger)
    write_rows(run, {WARM: ["..+."]}, attempt=2)
    (row,) = listed(tmp_path)["rows"]
    assert (row["status"], row["done"], row["asked"]) == ("interrupted", 5, 8)


def test_list_of_an_empty_folder_says_so(tmp_path):
    done = run_runs("list", "--runs-dir", tmp_path)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no runs under" in done.stderr
    assert listed(tmp_path)["rows"] == []


def test_show_has_values_with_their_origins_and_what_happened(tmp_path):
    run = record_run(tmp_path, {WARM: ["+-", "--"]})
    run.note("warning", text="disk nearly full")
    lines = [line.split() for line in run_runs("show", "last", "--runs-dir", tmp_path).stdout.splitlines()]
    assert ["seed", "42", "(flag)"] in lines
    assert ["model.id", "tiny", "(default)"] in lines
    assert ["status", "done"] in lines
    assert ["temperature=0.4", "2", "rollouts", "a", "prompt"] in lines
    assert ["torch", "2.13.0"] in lines
    assert ["warning", "text", "disk", "nearly", "full"] in [line[2:] for line in lines]


def test_show_json_is_the_whole_record(tmp_path):
    run = record_run(tmp_path, {WARM: ["+-"]})
    whole = json.loads(run_runs("show", run.path, "--json").stdout)
    assert (whole["schema"], whole["status"], whole["manifest"]) == (1, "done", run.manifest)
    assert whole["ask"]["arms"][0]["num_rollouts"] == 2
    assert whole["result"]["num_asked"] == 2
    assert [event["event"] for event in whole["events"]] == ["finish"]


def test_diff_has_both_values_of_what_differs_and_nothing_else(tmp_path):
    one = record_run(tmp_path, {WARM: ["+-"]}, base={"model": "a", "task": "t"})
    two = record_run(tmp_path, {WARM: ["+-"], NOISY: ["+"]}, base={"model": "b", "task": "t"}, seed=7)
    (table,) = json.loads(run_runs("diff", one.id, two.id, "--runs-dir", tmp_path, "--json").stdout)["tables"]
    found = {(row["section"], row["key"]): (row["a"], row["b"]) for row in table["rows"]}
    assert found.pop(("base", "hash")) == (one.base_hash, two.base_hash)
    assert found == {
        ("base", "model"): ("a", "b"),
        ("config", "seed"): ("42", "7"),
        ("ask", "seed"): ("42", "7"),
        ("ask", "sigma=0.001"): (None, "1 rollouts a prompt"),
    }


def test_diff_of_like_runs_says_so(tmp_path):
    one, two = (record_run(tmp_path, {WARM: ["+-"]}) for _ in range(2))
    assert run_runs("diff", one.id, two.id, "--runs-dir", tmp_path).stdout == "no difference\n"


def test_compact_says_bytes_before_and_after_and_only_once(tmp_path):
    run = record_run(tmp_path, {WARM: ["+-" * 200, "--" * 200]})
    before = sum(path.stat().st_size for folder in ("rows", "scores") for path in (run.path / folder).iterdir())
    header, row = (
        line.split("\t") for line in run_runs("compact", "--all", "--runs-dir", tmp_path).stdout.splitlines()
    )
    assert dict(zip(header, row, strict=True)) == {
        "run": run.id,
        "rollouts": "800",
        "bytes_before": str(before),
        "bytes_after": str(run.parquet_path.stat().st_size),
    }
    again = run_runs("compact", run.id, "--runs-dir", tmp_path)
    assert (again.exit_code, again.stdout) == (0, "")
    assert "nothing to compact" in again.stderr


def test_compact_all_passes_over_unfinished_and_damaged_runs(tmp_path):
    stopped = record_run(tmp_path, {WARM: ["+."]}, done=False)
    broken = record_run(tmp_path, {WARM: ["+."]}, slug="broken")
    (broken.path / "run.json").write_text("{")
    done = run_runs("compact", "--all", "--runs-dir", tmp_path)
    assert (done.exit_code, done.stdout) == (0, "")
    assert broken.id in done.stderr
    assert list(stopped.rows_dir.glob("*.jsonl"))
    assert isinstance(run_runs("compact", stopped.id, "--runs-dir", tmp_path).exception, RecordError)


@pytest.mark.parametrize("arguments", [[], ["--all", "some"]])
def test_compact_wants_either_runs_or_all(tmp_path, arguments):
    assert isinstance(run_runs("compact", *arguments, "--runs-dir", tmp_path).exception, ConfigError)


def test_rm_refuses_off_a_terminal_without_yes(tmp_path):
    run = record_run(tmp_path, {WARM: ["+-"]})
    refused = run_runs("rm", run.id, "--runs-dir", tmp_path, input="y\n")
    assert isinstance(refused.exception, ConfigError)
    assert open_run(run.path).status() == "done"


def test_rm_removes_the_named_runs_and_what_a_crash_left(tmp_path):
    kept, gone = (record_run(tmp_path, {WARM: ["+-"]}) for _ in range(2))
    leftover = gone.path.with_name(".20200101T000000Z-old-abcdef.removed")
    leftover.mkdir()
    (leftover / "run.json").write_text("{}")
    assert list(run_paths(tmp_path)) == sorted([kept.path, gone.path])
    assert run_runs("rm", gone.id, gone.path, "--yes", "--runs-dir", tmp_path).exit_code == 0
    assert list(gone.path.parent.iterdir()) == [kept.path]


def test_rm_and_compact_refuse_a_run_at_work(tmp_path, working_child):
    run, _ = working_child
    for arguments in (["rm", run.id, "--yes"], ["compact", run.id]):
        assert isinstance(run_runs(*arguments, "--runs-dir", tmp_path).exception, RecordError)
    assert is_locked(run.lock_path)
    assert list(run_paths(tmp_path)) == [run.path]


def test_watch_follows_a_writing_process_to_its_end(tmp_path, working_child):
    run, child = working_child
    seen = []

    def show(snapshot):
        seen.append(snapshot)
        if snapshot.status == "running" and snapshot.done > max((old.done for old in seen[:-1]), default=0):
            child.stdin.write("go on\n")
            child.stdin.flush()

    last = watch(run, show, interval_s=0.01)
    assert last.status == "done"
    assert (last.done, last.asked) == (4, 4)
    assert last.table.rows[0]["pass@1"] == 0.5
    counts = [snapshot.done for snapshot in seen]
    assert counts == sorted(counts)
    assert {1, 2, 4} <= set(counts)
    assert "temperature=0.4 pass@1 0.500" in last.text


def test_watch_ends_when_the_process_dies(tmp_path, working_child):
    run, child = working_child
    last = watch(run, lambda snapshot: child.kill(), interval_s=0.01)
    assert (last.status, last.done) == ("interrupted", 1)


def test_watch_prints_a_line_of_a_run_that_is_over(tmp_path):
    record_run(tmp_path, {GREEDY: ["+"], WARM: ["+-.."]}, done=False)
    done = run_runs("watch", "--runs-dir", tmp_path)
    assert done.exit_code == 0
    (line,) = done.stdout.splitlines()
    assert line.startswith("interrupted, 3/5 rollouts; greedy pass@1 1.000 [0.21, 1.00]; temperature=0.4 pass@1 0.500")
    assert "labkit sample --resume" in done.stderr


def test_watch_is_ended_by_ctrl_c_with_its_exit_code(tmp_path, monkeypatch):
    record_run(tmp_path, {GREEDY: ["+"]})

    def press_ctrl_c(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("labkit.report.watching.watch", press_ctrl_c)
    assert run_runs("watch", "--runs-dir", tmp_path).exit_code == 130


def test_list_names_a_folder_that_lost_its_manifest(tmp_path):
    run = record_run(tmp_path, {WARM: ["+-"]})
    (run.path / "run.json").unlink()
    done = run_runs("list", "--runs-dir", tmp_path)
    assert done.exit_code == 0
    assert f"{run.path} holds rows but no run.json" in done.stderr


def test_a_training_is_listed_with_its_steps(tmp_path):
    record_training(tmp_path, metrics=[{"step": 50, "loss": 1.5}], done=False)
    done = run_runs("list", "--json", "--runs-dir", tmp_path)
    (row,) = json.loads(done.stdout)["tables"][0]["rows"]
    assert (row["status"], row["done"], row["headline"]) == ("interrupted", 50, "loss 1.5")
