import re

import pytest
from rich.cells import cell_len

from labkit.errors import ConfigError
from labkit.report.colours import STOPS, colour_at, text_colour
from labkit.report.figures import Heatmap
from labkit.report.terminal import print_figure
from labkit.report.terminal_heatmap import drawing
from labkit.report.world.heatmaps import cka_heatmaps, score_heatmaps
from labkit.report.world.scores import Score, ScoredModel, mixture_of
from labkit.tasks.world.metrics import Improvement

TASKS = ("distance", "trianglearea", "perimeter")


def model(name, trained, values, seed="1"):
    scores = {task: Score(Improvement(value), None) for task, value in zip(TASKS, values, strict=True)}
    return ScoredModel(name, mixture_of(trained), seed, None, scores)


MODELS = [
    model("a", ["distance"], (0.5, 0.0, 0.1)),
    model("b", ["trianglearea"], (0.2, 0.8, 0.4)),
    model("c", ["distance", "trianglearea"], (0.9, 0.55, None)),
    model("a", ["distance"], (0.7, 0.2, 0.3), seed="2"),
]


def small(scale="difference", lower=-0.5, upper=0.5):
    rows = [("ftwb2-1", "distance+trianglearea"), ("ftwb2-13", "perimeter+distance")]
    values = [[0.234, -0.001, None], [-0.41, -0.5, 1.25]]
    marks = [["T", "T", ""], ["T", "", "T"]]
    return Heatmap("a title", scale, lower, upper, "actual − expected", rows, TASKS, values, marks, "T: trained")


def test_a_heatmap_of_improvements_has_the_values_and_marks_what_was_trained():
    (found,) = score_heatmaps(MODELS[:3], "improvement", family="ftwb1", seed="1")
    assert found.values == [[0.5, 0.0, 0.1], [0.2, 0.8, 0.4]]
    assert found.marks == [["T", "", ""], ["", "T", ""]]
    assert found.row_labels == [("ftwb1-1", "distance"), ("ftwb1-2", "trianglearea")]
    assert (found.scale, found.lower, found.upper) == ("improvement", 0, 1)


def test_by_default_it_is_about_pairs_where_there_are_some():
    (found,) = score_heatmaps(MODELS, "improvement")
    assert found.values == [[0.9, 0.55, None]]
    (found,) = score_heatmaps(MODELS[:2], "improvement")
    assert len(found.values) == 2


def test_differences_diverge_about_0():
    (found,) = score_heatmaps(MODELS[:3], "difference")
    assert found.values == [[pytest.approx(0.4), pytest.approx(-0.25), None]]
    assert (found.scale, found.lower, found.upper) == ("difference", -0.5, 0.5)


def test_seeds_one_by_one_or_their_mean():
    singles = [MODELS[0], MODELS[3]]
    aggregated, each = (score_heatmaps(singles, "improvement", seed=seed) for seed in ("aggregated", "all"))
    assert [round(value, 9) for value in aggregated[0].values[0]] == [0.6, 0.1, 0.2]
    assert [found.title for found in each] == [f"ftwb1, normalised improvement, seed {seed}" for seed in "12"]
    with pytest.raises(ConfigError, match="no seed '3'"):
        score_heatmaps(singles, "improvement", seed="3")


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(ConfigError, match="no difference of ftwb2"):
        score_heatmaps(MODELS[:2], "difference")
    with pytest.raises(ConfigError, match="have no difference"):
        score_heatmaps(MODELS, "difference", family="ftwb1")
    with pytest.raises(ConfigError, match="no improvement of ftwb2"):
        score_heatmaps(MODELS[:2], "improvement", family="ftwb2")


def test_cka_is_a_matrix_of_tasks_for_each_layer():
    pair = {("angle", "distance"): 0.4, ("distance", "angle"): 0.4}
    four, five = cka_heatmaps({4: pair, 5: {**pair, ("distance", "distance"): 0.9}})
    assert four.column_labels == ["distance", "angle"]
    assert four.values == [[1.0, 0.4], [0.4, 1.0]]
    assert five.values[0][0] == 0.9
    assert five.title.endswith("layer 5")


