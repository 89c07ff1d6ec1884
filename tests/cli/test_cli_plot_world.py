import json
import sys
from pathlib import Path

import pytest
import typer
from evaluated_worlds import record_experiment
from recorded_runs import GREEDY, WARM, record_run, record_training
from typer.testing import CliRunner

from labkit.cli import plot
from labkit.config.world import MIXTURES
from labkit.errors import ConfigError, MachineError, RecordError

DATA = Path(__file__).parents[1] / "report" / "data"
FILES = [DATA / "ftwb1_normalized_by_seed.csv", DATA / "ftwb2_normalized_by_seed.csv"]
CKA = DATA / "cka_single_task_7x7_by_layer.csv"
SINGLES = [name for name in MIXTURES if name.startswith("ftwb1")]


def run_plot(*arguments):
    app = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
    plot.register(app)
    return CliRunner().invoke(app, ["plot", *map(str, arguments)])


def test_differences_of_published_tables_are_drawn_with_numbers_and_marks():
    done = run_plot("heatmap", *FILES, "--value", "difference")
    lines = done.stdout.splitlines()
    assert "\x1b" not in done.stdout
    assert max(map(len, lines)) <= 100
    (row,) = [line.split() for line in lines if line.startswith("ftwb2-1 ")]
    # The means of four seeds, by hand from the published cells.
    assert row == ["ftwb2-1", "distance+trianglearea", "0.08T", "-0.15T", "-0.35", "-0.24", "-0.23", "-0.41", "-0.28"]
    assert sum(line.count("T ") + line.endswith("T") for line in lines[3:-1]) == 42


def test_seeds_families_and_widths_can_be_chosen():
    done = run_plot("heatmap", *FILES, "--family", "ftwb1", "--seed", "seed2", "--width", 80)
    lines = done.stdout.splitlines()
    assert lines[0] == "ftwb1, normalised improvement, seed2"
    assert max(map(len, lines)) <= 80
    assert "1.05T" in done.stdout
    assert run_plot("heatmap", *FILES, "--seed", "all").stdout.count("normalised improvement, ") == 4


def test_cka_is_drawn_from_its_own_file():
    done = run_plot("heatmap", "--value", "cka", "--cka", CKA, "--layer", 5)
    assert [line.split()[:3] for line in done.stdout.splitlines() if line.startswith("angle")] == [
        ["angle", "0.61", "0.81"]
    ]


def test_runs_are_drawn_with_their_bases(tmp_path):
    record_experiment(tmp_path, lambda seed, mixture, task: 0.25, mixtures=SINGLES)
    done = run_plot("heatmap", "--runs-dir", tmp_path)
    assert done.stdout.count("0.25") == 49
    assert done.stdout.count("0.25T") == 7
    one = run_plot("heatmap", "ftwb1-3", "--runs-dir", tmp_path)
    assert one.stdout.count("0.25") == 7


def test_a_run_that_is_named_twice_counts_once(tmp_path):
    record_experiment(tmp_path, lambda seed, mixture, task: 0.25, mixtures=SINGLES)
    twice = run_plot("heatmap", "ftwb1-3", "ftwb1-3", "--runs-dir", tmp_path)
    assert twice.stdout.count("0.25") == 7
    assert twice.stderr == ""
    record_experiment(tmp_path, lambda seed, mixture, task: 0.5, mixtures=["ftwb1-3"])
    assert "stand in several runs" in run_plot("heatmap", "--runs-dir", tmp_path).stderr


def test_the_last_run_to_draw_is_the_last_evaluation(tmp_path):
    record_experiment(tmp_path, lambda seed, mixture, task: 0.25, mixtures=["ftwb1-3"])
    record_run(tmp_path, {GREEDY: ["+"]})
    assert run_plot("heatmap", "last", "--runs-dir", tmp_path).stdout.count("0.25") == 7


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["heatmap"], ConfigError),
        (["heatmap", "--value", "cka"], ConfigError),
        (["heatmap", "--layer", "5"], ConfigError),
        (["heatmap", "--value", "cka", "--cka", CKA, "--family", "ftwb1"], ConfigError),
        (["heatmap", "--value", "cka", "--cka", CKA, "--seed", "1"], ConfigError),
        (["heatmap", "--value", "cka", "--cka", CKA, "tiny"], ConfigError),
        (["heatmap", *FILES, "--seed", "7"], ConfigError),
        (["heatmap", *FILES, "nosuch"], ConfigError),
        (["heatmap", "tiny"], RecordError),
        (["heatmap", *FILES, "--out", "x.pdf"], ConfigError),
        (["training", "tiny"], RecordError),
        (["training", "--out", "absent/x.svg"], ConfigError),
    ],
)
def test_what_cannot_be_drawn_is_an_error_of_labkit(tmp_path, arguments, error):
    record_run(tmp_path, {GREEDY: ["+"]})
    assert isinstance(run_plot(*arguments, "--runs-dir", tmp_path).exception, error)


