import json
import re
import sys

import pytest
import typer
from recorded_runs import GREEDY, NOISY, WARM, record_run, record_training
from typer.testing import CliRunner

from labkit.cli import plot, report
from labkit.errors import ConfigError, MachineError, RecordError
from labkit.record.identity import Arm

HOT, LOUD = Arm("temperature", 1.0), Arm("perturbation", 0.02)
# Four prompts: solved by both, by A alone, by B alone, by neither.
SIDE_A = {GREEDY: ["+", "-", "-", "-"], WARM: ["++--", "+---", "----", "----"], HOT: ["+---", "++-+", "----", "----"]}
SIDE_B = {
    GREEDY: ["+", "-", "-", "-"],
    NOISY: ["+++-", "----", "----", "----"],
    LOUD: ["++--", "----", "-++-", "----"],
}
POOL_KINDS = ("pass-at-k", "correct-distribution", "summary", "coverage-depth")
SIDE_KINDS = ("comparison", "best", "overlap", "solve-detail")
SIDES = ("hot", "--against", "noisy")


def run(*arguments):
    app = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
    plot.register(app)
    report.register(app)
    return CliRunner().invoke(app, list(map(str, arguments)))


def run_plot(*arguments):
    return run("plot", "pass-at-k", *arguments)


@pytest.fixture
def two_sides(tmp_path):
    record_run(tmp_path, SIDE_A, name="hot", slug="hot")
    record_run(tmp_path, SIDE_B, name="noisy", slug="noisy", command="perturb")
    return tmp_path


def tables(*arguments):
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["tables"]


def test_a_figure_has_every_arm_and_off_a_terminal_no_colour(tmp_path):
    record_run(tmp_path, {GREEDY: ["+"], WARM: ["+-"], NOISY: ["--"]})
    out = run_plot("--runs-dir", tmp_path).stdout
    assert "\x1b" not in out
    assert re.findall(r"[abc] (greedy|temperature=0.4|sigma=0.001)", out.split("drawn")[1]) == [
        "greedy",
        "temperature=0.4",
        "sigma=0.001",
    ]
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


@pytest.mark.parametrize("kind", POOL_KINDS)
def test_without_rollouts_it_says_so(tmp_path, kind):
    done = run("plot", kind, "--runs-dir", tmp_path)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no rollouts to plot" in done.stderr


def test_help_has_the_short_flag(tmp_path):
    assert "logarithmic" in run_plot("-h").stdout


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("kind", POOL_KINDS + SIDE_KINDS)
def test_every_kind_is_drawn_at_every_width(two_sides, kind, width):
    sides = SIDES if kind in SIDE_KINDS else ()
    done = run("plot", kind, *sides, "--runs-dir", two_sides, "--width", width)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert len(lines) > 5
    assert max(map(len, lines)) <= width
    assert "countdown, tiny" in " ".join(lines)


@pytest.mark.parametrize("kind", POOL_KINDS + SIDE_KINDS)
def test_every_kind_is_written_twice_with_the_same_bytes(two_sides, kind):
    sides = SIDES if kind in SIDE_KINDS else ()
    for suffix, start in ((".svg", b"<svg"), (".png", b"\x89PNG"), (".html", b"<!DOCTYPE html>")):
        first, second = (two_sides / f"{name}{suffix}" for name in "ab")
        for path in (first, second):
            done = run("plot", kind, *sides, "--runs-dir", two_sides, "--out", path)
            assert (done.exit_code, done.stdout) == (0, ""), done.output
            assert f"wrote {path}" in done.stderr
        assert first.read_bytes() == second.read_bytes()
        assert first.read_bytes().startswith(start)


def test_curves_and_bars_are_the_numbers_of_the_report(two_sides):
    (reported,) = tables("report", "--runs-dir", two_sides)
    by_arm = {row["arm"]: row for row in reported["rows"]}
    (curves,) = tables("plot", "pass-at-k", "--runs-dir", two_sides)
    assert len(curves["rows"]) == 2 + 4 * 3 - 1  # k = 1, 2, 4 of four arms, and greedy
    for row in curves["rows"]:
        for end in ("", "_low", "_high"):
            assert row[f"pass@k{end}"] == by_arm[row["curve"]][f"pass@{row['k']}{end}"]
    (bars,) = tables("plot", "summary", "--runs-dir", two_sides)
    for row in bars["rows"]:
        found = by_arm[row["bar"]]
        if row["group"] == "share solved":
            assert row["share of prompts"] == found["solved"] / found["num_prompts"]
        else:
            ends = [row[f"share of prompts{end}"] for end in ("", "_low", "_high")]
            assert ends == [found[f"{row['group']}{end}"] for end in ("", "_low", "_high")]
    (counts,) = tables("plot", "correct-distribution", "--runs-dir", two_sides)
    unsolved = {row["row"]: row["prompts"] for row in counts["rows"] if row["correct rollouts"] == "0"}
    assert unsolved == {arm: row["num_prompts"] - row["solved"] for arm, row in by_arm.items() if arm != "greedy"}
    (points,) = tables("plot", "coverage-depth", "--runs-dir", two_sides)
    for row in points["rows"]:
        found = by_arm[row["point"]]
        assert row["coverage"] == found["solved"] / found["num_prompts"]
        assert row["coverage"] * row["depth"] == pytest.approx(found["pass@1"])


