"""What every test may rely on: no progress bars, no network, runs in a folder of its own, one thread a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("labkit", deadline=None)  # on a busy machine any example may take long
hypothesis.settings.load_profile("labkit")
os.environ["HF_HUB_OFFLINE"] = "1"
for variable in [name for name in os.environ if name.startswith("LABKIT_")]:
    del os.environ[variable]  # a user's own settings are not what is tested
# Tests run in two processes on two cores: more threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

Labkit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def labkit(tmp_path: Path) -> Labkit:
    """Runs the command line in a folder of its own, as a user would."""

    def run(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "labkit", *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | (env or {}),
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )

    return run


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Labkit]:
    """The command line within this process, where torch is loaded already."""
    from labkit.cli.main import main

    monkeypatch.chdir(tmp_path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)}

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        words = ["labkit", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capfd.readouterr()
        return subprocess.CompletedProcess(words, int(stopped.value.code or 0), printed.out, printed.err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen2 of a few thousand parameters."""
    from tiny_models import save_model

    return save_model(tmp_path_factory.mktemp("models") / "tiny")
