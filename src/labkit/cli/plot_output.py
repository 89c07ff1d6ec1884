"""Where figures go: the terminal, a file, or a program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from labkit.report.figures import Drawable

Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FILE", help="Write a file instead: .svg, .png, or .html, which needs no network.",
        show_default=False,
    ),
]  # fmt: skip
Width = Annotated[int | None, typer.Option("--width", min=60, help="Columns to draw on.  [the terminal's]")]
Json = Annotated[bool, typer.Option("--json", help="Print the numbers that would be drawn, as one JSON object.")]


def check_out(out: Path | None, *, as_json: bool) -> None:
    """Refuse what cannot be written before anything is read.

    Raises:
        ConfigError: the file cannot be written, or both a file and JSON are asked for. MachineError: an extra is missing.
    """
    if out is None:
        return
    from labkit.errors import ConfigError
    from labkit.report.drawing import check_figure_path

    if as_json:
        raise ConfigError("--json prints numbers where --out writes a drawing", "give one of them")
    check_figure_path(out)


def show(figures: Sequence[Drawable], out: Path | None, width: int | None, *, as_json: bool = False) -> None:
    """Draw figures in the terminal, write them all into one file, or print their numbers.

    Raises:
        ConfigError: a file is asked for and there is nothing to put into it. MachineError: as `save_figures`.
    """
    if as_json:
        from labkit.report.figure_tables import figure_table
        from labkit.report.render import to_json

        print(to_json([figure_table(figure) for figure in figures]))
    elif out is not None:
        from labkit.cli.console import say
        from labkit.errors import ConfigError
        from labkit.report.drawing import save_figures

        if not figures:
            raise ConfigError(f"there is nothing to draw, so {out} is not written", "labkit runs list")
        save_figures(figures, out)
        say(f"wrote {out}")
    else:
        from labkit.report.terminal import print_figure

        for number, figure in enumerate(figures):
            if number:
                print()
            print_figure(figure, width=width)
