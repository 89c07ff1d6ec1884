"""A worker process, started by a runner, which it does not outlive.

Requests come as lines of JSON on stdin, events go as lines of JSON to what was stdout. An empty line ends it in good order;
the end of stdin means that the runner is gone, and ends it at once, so that what it holds is free for the next runner.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import threading
from queue import SimpleQueue

from labkit.execute.carrying import Carrier
from labkit.execute.messages import Event, Request
from labkit.execute.signals import Terminated, install_handlers, raise_received

EXIT_TERMINATED = 143


def main() -> None:
    """Carry out what is asked until there is no more."""
    events = os.dup(1)
    os.dup2(2, 1)  # what anybody prints between items is no event
    install_handlers()
    faulthandler.enable()

    def tell(event: Event) -> None:
        _write(events, json.dumps(event.as_json()).encode() + b"\n")

    requests: SimpleQueue[Request | None] = SimpleQueue()
    threading.Thread(target=_listen, args=[requests], daemon=True).start()
    carrier = Carrier(tell)
    try:
        tell(Event("ready"))
        while (request := requests.get()) is not None:
            tell(Event("ended", outcome=carrier.carry_out(request)))
            raise_received()
    except (Terminated, KeyboardInterrupt):
        sys.exit(EXIT_TERMINATED)


def _listen(requests: SimpleQueue[Request | None]) -> None:
    """Pass requests on; end the process when nobody can send any more."""
    for line in sys.stdin.buffer:
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
