"""Live progress of building data sets on stderr; off a terminal, one line a finished data set."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import TextColumn

from labkit.cli.console import progress_bar, say
from labkit.execute.signals import Terminated, raise_received
from labkit.tasks.world.recipes import PlannedSet


class DataProgress:
    """An `Observer` of `labkit.tasks.world.building` that draws; it holds the terminal while the block lasts."""

    def __init__(self) -> None:
        self._progress = progress_bar(TextColumn("rows"))
        self._began = 0.0
        self._name = ""
        self._num_there = 0

    def __enter__(self) -> DataProgress:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()
        if isinstance(error, (KeyboardInterrupt, Terminated)):
            say("interrupted; the same command goes on where it stopped")
            return
        if self._num_there:
            there = "1 data set was" if self._num_there == 1 else f"{self._num_there} data sets were"
            say(f"{there} there already")

    def started(self, planned: PlannedSet) -> None:
        """The data set is being built."""
        self._began = time.monotonic()
        self._name = planned.name
        self._line = self._progress.add_task(planned.name, total=sum(planned.sizes.values()))

    def advanced(self, num_rows: int) -> None:
        """So many more rows of it are written."""
        raise_received()
        self._progress.update(self._line, advance=num_rows)

    def doing(self, what: str) -> None:
        """All its rows are written; what is done with them now."""
        raise_received()
        self._progress.update(self._line, description=f"{self._name}: {what}")

    def finished(self, planned: PlannedSet, built: bool) -> None:
        """The data set is there; `built` says whether it was made now or before."""
        if not built:
            self._num_there += 1
            return
        self._progress.remove_task(self._line)
        num_rows = sum(planned.sizes.values())
        say(f"{planned.name}: {num_rows:,} rows in {time.monotonic() - self._began:.1f} s")
