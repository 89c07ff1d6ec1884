"""`labkit gencfg` as a user runs it: what is printed, the exit codes, the same bytes everywhere, and at once."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import resource
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest
from matrices import SWEEP, contents, write_matrix

Labkit = Callable[..., subprocess.CompletedProcess[str]]

TEMPLATES = Path(__file__).parents[2] / "templates"


def test_a_sweep_of_ones_own_is_made_checked_and_run(inside: Labkit, tmp_path: Path) -> None:
    write_matrix(tmp_path)
    done = inside("gencfg", "mine.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == "sweep\t2 temperatures × 3 seeds\t6\t6"
    assert "6 configs: 6 created, 0 updated, 0 unchanged" in done.stderr
    assert inside("gencfg", "mine.yaml", "--check").returncode == 0
    ran = inside("sample", "--config", "configs/t0.4/seed2.yaml", "--device", "cpu")
    assert ran.returncode == 0, ran.stderr
    run = json.loads(next((tmp_path / "runs" / "sample").glob("*/run.json")).read_text())
    assert (run["seed"], run["config"]["temperatures"]) == (2, [0.4])


def test_twice_and_in_two_clones_byte_for_byte(tmp_path: Path) -> None:
    """Other folders, ways to name the matrix, hash seeds, times and surroundings."""
    ways = {
        "one": ("0", ["exp1"], {"TZ": "UTC", "LC_ALL": "C"}),
        "two": ("1234", ["./templates/exp1.yaml", "--out", "."], {"TZ": "Asia/Tokyo", "LABKIT_SEED": "7"}),
    }
    for name, (hash_seed, words, others) in ways.items():
        clone = tmp_path / name / "clone"
        (clone / "templates").mkdir(parents=True)
        for path in TEMPLATES.glob("exp1*.yaml"):
            (clone / "templates" / path.name).write_bytes(path.read_bytes())
        env = os.environ | {"PYTHONHASHSEED": hash_seed} | others
        for _ in range(2):
            subprocess.run(
                [sys.executable, "-m", "labkit", "gencfg", *words], cwd=clone, env=env, check=True, capture_output=True
            )
    first, second = (contents(tmp_path / name) for name in ways)
    assert len(first) == 1442 + 1 + len(list(TEMPLATES.glob("exp1*.yaml")))
    assert first == second


def test_check_sees_a_hand_edit_and_a_removed_value(inside: Labkit, tmp_path: Path) -> None:
    write_matrix(tmp_path)
    inside("gencfg", "mine.yaml")
    before = contents(tmp_path)
    edited = tmp_path / "configs" / "t0.4" / "seed1.yaml"
    edited.write_text(edited.read_text().replace("num_rollouts: 8", "num_rollouts: 9"))
    done = inside("gencfg", "mine.yaml", "--check")
    assert done.returncode == 1
    assert "1 edited by hand:\n  configs/t0.4/seed1.yaml" in done.stderr
    assert (
        "changed: num_rollouts in 1" in done.stderr and "→ labkit gencfg mine.yaml --overwrite replaces" in done.stderr
    )
    edited.write_bytes(before["configs/t0.4/seed1.yaml"])
    write_matrix(tmp_path, SWEEP.replace("[1, 2, 3]", "[1, 2]"))
    done = inside("gencfg", "mine.yaml", "--check")
    assert done.returncode == 1
    assert "2 not made by the matrix any more:\n  configs/t0.4/seed3.yaml\n  configs/t1/seed3.yaml" in done.stderr
    write_matrix(tmp_path, SWEEP.replace("rollouts: 8", "rollouts: 16"))
    done = inside("gencfg", "mine.yaml", "--check")
    assert done.returncode == 1 and "6 out of date" in done.stderr and "num_rollouts in 6" in done.stderr
    write_matrix(tmp_path)
    (tmp_path / "gencfg.json").unlink()
    done = inside("gencfg", "mine.yaml", "--check")
    assert done.returncode == 1 and "gencfg.json does not list" in done.stderr
    assert {path: data for path, data in before.items() if path != "gencfg.json"} == contents(tmp_path)


def test_what_stays_is_named_until_it_may_go(inside: Labkit, tmp_path: Path) -> None:
    write_matrix(tmp_path)
    inside("gencfg", "mine.yaml")
    (tmp_path / "configs" / "t0.4" / "seed1.yaml").write_text("command: sample\n")
    write_matrix(tmp_path, SWEEP.replace("[1, 2, 3]", "[1, 2]").replace("rollouts: 8", "rollouts: 16"))
    planned = inside("gencfg", "mine.yaml", "--dry-run", "--prune")
    assert planned.returncode == 0
    assert (
        "0 to create, 3 to update, 2 to remove, 0 unchanged" in planned.stderr
        and "Nothing was written." in planned.stderr
    )
    done = inside("gencfg", "mine.yaml")
    assert done.returncode == 0
    assert "0 created, 3 updated, 0 unchanged" in done.stderr and "changed: num_rollouts in 4" in done.stderr
    assert "1 edited by hand since; they stay without --overwrite:\n  configs/t0.4/seed1.yaml" in done.stderr
    assert "2 that the matrix makes no more; they stay without --prune:\n  configs/t0.4/seed3.yaml" in done.stderr
    done = inside("gencfg", "mine.yaml", "--overwrite", "--prune")
    assert "0 created, 1 updated, 2 removed, 3 unchanged" in done.stderr
    assert inside("gencfg", "mine.yaml", "--check").returncode == 0


def test_json_has_every_file_that_differs(inside: Labkit, tmp_path: Path) -> None:
    write_matrix(tmp_path)
    done = inside("gencfg", "mine.yaml", "--dry-run", "--json")
    sections, files = json.loads(done.stdout)["tables"]
    assert sections["rows"] == [{"section": "sweep", "points": "2 temperatures × 3 seeds", "files": 6, "create": 6}]
    assert files["rows"][0] == {"path": "configs/t0.4/seed1.yaml", "state": "create"} and len(files["rows"]) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.yaml"]


def test_only_and_with(inside: Labkit, tmp_path: Path) -> None:
    done = inside("gencfg", "exp1", "--only", "train_ftwb1", "--out", "here")
    assert "21 configs: 21 created" in done.stderr
    done = inside("gencfg", "exp1", "--only", "base_training", "--with", "data", "--out", "here", "--json")
    rows = {row["section"]: row["files"] for row in json.loads(done.stdout)["tables"][0]["rows"]}
    assert rows == {"base_training": 3, "data": 1}
    assert "21 files of train_ftwb1 are there and were left alone" in done.stdout
    done = inside("gencfg", "exp1", "--dry-run")
    assert "off, switched on by --with: ftwb2_training (63), base_training (3), data (1)" in done.stderr


def test_a_check_is_of_options_that_were_on_too(inside: Labkit, tmp_path: Path) -> None:
    inside("gencfg", "exp1", "--only", "train_ftwb1", "--with", "base_training", "--out", "a b")
    edited = tmp_path / "a b" / "configs/revision/exp1/pt1_seed/pt1_seed1.yaml"
    edited.write_text(edited.read_text() + "device: cpu\n")
    done = inside("gencfg", "exp1", "--check", "--out", "a b")
    assert done.returncode == 1
    assert "1 edited by hand:\n  configs/revision/exp1/pt1_seed/pt1_seed1.yaml" in done.stderr
    assert "labkit gencfg exp1 --out 'a b' --with base_training mends it" in done.stderr
    assert inside("gencfg", "exp1", "--check", "--out", "a b", "--only", "train_ftwb1").returncode == 0


def test_a_check_names_the_files_of_a_matrix_that_is_gone(inside: Labkit, tmp_path: Path) -> None:
    path = write_matrix(tmp_path, SWEEP.replace("configs/", "{matrix}/"))
    inside("gencfg", "mine.yaml")
    path.rename(tmp_path / "noise.yaml")
    inside("gencfg", "noise.yaml")
    done = inside("gencfg", "noise.yaml", "--check")
    assert done.returncode == 1 and "6 not made by the matrix any more:\n  mine/t0.4/seed1.yaml" in done.stderr
    assert "of matrices that are there no more, or have another name: mine (mine.yaml)" in done.stderr
    assert inside("gencfg", "noise.yaml", "--prune").returncode == 0
    assert inside("gencfg", "noise.yaml", "--check").returncode == 0


def test_a_point_that_is_wrong(inside: Labkit, tmp_path: Path) -> None:
    write_matrix(tmp_path, SWEEP.replace("[1, 2, 3]", "[1, 2, x]"))
    done = inside("gencfg", "mine.yaml", "--with", "sweep")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "nothing is written, because 2 of 6 points are wrong" in done.stderr
    assert "point 3 (sweep, 3 of 6): temperature=0.4, seed=x" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_the_matrix_itself_can_be_seen(inside: Labkit) -> None:
    assert inside("gencfg", "exp1", "--show").stdout == (TEMPLATES / "exp1.yaml").read_text()


REFUSED = {
    "no matrix": (
        ["gencfg"],
        ["labkit gencfg needs a matrix", "there are: exp1,", "sampling_analysis_v1; or give a path"],
    ),
    "unknown matrix": (["gencfg", "exp2"], ["there is no matrix exp2", "did you mean exp1?"]),
    "unknown section": (["gencfg", "exp1", "--with", "base_trainig"], ["base_trainig", "did you mean base_training?"]),
    "a check that decides": (["gencfg", "exp1", "--check", "--prune"], ["--check writes nothing"]),
    "a config": (["gencfg", "exp1-data"], ["exp1-data.yaml is no matrix", "a config for labkit data"]),
}


@pytest.mark.parametrize(("words", "parts"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_refused(inside: Labkit, tmp_path: Path, words: list[str], parts: list[str]) -> None:
    done = inside(*words)
    assert done.returncode == 2
    for part in parts:
        assert part in done.stderr
    assert "\n→ " in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_foreign_files_are_named(inside: Labkit, tmp_path: Path) -> None:
    write_matrix(tmp_path)
    (tmp_path / "configs" / "t1").mkdir(parents=True)
    (tmp_path / "configs" / "t1" / "seed2.yaml").write_text("mine")
    done = inside("gencfg", "mine.yaml")
    assert done.returncode == 2
    assert "1 file stands in the way in .:\n  configs/t1/seed2.yaml" in done.stderr
    checked = inside("gencfg", "mine.yaml", "--check")
    assert checked.returncode == 1
    assert "1 in the way, and not written by labkit:\n  configs/t1/seed2.yaml" in checked.stderr
    assert sorted(contents(tmp_path)) == ["configs/t1/seed2.yaml", "mine.yaml"]


def test_a_terminal_of_80_columns(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "labkit", "gencfg", "exp1", "--dry-run"],
        cwd=tmp_path, stdout=slave, stderr=slave, stdin=slave, env=os.environ | {"NO_COLOR": "1", "TERM": "xterm"},
    )  # fmt: skip
    os.close(slave)
    shown = b""
    while process.poll() is None or shown[-1:] != b"\n":
        try:
            shown += os.read(master, 65536)
        except OSError:
            break
    os.close(master)
    assert process.wait() == 0
    lines = re.sub(r"\x1b\[[0-9;]*m|\r", "", shown.decode()).splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert any("3 seeds × 22 models × 15 evaluations" in line and " 990 " in line for line in lines)


IMPORTED = """
import sys
from labkit.cli.main import main
sys.argv[1:] = ["gencfg", "exp1", "--dry-run"]
try:
    main()
