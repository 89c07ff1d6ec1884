"""Starting the real command line, killing it at a chosen moment, and going on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from labkit.record.catalog import run_paths
from labkit.record.run import Run, open_run


def launch(cwd: Path, *arguments: str | Path) -> subprocess.Popen[bytes]:
    """`labkit …` in the background."""
    return subprocess.Popen(
        [sys.executable, "-m", "labkit", *map(str, arguments)],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ,
    )


def wait_for_work(process: subprocess.Popen[bytes], runs_dir: Path, attempt: int, timeout_s: float = 60) -> None:
    """Until the process has begun its attempt at the run, or has ended."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and process.poll() is None:
        paths = list(run_paths(runs_dir))
        if paths and sum(event["event"] == "start" for event in open_run(paths[0]).events()) >= attempt:
            return
        time.sleep(0.01)


def stop(process: subprocess.Popen[bytes], how: signal.Signals) -> tuple[int, str]:
    """Send a signal; gives the exit code and what was printed."""
    process.send_signal(how)
    output = process.communicate(timeout=60)[0].decode()
    return process.returncode, output


def only_run(runs_dir: Path) -> Run:
    """The single run of a folder."""
    (path,) = run_paths(runs_dir)
    return open_run(path)