def test_two_sides_are_the_numbers_of_the_tables(two_sides):
    compared = {table["kind"]: table["rows"] for table in tables("report", *SIDES, "--runs-dir", two_sides)}
    curves, differences = tables("plot", "comparison", *SIDES, "--runs-dir", two_sides)
    for letter in "ab":
        drawn = [row for row in curves["rows"] if row["curve"].startswith(f"{letter.upper()}:")]
        assert [row["k"] for row in drawn] == [row["k"] for row in compared["comparison"]]
        for end in ("", "_low", "_high"):
            assert [row[f"pass@k{end}"] for row in drawn] == [
                row[f"pass_{letter}{end}"] for row in compared["comparison"]
            ]
    drawn = [row["A minus B"] for row in differences["rows"] if row["curve"] == "A minus B"]
    assert drawn == [row["difference"] for row in compared["comparison"]]

    (bars,) = tables("plot", "best", *SIDES, "--runs-dir", two_sides)
    fitted = {row["k"]: row for row in compared["best"]}
    for row in bars["rows"]:
        k, side = int(row["group"].removeprefix("k = ")), row["bar"][0].lower()
        source = fitted[k] if "cross-fitted" in row["bar"] else compared["comparison"][(1, 2, 4).index(k)]
        assert (row["pass@k"], row["note"]) == (source[f"pass_{side}"], source[f"arm_{side}"])
    assert {row["group"] for row in bars["rows"]} == {"k = 1", "k = 4"}

    (overlap,) = tables("plot", "overlap", *SIDES, "--runs-dir", two_sides)
    (found,) = compared["overlap"]
    assert [row["note"] for row in overlap["rows"]] == ["1 of 4"] * 4
    assert [found[name] for name in ("both", "only_a", "only_b", "neither")] == [1, 1, 1, 1]


def test_every_prompt_stands_in_the_detail_with_both_shares(two_sides):
    (detail,) = tables("plot", "solve-detail", *SIDES, "--arm", "temperature=0.4", "--arm", "sigma=0.02",
                       "--runs-dir", two_sides)  # fmt: skip
    rows = {row["prompt"]: [row[name] for name in detail["columns"][1:]] for row in detail["rows"]}
    assert rows == {
        "p0": ["both", 0.5, 0.5],
        "p1": ["A only", 0.25, 0],
        "p2": ["B only", 0, 0.5],
        "p3": ["neither", 0, 0],
    }
    assert detail["columns"][2:] == ["A temperature=0.4", "B sigma=0.02"]


@pytest.mark.parametrize("kind", SIDE_KINDS)
def test_two_sides_are_needed(two_sides, kind):
    for arguments, missing in ((["hot"], "after --against"), (["--against", "noisy"], "before --against")):
        refused = run("plot", kind, *arguments, "--runs-dir", two_sides).exception
        assert isinstance(refused, ConfigError)
        assert missing in refused.message
        assert f"labkit plot {kind} RUN --against RUN" in refused.hint


def test_what_cannot_be_compared_is_refused(two_sides):
    record_run(two_sides, {WARM: ["+-"] * 3}, name="fewer", slug="fewer")
    training = record_training(two_sides, metrics=[{"step": 1, "loss": 2.0}])
    for side in ("fewer", "absent", "hot", training.id):
        assert isinstance(
            run("plot", "overlap", "hot", "--against", side, "--runs-dir", two_sides).exception, RecordError
        )
    done = run("plot", "overlap", "hot", "--against", "fewer", "--intersect", "--runs-dir", two_sides)
    assert done.exit_code == 0
    assert "left out: 1 prompts only A has" in done.stderr
    too_large = run("plot", "comparison", *SIDES, "-k", 8, "--runs-dir", two_sides).exception
    assert isinstance(too_large, ConfigError)
    assert isinstance(run("plot", "summary", training.id, "--runs-dir", two_sides).exception, RecordError)


def test_arms_of_one_rollout_have_no_curve_but_bars(tmp_path):
    record_run(tmp_path, {GREEDY: ["+", "-"]}, name="single", slug="single")
    for kind in ("pass-at-k", "coverage-depth"):
        refused = run("plot", kind, "single", "--runs-dir", tmp_path).exception
        assert isinstance(refused, ConfigError)
        assert "--num-rollouts" in refused.hint
    (bars,) = tables("plot", "summary", "single", "--runs-dir", tmp_path)
    assert [(row["group"], row["share of prompts"]) for row in bars["rows"]] == [("pass@1", 0.5), ("share solved", 0.5)]
    record_run(tmp_path, {WARM: ["+-"]}, base={"model": "other"})
    done = run_plot("--runs-dir", tmp_path)
    assert "no arm has more than one rollout" in done.stderr
    assert "temperature=0.4" in done.stdout


