import json
import os
import subprocess
import sys

import pytest
import typer
from recorded_runs import GREEDY, WARM, record_run
from typer.testing import CliRunner

from labkit.cli import report
from labkit.errors import ConfigError, RecordError


def run_report(*arguments):
    app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})
    app.callback()(lambda: None)
    report.register(app)
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_named_and_unnamed_reports_of_one_run_are_the_same(tmp_path):
    run = record_run(tmp_path, {GREEDY: ["+", "-"], WARM: ["+-", "--"]})
    outputs = [run_report(*names, "--runs-dir", tmp_path, "--json").stdout for names in ([], ["last"], [run.id[-6:]])]
    assert outputs[0] == outputs[1] == outputs[2]
    (table,) = json.loads(outputs[0])["tables"]
    assert table["kind"] == "pass_at_k"
    assert [row["pass@1"] for row in table["rows"]] == [0.5, 0.25]


def test_the_folder_may_come_from_the_environment(tmp_path, monkeypatch):
    record_run(tmp_path, {GREEDY: ["+"]})
    monkeypatch.setenv("LABKIT_RUNS_DIR", str(tmp_path))
    assert run_report("--csv").stdout.count("greedy,greedy,") == 1


def test_k_may_be_repeated(tmp_path):
    record_run(tmp_path, {WARM: ["+-+"]})
    header = run_report("--runs-dir", tmp_path, "-k", 3, "--k", 1, "--csv").stdout.splitlines()[0]
    assert header.split(",")[7:14] == [
        "pass@1",
        "pass@1_low",
        "pass@1_high",
        "pass@3",
        "pass@3_low",
        "pass@3_high",
        "truncated",
    ]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [(["nosuch"], RecordError), (["-k", "3"], ConfigError), (["--json", "--csv"], ConfigError)],
)
def test_what_the_user_got_wrong_is_an_error_of_labkit(tmp_path, arguments, error):
    record_run(tmp_path, {WARM: ["+-"]})
    assert isinstance(run_report("--runs-dir", tmp_path, *arguments).exception, error)


def test_an_empty_folder_is_no_error_and_json_stays_json(tmp_path):
    plain = run_report("--runs-dir", tmp_path)
    assert (plain.exit_code, plain.stdout) == (0, "")
    assert "nothing to report" in plain.stderr
    assert json.loads(run_report("--runs-dir", tmp_path, "--json").stdout) == {"schema": 1, "tables": []}


def test_damaged_runs_are_notes_on_stderr(tmp_path):
    record_run(tmp_path, {GREEDY: ["+"]})
    broken = record_run(tmp_path, {GREEDY: ["+"]}, slug="broken")
    (broken.path / "run.json").write_text("{")
    done = run_report("--runs-dir", tmp_path)
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 2
    assert broken.id in done.stderr


@pytest.mark.parametrize("command", [["report"], ["runs", "list"], ["plot", "pass-at-k"]])
def test_reading_commands_never_import_a_model_library(tmp_path, command):
    record_run(tmp_path, {WARM: ["+-"]})
    code = (
        "import sys, typer\n"
        "from labkit.cli import plot, report, runs\n"
        "early = {'polars', 'rich', 'pydantic', 'plotext', 'numpy'} & set(sys.modules)\n"
        "assert not early, early\n"
        "app = typer.Typer()\n"
        "for module in (report, plot, runs): module.register(app)\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "late = {'torch', 'transformers', 'datasets', 'vllm'} & set(sys.modules)\n"
        "assert not late, late\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run(
        [sys.executable, "-c", code, *command, "--runs-dir", str(tmp_path)],
        env=environment, check=True, stdout=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
