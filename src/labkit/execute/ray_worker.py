"""A worker on a Ray cluster: an actor that stays as long as the queue, and takes items one after another."""

from __future__ import annotations

import os
from typing import Any

from labkit.execute.carrying import Carrier
from labkit.execute.messages import Event, Request


class RayWorker:
    """Carries items out in the folder that the runner was called in, which its node must see under the same path."""

    def __init__(self, folder: str) -> None:
        self._events: list[Event] = []
        self._carrier = Carrier(self._events.append)
        self._trouble = ""
        try:
            os.chdir(folder)
        except OSError as error:
            self._trouble = f"the node {os.uname().nodename} cannot go to {folder}: {error.strerror}"

    def trouble(self) -> str:
        """Why it can take no item; no text where it can."""
        return self._trouble

    def carry_out(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """Do an item; gives all its events, the outcome last."""
        self._events.clear()
        outcome = self._carrier.carry_out(Request(**request))
        return [event.as_json() for event in (*self._events, Event("ended", outcome=outcome))]
