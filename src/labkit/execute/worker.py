"""A worker process, started by a runner, which it does not outlive.

Requests come as lines of JSON on what was stdin, events go as lines of JSON to what was stdout. An empty line ends it in
good order; the end of the requests means that the runner is gone, and ends it at once, so that what it holds is free for
the next runner.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import threading
from queue import SimpleQueue
from typing import IO

from labkit.execute.carrying import Carrier
from labkit.execute.messages import Event, Request
from labkit.execute.signals import Terminated, install_handlers, raise_received

EXIT_TERMINATED = 143


def main() -> None:
    """Carry out what is asked until there is no more."""
    incoming, events = os.fdopen(os.dup(0), "rb"), os.dup(1)
    _nothing_to_read()
    os.dup2(2, 1)  # what anybody prints between items is no event
    install_handlers()
    faulthandler.enable()

    def tell(event: Event) -> None:
        _write(events, json.dumps(event.as_json()).encode() + b"\n")

    requests: SimpleQueue[Request | None] = SimpleQueue()
    threading.Thread(target=_listen, args=[incoming, requests], daemon=True).start()
    carrier = Carrier(tell)
    try:
        tell(Event("ready"))
        while (request := requests.get()) is not None:
            tell(Event("ended", outcome=carrier.carry_out(request)))
            raise_received()
    except (Terminated, KeyboardInterrupt):
        sys.exit(EXIT_TERMINATED)


def _nothing_to_read() -> None:
    """Who asks for input, a task or what it starts, is told at once that there is none, and takes no request for it."""
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)


def _listen(incoming: IO[bytes], requests: SimpleQueue[Request | None]) -> None:
    """Pass requests on; end the process when nobody can send any more."""
    for line in incoming:
        if not line.strip():
            requests.put(None)
            return
        requests.put(Request(**json.loads(line)))
    _end_at_once()


def _end_at_once() -> None:
    """As kill -9 does, with the processes that this one has started, which would keep its locks."""
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _write(descriptor: int, line: bytes) -> None:
    view = memoryview(line)
    while view:
        view = view[os.write(descriptor, view) :]
