"""The last words of a worker that died."""

from __future__ import annotations

from pathlib import Path

_BYTES = 4000
_LINES = 12


def log_tail(log: Path, log_bytes: int) -> str:
    """The last lines of a log.

    Args:
        log_bytes: size of the log before; nothing that stood there already is given
    """
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log_bytes, log.stat().st_size - _BYTES))
            return last_lines(stream.read())
    except OSError:
        return ""


def last_lines(text: bytes) -> str:
    """The last lines of what somebody printed."""
    return "\n".join(text[-_BYTES:].decode(errors="replace").splitlines()[-_LINES:])


def obituary(message: str, tail: str) -> str:
    """How a worker ended, with its last words if there are any."""
    return f"{message}; its last words:\n{tail}" if tail else message
