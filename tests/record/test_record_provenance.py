"""Where a run came from, captured without importing what it names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labkit.record.provenance import boot_id, git_state, hardware, package_versions, usable_cores

CAPTURE = """
import json, sys
from labkit.record.provenance import capture
state = capture()
again = capture()
assert again == state and again["git"] is state["git"] and again["hardware"] is state["hardware"]
heavy = {"torch", "transformers", "vllm", "datasets", "polars", "numpy", "scipy", "numba"} & set(sys.modules)
print(json.dumps({"state": state, "heavy": sorted(heavy)}))
"""


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout with one commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-b", "trunk")
    (folder / "a.py").write_text("seed = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    return folder


def test_capturing_imports_nothing_heavy(child: Callable[..., Any], tmp_path: Path) -> None:
    output, errors = child(CAPTURE, "--api-key", "hunter2", "--seed", "3", cwd=tmp_path).communicate(timeout=60)
    assert errors == ""
    captured = json.loads(output)
    assert captured["heavy"] == []
    state = captured["state"]
    assert state["argv"] == ["-c", "--api-key", "[redacted]", "--seed", "3"]
    assert state["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert state["packages"]["pydantic" if "pydantic" in state["packages"] else "polars"]
    assert state["git"] is None
    assert "hunter2" not in output


def test_only_variables_that_matter_are_kept_and_secrets_are_not(
    child: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hunter2")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("LABKIT_SEED", "3")
    monkeypatch.setenv("MY_DIARY", "dear diary")
    output, _ = child(CAPTURE).communicate(timeout=60)
    environment = json.loads(output)["state"]["environment"]
    assert environment["HF_TOKEN"] == "[redacted]"
    assert (environment["HF_HUB_OFFLINE"], environment["LABKIT_SEED"]) == ("1", "3")
    assert "hunter2" not in output
    assert "diary" not in output


def test_a_clean_checkout(repository: Path) -> None:
    state = git_state(repository)
    assert state is not None
    head = subprocess.run(["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert state["commit"] == head.stdout.strip()
    assert (state["branch"], state["dirty"], state["diff"], state["num_untracked"]) == ("trunk", False, "", 0)


def test_a_dirty_checkout_keeps_its_diff_without_secrets(repository: Path) -> None:
    (repository / "a.py").write_text(
        "seed = 2\nHF_TOKEN = 'hunter2'\nkey = 'hf_abcdefghijklmnop0123'\nmax_tokens = 16\n"
    )
    (repository / "staged.py").write_text("x = 'é'\n")
    git(repository, "add", "staged.py")
    (repository / "new.py").write_text("")
    (repository / "sub").mkdir()
    git(repository, "config", "color.ui", "always")
    git(repository, "config", "diff.external", "/bin/true")
    state = git_state(repository / "sub")
    assert state is not None
    assert (state["dirty"], state["diff_truncated"], state["num_untracked"]) == (True, False, 1)
    assert "-seed = 1\n+seed = 2\n" in state["diff"]
    assert "+x = 'é'" in state["diff"]
    assert "+max_tokens = 16" in state["diff"]
    assert "hunter2" not in state["diff"]
    assert "hf_abcdefghijklmnop0123" not in state["diff"]
    assert "\x1b" not in state["diff"]


def test_files_that_git_does_not_know_are_counted(repository: Path) -> None:
    (repository / "new.py").write_text("")
    (repository / ".gitignore").write_text("*.log\n")
    (repository / "x.log").write_text("")
    state = git_state(repository)
    assert state is not None
    assert (state["dirty"], state["num_untracked"]) == (False, 2)


def test_a_huge_diff_is_cut_and_says_so(repository: Path) -> None:
    (repository / "a.py").write_text("x" * 3_000_000)
    state = git_state(repository)
    assert state is not None
    assert state["diff_truncated"]
    assert 900_000 < len(state["diff"]) <= 1_000_000


def test_a_folder_outside_of_a_checkout_and_one_without_a_commit(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    git(tmp_path, "init")
    assert git_state(tmp_path) is None
    assert git_state(tmp_path / "none") is None


def test_the_machine_and_its_packages() -> None:
    machine = hardware()
    assert machine["num_cores"] == usable_cores() >= 1
    assert usable_cores() <= (os.cpu_count() or 1)
    assert machine["memory_bytes"] > 2**28
    assert machine["cpu"]
    assert isinstance(machine["gpus"], list)
    json.dumps(machine, allow_nan=False)
    versions = package_versions()
    assert versions["polars"].count(".") >= 1
    assert "vllm-that-is-not" not in versions
    assert boot_id() == boot_id()
