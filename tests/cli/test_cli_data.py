"""`labkit data`, as a user calls it: what it prints, what it refuses, and how it goes on after a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from killing import launch, stop

from labkit.tasks.world.manifest import data_set_folders, read_manifest

Labkit = Callable[..., subprocess.CompletedProcess[str]]

TINY = ["data", "build", "exp1-tiny-data", "--out", "world", "--set", "cities.num_cities=60", "--set", "mixture=null",
        "--set", "ordinary.train=300", "--set", "atlantis={train: 200, validation: 20, test: 60}"]  # fmt: skip
COLUMNS = ["data_set", "tasks", "train", "validation", "test", "overlap", "repeats", "mb", "tokenizer_ok"]


def files(folder: Path) -> dict[str, bytes]:
    """The rows and manifests of a world."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.parent != folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_build_and_list(labkit: Labkit, tmp_path: Path) -> None:
    asked = [*TINY, "--only", "multi_task", "--only", "atlantis_angle"]
    planned = labkit(*asked, "--dry-run", "--json")
    assert planned.returncode == 0, planned.stderr
    (table,) = json.loads(planned.stdout)["tables"]
    names = ["distance", "angle", "compass", "atlantis_angle", "multi_task"]
    assert [(row["data_set"], row["state"]) for row in table["rows"]] == [(name, "to build") for name in names]
    assert not (tmp_path / "world").exists()

    built = labkit(*asked)
    assert built.returncode == 0, built.stderr
    header, *lines = built.stdout.splitlines()
    assert header.split("\t") == COLUMNS
    assert [line.split("\t")[0] for line in lines] == names
    assert "multi_task: " in built.stderr

    listed = labkit("data", "list", "world", "--json")
    (table,) = json.loads(listed.stdout)["tables"]
    assert table["kind"] == "data"
    rows = {row["data_set"]: row for row in table["rows"]}
    assert set(rows) == set(names)
    about = {key: rows["multi_task"][key] for key in ("tasks", "train", "test", "overlap", "tokenizer_ok")}
    assert about == {
        "tasks": "distance, angle, compass",
        "train": 900,
        "test": 1536,
        "overlap": 0,
        "tokenizer_ok": True,
    }

    path = tmp_path / "world" / "angle" / "labkit.json"
    path.write_text(path.read_text().replace(read_manifest(path.parent).tokenizer, "0" * 16, 1))  # in the recipe
    again = labkit("data", "list", "world")
    assert "angle was left out: " in again.stderr
    assert "\nangle\t" not in again.stdout and "atlantis_angle\t" in again.stdout


def test_the_small_preset_has_every_task_in_a_folder_of_its_own(labkit: Labkit, tmp_path: Path) -> None:
    done = labkit("data", "build", "templates/exp1-data.yaml", "--debug", "--only", "ftwb2-3", "--seed", "7")
    assert done.returncode == 0, done.stderr
    manifest = read_manifest(tmp_path / "data" / "world-debug" / "ftwb2-3")
    assert (manifest.tasks, manifest.id_digits, manifest.recipe["seed"]) == (("inside", "perimeter"), 3, 7)
    assert manifest.splits["train"].num_rows == 2 * (100 + 100) + 7 * 8


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["data", "build"], 2, "labkit data build needs a config"),
        (["data", "build", "exp1-tiny-dat"], 2, "did you mean templates/exp1-tiny-data.yaml?"),
        (["data", "build", "countdown-tiny"], 2, "is a config for labkit train"),
        ([*TINY, "--set", "cities.source=cities.csv"], 2, "cannot read the cities cities.csv"),
        ([*TINY, "--set", "atlantis.test=900"], 2, "more than half of those that 80 cities have"),
        (["data", "list", "nowhere"], 2, "there is no folder nowhere"),
        (["data", "list", "."], 0, "there are no data sets in ."),
    ],
)
def test_what_cannot_be_done_is_said(labkit: Labkit, words: list[str], code: int, message: str) -> None:
    done = labkit(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_leaves_whole_data_sets(labkit: Labkit, tmp_path: Path) -> None:
    """No file may grow beyond 200 KiB, which is room for the first set and not for the second."""
    asked = [*TINY, "--set", "atlantis.train=5000", "--only", "distance", "--only", "atlantis_compass"]
    limited = f'ulimit -f 200; exec "{sys.executable}" -m labkit "$@"'
    done = subprocess.run(
        ["bash", "-c", limited, "bash", *asked], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 3, done.stderr
    assert "no room to write world/atlantis_compass" in done.stderr
    assert "run the same command again" in done.stderr
    assert [folder.name for folder in data_set_folders(tmp_path / "world")] == ["distance"]
    assert not list((tmp_path / "world").glob(".*.building"))
    assert labkit(*asked).returncode == 0


def test_a_killed_build_goes_on(labkit: Labkit, tmp_path: Path) -> None:
    asked = ["data", "build", "exp1-tiny-data", "--set", "tasks=[distance, perimeter]", "--set", "ordinary.train=30000"]
    asked += ["--set", "ordinary.test=64", "--only", "multi_task", "--set", "cities.num_cities=null"]
    asked += ["--set", "cities.num_ids=10000", "--set", "cities.id_digits=4"]
    process = launch(tmp_path, *asked, "--out", "cut")
    end = time.monotonic() + 60
    while not list(tmp_path.glob("cut/.perimeter.building/train/*.arrow")) and time.monotonic() < end:
        time.sleep(0.001)
    returncode, output = stop(process, signal.SIGKILL)
    assert returncode == -signal.SIGKILL, output
    assert [folder.name for folder in data_set_folders(tmp_path / "cut")] == ["distance"]
    assert list(tmp_path.glob("cut/.*.building"))
    again = labkit(*asked, "--out", "cut")
    assert again.returncode == 0, again.stderr
    assert "1 data set was there already" in again.stderr
    assert labkit(*asked, "--out", "whole").returncode == 0
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