@pytest.mark.parametrize("kind", [*POOL_KINDS, *SIDE_KINDS, "training", "heatmap"])
@pytest.mark.parametrize(("name", "what"), [("absent/a.svg", "no folder"), ("a.pdf", "cannot be written")])
def test_a_file_that_cannot_be_written_is_refused_before_any_run_is_read(tmp_path, kind, name, what):
    sides = ["nobody", "--against", "nothing"] if kind in SIDE_KINDS else ["nobody"]
    refused = run("plot", kind, *sides, "--runs-dir", tmp_path, "--out", tmp_path / name).exception
    assert isinstance(refused, ConfigError)
    assert what in refused.message


def test_a_file_and_json_exclude_each_other(two_sides):
    refused = run_plot("--runs-dir", two_sides, "--json", "--out", two_sides / "a.svg").exception
    assert isinstance(refused, ConfigError)


def test_without_the_extra_the_machine_cannot(two_sides, monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    refused = run("plot", "summary", "--runs-dir", two_sides, "--out", two_sides / "a.png").exception
    assert isinstance(refused, MachineError)
    assert refused.exit_code == 3
    assert run("plot", "summary", "--runs-dir", two_sides).exit_code == 0


def test_an_unfinished_run_is_drawn_and_marked(tmp_path):
    record_run(tmp_path, {WARM: ["+-", "--"]}, done=False)
    done = run("plot", "summary", "--runs-dir", tmp_path)
    assert "was interrupted" in done.stderr
    assert "temperature=0.4" in done.stdout


def test_baselines_are_drawn_beside_the_best_arms_and_never_are_the_best(two_sides):
    still = Arm("perturbation", 0.0)
    record_run(two_sides, {still: ["++++", "----", "----", "----"]}, name="floor", slug="floor", command="perturb")
    curves, _ = tables("plot", "comparison", *SIDES, "--against", "floor", "--runs-dir", two_sides)
    rows = {(row["curve"], row["k"]): row["pass@k"] for row in curves["rows"]}
    assert rows["greedy (A and B) 0.250", None] == 0.25
    assert [rows["sigma=0 (B)", k] for k in (1, 2, 4)] == [0.25] * 3
    assert ("B: best of 2 arms", 4) in rows


def test_without_names_only_runs_with_a_table_of_rates_are_drawn(tmp_path):
    config = {"task": {"name": "goodhart"}, "model": {"id": "tiny"}}
    record_run(tmp_path, {WARM: ["+-", "--"]}, name="hart", slug="hart", command="eval", config=config)
    assert "no rollouts to plot" in run("plot", "summary", "--runs-dir", tmp_path).stderr
    assert "goodhart, tiny" in run("plot", "summary", "hart", "--runs-dir", tmp_path).stdout
    world = record_run(tmp_path, {WARM: ["+-"]}, command="eval", config={"task": {"name": "world"}})
    assert isinstance(run("plot", "summary", world.id, "--runs-dir", tmp_path).exception, RecordError)


def test_a_file_of_no_training_is_refused(tmp_path):
    shown = run("plot", "training", "--runs-dir", tmp_path)
    assert shown.exit_code == 0 and "there is no training to plot" in shown.stderr
    refused = run("plot", "training", "--runs-dir", tmp_path, "--out", tmp_path / "y.svg")
    assert isinstance(refused.exception, ConfigError) and not (tmp_path / "y.svg").exists()


def test_arms_of_one_temperature_have_colours_of_their_own(tmp_path):
    record_run(
        tmp_path, {HOT: ["++--", "+---"], Arm("temperature", 1.0, top_p=0.9): ["+---", "----"], GREEDY: ["+", "-"]}
    )
    run("plot", "pass-at-k", "last", "--runs-dir", tmp_path, "--out", tmp_path / "y.svg")
    text = (tmp_path / "y.svg").read_text()
    assert "#fdae61" in text and "#4a0000" in text


def test_a_baseline_is_not_drawn_at_a_k_that_nobody_asked_for(tmp_path):
    calm = Arm("perturbation", 0.0)
    record_run(tmp_path, SIDE_A, name="hot", slug="hot")
    record_run(tmp_path, SIDE_B | {calm: ["+-", "--", "--", "--"]}, name="noisy", slug="noisy", command="perturb")
    for k, is_there in (("4", False), ("2", True)):
        rates = tables("plot", "comparison", *SIDES, "-k", k, "--runs-dir", tmp_path)[0]
        curves = {row["curve"] for row in rates["rows"]}
        assert any(name.startswith(calm.key) for name in curves) == is_there
        assert any(name.startswith("greedy") for name in curves)
