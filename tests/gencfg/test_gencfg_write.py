"""How files come onto the disk: scripts, headers, locks, and what a kill half way leaves."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from matrices import SWEEP, contents, made, planned, states, write_matrix

from labkit.errors import MachineError, RecordError
from labkit.gencfg.write import locked

FIRST = "configs/t0.4/seed1.yaml"


def test_a_script_that_may_not_be_run_any_more(tmp_path: Path) -> None:
    scripts = "scripts:\n  go:\n    path: go.sh\n    text: |\n      #!/bin/sh\n      echo {matrix}\n"
    path, out = write_matrix(tmp_path, SWEEP + scripts), tmp_path / "out"
    made(path, out)
    assert subprocess.run([out / "go.sh"], capture_output=True, text=True).stdout == "mine\n"
    (out / "go.sh").chmod(0o644)
    assert planned(path, out).paths("update") == ["go.sh"]
    made(path, out)
    assert os.access(out / "go.sh", os.X_OK) and states(planned(path, out)) == {"unchanged": 7}


def test_a_script_can_be_run_where_new_files_cannot(tmp_path: Path) -> None:
    scripts = 'scripts:\n  go:\n    path: go.sh\n    text: "#!/bin/sh"\n'
    path, out = write_matrix(tmp_path, SWEEP + scripts), tmp_path / "out"
    mask = os.umask(0o133)
    try:
        made(path, out)
    finally:
        os.umask(mask)
    assert (out / "go.sh").stat().st_mode & 0o777 == 0o755 and (out / FIRST).stat().st_mode & 0o111 == 0
    assert states(planned(path, out)) == {"unchanged": 7}


def test_a_header_stands_only_where_there_is_a_form_for_it(tmp_path: Path) -> None:
    names = ["a.json", "a.txt", "Makefile", "a.md", "a.py", "a"]
    scripts = "".join(f"  s{n}:\n    path: {name}\n    text: '[1]'\n" for n, name in enumerate(names))
    out = tmp_path / "out"
    made(write_matrix(tmp_path, f"{SWEEP}scripts:\n{scripts}"), out)
    assert [name for name in names if "made by" in (out / name).read_text()] == ["a.md", "a.py"]
    assert json.loads((out / "a.json").read_text()) == [1]


def test_a_header_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    found = []
    for name in ("templates", "clone"):
        (tmp_path / name).mkdir()
        made(write_matrix(tmp_path / name), tmp_path / name)
        found.append(contents(tmp_path / name))
    assert found[0] == found[1]


def test_what_a_kill_left_is_swept(tmp_path: Path) -> None:
    path, out = write_matrix(tmp_path), tmp_path / "out"
    made(path, out)
    folder = out / "configs" / "t1"
    for left in (folder / ".seed2.yaml.77.tmp", out / ".gencfg.json.77.tmp", folder / ".mine.77.tmp"):
        left.write_text("half a fi")
    made(path, out)
    assert sorted(file for file in contents(out) if file.endswith(".tmp")) == ["configs/t1/.mine.77.tmp"]
    (folder / ".mine.77.tmp").rename(folder / ".seed2.yaml.78.tmp")
    made(write_matrix(tmp_path, SWEEP.replace("[0.4, 1.0]", "[0.4]")), out, prune=True)
    assert not folder.exists()


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuses)
    with pytest.raises(MachineError, match="No locks available") as caught:
        made(write_matrix(tmp_path), tmp_path / "out")
    assert "--out" in caught.value.hint


def test_pruning_thousands_is_quick(tmp_path: Path) -> None:
    path, out = write_matrix(tmp_path, SWEEP.replace("[1, 2, 3]", "{from: 1, to: 4000}")), tmp_path / "out"
    made(path, out)
    write_matrix(tmp_path)
    began = time.process_time()
    assert len(made(path, out, prune=True).paths("stale")) == 7994
    assert time.process_time() - began < 10
    assert states(planned(path, out)) == {"unchanged": 6}


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(RecordError, match="cannot write") as caught:
        made(write_matrix(tmp_path), tmp_path / "out")
    assert "--out" in caught.value.hint


def test_a_second_process_is_turned_away(tmp_path: Path) -> None:
    with locked(tmp_path / "out"), pytest.raises(RecordError, match="another labkit gencfg is writing"):
        made(write_matrix(tmp_path), tmp_path / "out")
    made(write_matrix(tmp_path), tmp_path / "out")


MANY = SWEEP.replace("[1, 2, 3]", "{from: 1, to: 1500}")


@pytest.mark.parametrize("seen", [1, 700, 1600])
def test_killed_half_way_and_run_again_with_another_matrix(tmp_path: Path, seen: int) -> None:
    """Neither what was written before nor what was written by half is taken for somebody else's."""
    path, out = write_matrix(tmp_path, MANY), tmp_path / "out"
    made(path, out)
    write_matrix(tmp_path, MANY.replace("rollouts: 8", "rollouts: 16"))
    target = out / f"configs/t{0.4 if seen <= 1500 else 1}/seed{(seen - 1) % 1500 + 1}.yaml"
    process = subprocess.Popen(
        [sys.executable, "-m", "labkit", "gencfg", path, "--out", out],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while b"16" not in target.read_bytes() and time.monotonic() < deadline:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    num_written = sum(b"rollouts: 16" in data for data in contents(out).values())
    assert seen <= num_written < 3000  # in the middle, or the kill shows nothing
    write_matrix(tmp_path, MANY.replace("rollouts: 8", "rollouts: 32"))
    plan = planned(path, out)
    assert states(plan) == {"update": 3000}
    made(path, out)
    assert states(planned(path, out)) == {"unchanged": 3000}
    assert [name for name in contents(out) if name.endswith(".tmp")] == []  # nor the file in flight
