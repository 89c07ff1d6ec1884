"""`labkit plot explorer` from the outside."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from explored_runs import countdown_prompt, record_texts
from recorded_runs import NOISY, WARM, record_run

Labkit = Callable[..., subprocess.CompletedProcess[str]]


def test_it_writes_one_file_and_says_what_was_left_out(tmp_path: Path, labkit: Labkit) -> None:
    prompts = [countdown_prompt(number) for number in range(3)]
    said = [(f"text {number}", number == 0) for number in range(12)]
    runs = [
        record_texts(tmp_path / "runs", {arm: [said] * 3}, prompts, name=name)
        for arm, name in ((WARM, "a"), (NOISY, "b"))
    ]
    done = labkit("plot", "explorer", runs[0].id, runs[1].id, "--out", "x.html")
    assert (done.returncode, done.stdout) == (0, "")
    assert "of 72 different texts 48 are kept, at most 8 a prompt and arm" in done.stderr
    assert done.stderr.endswith("wrote x.html\n")
    written = (tmp_path / "x.html").read_text()
    assert written.startswith("<!doctype html>") and "text 11" not in written and "text 7" in written
    assert "http://" not in written.replace("http://www.w3.org/2000/svg", "") and "https://" not in written
    again = labkit("plot", "explorer", runs[0].id, runs[1].id, "--out", "y.html")
    assert (again.returncode, (tmp_path / "y.html").read_text()) == (0, written)


def test_what_cannot_be_shown_is_refused_with_a_way_out(tmp_path: Path, labkit: Labkit) -> None:
    few, many = (
        record_run(tmp_path / "runs", {arm: ["+"] * size}, slug=slug)
        for arm, size, slug in ((WARM, 2, "few"), (NOISY, 5, "many"))
    )
    refused = labkit("plot", "explorer", few.id, many.id, "--out", "x.html")
    assert (refused.returncode, (tmp_path / "x.html").exists()) == (2, False)
    assert "asked different prompts" in refused.stderr and "--intersect shows the 2" in refused.stderr
    shown = labkit("plot", "explorer", few.id, many.id, "--out", "x.html", "--intersect")
    assert shown.returncode == 0 and f"fell out: 3 of {many.id}" in shown.stderr
    for arguments, words in (
        (["--out", "missing/x.html"], "there is no folder missing"),
        (["--out", "x.png"], "end its name in .html"),
        ([], "Missing option"),
    ):
        wrong = labkit("plot", "explorer", few.id, *arguments)
        assert wrong.returncode == 2 and words in wrong.stderr and "Traceback" not in wrong.stderr
