"""Files that are whole after any crash: replaced at once, or grown by whole lines; and the lock."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.errors import MachineError, RecordError
from labkit.record.files import (
    LineFile,
    exclusive_lock,
    is_locked,
    iterate_json_lines,
    json_line,
    read_json,
    read_lines,
    write_atomically,
    write_json_atomically,
)

Start = Callable[..., "subprocess.Popen[str]"]


def said(process: subprocess.Popen[str]) -> str:
    """The next line a child prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def appended(path: Path, *batches: bytes, exclusive: bool = False) -> bytes:
    log = LineFile(path, exclusive=exclusive)
    for batch in batches:
        log.append(batch)
    log.close()
    return path.read_bytes()


# Whole files


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_json_atomically(path, {"a": 1})
    write_json_atomically(path, {"a": "ü\u2028", "b": [1, None]})
    assert read_json(path) == {"a": "ü\u2028", "b": [1, None]}
    assert list(tmp_path.iterdir()) == [path]


def test_nan_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_json_atomically(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json_atomically(path, {"a": float("nan")})
    assert read_json(path) == {"a": 1}


def test_a_path_that_is_no_text_can_be_written_down(tmp_path: Path) -> None:
    """A command line may hold bytes that are no UTF-8; Python hands them on as lone surrogates."""
    write_json_atomically(tmp_path / "run.json", {"argv": ["a\udcffb"]})
    assert read_json(tmp_path / "run.json") == {"argv": ["a?b"]}
    assert json.loads(json_line({"text": "a\udcffb"})) == {"text": "a?b"}


REPLACE_FOR_EVER = """
import sys
from pathlib import Path
from labkit.record.files import write_json_atomically
number = 0
while True:
    number += 1
    write_json_atomically(Path(sys.argv[1]), {"number": number, "pad": "x" * (number % 7 * 30_000), "end": number})
    if number == 1:
        print("ready", flush=True)
"""


@pytest.mark.parametrize("wait_s", [0.0, 0.013, 0.04, 0.09])
def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path, child: Start, wait_s: float) -> None:
    path = tmp_path / "result.json"
    writer = child(REPLACE_FOR_EVER, path)
    assert said(writer) == "ready"
    until, reads = time.monotonic() + wait_s, 0
    while reads == 0 or time.monotonic() < until:
        content = read_json(path)  # whole at every moment
        assert content["number"] == content["end"]
        reads += 1
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    content = read_json(path)
    assert len(content["pad"]) == content["number"] % 7 * 30_000
    write_json_atomically(path, {"number": 0})
    assert read_json(path) == {"number": 0}


@pytest.mark.parametrize("below", ["a file", "/proc/self"])
def test_where_nothing_can_be_written_the_path_is_named(tmp_path: Path, below: str) -> None:
    folder = tmp_path / "file" if below == "a file" else Path(below)
    (tmp_path / "file").write_text("x")
    for write in (lambda path: write_atomically(path, b"x"), LineFile):
        with pytest.raises(RecordError, match="cannot write") as caught:
            write(folder / "run.json")
        assert str(folder / "run.json") in caught.value.message
        assert caught.value.hint


# Lines


def test_lines_are_appended_over_several_openings(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    appended(path, b"1\n", b"2\n3\n")
    assert appended(path, b"4\n") == b"1\n2\n3\n4\n"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=5), st.binary(max_size=9))
def test_opening_cuts_a_torn_tail_and_nothing_else(tmp_path: Path, lines: list[bytes], tail: bytes) -> None:
    path = tmp_path / "events.jsonl"
    whole = b"".join(line + b"\n" for line in lines)
    torn = tail.replace(b"\n", b"")
    path.write_bytes(whole + torn)
    assert read_lines(path) == (whole, len(torn))
    assert appended(path, b"next\n") == whole + b"next\n"


def test_a_tail_longer_than_a_block_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"1\n" + b"x" * 300_000)
    assert appended(path, b"2\n") == b"1\n2\n"
    path.write_bytes(b"x" * 300_000)
    assert appended(path, b"2\n") == b"2\n"


def test_an_exclusive_file_must_be_new(tmp_path: Path) -> None:
    path = tmp_path / "0001-00.jsonl"
    appended(path, b"1\n", exclusive=True)
    with pytest.raises(RecordError, match="File exists"):
        LineFile(path, exclusive=True)
    assert path.read_bytes() == b"1\n"


