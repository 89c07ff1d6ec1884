"""`labkit run`: carry out configs, as many as there are, each once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from labkit.cli.report import Json, Verbose

if TYPE_CHECKING:
    from labkit.execute.entries import Entry
    from labkit.execute.items import Item
    from labkit.execute.lookup import Found
    from labkit.execute.order import Order
    from labkit.execute.pool import Pool
    from labkit.execute.queue import Queue
    from labkit.execute.runner import Runner
    from labkit.report.table import Cell, Table

_MOST_ROWS = 20
"""Items up to which a terminal shows those that are done, too."""

Paths = Annotated[list[Path], typer.Argument(metavar="PATHS...", help="Config files, and folders of them.")]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", min=1, help="Items at once.  [1; on Ray as many as there is room for]", show_default=False),
]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="Start other items after one has failed.")]
Retries = Annotated[
    int, typer.Option("--retries", min=0, help="Tries more for an item whose worker died or whose machine gave up.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")]
Executor = Annotated[Literal["local", "ray"], typer.Option("--executor", help="Processes here, or a Ray cluster.")]
Address = Annotated[
    str,
    typer.Option(
        "--address", help="Ray cluster: HOST:PORT, auto for one that runs on this machine, local to start one here."
    ),
]
Cpus = Annotated[float, typer.Option("--cpus", min=0, help="CPUs that an item asks of Ray.")]
Gpus = Annotated[
    float | None,
    typer.Option(
        "--gpus",
        min=0,
        help="GPUs that an item asks of Ray, parts too.  [1 where the cluster has some and the config leaves it one]",
        show_default=False,
    ),
]

HELP = """Carry out configs: what each one's `command` says.

PATHS are config files and folders of them. All are read and checked before the first starts. What others need comes
first; configs of one model come one after another, so that it is loaded once. A config that has a finished run is
skipped, an interrupted run goes on: the same command again does what is owed, and nothing else.