def test_cells_have_two_decimals_a_mark_and_no_minus_zero():
    found = small()
    assert [found.cell_text(0, column) for column in range(3)] == ["0.23T", "0.00T", "–"]
    assert found.cell_text(1, 1) == "-0.50"


def rows_of(lines):
    """Where the rows of `small` stand."""
    return [place for place, line in enumerate(lines) if re.match(r"(ftwb2-|1 |13 )", line)]


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_a_drawing_fits_its_width_and_shows_every_number(width):
    lines = drawing(small(), width).plain.splitlines()
    assert max(map(cell_len, lines)) <= width
    first, second = rows_of(lines)
    assert re.findall(r"-?\d\.\d\dT?|–", lines[first]) == ["0.23T", "0.00T", "–"]
    assert re.findall(r"-?\d\.\d\dT?|–", lines[second]) == ["-0.41T", "-0.50", "1.25T"]
    words = "".join(lines[1:first]).replace(" ", "").replace("-", "")
    assert sorted(words) == sorted("".join(TASKS))
    assert " ".join(lines[second + 1 :]) == (
        "actual − expected; colours from -0.5 to 0.5; values beyond the ends have the colour of the end; T: trained; "
        "–: no value"
    )


def test_numbers_of_a_column_stand_below_each_other():
    lines = drawing(small(), 100).plain.splitlines()
    first, second = (lines[place] for place in rows_of(lines))
    assert first.index(".23") == second.index(".41")
    assert first.index(".00") == second.index(".50")


def test_all_models_of_the_experiment_fit_80_columns():
    from labkit.config.world import PAIRS, TASK_NAMES

    rows = [(f"ftwb2-{number}", "+".join(pair)) for number, pair in PAIRS.items()]
    values, marks = [[-0.12] * 7 for _ in rows], [["T"] * 7 for _ in rows]
    whole = Heatmap("t", "difference", -0.5, 0.5, "d", rows, TASK_NAMES, values, marks)
    for width, label in (
        (100, "ftwb2-20  perimeter+trianglearea"),
        (80, "20 perimeter+trianglearea"),
        (64, "ftwb2-20"),
    ):
        lines = drawing(whole, width).plain.splitlines()
        assert max(map(cell_len, lines)) <= width
        assert any(line.startswith(label + " ") for line in lines)


def test_negative_is_red_and_positive_is_blue():
    low, middle, high = (colour_at("difference", position) for position in (0.1, 0.5, 0.9))
    assert int(low[1:3], 16) > int(low[5:7], 16) + 80
    assert int(high[5:7], 16) > int(high[1:3], 16) + 80
    assert middle == "#f7f7f7"


@pytest.mark.parametrize("scale", STOPS)
def test_a_scale_meets_its_stops_and_stays_at_its_ends(scale):
    stops = STOPS[scale]
    assert [colour_at(scale, index / (len(stops) - 1)) for index in range(len(stops))] == list(stops)
    assert (colour_at(scale, -3), colour_at(scale, 9)) == (stops[0], stops[-1])


def test_text_can_be_read_on_light_and_dark():
    assert (text_colour("#ffffff"), text_colour("#000000"), text_colour("#67001f")) == ("#000000", "#ffffff", "#ffffff")


def test_off_a_terminal_and_under_no_color_there_are_only_numbers(capsys, monkeypatch):
    print_figure(small())
    plain = capsys.readouterr().out
    assert "\x1b" not in plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    print_figure(small(), width=100)
    coloured = capsys.readouterr().out
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    monkeypatch.setenv("NO_COLOR", "1")
    print_figure(small(), width=100)
    assert ";48;" not in capsys.readouterr().out