def test_closing_twice_does_no_harm(tmp_path: Path) -> None:
    log = LineFile(tmp_path / "a")
    log.close()
    log.close()


def test_a_missing_file_has_no_lines(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "none") == (b"", 0)


@pytest.mark.parametrize("line", [b"{", b"[1]", b"5", b"", b"\x00\x00", b'{"a": "\xff"}', b'{"a": 1} {"b": 2}'])
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b'\n{"a": 2}\n{"torn')
    with pytest.raises(RecordError, match=r"events\.jsonl, line 2 is damaged"):
        list(iterate_json_lines(path))


def test_separators_of_unicode_do_not_split_a_line(tmp_path: Path) -> None:
    value = {"text": "a\u2028b\u2029c\x85d\r\ne\x0bf\x1cg\x00"}
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(json_line(value) * 2)
    assert list(iterate_json_lines(path)) == [value, value]


FILL = """
import resource, sys
from pathlib import Path
from labkit.errors import MachineError
from labkit.record.files import LineFile, write_atomically
folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
log = LineFile(folder / "rows.jsonl")
for attempt in range(3):
    try:
        for number in range(1000):
            log.append(b'{"number": "%06d", "pad": "%s"}\\n' % (number, b"x" * 300))
    except MachineError as error:
        print(error.exit_code, error.message, error.hint, sep="|", flush=True)
write_atomically(folder / "result.json", b"old")
try:
    write_atomically(folder / "result.json", b"x" * 2000)
except MachineError as error:
    print(error.exit_code, error.message, error.hint, sep="|", flush=True)
"""


def test_a_full_disk_is_said_and_what_was_written_stays(tmp_path: Path, child: Start) -> None:
    output, errors = child(FILL, tmp_path).communicate(timeout=30)
    assert errors == ""
    lines = [line.split("|") for line in output.splitlines()]
    assert [code for code, _, _ in lines] == ["3"] * 4
    assert all("no room to write" in message and "free some space" in hint for _, message, hint in lines)
    assert "rows.jsonl" in lines[0][1]
    assert "result.json" in lines[3][1]
    # 1,000 bytes hold three lines and a torn one, which later attempts must not have grown into a damaged one.
    assert [row["number"] for row in iterate_json_lines(tmp_path / "rows.jsonl")] == ["000000", "000001", "000002"]
    assert read_lines(tmp_path / "rows.jsonl")[1] == 0
    assert (tmp_path / "result.json").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.json", "rows.jsonl"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_device_without_room(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").symlink_to("/dev/full")
    with pytest.raises(MachineError, match="no room to write") as caught:
        LineFile(tmp_path / "rows.jsonl").append(b"1\n")
    assert caught.value.exit_code == 3


# JSON objects


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1', b"[1]", b"null", b"\xff\xfe", b"not json"])
def test_a_damaged_object_is_named_with_a_hint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"run\.json is damaged") as caught:
        read_json(path)
    assert "copy" in caught.value.hint


# The lock

HOLD = """
import sys, time
from pathlib import Path
from labkit.record.files import exclusive_lock
with exclusive_lock(Path(sys.argv[1]), {"pid": 4711, "host": "there", "start": "noon"}):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_refused_with_its_holder_named_and_goes_with_its_process(tmp_path: Path, child: Start) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    assert not path.exists(), "looking leaves nothing behind"
    holder = child(HOLD, path)
    assert said(holder) == "held"
    assert is_locked(path)
    with (
        pytest.raises(
            RecordError, match=r"another process is working on .*: process 4711 on there, since noon"
        ) as caught,
        exclusive_lock(path, {}),
    ):
        pytest.fail("both hold the lock")
    assert caught.value.hint
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert not is_locked(path)
    with exclusive_lock(path, {"pid": 1}):
        assert is_locked(path)
        assert json.loads(path.read_text()) == {"pid": 1}, "the longer content of before is gone"
    assert not is_locked(path)


def test_a_lock_is_given_back_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive_lock(tmp_path / "lock", {}):
        raise ZeroDivisionError
    assert not is_locked(tmp_path / "lock")


def test_who_only_looks_does_not_turn_away_who_wants_to_work(tmp_path: Path) -> None:
    path, done = tmp_path / "lock", threading.Event()

    def look() -> None:
        while not done.is_set():
            is_locked(path)

    watchers = [threading.Thread(target=look) for _ in range(2)]
    path.touch()
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(150):
            with exclusive_lock(path, {}):
                pass
    finally:
        done.set()
        for watcher in watchers:
            watcher.join()
