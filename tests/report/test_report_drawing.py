import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from labkit.errors import ConfigError, MachineError
from labkit.report.colours import Tone
from labkit.report.drawing import check_figure_path, save_figures
from labkit.report.drawing_curves import label_places
from labkit.report.figures import (
    Bar,
    BarGroup,
    Bars,
    Figure,
    Heatmap,
    Point,
    Scatter,
    Series,
    Stacks,
    Strip,
    StripPart,
)

CURVES = Figure(
    "curves", "k", [(0.0, "1"), (1.0, "2")], 0.6, [Series("greedy", [0], [0.5]), Series("warm", [0, 1], [0.2, 0.4])]
)


def small():
    rows = [("ftwb2-1", "distance+trianglearea"), ("ftwb2-13", "perimeter+distance")]
    columns = ["distance", "trianglearea", "perimeter"]
    values = [[0.234, -0.001, None], [-0.41, -0.5, 1.25]]
    marks = [["T", "T", ""], ["T", "", "T"]]
    return Heatmap("a title", "difference", -0.5, 0.5, "actual − expected", rows, columns, values, marks, "T: trained")


def texts(path):
    """Every text of an SVG file."""
    return [
        element.text for element in ElementTree.parse(path).iter() if element.tag.endswith("}text") and element.text
    ]


def test_an_svg_has_every_number_mark_and_label(tmp_path):
    path = tmp_path / "figure.svg"
    save_figures([small()], path)
    found = texts(path)
    assert {"0.23", "0.00", "–", "−0.41", "−0.50", "1.25", "a title", *small().column_labels} <= set(found)
    assert found.count("T") == 4
    colours = set(re.findall(r'fill="(#[0-9a-f]{6})"', path.read_text()))
    assert {"#e8e8e8"} <= colours  # the cell without a value


def test_curves_have_their_axis_and_legend(tmp_path):
    path = tmp_path / "figure.svg"
    save_figures([CURVES, CURVES], path)
    found = texts(path)
    assert found.count("curves") == 2
    assert {"greedy", "warm", "k", "1", "2"} <= set(found)


def test_a_logarithmic_axis(tmp_path):
    path = tmp_path / "figure.svg"
    errors = Figure(
        "errors", "step", [(0, "0"), (9, "9")], 5000, [Series("base", [0, 9], [3820, 41])], y_lower=20, is_log=True
    )
    save_figures([errors], path)
    assert [text for text in texts(path) if text.isdecimal()][2:] == [
        "20",
        "50",
        "100",
        "200",
        "500",
        "1000",
        "2000",
        "5000",
    ]


@pytest.mark.parametrize("suffix", [".svg", ".png", ".html"])
def test_the_same_figure_is_the_same_bytes(tmp_path, suffix):
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path in paths:
        save_figures([small(), CURVES], path)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert {".png": b"\x89PNG", ".svg": b"<svg", ".html": b"<!DOCTYPE html>"}[suffix] in first[:20]


def test_html_needs_no_network(tmp_path):
    path = tmp_path / "figure.html"
    save_figures([small()], path)
    text = path.read_text()
    assert re.findall(r"<script[^>]*src=", text) == []
    page = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search("src=|href=|url", page)
    assert not re.search(r"""(?:from|import)\s*\(?["']https?:""", text)
    assert "distance+trianglearea" in text


@pytest.mark.parametrize("suffix", [".svg", ".png", ".html"])
def test_characters_that_no_xml_holds_are_replaced(tmp_path, suffix):
    bad = "a\x1b[31m\x00\x08\ufffe\ud800b"
    figure = Figure(f"title {bad}", "k", [(0, "0"), (1, "1")], 1.0, [Series(f"label {bad}", [0, 1], [0.5, 0.5])])
    bars = Bars("bars", "", "value", 1.0, [BarGroup(bad, [Bar(bad, 0.5, "0.5", Tone("a"))])])
    path = tmp_path / f"figure{suffix}"
    save_figures([figure, bars], path)
    assert path.stat().st_size > 1000
    if suffix == ".svg":
        shown = "a\ufffd[31m\ufffd\ufffd\ufffd\ufffdb"
        assert {f"title {shown}", f"label {shown}", shown} <= set(texts(path))


