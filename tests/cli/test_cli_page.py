"""The page of `labkit report`, on a terminal."""

import fcntl
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest
from killing import launch, only_run
from recorded_runs import GREEDY, WARM, record_run

from labkit.record.frames import read_rollouts


def on_terminal(folder, *words, rows=40, columns=120, **environment):
    """What a command prints on a terminal of this size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    hidden = {"NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    process = subprocess.Popen(
        [sys.executable, "-m", "labkit", *map(str, words)], cwd=folder, stdin=theirs, stdout=theirs,
        stderr=subprocess.STDOUT, env=kept | {"TERM": "xterm-256color"} | environment,
    )  # fmt: skip
    os.close(theirs)
    text = b""
    while True:
        try:
            block = os.read(ours, 1 << 16)
        except OSError:  # Linux says so when the other side is closed
            break
        if not block:
            break
        text += block
    os.close(ours)
    assert process.wait() == 0, text.decode()
    return text.decode().replace("\r\n", "\n")


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize(("rows", "columns"), [(24, 80), (40, 120)])
def test_the_page_is_one_screen(tmp_path, rows, columns):
    for number in range(30):
        record_run(tmp_path / "runs", {WARM: ["+-"] * 3}, slug=f"run {number}", done=number % 7 > 0)
    text = on_terminal(tmp_path, "report", rows=rows, columns=columns)
    lines = plain(text).splitlines()
    assert rows - 6 <= len(lines) <= rows - 1
    assert max(map(len, lines)) <= columns
    assert "\x1b[" in text
    calm = on_terminal(tmp_path, "report", rows=rows, columns=columns, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", calm) and plain(calm).splitlines()[1:] == lines[1:]


def test_whatever_is_asked_for_is_shown_instead_of_the_page(tmp_path):
    run = record_run(tmp_path / "runs", {GREEDY: ["+", "-"], WARM: ["+-", "--"]})
    page = plain(on_terminal(tmp_path, "report"))
    assert page.startswith("1 run  1 done  ")
    for words in (["--all"], ["last"], ["--table", "pass_at_k"], ["-k", "1"], ["--salvage"], ["--markdown"]):
        text = plain(on_terminal(tmp_path, "report", *words))
        assert "1 run  1 done" not in text and run.id in text, words
    assert "wrote notes.md" in on_terminal(tmp_path, "report", "--into", "notes.md")
    assert (tmp_path / "notes.md").read_text().startswith("<!-- labkit report -->\n**pass@k")
    assert "there is no folder" in on_terminal(tmp_path, "report", "--runs-dir", "absent")


def test_a_killed_run_goes_on_with_the_command_of_the_page(tmp_path):
    process = launch(
        tmp_path, "sample", "--temperature", "0.7", "--num-prompts", "16", "--num-rollouts", "64", "--name", "nightly",
        "--set", "generation.batch_size=16",
    )  # fmt: skip
    end = time.monotonic() + 90
    while time.monotonic() < end and process.poll() is None and not list(tmp_path.glob("runs/sample/*/rows/*.jsonl")):
        time.sleep(0.02)
    process.send_signal(signal.SIGSTOP)  # it holds its lock and goes no further while the page is made
    try:
        assert process.poll() is None
        working = plain(on_terminal(tmp_path, "report"))
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    run = only_run(tmp_path / "runs")
    assert "1 running" in working and run.status() == "interrupted"
    page = plain(on_terminal(tmp_path, "report"))
    (line,) = [line for line in page.splitlines() if "--resume" in line]
    assert "nightly" in line and "killed, or the machine stopped" in line
    command = line.split("  nightly")[0]
    assert command.strip() == f"labkit sample --resume {run.id[-6:]}"
    done = launch(tmp_path, *shlex.split(command)[1:])
    output = done.communicate(timeout=100)[0].decode()
    assert done.returncode == 0, output
    assert (run.status(), read_rollouts(run).frame.height) == ("done", 16 * 65)
    assert "interrupted" not in plain(on_terminal(tmp_path, "report"))


def test_what_labkit_run_could_not_begin_is_on_the_page(labkit, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text('{"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}')
    (tmp_path / "bad.yaml").write_text(
        "command: eval\ntask: {name: countdown, num_prompts: 2}\nmodel: {id: ./broken}\n"
    )
    assert labkit("run", "bad.yaml").returncode == 1
    page = plain(on_terminal(tmp_path, "report"))
    assert "1 failed to start" in page.splitlines()[0]
    assert "\n  labkit run bad.yaml  broken has no weights" in page
