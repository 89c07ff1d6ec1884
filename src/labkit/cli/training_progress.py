"""Live progress of a training on stderr; off a terminal, one line an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.progress import TextColumn

from labkit.cli.console import progress_bar, say, say_how_to_resume
from labkit.execute.signals import raise_received
from labkit.record.run import Run

_MEASURED = ("eval_accuracy", "eval_pair_accuracy", "eval_auc")


class TrainingProgress:
    """A `TrainingObserver` that draws."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._metrics: dict[str, float] = {}
        self._progress = progress_bar(TextColumn("{task.fields[metrics]}"))

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
        self._line = self._progress.add_task("step", total=num_steps, completed=first_step, metrics="")

    def logged(self, step: int, metrics: Mapping[str, float]) -> None:
        """Metrics of a step are on disk."""
        raise_received()
        self._metrics |= metrics
        shown = "  ".join(
            f"{name} {self._metrics[name]:.3f}" for name in ("loss", "eval_loss", *_MEASURED) if name in self._metrics
        )
        self._progress.update(self._line, completed=step, metrics=shown)
        if self._progress.disable and any(name in metrics for name in _MEASURED):
            say(f"step {step}: {shown}")
