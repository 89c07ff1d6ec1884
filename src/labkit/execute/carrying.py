"""What a worker does with an item: the same calls that the command of its config makes, in a process that stays.

Provenance is captured once a process, and the model of the last item stays loaded for the next one.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from labkit.config.base import Layer, Resolved, flatten, resolve
from labkit.config.commands import COMMANDS
from labkit.errors import LabkitError, MachineError, RecordError
from labkit.execute.lookup import Found, look_again
from labkit.execute.messages import Event, Outcome, Request
from labkit.execute.signals import Terminated
from labkit.execute.watching import DataWatcher, ExtractionWatcher, RolloutWatcher, Tell, TrainingWatcher, say
from labkit.models.engines import Engines
from labkit.record.files import disk_error
from labkit.record.run import now, open_run

ELSEWHERE = "another process works on it"


class Carrier:
    """Carries items out, one after another."""

    def __init__(self, tell: Tell) -> None:
        """Args: tell: takes what the runner should know while an item goes on"""
        self._tell = tell
        self._engines = Engines(self._loaded)
        self._began = 0.0

    def carry_out(self, request: Request) -> Outcome:
        """Do an item, or what is owed of it. Whatever goes wrong is an outcome; its words are in the log."""
        self._began = time.monotonic()
        try:
            with claimed(Path(request.log), request.patience_s) as log_bytes:
                if log_bytes is None:
                    return Outcome("running", message=ELSEWHERE)
                with output_to(Path(request.log)):
                    say(f"--- {now()} labkit run {request.name}")
                    return self._attempt(request, is_known=log_bytes == request.log_bytes)
        except LabkitError as error:  # the log itself cannot be opened
            return _failed(error, None)
        except OSError as error:  # or not be written
            return _failed(disk_error(error, Path(request.log)), None)

    def _attempt(self, request: Request, *, is_known: bool) -> Outcome:
        """Args: is_known: whether nobody has worked on the item since the runner looked"""
        run = None if request.run is None else Path(request.run)
        found = (
            Found("interrupted", run)
            if is_known
            else look_again(
                Path(request.runs_dir),
                request.command,
                request.digest,
                config=request.resolved().config,
                since=request.since,
                run=run,
            )
        )
        sys.argv = ["labkit", "run", request.name]  # the record's: all paths of the command line would be thousands
        try:
            if found.state == "done":
                return Outcome("skipped", str(found.run))
            if found.run is not None and open_run(found.run).status() == "running":
                return Outcome("running", str(found.run), ELSEWHERE)
            return self._done(request, found.run)
        except LabkitError as error:
            if found.run is not None and isinstance(error, RecordError) and "--resume" in error.hint:
                error.hint = f"put back what changed, or start anew: labkit runs rm {found.run.name}"
            say(f"{error.message}\n→ {error.hint}")
            return _failed(error, found.run)
        except (KeyboardInterrupt, Terminated):
            say("interrupted")
            return Outcome("interrupted", worker_is_whole=False)
        except Exception as error:
            traceback.print_exc()
            message = f"this is a bug in labkit, or in a task's file: {error!r}"
            return Outcome("failed", message=message, try_again=True, worker_is_whole=False)

    def _done(self, request: Request, run: Path | None) -> Outcome:
        do: Callable[[Request, Path | None], Outcome] = {
            "train": self._train, "extract": self._extract, "data": self._data
        }.get(request.command, self._rollouts)  # fmt: skip
        return do(request, run)

    def _rollouts(self, request: Request, run: Path | None) -> Outcome:
        from labkit.rerank.finding import rerankers_of
        from labkit.rerank.session import Ranker
        from labkit.rollouts.experiment import prepare
        from labkit.rollouts.session import resume, start

        watcher = RolloutWatcher(self._tell)
        resolved = request.resolved() if run is None else _as_recorded(request, run)
        config = resolved.config
        ranker = Ranker(rerankers_of(config), watcher.ranked)
        if run is None:
            made = start(resolved, prepare(config, say, engines=self._engines), watcher, ranker)
        else:
            made = resume(open_run(run), resolved, say, watcher, self._engines, ranker)
        for warning in (made.result() or {}).get("warnings", ()):
            say(f"warning: {warning}")
        return Outcome("done", run=str(made.path))

    def _train(self, request: Request, run: Path | None) -> Outcome:
        from labkit.train.session import resume, start

        self._engines.release()  # the training needs the room
        resolved, watcher = request.resolved(), TrainingWatcher(self._tell)
        made = start(resolved, watcher) if run is None else resume(open_run(run), resolved.config, watcher)
        return Outcome("done", run=str(made.path))

    def _extract(self, request: Request, run: Path | None) -> Outcome:
        from labkit.extract.plan import plan_extraction
        from labkit.extract.session import resume, start

        resolved, watcher = request.resolved(), ExtractionWatcher(self._tell)
        config = resolved.config
        if run is None:
            made = start(resolved, plan_extraction(config, say), watcher, self._engines)
        else:
            made = resume(open_run(run), config, lambda: plan_extraction(config, say), watcher, self._engines)
        return Outcome("done", run=str(made.path))

    def _data(self, request: Request, run: Path | None) -> Outcome:
        from labkit.tasks.gsm8k.building import build_word_problems, plan_word_problems
        from labkit.tasks.world.building import build_world, plan_world

        self._engines.release()  # the runner counts on it that only items of models keep one
        config = request.resolved().config
        if config.word_problems is not None:
            return Outcome("done" if build_word_problems(plan_word_problems(config), say) else "skipped")
        world = plan_world(config, say)
        watcher = DataWatcher(self._tell, sum(sum(each.sizes.values()) for each in world.wanted.values()))
        build_world(world, watcher)
        return Outcome("done" if watcher.num_built else "skipped")

    def _loaded(self, load_s: float) -> None:
        say(f"model loaded in {load_s:.2f} s")
        self._tell(Event("loaded", seconds=load_s, before_s=time.monotonic() - self._began))


def _failed(error: LabkitError, run: Path | None) -> Outcome:
    is_machine = isinstance(error, MachineError)
    return Outcome(
        "failed",
        run=None if run is None else str(run),
        message=f"{error.message} (→ {error.hint})" if error.hint else error.message,
        try_again=is_machine,
        worker_is_whole=not is_machine,  # what memory it holds nobody knows
    )


def _as_recorded(request: Request, run: Path) -> Resolved[Any]:
    """The config that the run records, which says more than was asked, and every value of which it was asked before."""
    recorded = open_run(run)
    layers = [
        Layer(f"run {recorded.id}", dict(flatten(recorded.manifest["config"]))),
        Layer("labkit run", {"runs_dir": request.runs_dir}),
    ]
    return resolve(COMMANDS[request.command], layers)


@contextmanager
def claimed(log: Path, patience_s: float = 0.0) -> Iterator[int | None]:
    """Hold an item for the length of a block, by a lock on its log; gives the size of the log in bytes, None where
    another process holds the item, and still does after so many seconds.

    Raises:
        RecordError: the log cannot be written. MachineError: the disk is full, or has no locks.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(log, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise disk_error(error, log) from None
    try:
        try:
            is_ours = _locked(descriptor, time.monotonic() + patience_s)
        except OSError as error:
            raise disk_error(error, log) from None
        yield os.fstat(descriptor).st_size if is_ours else None
    finally:
        os.close(descriptor)


def _locked(descriptor: int, until: float) -> bool:
    """Take a lock as soon as it is free; False where it is not by then."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)


@contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Everything that this process prints, and what libraries and children of it print, goes to the end of a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    before = [os.dup(1), os.dup(2)]
    # By both ways: Python's streams may be something else than the two descriptors, which is all that libraries know.
    with path.open("a", buffering=1, encoding="utf-8", errors="backslashreplace") as log:
        try:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            with redirect_stdout(log), redirect_stderr(log):
                yield
        finally:
            for number, saved in enumerate(before, start=1):
                os.dup2(saved, number)
                os.close(saved)
