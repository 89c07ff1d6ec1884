"""Figures as files, by Altair and vl-convert: SVG, PNG, and HTML that needs no network. The modules whose names begin with
`drawing` are the only ones that know them.

The same figures give the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from labkit.errors import MachineError
from labkit.record.files import write_atomically
from labkit.report.drawing_bars import bars_chart, stacks_chart, strip_chart
from labkit.report.drawing_curves import curves_chart, scatter_chart
from labkit.report.drawing_heatmap import heatmap_chart
from labkit.report.figures import Bars, Drawable, Figure, Heatmap, Scatter, Stacks, Strip
from labkit.report.out_path import check_out_path

SUFFIXES = (".svg", ".png", ".html")

_PNG_SCALE = 2.0
_LESS_THAN = "labkit-less-than-sign"
"""Stands for it on the way through the library, which would undo an escape."""
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML can hold; the library ends the process over it."""


def check_figure_path(path: Path) -> None:
    """Raise what `save_figures` would, before any work is done.

    Raises:
        ConfigError: the ending is none that can be written, there is no such folder, or a folder has this name.
        MachineError: the extra `figures` is not installed.
    """
    check_out_path(path, "a figure", SUFFIXES)
    _libraries()


def save_figures(figures: Sequence[Drawable], path: Path) -> None:
    """Write figures into one file, below each other (many heatmaps in two columns); its ending says the form.

    Raises:
        ConfigError, MachineError: as `check_figure_path`; or the disk is full.
    """
    check_figure_path(path)
    altair, convert = _libraries()
    with altair.data_transformers.enable("default", max_rows=None):
        charts = [_chart(each) for each in figures]
        side_by_side = len(charts) > 2 and isinstance(figures[0], Heatmap)
        chart = charts[0] if len(charts) == 1 else altair.concat(*charts, columns=1 + side_by_side, spacing=40)
        chart = chart.configure_view(strokeWidth=0).configure(font="sans-serif", background="white", padding=16)
        chart = chart.configure_axis(labelFontSize=12, titleFontSize=12, labelLimit=0, gridColor="#e6e6e6")
        chart = chart.configure_legend(labelFontSize=12, titleFontSize=12, labelLimit=0, symbolLimit=0)
        specification = json.dumps(_drawable(chart.to_dict()), sort_keys=True)
    if path.suffix == ".png":
        data = convert.vegalite_to_png(specification, scale=_PNG_SCALE)
    elif path.suffix == ".svg":
        data = _renumbered(convert.vegalite_to_svg(specification)).encode()
    else:
        data = _page(convert, specification).encode()
    write_atomically(path, data)


def _page(convert: Any, specification: str) -> str:
    """An HTML page that text in a figure cannot break out of: the library puts the specification into a script as it is,
    and a model's name may hold `</script>`."""
    page: str = convert.vegalite_to_html(specification.replace("<", _LESS_THAN), bundle=True)
    return page.replace(_LESS_THAN, "\\u003c")


def _drawable(value: Any) -> Any:
    """A specification whose texts can stand in an SVG, with U+FFFD for the characters that cannot."""
    if isinstance(value, str):
        return _NO_XML.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_drawable(key): _drawable(each) for key, each in value.items()}
    return [_drawable(each) for each in value] if isinstance(value, list) else value


def _renumbered(svg: str) -> str:
    """An SVG whose ids count from 0: the library's go on counting through the life of the process."""
    for number, name in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))):
        svg = re.sub(rf'(id="|#){re.escape(name)}(?=["\)])', rf"\g<1>labkit-{number}", svg)
    return svg


def _libraries() -> tuple[Any, Any]:
    try:
        import altair
        import vl_convert
    except ImportError as error:
        what = f"figures as files need {error.name}, which is not installed"
        raise MachineError(what, 'pip install "labkit[figures]", or leave --out away') from None
    return altair, vl_convert


def _chart(figure: Drawable) -> Any:
    drawers: dict[type, Callable[[Any], Any]] = {
        Figure: curves_chart,
        Bars: bars_chart,
        Stacks: stacks_chart,
        Scatter: scatter_chart,
        Strip: strip_chart,
        Heatmap: heatmap_chart,
    }
    return drawers[type(figure)](figure)
