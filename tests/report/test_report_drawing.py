import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from labkit.errors import ConfigError, MachineError
from labkit.report.drawing import check_figure_path, save_figures
from labkit.report.figures import Figure, Heatmap, Series

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


@pytest.mark.parametrize("name", ["figure.pdf", "figure", "absent/figure.svg"])
def test_a_file_that_cannot_be_written_is_refused(tmp_path, name):
    with pytest.raises(ConfigError):
        check_figure_path(tmp_path / name)


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
