import itertools
import re

import pytest
from recorded_runs import GREEDY, NOISY, WARM, record_run
from rich.cells import cell_len
from rich.console import Console

from labkit.errors import ConfigError
from labkit.record.identity import Arm
from labkit.report.colours import CURVES, Tone, part_colours
from labkit.report.figures import Bar, BarGroup, Bars, Figure, Series, Stacks, Strip, StripPart, means_of_neighbours
from labkit.report.pass_at_k import pass_at_k_table, pool_table
from labkit.report.pool import pool, read_part
from labkit.report.sweep_figures import correct_distribution, coverage_depth, pass_at_k_figures, summary_bars
from labkit.report.terminal import drawing, print_figure
from labkit.report.terminal_curves import drawn_curves
from labkit.stats import wilson, wilson_mean

OUTCOMES = {GREEDY: ["+", "-"], WARM: ["+---", "----"], NOISY: ["++--", "+---"]}


@pytest.fixture
def table(tmp_path):
    return pass_at_k_table([record_run(tmp_path, OUTCOMES)])


@pytest.fixture
def figure(table):
    (figure,) = pass_at_k_figures(table)
    return figure


def pooled(folder, outcomes=OUTCOMES):
    return pool([read_part(record_run(folder, outcomes))])


def lines_of(figure, width):
    console = Console(width=width, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(drawing(figure, width), soft_wrap=width >= 60)
    return capture.get().splitlines()


def test_curves_are_the_arms_over_k_with_the_intervals_of_the_table(table, figure):
    greedy, warm, noisy = figure.series
    assert [series.label for series in figure.series] == ["greedy", "temperature=0.4", "sigma=0.001"]
    assert (greedy.is_level, greedy.ys) == (True, [0.5])
    assert warm.xs == [1, 2, 4]
    assert warm.ys == pytest.approx([0.125, 0.25, 0.5])
    assert noisy.ys == pytest.approx([3 / 8, (5 / 6 + 1 / 2) / 2, 1.0])
    for row, series in zip(table.rows[1:], (warm, noisy), strict=True):
        assert series.lows == [row[f"pass@{k}_low"] for k in (1, 2, 4)]
        assert series.highs == [row[f"pass@{k}_high"] for k in (1, 2, 4)]
    assert figure.x_ticks == [(1, "1"), (2, "2"), (4, "4")]
    assert (figure.y_upper, figure.x_is_log) == (1.0, True)


def test_many_curves_of_two_methods_are_two_figures_on_the_same_axes(tmp_path):
    arms = [Arm("temperature", 0.1 * n) for n in range(1, 6)] + [Arm("perturbation", 0.1 * n) for n in range(1, 6)]
    table = pass_at_k_table([record_run(tmp_path, {GREEDY: ["+"], **{arm: ["+-"] for arm in arms}})])
    first, second = pass_at_k_figures(table)
    assert [len(each.series) for each in (first, second)] == [6, 6]
    assert [each.series[0].label for each in (first, second)] == ["greedy", "greedy"]
    assert (first.y_upper, first.x_ticks) == (second.y_upper, second.x_ticks)
    numbers = [series.number for series in (*first.series, *second.series[1:])]
    assert len(set(numbers)) == 11
    assert first.title.endswith(": temperature")
    assert second.title.endswith(": sigma")


def test_arms_of_one_rollout_have_no_curve(tmp_path):
    with pytest.raises(ConfigError, match="no arm has more than one rollout"):
        pass_at_k_figures(pass_at_k_table([record_run(tmp_path, {GREEDY: ["+"], WARM: ["+"]})]))
    with pytest.raises(ConfigError, match="one rollout"):
        coverage_depth(pooled(tmp_path / "b", {GREEDY: ["+"]}))


@pytest.mark.parametrize(
    ("highest", "upper"), [(0.0, 0.1), (0.021, 0.1), (0.3, 0.3), (0.31, 0.4), (0.65, 0.8), (0.81, 1.0), (1.0, 1.0)]
)
def test_the_axis_ends_at_a_round_tenth(table, highest, upper):
    table.rows = [
        {**row, **{column: highest for column in row if re.fullmatch(r"pass@\d+(_low|_high)?", column)}}
        for row in table.rows
    ]
    (figure,) = pass_at_k_figures(table)
    assert figure.y_upper == pytest.approx(upper)


def test_the_axis_holds_the_intervals(tmp_path):
    (figure,) = pass_at_k_figures(pass_at_k_table([record_run(tmp_path, {WARM: ["++", "+-", "--", "--"]})]))
    highest = max(value for series in figure.series for value in series.highs)
    assert highest > max(value for series in figure.series for value in series.ys) + 0.1
    assert figure.y_upper >= highest


@pytest.mark.parametrize("upper", [tenths / 10 for tenths in (1, 2, 3, 4, 5, 6, 8, 10)])
def test_ticks_of_rates_are_round(upper):
    ticks = Figure("t", "k", [], upper, []).y_ticks
    assert ticks[0] == 0
    assert ticks[-1] == pytest.approx(upper)
    assert all(len(f"{tick:.4f}".rstrip("0")) <= 4 for tick in ticks)


def test_an_axis_through_0_has_a_tick_there():
    assert 0 in [round(tick, 9) for tick in Figure("t", "k", [], 0.2, [], y_lower=-0.05).y_ticks]


def test_the_summary_has_the_rates_of_the_table_and_the_share_solved(table):
    bars = summary_bars(table)
    assert [group.title for group in bars.groups] == ["pass@1", "pass@2", "pass@4", "share solved"]
    for group in bars.groups[:3]:
        for row, bar in zip(table.rows, group.bars, strict=True):
            assert bar.value == row[group.title]
            if bar.value is not None:
                assert (bar.low, bar.high) == (row[f"{group.title}_low"], row[f"{group.title}_high"])
    assert bars.groups[1].bars[0].text == "– (has 1)"
    solved = [(bar.value, bar.low, bar.high) for bar in bars.groups[3].bars]
    assert solved == [(0.5, *wilson(1, 2)), (0.5, *wilson(1, 2)), (1.0, *wilson(2, 2))]


def test_the_distribution_counts_every_prompt_once(tmp_path):
    outcomes = {
        GREEDY: ["+"] * 7,
        WARM: ["--------", "+-------", "++------", "+++-----", "++++----", "+++++++-", "++++++++"],
        NOISY: ["----"] * 6 + ["++++"],
    }
    stacks = correct_distribution(pooled(tmp_path, outcomes))
    assert stacks.part_names == ["0", "1", "2–3", "4–7", "8"]
    assert stacks.row_labels == ["temperature=0.4", "sigma=0.001 (of 4)"]
    assert stacks.counts == [[1, 1, 2, 2, 1], [6, 0, 0, 1, 0]]
    assert "7 prompts" in stacks.subtitle


def test_a_distribution_of_single_rollouts_is_of_0_and_1(tmp_path):
    stacks = correct_distribution(pooled(tmp_path, {GREEDY: ["+", "-", "-"]}))
    assert (stacks.part_names, stacks.counts) == (["0", "1"], [[2, 1]])


@pytest.mark.parametrize("most", [2, 3, 5, 8, 12])
def test_parts_of_a_distribution_meet_without_gaps(tmp_path, most):
    outcomes = {WARM: ["+" * correct + "-" * (most - correct) for correct in range(most + 1)]}
    stacks = correct_distribution(pooled(tmp_path, outcomes))
    ends = [list(map(int, name.split("–"))) for name in stacks.part_names]
    assert stacks.counts[0] == [span[-1] - span[0] + 1 for span in ends]
    assert [span[0] for span in ends[1:]] == [span[-1] + 1 for span in ends[:-1]]
    assert ends[-1] == [most]


def test_coverage_is_the_share_solved_and_depth_is_over_those(tmp_path):
    outcomes = {GREEDY: ["+"] * 4, WARM: ["++--", "+---", "----", "----"], NOISY: ["----"] * 4}
    (point,) = coverage_depth(pooled(tmp_path, outcomes)).points
    assert (point.label, point.name) == ("temperature=0.4", "0.4")
    assert (point.x, point.y) == (0.5, pytest.approx((2 / 4 + 1 / 4) / 2))
    assert point.x_ends == wilson(2, 4)
    assert point.y_ends == wilson_mean([0.5, 0.25])


def test_coverage_where_nothing_is_solved_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no arm has solved"):
        coverage_depth(pooled(tmp_path, {WARM: ["--"]}))


def test_what_values_have_as_colours_is_ordered_and_unlike(tmp_path):
    def lightness(colour):
        return sum(int(colour[start : start + 2], 16) * weight for start, weight in ((1, 0.21), (3, 0.72), (5, 0.07)))

    arms = [Arm(method, 0.1 * n) for method in ("temperature", "perturbation") for n in range(1, 8)]
    table = pass_at_k_table([record_run(tmp_path, {arm: ["+-"] for arm in arms})])
    for each in pass_at_k_figures(table):
        shades = [lightness(series.tone.colour) for series in each.series]
        assert all(lighter > darker + 5 for lighter, darker in itertools.pairwise(shades))
    parts = [lightness(colour) for colour in part_colours(8)[1:]]
    assert parts == sorted(parts, reverse=True)
    assert len(set(CURVES)) == len(CURVES)


@pytest.mark.parametrize("width", [60, 80, 100, 173])
def test_a_drawing_keeps_its_width_and_shows_every_k_and_arm(figure, width):
    lines = lines_of(figure, width)
    first, axis = (next(n for n, line in enumerate(lines) if line.lstrip().startswith(mark)) for mark in "┌└")
    assert {cell_len(line) for line in lines[first : axis + 1]} == {width}
    assert max(map(cell_len, lines)) <= width
    assert lines[axis + 1].split() == ["1", "2", "4"]
    legend = " ".join(lines[axis + 3 :])
    assert re.findall(r"([abc]) (greedy|temperature=0.4|sigma=0.001)", legend) == [
        ("a", "greedy"),
        ("b", "temperature=0.4"),
        ("c", "sigma=0.001"),
    ]


def test_bands_are_drawn_for_two_curves_and_said_for_more(tmp_path):
    def body(arms):
        outcomes = {arm: ["+---", "+++-"] if number else ["----"] * 2 for number, arm in enumerate(arms)}
        run = record_run(tmp_path / str(len(arms)), outcomes)
        (figure,) = pass_at_k_figures(pass_at_k_table([run]))
        lines = lines_of(figure, 80)
        axis = next(n for n, line in enumerate(lines) if line.lstrip().startswith("└"))
        return "".join(lines[4:axis]), " ".join(lines[axis:])

    plot, legend = body([WARM, NOISY])
    assert plot.count(":") > 50
    assert plot.count("·") > 50
    assert "[" not in legend
    plot, legend = body([WARM, NOISY, Arm("temperature", 1.0)])
    assert not {":", "·"} & set(plot)
    assert legend.count("pass@4") == 3


def test_a_dashed_curve_has_gaps_and_a_solid_one_has_none():
    def blocks(is_dashed):
        series = Series("a", [0, 1], [0.5, 0.5], is_dashed=is_dashed)
        lines = drawn_curves(Figure("t", "x", [(0, "0"), (1, "1")], 1.0, [series]), 60).plain.splitlines()
        return [len(run) for line in lines for run in re.findall("[▀▄█▌▐▖▗▘▝▙▟▛▜▚▞]+", line)]

    assert max(blocks(False)) > 40
    assert len(blocks(True)) > 5
    assert max(blocks(True)) < 10


def test_a_higher_curve_is_drawn_higher():
    series = [Series("a", [0, 1], [0.2, 0.2]), Series("b", [0, 1], [0.8, 0.8])]
    figure = Figure("t", "k", [(0.0, "1"), (1.0, "2")], 1.0, series)
    lines = lines_of(figure, 60)[:-1]
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
    assert not re.search(r"\x1b\[[0-9;]*[34]8;", out)
    assert "temperature=0.4" in out


def test_bars_are_as_long_as_their_values_and_say_them():
    values = {"half": 0.5, "whole": 1.0, "none": 0.0, "little": 0.001}
    bars = Bars("t", "", "share", 1.0, [BarGroup("g", [_bar(name, value) for name, value in values.items()])])
    lines = {line.split()[0]: line for line in lines_of(bars, 80)[2:6]}
    assert lines["whole"].count("█") == pytest.approx(2 * lines["half"].count("█"), abs=1)
    assert lines["none"].count("█") == 0
    assert "▏" in lines["little"]
    assert all(line.rstrip().endswith("said") for line in lines.values())


def _bar(label, value, low=None, high=None):
    return Bar(label, value, "said", Tone("a"), low, high)


def test_the_interval_of_a_bar_is_where_it_thins_out():
    bars = Bars("t", "", "share", 1.0, [BarGroup("", [_bar("x", 0.5, 0.25, 0.75)])], "95 % intervals")
    line = lines_of(bars, 100)[1]
    solid, dense, light = (line.count(block) for block in "█▓░")
    assert solid == pytest.approx(dense, abs=1)
    assert dense == pytest.approx(light, abs=1)
    assert re.search("█+▓+░+", line)


def test_long_labels_and_notes_stand_on_lines_of_their_own(tmp_path):
    long = Arm("temperature", 0.4, top_p=0.9, top_k=20, repetition_penalty=1.1)
    counts = pooled(tmp_path, {long: ["+-", "--"], WARM: ["+-", "--"]})
    for each in (summary_bars(pool_table(counts)), correct_distribution(counts)):
        lines = lines_of(each, 60)
        assert max(map(cell_len, lines)) <= 60
        assert long.key in [line.strip() for line in lines]


@pytest.mark.parametrize("width", [60, 80, 137])
def test_stacks_show_each_part_by_its_letter_and_count(width):
    stacks = Stacks("t", "", ["one", "other"], "correct", ["0", "1", "2"], "prompts", [[50, 0, 50], [1, 98, 1]])
    one, other = lines_of(stacks, width)[1:3]
    assert max(map(cell_len, (one, other))) == width
    assert re.fullmatch(r"one +(a+)50a+c+50c+", one)
    assert re.fullmatch(r"other (a+|1)b+98b+(c+|1)", other)


def test_counts_of_narrow_neighbours_do_not_run_into_each_other():
    counts = [[40, 1, 2, 3, 4, 100], [0, 75, 0, 0, 75, 0]]
    stacks = Stacks("t", "", ["one", "other"], "correct", list("012345"), "prompts", counts)
    for line, row in zip(lines_of(stacks, 60)[1:3], counts, strict=True):
        found = {letter: int(count) for letter, count in re.findall(r"([a-f])(\d+)", line.split()[1])}
        assert found
        assert all(row["abcdef".index(letter)] == count for letter, count in found.items())


def test_strips_have_a_column_a_prompt_or_say_otherwise():
    def strip(number):
        part = StripPart("both", [f"p{n}" for n in range(number)], [1.0] * number, [0.0] * number)
        return Strip("t", "", "A hot", "B noisy", "prompts", [part, StripPart("neither", [], [], [])])

    few = lines_of(strip(10), 60)
    assert few[1:4] == ["both: 10 of 10 prompts", "  A " + "█" * 10, "  B " + "·" * 10]
    assert few[4] == "neither: 0 of 10 prompts"
    many = lines_of(strip(2000), 60)
    assert many[1] == "both: 2000 of 2000 prompts, a column the mean of 9"
    assert sum(line.count("█") for line in many[:-1]) == -(-2000 // 9)
    assert len(many) <= 12


def test_means_of_neighbours():
    assert means_of_neighbours([1, 2, 3, 4, 6], 2) == [1.5, 3.5, 6]
    assert means_of_neighbours([1, 2], 1) == [1, 2]


def test_a_narrow_terminal_gets_the_numbers_within_its_width(tmp_path, table, figure):
    counts = pooled(tmp_path / "b")
    for each in (figure, summary_bars(table), correct_distribution(counts), coverage_depth(counts)):
        lines = lines_of(each, 40)
        assert lines[0].startswith("40 columns are too few")
        assert max(map(cell_len, lines)) <= 40
    assert any(re.match(r"temperature=0.4 +2 +0.250 \[", line) for line in lines_of(figure, 40))


def test_pool_table_and_figure_agree_on_the_ks(tmp_path):
    counts = pooled(tmp_path)
    (figure,) = pass_at_k_figures(pool_table(counts, [3]))
    assert figure.x_ticks == [(3, "3")]
