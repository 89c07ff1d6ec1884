"""The page as bytes: markup, style, script and data in one file that needs no network and lets nothing in it run.

Everything that comes from a run is data in a JSON block, which the script puts on the page as text only. A policy in
the page's head names the one style and the one script that may be used by their hashes, forbids every connection, and
has the browser refuse any assignment of markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from labkit.record.files import write_atomically
from labkit.record.run import Run
from labkit.report.explorer.data import Json, page_data
from labkit.report.explorer.keeping import encoded
from labkit.report.explorer.reading import read_explored
from labkit.report.output_path import check_output_path

_SCRIPTS = ("data.js", "text.js", "state.js", "overview.js", "chart.js", "list.js", "matrix.js", "prompt.js", "main.js")
"""Parts of the script, in the order in which they stand in the page."""
_SLOT = re.compile(r"\{\{(\w+)\}\}")


def check_page_path(path: Path) -> None:
    """Raise ConfigError where no page can be written there, before anything is read."""
    check_output_path("the explorer", path, [".html"])


def save_explorer(runs: Sequence[Run], path: Path, *, intersect: bool = False, salvage: bool = False) -> list[str]:
    """Write the explorer of some runs; the same runs give the same bytes. Gives what its readers must know.

    Raises:
        RecordError: as `reading.read_explored`. ConfigError: as `check_page_path`. MachineError: the disk is full.
    """
    check_page_path(path)
    data = page_data(read_explored(runs, intersect=intersect, salvage=salvage), salvage=salvage)
    write_atomically(path, page(data))
    return [*data["notes"], *data["left_out"]]


def page(data: Json) -> bytes:
    """The page of some data."""
    style = _part("page.css")
    script = "\n".join(['"use strict";', "{", *(_part(name) for name in _SCRIPTS), "}", ""])
    slots = {
        "policy": _policy(style, script),
        "title": html.escape(f"{data['title']}: {', '.join(data['groups'])}"),
        "style": style,
        "script": script,
        "data": encoded(data),
    }
    return _SLOT.sub(lambda slot: slots[slot[1]], _part("page.html")).encode(errors="replace")


def _policy(style: str, script: str) -> str:
    directives = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _part(name: str) -> str:
    return files("labkit.report.explorer").joinpath("page", name).read_text(encoding="utf-8")