@pytest.mark.parametrize("name", ["figure.pdf", "figure", "absent/figure.svg", "folder.svg"])
def test_a_file_that_cannot_be_written_is_refused(tmp_path, name):
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(ConfigError):
        check_figure_path(tmp_path / name)


def test_a_folder_is_no_figure(tmp_path):
    folder = tmp_path / "folder.svg"
    folder.mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        save_figures([CURVES], folder)


@pytest.mark.parametrize("suffix", [".svg", ".png", ".html"])
def test_characters_that_xml_has_not_are_replaced(tmp_path, suffix):
    # In a process of its own: what it must not do is to abort.
    path = tmp_path / f"figure{suffix}"
    code = (
        "import sys; from pathlib import Path; from labkit.report.drawing import save_figures\n"
        "from labkit.report.figures import Figure, Series\n"
        "series = [Series('a\\x1b[31m label', [0, 1], [0.2, 0.4])]\n"
        "save_figures([Figure('a \\x00 title \\ufffe', 'k', [(0.0, '1')], 0.6, series)], Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if suffix == ".svg":
        assert {"a \ufffd title \ufffd", "a\ufffd[31m label"} <= set(texts(path))


def test_without_the_extra_the_machine_cannot(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(MachineError) as refused:
        save_figures([CURVES], tmp_path / "figure.svg")
    assert "vl_convert" in refused.value.message
    assert "labkit[figures]" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


def test_long_curves_are_drawn_whole(tmp_path):
    xs = list(range(6000))
    save_figures([Figure("long", "step", [(0, "0"), (6000, "6000")], 1.0, [Series("a", xs, [0.5] * 6000)])],
                 tmp_path / "long.svg")  # fmt: skip
    assert "6000" in texts(tmp_path / "long.svg")


def test_importing_the_module_imports_neither_library():
    code = "import sys, labkit.report.drawing; assert not {'altair', 'vl_convert'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def drawn(tmp_path, figure):
    save_figures([figure], tmp_path / "figure.svg")
    return (tmp_path / "figure.svg").read_text(), texts(tmp_path / "figure.svg")


def test_bands_levels_and_dashes_are_drawn_and_each_curve_stands_once_in_the_legend(tmp_path):
    series = [
        Series("greedy", [1], [0.43], tone=Tone("greedy"), is_level=True),
        Series("A", [1, 2, 4], [0.2, 0.4, 0.6], 1, [0.1, 0.3, 0.5], [0.3, 0.5, 0.7], Tone("a")),
        Series("B", [1, 2, 4], [0.1, 0.2, 0.3], 2, [0.0, 0.1, 0.2], [0.2, 0.3, 0.4], Tone("b"), is_dashed=True),
    ]
    ticks = [(k, str(k)) for k in (1, 2, 4)]
    figure = Figure("t", "k", ticks, 0.8, series, x_is_log=True, interval_label="95 % intervals")
    svg, found = drawn(tmp_path, figure)
    assert svg.count('aria-roledescription="area mark"') == 2
    assert [found.count(name) for name in ("greedy", "A", "B")] == [1, 1, 1]
    for family, dash in (("greedy", "2,3"), ("b", "6,3")):
        assert re.search(rf'stroke="{Tone(family).colour}"[^>]*stroke-dasharray="{dash}"', svg)
    level = re.search(rf'd="M0,([\d.]+)L560,([\d.]+)"[^>]*stroke="{Tone("greedy").colour}"', svg)
    assert [float(height) for height in level.groups()] == pytest.approx([300 * (1 - 0.43 / 0.8)] * 2, abs=0.01)
    assert "bands: 95 % intervals" in found


def test_bars_have_whiskers_values_and_notes(tmp_path):
    bars = [
        Bar("A", 0.5, "0.500 [0.40, 0.60]", Tone("a"), 0.4, 0.6, note="temperature=1"),
        Bar("B", None, "– (has 1)", Tone("b")),
        Bar("C", 0.25, "0.250 [0.20, 0.30]", Tone("b"), 0.2, 0.3, is_hollow=True),
    ]
    _, found = drawn(tmp_path, Bars("t", "s", "share", 1.0, [BarGroup("k = 4", bars)], "95 % intervals"))
    assert {"0.500, temperature=1", "– (has 1)", "0.250", "k = 4", "A", "share"} <= set(found)
    svg = (tmp_path / "figure.svg").read_text()
    widths = [float(width) for width in re.findall(r'aria-roledescription="bar" d="M0,[\d.]+h([\d.]+)', svg)]
    assert widths == pytest.approx([210, 105], abs=0.1) or widths == pytest.approx([210, 0, 105], abs=0.1)
    assert f'fill="#ffffff" stroke="{Tone("b").colour}"' in svg


def test_stacks_have_their_counts_where_there_is_room(tmp_path):
    counts = [[900, 100, 1], [0, 500, 501]]
    _, found = drawn(tmp_path, Stacks("t", "", ["one", "other"], "correct", ["0", "1", "2"], "prompts", counts))
    assert {"900", "500", "501", "one", "other", "correct"} <= set(found)
    assert found.count("1") == 1  # in the legend: a single prompt of a thousand has no room


def test_strips_say_their_stretches_and_group_many_prompts(tmp_path):
    def strip(number):
        part = StripPart("both", [str(n) for n in range(number)], [0.5] * number, [0.25] * number)
        return Strip("t", "s", "A hot", "B noisy", "prompts", [part, StripPart("neither", [], [], [])])

    svg, found = drawn(tmp_path, strip(100))
    assert {"both: 100", "A hot, above", "B noisy, below", "s"} <= set(found)
    assert svg.count(f'fill="{Tone("a").colour}"') == 100 + 1  # and in the legend
    svg, found = drawn(tmp_path, strip(2000))
    assert "s; a column is the mean of 6 prompts" in found
    assert svg.count(f'fill="{Tone("b").colour}"') == -(-2000 // 6) + 1


def points(places):
    return [
        Point(f"arm={number}", f"0.00{number}", x, y, (x - 0.01, x + 0.01), (y - 0.01, y + 0.01), Tone("a"))
        for number, (x, y) in enumerate(places)
    ]


def test_points_have_names_beside_them_that_cover_nothing(tmp_path):
    crowd = [(0.5 + 0.02 * step, 0.5 - 0.02 * step) for step in range(6)]
    scatter = Scatter("t", "s", "x", "y", 1.0, 1.0, points(crowd), "intervals", [("sigma", Tone("a"), range(6))])
    places = label_places(scatter, 560, 300)
    boxes = [(x - 15, y - 5.5, x + 15, y + 5.5) for x, y in places]
    dots = [(x * 560 - 3, y * 300 - 3, x * 560 + 3, y * 300 + 3) for x, y in crowd]
    for number, box in enumerate(boxes):
        for other in boxes[number + 1 :] + dots:
            assert box[0] >= other[2] or other[0] >= box[2] or box[1] >= other[3] or other[1] >= box[3]
    _, found = drawn(tmp_path, scatter)
    assert {"sigma", "x", "y", "s; lines through the points: intervals"} <= set(found)
    assert found.count("0.003") == 2  # the name and the white edge below it


def test_every_form_of_figure_makes_an_offline_page(tmp_path):
    bar = Bar("</script><script>alert(1)</script>", 0.5, "0.5", Tone("a"))
    save_figures([Bars("t", "", "v", 1.0, [BarGroup("", [bar])]), CURVES], tmp_path / "figure.html")
    page = (tmp_path / "figure.html").read_text()
    assert "</script><script>alert" not in page
    assert r"\u003c/script>\u003cscript>alert(1)" in page
    assert page.count("<script") == page.count("</script>")
    assert re.findall(r"<script[^>]*src=", page) == []
