"""Tables as text: for a terminal, a pipe, a program, a spreadsheet, a README, a paper.

Off a terminal nothing is ever cut or wrapped, and no colour is used.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, get_args

from labkit.errors import ConfigError
from labkit.report.naming import first_few
from labkit.report.screen_text import clean, clean_lines
from labkit.report.table import Cell, Table

if TYPE_CHECKING:
    from rich.console import Group

Format = Literal["json", "csv", "markdown", "latex"]

_GAP = 2
"""Columns of a terminal between two columns of a table."""

_HEAD = 12
"""Characters of a line of a column's head."""

_MOST_HIDDEN = 8
"""Columns that were left out are named up to so many; the other forms of output have them all."""

_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "…": r"\ldots{}",
    **{character: "\\" + character for character in "_%&#${}"},
}  # fmt: skip


def chosen_format(**flags: bool) -> Format | None:
    """The one format whose flag was given; None is a table for people, or TSV off a terminal.

    Raises:
        ConfigError: several flags were given.
    """
    given = [name for name in get_args(Format) if flags.get(name)]
    if len(given) > 1:
        raise ConfigError(" and ".join(f"--{name}" for name in given) + " exclude each other", "give one of them")
    return given[0] if given else None


def print_tables(tables: Sequence[Table], *, format: Format | None = None) -> None:
    """Print tables to stdout. Without a format: drawn on a terminal, TSV elsewhere, where the notes go to stderr."""
    if format is None and sys.stdout.isatty():
        _draw(tables)
        return
    # The plain print: rich would wrap a long line at the width it guesses.
    print(render(tables, format or "tsv"))
    if format in (None, "csv"):
        sys.stdout.flush()
        for note in dict.fromkeys(note for table in tables for note in table.notes):
            print(f"note: {note}", file=sys.stderr)


def render(tables: Sequence[Table], format: Format | Literal["tsv"]) -> str:
    """Tables as text, without a newline at the end."""
    forms: Mapping[str, Callable[[Table], str]] = {"tsv": _tsv, "csv": _csv, "markdown": _markdown, "latex": _latex}
    if format == "json":
        return to_json(tables)
    return "\n\n".join(forms[format](table) for table in tables)


def to_json(tables: Sequence[Table]) -> str:
    """`{"schema": 1, "tables": […]}`."""
    whole = {"schema": 1, "tables": [table.as_json() for table in tables]}
    return json.dumps(whole, ensure_ascii=False, allow_nan=False)


def fitting_columns(table: Table, width: int) -> tuple[list[str], list[str]]:
    """The columns that a terminal of `width` shows, and those among them that it shows without their interval.

    All, or as many as fit after leaving expendable ones out. A column stays if rows that it tells apart would look alike
    without it.
    """
    columns = list(table.folded_columns())
    bare: list[str] = []
    widths = _widths(table, columns)
    labels = [name for name in columns if not any(isinstance(row[name], float) for row in table.rows)]
    for expendable in table.expendable:
        if sum(widths[name] + _GAP for name in columns) <= width + _GAP:
            break
        others = [name for name in columns if name != expendable]
        if (column := expendable.removesuffix("_low")) in others:
            bare.append(column)
            widths |= _widths(table, [column], bare=bare)
        elif expendable in columns and not _tells_apart(
            table, expendable, [name for name in labels if name in columns]
        ):
            columns = others
    return columns, bare


def _widths(table: Table, columns: Sequence[str], *, bare: Sequence[str] = ()) -> dict[str, int]:
    heads = [max(_breakable(column).split("\n"), key=len) for column in columns]
    lines = [heads, *table.texts(columns, bare=bare)]
    return {column: max(map(len, cells)) for column, cells in zip(columns, zip(*lines, strict=True), strict=True)}


def _tells_apart(table: Table, column: str, labels: Sequence[str]) -> bool:
    """Whether rows differ in a column that are alike in the other columns that are no measurements."""
    others = [name for name in labels if name != column]
    if len(others) == len(labels):
        return False
    whole, rest = ({tuple(row[name] for name in names) for row in table.rows} for names in (labels, others))
    return len(whole) != len(rest)


def drawn(table: Table, width: int) -> Group:
    """A table as rich draws it within `width` columns, title above and notes below."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table as Drawing
    from rich.text import Text

    columns, bare = fitting_columns(table, width)
    narrow = _widths(table, columns, bare=bare)
    are_whole = sum(max(narrow[name], len(name)) + _GAP for name in columns) <= width + _GAP
    drawing = Drawing(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for column in columns:
        is_text = any(isinstance(row[column], str) for row in table.rows)
        head = Text(clean_lines(column if are_whole else _breakable(column)))
        drawing.add_column(head, justify="left" if is_text else "right", overflow="fold")
    for texts in table.texts(columns, bare=bare):
        drawing.add_row(*(Text(clean(text)) for text in texts))
    hidden = [column for column in table.folded_columns() if column not in columns]
    hidden += [f"the interval of {column}" for column in bare]
    left_out = [f"not shown for want of width: {first_few(hidden, _MOST_HIDDEN)}"] if hidden else []
    notes = [Text(f"  {clean(note)}", style="dim") for note in table.notes + left_out]
    return Group(Text(clean(table.title), style="bold"), drawing if table.rows else Text("  nothing yet"), *notes)


def _breakable(name: str) -> str:
    """A column's name in lines that end at underscores, as short as its words allow."""
    lines = [""]
    for part in re.findall("[^_]*_|[^_]+", name):
        if lines[-1] and len(lines[-1]) + len(part) > _HEAD:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _draw(tables: Sequence[Table]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for table in tables:
        console.print(drawn(table, console.width), "")


def _tsv(table: Table) -> str:
    lines = [table.columns, *([_plain(row[column]) for column in table.columns] for row in table.rows)]
    return "\n".join("\t".join(re.sub(r"[\t\r\n]+", " ", cell) for cell in line) for line in lines)


def _csv(table: Table) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_plain(row[column]) for column in table.columns] for row in table.rows)
    return out.getvalue().rstrip("\n")


def _plain(value: Cell) -> str:
    """A cell for a program: numbers in full, nothing as an empty cell."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _markdown(table: Table) -> str:
    columns = list(table.folded_columns())
    lines = [columns, *table.texts(columns)]
    shown = ["| " + " | ".join(_one_line(cell).replace("|", r"\|") for cell in line) + " |" for line in lines]
    shown.insert(1, "|" + " --- |" * len(columns))
    notes = [f"- {_one_line(note)}" for note in table.notes]
    return "\n".join([f"**{_one_line(table.title)}**", "", *shown, *(["", *notes] if notes else [])])


def _latex(table: Table) -> str:
    """A booktabs table; the preamble needs `\\usepackage{booktabs}`."""
    columns = list(table.folded_columns())
    shape = "".join("l" if any(isinstance(row[column], str) for row in table.rows) else "r" for column in columns)
    rows = [" & ".join(map(_escape, texts)) + r" \\" for texts in table.texts(columns)]
    return "\n".join(
        [
            *(f"% {_one_line(note)}" for note in table.notes),
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escape(table.title)}}}",
            rf"\begin{{tabular}}{{{shape}}}",
            r"\toprule",
            " & ".join(map(_escape, columns)) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _escape(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(text.split())
