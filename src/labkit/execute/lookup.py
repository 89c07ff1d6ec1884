"""What is there already of what is asked: runs, found by the digest of the config that made them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from labkit.config.base import Config
from labkit.config.references import needed_by
from labkit.errors import ConfigError, LabkitError
from labkit.execute.items import Item, several
from labkit.models.training_run import Trainings
from labkit.record.catalog import find_run, runs_that_asked
from labkit.record.run import open_run, status_of

if TYPE_CHECKING:
    from labkit.execute.order import Order

CLOCKS_DIFFER_S = 60.0
"""Seconds by which the clocks of machines that share a runs folder may differ."""

State = Literal["absent", "done", "running", "interrupted"]


@dataclass(frozen=True, slots=True)
class Found:
    """What is there of an item."""

    state: State
    run: Path | None = None
    """The run that asked the same; None where there is none."""


def look_up(items: Sequence[Item], order: Order | None = None) -> list[Found]:
    """What is there of each item. A data set says itself what is there of it, so it counts as absent here. So does what
    rests on another training than `run:NAME` names now, or will name when the item that makes it is done.

    Args:
        order: of the items; None where none needs another

    Raises:
        ConfigError: an item would get a newer training than that of the item which makes `run:NAME` here.
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
    trainings, errors = Trainings(), []
    for position in range(len(items)) if order is None else order.sequence():
        item = items[position]
        paths = runs.get((item.runs_dir, item.command, item.digest), [])
        newest = _newest(item.config, trainings)
        makers = {} if order is None else _makers(items, order.needs[position])
        if all(found[maker].state == "done" for maker in makers.values()):
            made = {name: run.resolve().name for name, maker in makers.items() if (run := found[maker].run) is not None}
            found[position] = _best(item.command, paths, {**newest, **made}.values())
        if found[position].state != "done":
            errors += [
                _superseded(item, name, items[maker], run.name, newest[name])
                for name, maker in makers.items()
                if (run := found[maker].run) is not None and name in newest and newest[name] > run.name
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
        config: the item's: what rests on another training than its `run:NAME` is now counts as absent
        since: an id of a run, or its beginning: older runs are passed over
        run: one that is not
    """
    paths = runs_that_asked(runs_dir, command, {digest}, since).get(digest, [])
    if run is not None and run not in paths and run.exists():
        paths.insert(0, run)
    return _best(command, paths, () if config is None else _newest(config, Trainings()).values())


def _newest(config: Config, trainings: Trainings) -> dict[str, str]:
    """The ids of the runs that a config's `run:NAME`s name now, by name; those that are not there are left out."""
    found = {}
    for reference in needed_by(config):
        if reference.kind == "path":
            continue
        runs_dir = Path(reference.runs_dir)
        try:
            is_training = reference.kind == "run"
            run = (
                trainings.find(reference.name, runs_dir) if is_training else find_run(reference.name, runs_dir, "eval")
            )
        except LabkitError:
            continue
        found[reference.name] = run.path.resolve().name
    return found


def _makers(items: Sequence[Item], needs: Sequence[int]) -> dict[str, int]:
    """Who of the items makes the runs that an item needs, by the names of these."""
    return {items[need].config.name: need for need in needs if items[need].command != "data"}


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
