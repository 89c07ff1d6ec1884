"""What is there already of what is asked: runs, found by the digest of the config that made them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from labkit.config.base import Config
from labkit.config.references import made_by, needed_by
from labkit.errors import ConfigError, LabkitError
from labkit.execute.items import Item, several
from labkit.record.catalog import runs_that_asked
from labkit.record.named_runs import Kind, NamedRuns
from labkit.record.run import open_run, status_of

if TYPE_CHECKING:
    from labkit.execute.order import Order

CLOCKS_DIFFER_S = 60.0
"""Seconds by which the clocks of machines that share a runs folder may differ."""

_Named = tuple[Kind, str]
"""What a config calls a run by: a training and an evaluation may share a name."""

State = Literal["absent", "done", "running", "interrupted"]


@dataclass(frozen=True, slots=True)
class Found:
    """What is there of an item."""

    state: State
    run: Path | None = None
    """The run that asked the same; None where there is none."""


def look_up(items: Sequence[Item], order: Order | None = None) -> list[Found]:
    """What is there of each item. A data set says itself what is there of it, so it counts as absent here. So does what
    rests on another run than a name stands for now, or will stand for when the item that makes it is done.

    Args:
        order: of the items; None where none needs another

    Raises:
        ConfigError: an item would get a newer run than that of the item which makes one of that name here.
    """
    asked: dict[tuple[Path, str], set[str]] = {}
    for item in items:
        asked.setdefault((item.runs_dir, item.command), set()).add(item.digest)
    runs = {
        (runs_dir, command, digest): paths
        for (runs_dir, command), digests in asked.items()
        for digest, paths in runs_that_asked(runs_dir, command, digests).items()
    }
    found = [Found("absent")] * len(items)
    runs_by_name, errors = NamedRuns(), []
    for position in range(len(items)) if order is None else order.sequence():
        item = items[position]
        paths = runs.get((item.runs_dir, item.command, item.digest), [])
        newest = _newest(item.config, runs_by_name)
        makers = {} if order is None else _makers(items, order.needs[position])
        if all(found[maker].state == "done" for maker in makers.values()):
            made = {key: run.resolve().name for key, maker in makers.items() if (run := found[maker].run) is not None}
            found[position] = _best(item.command, paths, {**newest, **made}.values())
        if found[position].state != "done":
            errors += [
                _superseded(item, key[1], items[maker], run.name, newest[key])
                for key, maker in makers.items()
                if (run := found[maker].run) is not None and key in newest and newest[key] > run.name
            ]
    if errors:
        raise ConfigError(several(errors).message, "give one a name of its own, or: labkit runs rm RUN")
    return found


def look_again(
    runs_dir: Path,
    command: str,
    digest: str,
    *,
    config: Config | None = None,
    since: str = "",
    run: Path | None = None,
) -> Found:
    """What is there of one item by now.

    Args:
        config: the item's: what rests on other runs than those that it names now counts as absent
        since: an id of a run, or its beginning: older runs are passed over
        run: one that is not
    """
    paths = runs_that_asked(runs_dir, command, {digest}, since).get(digest, [])
    if run is not None and run not in paths and run.exists():
        paths.insert(0, run)
    return _best(command, paths, () if config is None else _newest(config, NamedRuns()).values())


def _newest(config: Config, runs: NamedRuns) -> dict[_Named, str]:
    """The ids of the runs that a config names now; those that are not there are left out."""
    found: dict[_Named, str] = {}
    for reference in needed_by(config):
        if reference.kind != "path":
            try:
                run = runs.find(reference.kind, reference.name, Path(reference.runs_dir))
            except LabkitError:  # whether anything that is needed is missing, the order says
                continue
            found[reference.kind, reference.name] = run.path.resolve().name
    return found


def _makers(items: Sequence[Item], needs: Sequence[int]) -> dict[_Named, int]:
    """Who of the items makes the runs that an item needs."""
    return {
        (made.kind, made.name): need for need in needs for made in made_by(items[need].config) if made.kind != "path"
    }


def _superseded(item: Item, name: str, maker: Item, made: str, newest: str) -> str:
    return (
        f"{item.name} needs run:{name} as {maker.name} makes it, in {made}; "
        f"by that name it would get the newer {newest}, which was made otherwise"
    )


def _best(command: str, paths: Sequence[Path], runs: Collection[str]) -> Found:
    """Of several runs that asked the same one that is done, or at work, or else the newest.

    Args:
        runs: ids of the runs that they must rest on
    """
    found = {_state(command, path): path for path in paths if not runs or _rests_on(path, runs)}
    for state in ("done", "running", "interrupted"):
        if state in found:
            return Found(state, found[state])
    return Found("absent")


def _rests_on(path: Path, runs: Collection[str]) -> bool:
    return set(runs) <= {parent["run"] for parent in open_run(path).manifest.get("parents", ())}


def _state(command: str, path: Path) -> State:
    if command != "extract" or (state := status_of(path)) != "done":
        return status_of(path)
    from labkit.extract.files import is_whole

    return state if is_whole(open_run(path)) else "interrupted"
