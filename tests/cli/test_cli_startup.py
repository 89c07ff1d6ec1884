"""What the command line imports before it has to: help and tables come at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from recorded_runs import GREEDY, WARM, record_run

import labkit

HEAVY = ("torch", "transformers", "vllm", "datasets")
# Typer itself imports pydantic where it is installed, for groups of commands.
NOT_FOR_HELP = (*HEAVY, "polars", "numpy", "scipy", "labkit.config.base", "rich.progress")


RUN_AND_LIST = """
import sys
from labkit.cli.main import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
finally:
    print("loaded:", *sorted(set(sys.modules)), file=sys.stderr)
"""


def loaded(cwd: Path, *words: str) -> tuple[str, set[str]]:
    """What `labkit words` prints, and every module that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", RUN_AND_LIST, *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    *_, last = done.stderr.splitlines()
    return done.stdout, set(last.removeprefix("loaded: ").split())


def commands_of(text: str) -> list[str]:
    """The names under `Commands:` in a help text."""
    _, found, listed = text.partition("Commands:\n")
    return (
        [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "] if found else []
    )


def test_no_help_imports_anything_heavy(tmp_path: Path) -> None:
    waiting: list[list[str]] = [[]]
    seen = []
    while waiting:
        words = waiting.pop()
        text, modules = loaded(tmp_path, *words, "-h")
        assert text.startswith("Usage: "), words
        assert sorted(modules & set(NOT_FOR_HELP)) == [], words
        seen.append(" ".join(words))
        waiting += [[*words, name] for name in commands_of(text)]
    assert {"", "sample", "perturb", "train", "report", "plot pass-at-k", "runs list", "doctor"} <= set(seen)


def test_every_command_has_a_whole_sentence_in_the_overview(tmp_path: Path) -> None:
    text, _ = loaded(tmp_path, "--help")
    names = commands_of(text)
    assert len(names) >= 7
    lines = [line for line in text.splitlines() if line.startswith("  ") and line.split()[0] in names]
    assert [line for line in lines if line.endswith("...")] == []


def test_the_version(tmp_path: Path) -> None:
    text, modules = loaded(tmp_path, "--version")
    assert text == f"labkit {labkit.__version__}\n"
    assert sorted(modules & set(NOT_FOR_HELP)) == []


@pytest.mark.parametrize("words", [("report",), ("runs", "list"), ("plot", "pass-at-k")])
def test_looking_at_runs_loads_no_model_library(tmp_path: Path, words: tuple[str, ...]) -> None:
    record_run(tmp_path / "runs", {GREEDY: ["+", "-"], WARM: ["+-+-", "--+-"]})
    text, modules = loaded(tmp_path, *words)
    assert "temperature=0.4" in text or "tiny" in text
    assert sorted(modules & set(HEAVY)) == []
    assert "labkit.record.run" in modules
