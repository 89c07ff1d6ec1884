import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from evaluated_worlds import record_experiment
from typer.testing import CliRunner

from labkit.cli import report
from labkit.config.world import MIXTURES
from labkit.errors import ConfigError, InputError

DATA = Path(__file__).parents[1] / "report" / "data"
FILES = [DATA / "ftwb1_normalized_by_seed.csv", DATA / "ftwb2_normalized_by_seed.csv"]
SINGLES = [name for name in MIXTURES if name.startswith("ftwb1")]


def run_report(*arguments):
    app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})
    app.callback()(lambda: None)
    report.register(app)
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def kinds(done):
    return [table["kind"] for table in json.loads(done.stdout)["tables"]]


def test_published_files_need_no_runs(tmp_path):
    done = run_report(*FILES, "--runs-dir", tmp_path / "absent", "--json")
    assert kinds(done) == ["world_ni", "world_means", "world_synergy", "world_difference", "world_reciprocity"]


def test_a_kind_can_be_chosen_and_repeated(tmp_path):
    assert kinds(run_report(*FILES, "--json", "--table", "world_means")) == ["world_means"]
    done = run_report(*FILES, "--json", "--table", "world_synergy", "--table", "world_reciprocity")
    assert kinds(done) == ["world_synergy", "world_reciprocity"]
    none = run_report("--runs-dir", tmp_path, "--table", "world_means")
    assert (none.exit_code, none.stdout) == (0, "")
    assert "nothing to report of kind world_means" in none.stderr


def test_a_table_as_csv_is_read_back(tmp_path):
    text = run_report(*FILES, "--csv", "--table", "world_means").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert float(rows[-1]["trained_mean"]) == pytest.approx(0.897, abs=0.0015)


def test_splits_tasks_and_cka_are_options():
    words = ["--split", "kind:accuracy", "--split", "contains:angle", "--tasks", "distance,angle,compass"]
    done = run_report(*FILES, *words, "--cka", DATA / "cka_single_task_7x7_by_layer.csv", "--layer", 5, "--json")
    tables = {table["kind"]: table["rows"] for table in json.loads(done.stdout)["tables"]}
    assert {row["models"] for row in tables["world_synergy"]} == {
        "all", "accuracy tasks", "not accuracy tasks", "with angle", "without angle",
    }  # fmt: skip
    assert {row["task"] for row in tables["world_reciprocity"]} == {"distance", "angle", "compass"}
    assert [(row["layer"], row["num_points"]) for row in tables["world_cka"]] == [(5, 6)]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["absent.csv"], InputError),
        ([*FILES, "--split", "nonsense"], ConfigError),
        ([*FILES, "--tasks", "distanz"], ConfigError),
        ([*FILES, "--table", "world_nix"], ConfigError),
        ([*FILES, "--improvement", "published"], ConfigError),
        ([*FILES, "--cka", "absent.csv"], InputError),
    ],
)
def test_what_the_user_got_wrong_is_an_error_of_labkit(arguments, error):
    assert isinstance(run_report(*arguments).exception, error)


def test_runs_give_the_same_tables(tmp_path):
    record_experiment(tmp_path, lambda seed, mixture, task: 0.5, mixtures=SINGLES)
    done = run_report("--runs-dir", tmp_path, "--json", "--improvement", "published")
    assert kinds(done) == ["world_eval", "world_ni", "world_means", "world_reciprocity"]
    means = next(table for table in json.loads(done.stdout)["tables"] if table["kind"] == "world_means")["rows"]
    assert means[0]["trained_mean"] == pytest.approx(0.5)


def test_a_terminal_is_spared_long_lists_unless_it_asks_for_one(tmp_path, monkeypatch):
    record_experiment(tmp_path, lambda seed, mixture, task: 0.5, mixtures=SINGLES, seeds=(1, 2))
    whole = run_report("--runs-dir", tmp_path).stdout
    assert "multi" not in whole
    assert "parse_rate" in whole
    app = typer.Typer()
    app.callback()(lambda: None)
    report.register(app)
    out, err = io.StringIO(), io.StringIO()
    out.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    app(["report", "--all", "--runs-dir", str(tmp_path)], standalone_mode=False)
    assert "mean normalised improvement" in out.getvalue()
    assert "parse_rate" not in out.getvalue()
    assert "--table world_eval" in err.getvalue()
    app(["report", "--runs-dir", str(tmp_path), "--table", "world_eval"], standalone_mode=False)
    assert "parse_rate" in out.getvalue()


@pytest.mark.parametrize("width", [100, 80])
def test_tables_of_a_whole_experiment_fit_the_terminal(tmp_path, monkeypatch, width):
    record_experiment(tmp_path, lambda seed, mixture, task: 0.5, seeds=(1, 2))
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "dumb")
    app = typer.Typer()
    app.callback()(lambda: None)
    report.register(app)
    out = io.StringIO()
    out.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", out)
    app(
        ["report", "--runs-dir", str(tmp_path), "--cka", str(DATA / "cka_single_task_7x7_by_layer.csv")],
        standalone_mode=False,
    )
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    # Nothing is folded: each of these stands on a line with its numbers.
    for words in (["ftwb2", "aggregated"], ["with distance", "aggregated", "transfer"], ["aggregated", "trianglearea"]):
        assert any(all(word in line for word in words) for line in lines)


@pytest.mark.parametrize(
    "words",
    [["report"], ["report", *map(str, FILES)], ["plot", "heatmap"], ["plot", "heatmap", "--value", "difference"]],
)
def test_no_model_library_is_loaded_and_no_table_library_without_rollouts(tmp_path, words):
    record_experiment(tmp_path, lambda seed, mixture, task: 0.5, mixtures=["ftwb1-1", "ftwb1-4", "ftwb2-15"])
    code = (
        "import sys\n"
        "from labkit.cli.main import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "heavy = {'torch', 'transformers', 'datasets', 'polars', 'scipy', 'altair', 'vl_convert'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run(
        [sys.executable, "-c", code, *words, "--runs-dir", str(tmp_path)],
        env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
