import typer
from recorded_runs import GREEDY, NOISY, WARM, record_run
from typer.testing import CliRunner

from labkit.cli import plot
from labkit.errors import RecordError


def run_plot(*arguments):
    app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})
    plot.register(app)
    return CliRunner().invoke(app, ["plot", "pass-at-k", *map(str, arguments)])


def test_a_figure_has_every_arm_and_off_a_terminal_no_colour(tmp_path):
    record_run(tmp_path, {GREEDY: ["+"], WARM: ["+-"], NOISY: ["--"]})
    out = run_plot("--runs-dir", tmp_path).stdout
    assert "\x1b" not in out
    assert [line.split()[-1] for line in out.splitlines()[-3:]] == ["greedy", "temperature=0.4", "sigma=0.001"]
    assert max(map(len, out.splitlines())) == 100


def test_the_width_can_be_chosen_and_has_a_least(tmp_path):
    record_run(tmp_path, {WARM: ["+-"]}, slug="a")
    assert max(map(len, run_plot("--runs-dir", tmp_path, "--width", 72).stdout.splitlines()[1:])) == 72
    assert run_plot("--runs-dir", tmp_path, "--width", 59).exit_code == 2


def test_runs_that_cannot_be_merged_get_a_figure_each(tmp_path):
    runs = [record_run(tmp_path, {WARM: ["+-"]}, base={"model": model}) for model in "ab"]
    out = run_plot("--runs-dir", tmp_path).stdout
    assert all(run.id in out for run in runs)
    assert isinstance(run_plot(*(run.id for run in runs), "--runs-dir", tmp_path).exception, RecordError)


def test_without_rollouts_it_says_so(tmp_path):
    done = run_plot("--runs-dir", tmp_path)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no rollouts to plot" in done.stderr


def test_help_has_the_short_flag(tmp_path):
    assert "logarithmic" in run_plot("-h").stdout
