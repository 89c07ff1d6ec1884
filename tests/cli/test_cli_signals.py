"""Signals as exceptions, also where Python drops them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from labkit.cli.progress import SweepProgress
from labkit.execute import signals
from labkit.record.identity import Arm
from labkit.record.run import Ask
from labkit.rollouts.plan import Batch
from labkit.rollouts.work import Tally

BOTH = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, signals.Terminated)]


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """labkit's handlers, for the length of a test."""
    before = {number: signal.getsignal(number) for number, _ in BOTH}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(signals, "_received", [])
    signals.install_handlers()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class SignalledAtTheEnd:
    """What a library's object is when a signal comes while it is removed."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


@pytest.mark.parametrize(("number", "expected"), BOTH)
def test_a_signal_raises_at_once(handlers: None, number: signal.Signals, expected: type[BaseException]) -> None:
    with pytest.raises(expected):
        signal.raise_signal(number)


@pytest.mark.parametrize(("number", "expected"), BOTH)
def test_one_that_python_dropped_ends_the_run_at_the_next_batch(
    handlers: None, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, expected: type[BaseException]
) -> None:
    dropped: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: dropped.append(lost.exc_type))
    ask = Ask(2, ((Arm("greedy"), 1),))
    batch, tally = Batch(Arm("greedy"), range(2), range(1)), Tally.empty(ask)
    progress = SweepProgress()
    progress.advanced(batch, 1, tally)
    SignalledAtTheEnd(number)
    assert dropped == [expected]
    with pytest.raises(expected):
        progress.advanced(batch, 1, tally)


def test_a_process_in_the_background_goes_on_ignoring_interrupts() -> None:
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from labkit.execute.signals import install_handlers\n"
        "install_handlers(); signal.raise_signal(signal.SIGINT)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