Exit code 0: all is done. 1: something failed, or could not be started.
"""


def register(app: typer.Typer) -> None:
    app.command("run", help=HELP)(_run)


def _run(
    paths: Paths,
    jobs: Jobs = None,
    keep_going: KeepGoing = False,
    retries: Retries = 1,
    dry_run: DryRun = False,
    as_json: Json = False,
    executor: Executor = "local",
    address: Address = "auto",
    cpus: Cpus = 1,
    gpus: Gpus = None,
    verbose: Verbose = False,
) -> None:
    from labkit.cli.console import say
    from labkit.execute.items import read_items
    from labkit.execute.lookup import CLOCKS_DIFFER_S, look_up
    from labkit.execute.order import find_order, refuse_missing
    from labkit.execute.queue import Queue
    from labkit.record.run import id_before

    items, notes = read_items(paths, os.environ)
    for note in notes:
        say(note)
    log_bytes = log_sizes(items)  # before the runs: what is written in between is noticed
    since = id_before(CLOCKS_DIFFER_S)
    order = find_order(items)
    found = look_up(items, order)
    if dry_run:
        _say_what_would_be_done(items, order, found, as_json=as_json)
    if not keep_going:
        refuse_missing(items, order, found)
    if dry_run:
        return
    queue = Queue(items, order, found)
    pool = _pool(executor, address, jobs, cpus, gpus) if queue.unfinished else None
    runner = None if pool is None else _carry_out(queue, pool, log_bytes, since, retries, keep_going, as_json=as_json)
    queue.close()
    _print(queue, runner, as_json=as_json)
    _refuse_unfinished(queue)


def log_sizes(items: Sequence[Item]) -> dict[int, int]:
    """The sizes in bytes of the logs that are there, by position."""
    sizes = {}
    for position, item in enumerate(items):
        try:
            sizes[position] = item.log_path.stat().st_size
        except OSError:
            continue
    return sizes


def _pool(executor: str, address: str, jobs: int | None, cpus: float, gpus: float | None) -> Pool:
    if executor == "ray":
        from labkit.execute.ray_pool import RayPool

        return RayPool(address, jobs, cpus=cpus, gpus=gpus)
    from labkit.execute.local import LocalPool

    return LocalPool(jobs or 1)


def _carry_out(
    queue: Queue, pool: Pool, log_bytes: dict[int, int], since: str, retries: int, keep_going: bool, *, as_json: bool
) -> Runner:
    from labkit.cli.console import say
    from labkit.cli.queue_progress import QueueProgress
    from labkit.execute.runner import Runner
    from labkit.execute.signals import Terminated

    progress = QueueProgress(queue, pool.num_slots)
    runner = Runner(queue, pool, progress, log_bytes, retries=retries, keep_going=keep_going, since=since)
    try:
        with progress:
            runner.run()
    except BaseException as error:
        _print(queue, runner, as_json=as_json)
        if isinstance(error, (KeyboardInterrupt, Terminated)):
            say("interrupted; the same command does what is owed")
        raise
    return runner


def _print(queue: Queue, runner: Runner | None, *, as_json: bool) -> None:
    from labkit.report.render import print_tables

    table = summary(queue, runner, for_program=as_json, on_terminal=sys.stdout.isatty() and not as_json)
    if table.rows:
        print_tables([table], format="json" if as_json else None)
    else:
        print("\n".join(table.notes))


def summary(queue: Queue, runner: Runner | None, *, for_program: bool = False, on_terminal: bool = False) -> Table:
    """How every item ended.

    Args:
        for_program: messages with all their lines
        on_terminal: of many items only those that are not done; the log of nothing else
    """
    from labkit.report.table import Table

    notes = [", ".join(f"{count} {state}" for state, count in sorted(queue.counts.items()) if count)]
    if runner is not None and runner.counts.num_loads:
        did = runner.counts
        notes.append(
            f"models loaded {did.num_loads} time{'s' * (did.num_loads != 1)}, in {did.load_s:.1f} s, by "
            f"{_workers(did.num_workers)}"
        )
    rows = [_row(entry, whole=for_program) for entry in queue.entries]
    columns = ["item", "state", "run", "seconds", "load_s", "attempts", "message", "log"]
    if on_terminal:
        rows = _of_interest(rows)
        columns = columns if any(row["log"] for row in rows) else columns[:-1]
    return Table("queue", "items", columns, rows, notes, expendable=("load_s", "attempts", "run"))


def _of_interest(rows: list[dict[str, Cell]]) -> list[dict[str, Cell]]:
    from labkit.execute.entries import MET

    if len(rows) > _MOST_ROWS:
        return [row for row in rows if row["state"] not in MET]
    return [row | {"log": None} if row["state"] in MET else row for row in rows]


def _row(entry: Entry, *, whole: bool) -> dict[str, Cell]:
    message = entry.message if whole else entry.message.partition("\n")[0]
    return {
        "item": entry.item.name,
        "state": entry.state,
        "run": None if entry.run is None else entry.run.name,
        "seconds": round(entry.duration_s, 3) if entry.attempts else None,
        "load_s": None if entry.load_s is None else round(entry.load_s, 3),
        "attempts": entry.attempts,
        "message": message or None,
        "log": str(entry.item.log_path) if entry.attempts else None,
    }


def _workers(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"


def _refuse_unfinished(queue: Queue) -> None:
    """Exit code 1 where not everything is done."""
    from labkit.errors import CheckFailed
    from labkit.execute.entries import MET

    counts = queue.counts
    left = {state: count for state, count in counts.items() if count and state not in MET}
    if left:
        words = ", ".join(f"{count} {state}" for state, count in sorted(left.items()))
        raise CheckFailed(
            f"{sum(left.values())} of {len(queue.entries)} items are not done: {words}",
            f"{'the log of each that failed says why; ' if 'failed' in left else ''}the same command does what is owed",
        )


def _say_what_would_be_done(items: Sequence[Item], order: Order, found: Sequence[Found], *, as_json: bool) -> None:
    from labkit.cli.console import say
    from labkit.report.render import print_tables
    from labkit.report.table import Table

    words = {"absent": "to do", "interrupted": "to resume", "done": "done", "running": "running"}
    rows: list[dict[str, Cell]] = []
    for position in order.sequence():
        item, what = items[position], found[position]
        state = "to check" if item.command == "data" else words[what.state]
        if order.missing[position] and what.state != "done":
            state = "lacks something"
        needs = [items[need].name for need in order.needs[position]] + list(order.missing[position])
        run = None if what.run is None else what.run.name
        rows.append({"item": item.name, "command": item.command, "state": state, "run": run, "needs": "; ".join(needs)})
    print_tables(
        [
            Table(
                "queue", "items in their order", ("item", "command", "state", "run", "needs"), rows, expendable=("run",)
            )
        ],
        format="json" if as_json else None,
    )
    owed = [item for item, what in zip(items, found, strict=True) if what.state in ("absent", "interrupted")]
    num_models = len({item.model for item in owed if item.model is not None})
    say(f"{len(owed)} of {len(items)} items are owed; models to load: {num_models}. Nothing was written.")
