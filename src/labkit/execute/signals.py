"""SIGINT and SIGTERM as exceptions that cannot be lost.

Python drops an exception that falls into a `__del__`, and torch has many. What a signal raised is therefore kept, and
whoever reports progress raises it again.
"""

from __future__ import annotations

import signal
from types import FrameType


class Terminated(BaseException):
    """SIGTERM: files are closed and the lock falls on the way out."""


_EXCEPTIONS: dict[int, type[BaseException]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
_received: list[int] = []


def install_handlers() -> None:
    """Let both signals raise. SIGINT stays ignored in a process that was started so, as a shell does in the background."""
    signal.signal(signal.SIGTERM, _receive)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _receive)


def raise_received() -> None:
    """Raise what a signal raised before, if work goes on nevertheless."""
    if _received:
        raise _EXCEPTIONS[_received[-1]]


def _receive(number: int, _frame: FrameType | None) -> None:
    _received.append(number)
    raise_received()
