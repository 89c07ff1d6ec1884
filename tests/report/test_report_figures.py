import re

import pytest
from recorded_runs import GREEDY, NOISY, WARM, record_run
from rich.cells import cell_len

from labkit.report.figures import Figure, Series, pass_at_k_figure
from labkit.report.pass_at_k import pass_at_k_table
from labkit.report.terminal import drawing, print_figure


@pytest.fixture
def figure(tmp_path):
    run = record_run(tmp_path, {GREEDY: ["+", "-"], WARM: ["+---", "----"], NOISY: ["++--", "+---"]})
    return pass_at_k_figure(pass_at_k_table([run]))


def test_curves_are_the_arms_over_log2_of_k(figure):
    greedy, warm, noisy = figure.series
    assert [series.label for series in figure.series] == ["greedy", "temperature=0.4", "sigma=0.001"]
    assert (greedy.xs, greedy.ys) == ([0.0], [0.5])
    assert warm.xs == [0.0, 1.0, 2.0]
    assert warm.ys == pytest.approx([0.125, 0.25, 0.5])
    assert noisy.ys == pytest.approx([3 / 8, (5 / 6 + 1 / 2) / 2, 1.0])
    assert figure.x_ticks == [(0.0, "1"), (1.0, "2"), (2.0, "4")]
    assert figure.y_upper == 1.0


@pytest.mark.parametrize(("highest", "upper"), [(0.0, 0.1), (0.021, 0.1), (0.3, 0.3), (0.31, 0.4), (1.0, 1.0)])
def test_the_axis_ends_at_the_next_tenth(tmp_path, highest, upper):
    table = pass_at_k_table([record_run(tmp_path, {GREEDY: ["+"]})])
    table.rows = [{**table.rows[0], "pass@1": highest}]
    assert pass_at_k_figure(table).y_upper == pytest.approx(upper)


@pytest.mark.parametrize("width", [60, 100, 173])
def test_a_drawing_keeps_its_width_and_shows_every_k_and_arm(figure, width):
    lines = drawing(figure, width).plain.splitlines()
    axis = next(number for number, line in enumerate(lines) if line.lstrip().startswith("└"))
    assert {cell_len(line) for line in lines[1 : axis + 1]} == {width}
    assert lines[axis + 1].split() == ["1", "2", "4"]
    assert [line.split() for line in lines[-3:]] == [["a", "greedy"], ["b", "temperature=0.4"], ["c", "sigma=0.001"]]


def test_a_higher_curve_is_drawn_higher():
    figure = Figure(
        "t", "k", [(0.0, "1"), (1.0, "2")], 1.0, [Series("a", [0, 1], [0.2, 0.2]), Series("b", [0, 1], [0.8, 0.8])]
    )
    lines = drawing(figure, 60).plain.splitlines()[:-2]
    rows = {letter: next(n for n, line in enumerate(lines) if re.search(rf"[┤│].*{letter}", line)) for letter in "ab"}
    assert rows["b"] < rows["a"]


def test_drawing_twice_gives_the_same(figure):
    assert drawing(figure, 80) == drawing(figure, 80)


def test_a_pipe_gets_100_columns_without_colour(figure, capsys):
    print_figure(figure)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert max(map(cell_len, out.splitlines())) == 100


def test_colour_is_used_when_forced_and_never_under_no_color(figure, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    print_figure(figure, width=60)
    assert "\x1b[" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    print_figure(figure, width=60)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "temperature=0.4" in out