def test_a_file_is_written_instead_and_says_so(tmp_path):
    out = tmp_path / "x.svg"
    done = run_plot("heatmap", *FILES, "--value", "difference", "--out", out)
    assert (done.exit_code, done.stdout) == (0, "")
    assert f"wrote {out}" in done.stderr
    assert "actual minus expected" in out.read_text()


def test_pass_at_k_can_be_written_too(tmp_path):
    record_run(tmp_path / "runs", {GREEDY: ["+"], WARM: ["+-"]})
    out = tmp_path / "x.svg"
    assert run_plot("pass-at-k", "--runs-dir", tmp_path / "runs", "--out", out).stdout == ""
    assert "temperature=0.4" in out.read_text()


def test_trainings_are_drawn_over_their_steps(tmp_path):
    metrics = [{"step": step, "loss": 100.0 / step, "eval_accuracy": 0.5} for step in (10, 20, 50)]
    runs = [record_training(tmp_path / "runs", metrics=metrics) for _ in range(2)]
    done = run_plot("training", "--runs-dir", tmp_path / "runs")
    assert [title for title in ("loss", "eval_accuracy") if title in done.stdout.splitlines()] == [
        "loss",
        "eval_accuracy",
    ]
    assert all(run.id in done.stdout for run in runs)
    assert run_plot("training", runs[0].id, "--runs-dir", tmp_path / "runs").stdout.count(runs[1].id) == 0
    out = tmp_path / "x.svg"
    run_plot("training", "--metric", "loss", "--runs-dir", tmp_path / "runs", "--out", out)
    assert "eval_accuracy" not in out.read_text()


def test_a_damaged_training_is_a_note_and_none_at_all_is_said(tmp_path):
    assert "no training to plot" in run_plot("training", "--runs-dir", tmp_path).stderr
    run = record_training(tmp_path, metrics=[{"step": 1, "loss": 1.0}])
    broken = record_training(tmp_path, metrics=[{"step": 1, "loss": 1.0}])
    broken.metrics_path.write_text("garbage\n{}\n")
    done = run_plot("training", "--runs-dir", tmp_path)
    assert run.id in done.stdout
    assert broken.id in done.stderr


def test_without_the_extra_nothing_is_drawn_and_the_machine_cannot(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    done = run_plot("heatmap", *FILES, "--out", tmp_path / "x.png")
    assert isinstance(done.exception, MachineError)
    assert done.exception.exit_code == 3
    assert run_plot("heatmap", *FILES).exit_code == 0


def test_help_names_every_value():
    text = "".join(run_plot("heatmap", "-h").stdout.split())
    assert all(word in text for word in ("improvement|difference|cka", "ftwb1|ftwb2", "monotone|published"))


def test_what_a_picture_lacks_is_said():
    done = run_plot("heatmap", CKA, "--value", "cka")
    assert (
        isinstance(done.exception, ConfigError) and done.exception.hint == f"a table of CKA is given with --cka {CKA}"
    )
    done = run_plot("heatmap", FILES[1], "--value", "difference")
    assert "there are none of ftwb1" in done.exception.hint


def test_heatmaps_and_curves_of_training_have_their_numbers_as_json(tmp_path):
    (table,) = json.loads(run_plot("heatmap", *FILES, "--value", "difference", "--json").stdout)["tables"]
    rows = {row["row"]: row for row in table["rows"]}
    assert len(rows) == 21
    assert round(rows["ftwb2-1 distance+trianglearea"]["distance"], 2) == 0.08
    record_training(tmp_path, metrics=[{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5}])
    (table,) = json.loads(run_plot("training", "--runs-dir", tmp_path, "--json").stdout)["tables"]
    assert [(row["step"], row["loss"]) for row in table["rows"]] == [(1, 2.0), (2, 1.5)]
    assert "loss_low" not in table["columns"]
