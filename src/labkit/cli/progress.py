"""Live progress of a sweep on stderr: rollouts done, rollouts a second, and pass@k as it stands. None off a terminal."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import TaskID, TextColumn

from labkit.cli.console import progress_bar, say, say_how_to_resume
from labkit.execute.signals import raise_received
from labkit.record.run import Ask, Run
from labkit.rollouts.plan import Batch
from labkit.rollouts.work import Tally
from labkit.stats import pass_at_k


class SweepProgress:
    """An `Observer` that draws; it holds the terminal while the block lasts."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._progress = progress_bar(TextColumn("{task.fields[rate]}"), TextColumn("{task.fields[scores]}"))
        self._num_new = 0
        self._began = 0.0
        self._ranking: dict[str, TaskID] = {}

    def __enter__(self) -> SweepProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()
        say_how_to_resume(self._run, error)

    def started(self, run: Run, ask: Ask, owed: int, tally: Tally) -> None:
        """The run exists and `owed` rollouts are to be made."""
        self._run = run
        self._began = time.monotonic()
        total = ask.num_rollouts
        if owed < total:
            say(f"{total - owed} of {total} rollouts are there already" + ("; nothing is owed" if owed == 0 else ""))
        self._progress.start()
        self._line = self._progress.add_task(run.command, total=total, completed=total - owed, rate="", scores="")
        raise_received()

    def advanced(self, batch: Batch, num_new: int, tally: Tally) -> None:
        """A batch is on disk."""
        raise_received()
        self._num_new += num_new
        if self._progress.disable:
            return
        rate = self._num_new / max(time.monotonic() - self._began, 1e-9)
        self._progress.update(
            self._line,
            advance=num_new,
            description=batch.arm.key,
            rate=f"{rate:,.0f} rollouts/s",
            scores=running_scores(batch.arm.key, tally),
        )

    def foreseen(self, text: str) -> None:
        """Something to know of the rest of the run."""
        say(text)

    def ranked(self, reranker: str, num_done: int, total: int) -> None:
        """A reranker has scored so many of the rollouts that it owes."""
        raise_received()
        if reranker not in self._ranking:
            say(f"{reranker}: {total:,} rollouts to score")
            self._progress.start()
            self._ranking[reranker] = self._progress.add_task(reranker, total=total, rate="", scores="")
        self._progress.update(self._ranking[reranker], completed=num_done)


def running_scores(arm: str, tally: Tally) -> str:
    """pass@1 and pass@(rollouts so far) of an arm, over the prompts that have any."""
    made = tally.num_rollouts[arm]
    begun = made > 0
    if not begun.any():
        return ""
    made, correct = made[begun], tally.num_correct[arm][begun]
    most = int(made.min())
    shown = [f"pass@{k} {pass_at_k(made, correct, k).mean():.3f}" for k in sorted({1, most})]
    return "  ".join(shown)