except SystemExit as stop:
    assert not stop.code
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], cwd=tmp_path, capture_output=True, text=True, check=True)
    imported = set(done.stdout.splitlines()[-1].split())
    assert imported & {"torch", "transformers", "datasets", "polars", "numpy", "scipy", "vllm"} == set()


def test_it_takes_no_second(tmp_path: Path) -> None:
    """Of its own: the file system's part, and other tests beside it, are no fault of its. Written, unchanged, checked."""
    seconds = []
    for words in ([], [], ["--check"]):
        began = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run(
            [sys.executable, "-m", "labkit", "gencfg", "exp1", *words], cwd=tmp_path, check=True, capture_output=True
        )
        seconds.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - began)
    assert max(seconds) < 1


def test_a_model_that_was_trained_is_not_missing(
    inside: Labkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluations of a model: first nobody makes it, then its training has finished, wherever runs are."""
    text = SWEEP.replace("num_rollouts: 8", 'num_rollouts: 8\n      model.id: "run:small"')
    write_matrix(tmp_path, text)
    missing = inside("gencfg", "mine.yaml")
    assert missing.returncode == 0
    assert "1 training in runs: run:small\n    needed by sweep" in missing.stderr
    trained = inside(
        "train", "countdown-tiny", "--debug", "--num-steps", "1", "--name", "small", "--runs-dir", "elsewhere",
        "--set", "evaluation.num_prompts=0", "--set", "optimisation.batch_size=8", "--set", "device=cpu",
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    assert "run:small" in inside("gencfg", "mine.yaml").stderr
    with monkeypatch.context() as patched:
        patched.setenv("LABKIT_RUNS_DIR", "elsewhere")
        assert "run:small" not in inside("gencfg", "mine.yaml").stderr
    write_matrix(tmp_path, text.replace('model.id: "run:small"', 'model.id: "run:small"\n      runs_dir: elsewhere'))
    assert "run:small" not in inside("gencfg", "mine.yaml").stderr


def test_a_matrix_is_no_config(inside: Labkit) -> None:
    done = inside("train", "exp1")
    assert done.returncode == 2
    assert "exp1.yaml is a matrix of many configs" in done.stderr and "→ labkit gencfg" in done.stderr


def test_a_file_of_every_kind_is_what_its_command_takes(inside: Labkit, tmp_path: Path) -> None:
    """The configs of exp1 as they stand, over a small world and a base model of twenty steps."""

    def succeeds(*words: str) -> str:
        done = inside(*words)
        assert done.returncode == 0, f"{words}\n{done.stderr}"
        return done.stdout + done.stderr

    configs = "configs/revision/exp1"
    succeeds("gencfg", "exp1", "--with", "data", "--with", "base_training", "--with", "ftwb2_training")
    succeeds("data", "build", f"{configs}/data/world.yaml", "--debug", "--out", "data/world")
    assert "43 of 43 data sets" in succeeds(
        "data", "build", f"{configs}/data/world.yaml", "--dry-run", "--out", "other"
    )
    small = ("--debug", "--batch-size", "8", "--set", "evaluation.num_prompts=0", "--set", "device=cpu")
    succeeds("train", f"{configs}/pt1_seed/pt1_seed1.yaml", *small)
    for path in (f"{configs}/training/seed1/ftwb1-3_angle.yaml", f"{configs}/ftwb2/pt1_seed1_ftwb2-8.yaml"):
        assert "checkpoints, every" in succeeds("train", path, "--dry-run")
    for name in ("atlantis_compass", "multi_task"):
        assert "Nothing was written." in succeeds(
            "eval", "--config", f"{configs}/eval/seed1/base/{name}.yaml", "--device", "cpu", "--dry-run"
        )
    extraction = f"{configs}/representation_extraction/seed1/base/distance_firstcity_last_and_trans_l5.yaml"
    succeeds("extract", extraction, "--device", "cpu", "--dry-run")
    assert [path.parent.name for path in (tmp_path / "runs").glob("*/*")] == ["train"]
