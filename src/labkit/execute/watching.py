"""Who watches an item within its worker: says how far it is, in its log and to the runner."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from labkit.execute.messages import Event
from labkit.execute.signals import raise_received
from labkit.record.run import Ask, Run

if TYPE_CHECKING:
    from labkit.rollouts.plan import Batch
    from labkit.rollouts.work import Tally
    from labkit.tasks.world.recipes import PlannedSet

Tell = Callable[[Event], None]

_EVERY_S = 0.5
"""Seconds between two words to the runner about how far an item is."""
_LOGGED_EVERY_S = 30.0
"""Seconds between two lines about it in the log."""


def say(text: str) -> None:
    """One line of the item's log."""
    print(text, file=sys.stderr, flush=True)


class _Watcher:
    """What all of them do."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._told = self._logged = time.monotonic()
        self.run: Run | None = None

    def _begun(self, run: Run, what: str) -> None:
        raise_received()
        self.run = run
        say(f"{what}; recorded in {run.path}")
        self._tell(Event("run", run=str(run.path)))

    def _is_at(self, done: int, total: int, what: str) -> None:
        """So much is done; said once in a while."""
        raise_received()
        now = time.monotonic()
        if now - self._told >= _EVERY_S:
            self._told = now
            self._tell(Event("progress", done=done, total=total))
        if now - self._logged >= _LOGGED_EVERY_S:
            self._logged = now
            say(f"{done} of {total} {what}")


class RolloutWatcher(_Watcher):
    """An `Observer` of `labkit.rollouts.work`."""

    def started(self, run: Run, ask: Ask, owed: int, tally: Tally) -> None:
        """The run exists and `owed` rollouts are to be made."""
        self._total, self._done = ask.num_rollouts, ask.num_rollouts - owed
        self._begun(run, f"{owed} of {self._total} rollouts are owed")

    def advanced(self, batch: Batch, num_new: int, tally: Tally) -> None:
        """A batch is on disk."""
        self._done += num_new
        self._is_at(self._done, self._total, "rollouts")

    def foreseen(self, text: str) -> None:
        """Something to know of the rest of the run."""
        say(f"warning: {text}")

    def ranked(self, reranker: str, num_done: int, total: int) -> None:
        """A reranker has scored so many of the rollouts that it owes."""
        if num_done in (0, total):
            say(f"{reranker}: {num_done} of {total} rollouts are scored")
        raise_received()


class TrainingWatcher(_Watcher):
    """A `TrainingObserver`."""

    def started(self, run: Run, num_steps: int, first_step: int) -> None:
        """The run exists; training begins after `first_step`."""
        self._num_steps = num_steps
        self._begun(run, f"training from step {first_step} to {num_steps}")
        for note in run.manifest.get("notes", ()):
            say(note)

    def logged(self, step: int, metrics: Mapping[str, float]) -> None:
        """Metrics of a step are on disk."""
        if "eval_loss" in metrics:
            shown = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
            say(f"step {step}: {shown}")
        self._is_at(step, self._num_steps, "steps")


class ExtractionWatcher(_Watcher):
    """An `ExtractionObserver`."""

    def started(self, run: Run, num_checkpoints: int, num_done: int) -> None:
        """The run exists."""
        self._total, self._done = num_checkpoints, num_done
        self._begun(run, f"{num_done} of {num_checkpoints} checkpoints are there already")

    def extracted(self, checkpoint: str, num_cities: int, duration_s: float) -> None:
        """A checkpoint's hidden states are on disk."""
        self._done += 1
        say(f"{checkpoint}: {num_cities} cities in {duration_s:.1f} s")
        self._is_at(self._done, self._total, "checkpoints")


class DataWatcher(_Watcher):
    """An `Observer` of `labkit.tasks.world.building`."""

    def __init__(self, tell: Tell, total: int) -> None:
        super().__init__(tell)
        self._total, self._done = total, 0
        self.num_built = 0
        """Data sets that were made now."""

    def started(self, planned: PlannedSet) -> None:
        """The data set is being built."""
        raise_received()
        say(f"building {planned.name}")

    def advanced(self, num_rows: int) -> None:
        """So many more rows of it are written."""
        self._done += num_rows
        self._is_at(self._done, self._total, "rows")

    def doing(self, what: str) -> None:
        """All its rows are written."""
        raise_received()

    def finished(self, planned: PlannedSet, built: bool) -> None:
        """The data set is there; `built` says whether it was made now or before."""
        self.num_built += built
        say(f"{planned.name}: {'built' if built else 'there already'}")
