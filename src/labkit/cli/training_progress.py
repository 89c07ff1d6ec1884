"""Live progress of a training on stderr; off a terminal, one line an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from labkit.cli.console import say, say_how_to_resume, stderr_console
from labkit.cli.signals import raise_received
from labkit.record.run import Run


class TrainingProgress:
    """A `TrainingObserver` that draws."""

    def __init__(self) -> None:
        console = stderr_console()
        self._run: Run | None = None
        self._metrics: dict[str, float] = {}
        self._shown = console.is_terminal
        self._progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[metrics]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not self._shown,
        )

    def __enter__(self) -> TrainingProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()
        say_how_to_resume(self._run, error)

    def started(self, run: Run, num_steps: int, first_step: int) -> None:
        """The run exists; training begins after `first_step`."""
        self._run = run
        for note in run.manifest.get("notes", ()):
            say(note)
        if first_step:
            say(f"going on from the checkpoint of step {first_step}")
        self._progress.start()
        self._line = self._progress.add_task("train", total=num_steps, completed=first_step, metrics="")

    def logged(self, step: int, metrics: Mapping[str, float]) -> None:
        """Metrics of a step are on disk."""
        raise_received()
        self._metrics |= metrics
        shown = "  ".join(
            f"{name} {self._metrics[name]:.3f}"
            for name in ("loss", "eval_loss", "eval_accuracy")
            if name in self._metrics
        )
        self._progress.update(self._line, completed=step, metrics=shown)
        if not self._shown and "eval_accuracy" in metrics:
            say(f"step {step}: {shown}")
