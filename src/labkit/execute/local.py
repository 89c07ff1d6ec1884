"""Workers as processes of this machine. They stay as long as the queue, and take items one after another over a pipe."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from labkit.execute.devices import visible_gpus, worker_environment
from labkit.execute.items import Item
from labkit.execute.messages import Event, Outcome, Request
from labkit.execute.tails import last_lines, log_tail, obituary

_GOODBYE_S = 30.0
"""Seconds that workers have to end when they are told to; one in the middle of a long step is killed then."""
_BLOCK_BYTES = 1 << 16


@dataclass(slots=True)
class _Worker:
    """A process and what it was given."""

    process: subprocess.Popen[bytes]
    own_output: IO[bytes]
    """What it prints while it has no item."""
    log: Path | None = None
    """Of the item that it works on."""
    log_bytes: int = 0
    """Size of that log when it was given the item."""
    unread: bytes = b""


@dataclass(slots=True)
class LocalPool:
    """A `Pool` of processes."""

    num_slots: int
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _workers: dict[int, _Worker] = field(default_factory=dict)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _gpus: list[str] | None = None

    def fits(self, slot: int, item: Item) -> bool:
        """Every worker can take every item."""
        return True

    def start(self, slot: int, item: Item) -> None:
        """Start a process of its own session: who presses Ctrl-C stops the runner, and the runner stops its workers."""
        if self._gpus is None:
            self._gpus = visible_gpus(self.environ)
        own_output = tempfile.TemporaryFile()  # noqa: SIM115  # closed with its worker
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _program()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=own_output,
            env=worker_environment(self.environ, self._gpus, slot, self.num_slots),
            start_new_session=True,
        )
        self._workers[slot] = _Worker(process, own_output)
        self._selector.register(_output(process), selectors.EVENT_READ, slot)

    def give(self, slot: int, request: Request) -> None:
        """Hand a ready worker an item."""
        worker = self._workers[slot]
        worker.log, worker.log_bytes = Path(request.log), request.log_bytes
        self._send(worker, json.dumps(request.as_json()).encode() + b"\n")

    def wait(self, timeout_s: float) -> list[Event]:
        """What workers said; one that is gone has ended."""
        for key, _ in self._selector.select(timeout_s):
            worker = self._workers[key.data]
            # Two kilobytes at most wait there, but another line may have begun.
            worker.unread += os.read(key.fd, _BLOCK_BYTES)
        events = [event for slot, worker in self._workers.items() for event in _lines(worker, slot)]
        for slot, worker in list(self._workers.items()):
            if worker.process.poll() is not None:
                events += [*_rest(slot, worker), self._died(slot, worker)]
        return events

    def dismiss(self, slot: int) -> None:
        """Let a worker go that has no item."""
        worker = self._workers.get(slot)
        if worker is not None:
            self._send(worker, b"\n")
            self._await_end([worker], _GOODBYE_S)
            self._forget(slot, worker)

    def interrupt(self) -> list[Event]:
        """SIGTERM to every worker: the commands close their files and give their locks back. Then kill what is left."""
        for worker in self._workers.values():
            with suppress(ProcessLookupError):
                worker.process.send_signal(signal.SIGTERM)
        try:
            self._await_end(list(self._workers.values()), _GOODBYE_S)
            return [event for slot, worker in self._workers.items() for event in _rest(slot, worker)]
        finally:  # also where somebody is tired of waiting, and says so once more
            self._end()

    def close(self) -> None:
        """Let all workers go."""
        for worker in self._workers.values():
            self._send(worker, b"\n")
        self._await_end(list(self._workers.values()), _GOODBYE_S)
        self._end()

    def _end(self) -> None:
        for slot, worker in list(self._workers.items()):
            self._forget(slot, worker)
        self._selector.close()

    def _send(self, worker: _Worker, line: bytes) -> None:
        assert worker.process.stdin is not None
        with suppress(BrokenPipeError):  # it is gone, which `wait` will notice
            worker.process.stdin.write(line)
            worker.process.stdin.flush()

    def _died(self, slot: int, worker: _Worker) -> Event:
        message = obituary(_why(worker.process.returncode), _tail(worker))
        self._forget(slot, worker)
        return Event("ended", slot, outcome=Outcome("died", message=message, try_again=True, worker_is_whole=False))

    def _await_end(self, workers: list[_Worker], seconds: float) -> None:
        """Wait for processes to end, and kill those that do not."""
        end = time.monotonic() + seconds
        for worker in workers:
            try:
                worker.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill(worker.process)

    def _forget(self, slot: int, worker: _Worker) -> None:
        _kill(worker.process)
        self._selector.unregister(_output(worker.process))
        for stream in (worker.process.stdin, worker.process.stdout, worker.own_output):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        del self._workers[slot]


def _program() -> str:
    """What a worker's Python runs: it imports from where this process does, and not from the folder that it starts in."""
    return f"import sys; sys.path[:] = {sys.path!r}; from labkit.execute.worker import main; main()"


def _rest(slot: int, worker: _Worker) -> list[Event]:
    """What a process said before it ended."""
    _kill(worker.process)  # what it has started may hold the pipe open
    while block := os.read(_output(worker.process), _BLOCK_BYTES):
        worker.unread += block
    return _lines(worker, slot)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a worker and everything that it has started: what it leaves behind would hold its lock and its device."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # it leads a session, so its number is that of its group
    process.wait()


def _output(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    return process.stdout.fileno()


def _lines(worker: _Worker, slot: int) -> list[Event]:
    """The whole lines of what a worker said."""
    *lines, worker.unread = worker.unread.split(b"\n")
    return [Event.from_json(json.loads(line) | {"slot": slot}) for line in lines]


def _why(code: int) -> str:
    """How a process ended, for somebody who wonders."""
    if code >= 0:
        return f"its worker ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    out_of_memory = ": killed by hand, or by the system because memory ran out" if -code == signal.SIGKILL else ""
    return f"its worker was ended by {name}{out_of_memory}"


def _tail(worker: _Worker) -> str:
    """The last lines of what a worker printed: in the log of its item, or else before it had one."""
    tail = "" if worker.log is None else log_tail(worker.log, worker.log_bytes)
    if not tail:
        worker.own_output.seek(0)
        tail = last_lines(worker.own_output.read())
    return tail
