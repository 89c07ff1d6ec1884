import csv
import io
import json
import re
import sys

import pytest

from labkit.errors import ConfigError
from labkit.report.render import chosen_format, drawn, fitting_columns, print_tables, render
from labkit.report.table import Table

LONG = "a-run-with-a-name-that-is-longer-than-any-terminal-" * 4


def make_table(**changes):
    columns = ["run", "arm", "pass@1", "pass@1_low", "pass@1_high", "errors"]
    rows = [
        {
            "run": LONG,
            "arm": "temperature=0.4",
            "pass@1": 0.53125,
            "pass@1_low": 0.45,
            "pass@1_high": 0.61,
            "errors": 3,
        },
        {"run": LONG, "arm": "greedy", "pass@1": float("nan"), "errors": 0},
    ]
    return Table(**({"kind": "demo", "title": "demo", "columns": columns, "rows": rows, "notes": ["torn"]} | changes))


def on_a_terminal(monkeypatch):
    """Make stdout a terminal of 80 columns. No fixture: pytest puts another stdout in place before the test's body."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")


def test_a_pipe_gets_tab_separated_rows_in_full_and_notes_on_stderr(capsys):
    print_tables([make_table()])
    out, err = capsys.readouterr()
    assert [line.split("\t") for line in out.splitlines()] == [
        ["run", "arm", "pass@1", "pass@1_low", "pass@1_high", "errors"],
        [LONG, "temperature=0.4", "0.53125", "0.45", "0.61", "3"],
        [LONG, "greedy", "", "", "", "0"],
    ]
    assert err == "note: torn\n"


def test_a_terminal_gets_a_rate_and_its_interval_in_one_cell(capsys, monkeypatch):
    on_a_terminal(monkeypatch)
    print_tables([make_table(columns=["arm", "pass@1", "pass@1_low", "pass@1_high"])])
    out, err = capsys.readouterr()
    assert "0.531 [0.45, 0.61]" in out
    assert "pass@1_low" not in out
    assert "torn" in out
    assert err == ""


def test_a_narrow_terminal_leaves_expendable_columns_out_and_says_so(capsys, monkeypatch):
    on_a_terminal(monkeypatch)
    print_tables([make_table(expendable=["errors", "run"])])
    out = capsys.readouterr().out
    assert "not shown for want of width: run, errors" in out
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in out.splitlines()) <= 80
    assert LONG[:20] not in out


def test_a_wide_terminal_shows_every_column():
    table = make_table(expendable=["errors", "run"])
    assert fitting_columns(table, 400) == (["run", "arm", "pass@1", "errors"], [])
    assert fitting_columns(table, 50) == (["arm", "pass@1"], [])


def test_what_tells_rows_apart_stays_on_a_narrow_terminal():
    rows = [
        {"run": f"a run {number}", "arm": "greedy", "rate": 0.5, "rate_low": 0.4, "rate_high": 0.6} for number in (1, 2)
    ]
    columns = ["run", "arm", "rate", "rate_low", "rate_high"]
    table = make_table(columns=columns, rows=rows, expendable=["run", "arm", "rate_low"])
    assert fitting_columns(table, 30) == (["run", "rate"], [])
    assert fitting_columns(table, 20) == (["run", "rate"], ["rate"])
    assert table.texts(["rate"], bare=["rate"]) == [["0.500"], ["0.500"]]


def test_a_narrow_interval_keeps_a_digit_more():
    row = {"pass@1": 0.2004, "pass@1_low": 0.1987, "pass@1_high": 0.2021}
    text = render([make_table(columns=["pass@1", "pass@1_low", "pass@1_high"], rows=[row])], "markdown")
    assert "0.200 [0.199, 0.202]" in text


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [(76.94, 70.12, 83.7, "76.9 [70.1, 83.7]"), (2.795e28, 1.58e28, 4e28, "2.79e+28 [1.58e+28, 4e+28]")],
)
def test_a_mean_in_its_own_unit_is_short_however_large(value, low, high, text):
    row = {"mean": value, "mean_low": low, "mean_high": high}
    assert text in render([make_table(columns=["mean", "mean_low", "mean_high"], rows=[row])], "markdown")


def test_json_is_the_published_object_and_has_null_for_nan(capsys):
    print_tables([make_table(notes=[])], format="json")
    whole = json.loads(capsys.readouterr().out)
    assert set(whole) == {"schema", "tables"}
    assert whole["schema"] == 1
    (table,) = whole["tables"]
    assert set(table) == {"kind", "title", "columns", "rows"}
    assert all(list(row) == table["columns"] for row in table["rows"])
    assert table["rows"][1]["pass@1"] is None
    assert table["rows"][1]["pass@1_low"] is None


def test_csv_reads_back_with_commas_and_quotes_inside():
    table = make_table(columns=["arm", "errors"], rows=[{"arm": 'temperature=0.4,top_p=0.9 "x"', "errors": True}])
    assert list(csv.reader(io.StringIO(render([table], "csv")))) == [
        ["arm", "errors"],
        ['temperature=0.4,top_p=0.9 "x"', "true"],
    ]


def test_markdown_escapes_bars_and_keeps_notes():
    text = render([make_table(columns=["arm", "errors"], rows=[{"arm": "a|b\nc", "errors": None}])], "markdown")
    assert text.splitlines() == ["**demo**", "", "| arm | errors |", "| --- | --- |", r"| a\|b c | – |", "", "- torn"]


def test_a_title_and_a_note_of_several_lines_are_one_line_of_markdown():
    marker = "a\n<!-- /labkit -->\nb"
    text = render([make_table(columns=["arm"], rows=[{"arm": "x"}], title=marker, notes=[marker])], "markdown")
    said = "a <!-- /labkit --> b"
    assert text.splitlines() == [f"**{said}**", "", "| arm |", "| --- |", "| x |", "", f"- {said}"]


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        ([0.0, 1.0063, 0.4549, None, -0.003], ["0.000", "1.006", "0.455", "–", "-0.003"]),
        ([344.07, 97.5, 1234.56], ["344", "98", "1235"]),
        ([0.7044, 0.05], ["0.704", "0.050"]),
        ([0.0003, 0.02], ["0.0003", "0.02"]),
        ([2.5e9, 3.0], ["2.5e+09", "3"]),
        ([8, 12.5], ["8", "12.50"]),
    ],
)
def test_numbers_of_a_column_have_the_same_decimals(numbers, texts):
    rows = [{"x": number} for number in numbers]
    assert [text for (text,) in make_table(columns=["x"], rows=rows).texts(["x"])] == texts


def test_latex_escapes_what_it_would_read_as_commands():
    table = make_table(
        title="100% _x_", columns=["arm", "pass@1"], rows=[{"arm": r"a_b&c#d$e{f}~g^h\i", "pass@1": 0.5}]
    )
    lines = render([table], "latex").splitlines()
    assert r"a\_b\&c\#d\$e\{f\}\textasciitilde{}g\textasciicircum{}h\textbackslash{}i & 0.500 \\" in lines
    assert r"\caption{100\% \_x\_}" in lines
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert r"\begin{tabular}{lr}" in lines


def test_several_tables_are_parted_by_an_empty_line():
    assert render([make_table(), make_table()], "csv").count("\n\n") == 1


def test_two_formats_at_once_are_refused():
    assert chosen_format(json=False, csv=True) == "csv"
    assert chosen_format(json=False) is None
    with pytest.raises(ConfigError, match="--json and --latex exclude each other"):
        chosen_format(json=True, latex=True)


def test_nothing_in_a_table_or_a_figure_reaches_the_terminal_as_a_command():
    from rich.console import Console

    from labkit.report.figures import Figure, Series
    from labkit.report.terminal import drawing

    bad = "a\x1b[2Jb\u202ec"
    table = make_table(columns=["arm", "errors"], rows=[{"arm": bad, "errors": None}])
    table.title, table.notes = bad, [bad]
    figure = Figure(bad, "k", [(0.0, "1"), (1.0, "2")], 0.6, [Series(bad, [0, 1], [0.2, 0.4])], subtitle=bad)
    for shown in (drawn(table, 80), drawing(figure, 80)):
        console = Console(width=80, force_terminal=False, color_system=None)
        with console.capture() as out:
            console.print(shown)
        text = out.get()
        assert "\x1b" not in text and "\u202e" not in text and "a [2Jb c" in text
