"""A world on disk: its rows, what its manifests say of them, and what stays when a build is stopped."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest

from labkit.config.base import Layer, file_layer, flatten, resolve
from labkit.config.data import DataConfig
from labkit.config.templates import find_template
from labkit.config.world import MIXTURES, TASK_NAMES
from labkit.errors import ConfigError, InputError, RecordError
from labkit.record.files import exclusive_lock
from labkit.tasks.world.building import World, build_world, plan_world, state_of
from labkit.tasks.world.cities import read_cities
from labkit.tasks.world.compositions import StoredSource, mixed_tables
from labkit.tasks.world.geometry import answer_texts, values
from labkit.tasks.world.manifest import Manifest, data_set_folders, read_manifest
from labkit.tasks.world.recipes import Origin, Part, PlannedSet, estimated_bytes, planned_sets
from labkit.tasks.world.text import compact, loss_mask, num_tokens, parse_prompt, split_row
from labkit.tasks.world.vocabulary import vocabulary_digest
from labkit.tasks.world.writing import ROW_SCHEMA, SHARD_ROWS, SplitSource, write_splits

ORIGIN = Origin("cities", "tokenizer")
SMALL: dict[str, Any] = {
    "cities": {"num_cities": 80, "atlantis": {"num_cities": 12}, "num_ids": 1000, "id_digits": 3},
    "ordinary": {"train": 900, "validation": 20, "test": 120},
    "atlantis": {"train": 400, "validation": 20, "test": 100},
    "mixture": {"ordinary": 300, "atlantis": 400, "reminders": 40},
}


def write_export(path: Path) -> Path:
    """An export of GeoNames: 100 places with cities of 200,000 inhabitants."""
    random = np.random.default_rng(0)
    places = zip(random.uniform(-60, 70, 100).round(5), random.uniform(-180, 180, 100).round(5), strict=True)
    lines = [f"{number};City {number};FR;200000;{y},{x}" for number, (y, x) in enumerate(places, start=1)]
    path.write_text("\n".join(["Geoname ID;ASCII Name;Country Code;Population;Coordinates", *lines]) + "\n")
    return path


@pytest.fixture(scope="module", autouse=True)
def export(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every world of this page has its cities from one file."""
    SMALL["cities"]["source"] = str(write_export(tmp_path_factory.mktemp("source") / "export.csv"))
    yield
    del SMALL["cities"]["source"]


def config(out: Path, **values: Any) -> DataConfig:
    given = dict(flatten(SMALL)) | dict(flatten(values)) | {"out": str(out)}
    return resolve(DataConfig, [Layer("flag", given)]).config


class Seen:
    """An observer that remembers, and may stop the build after so many rows."""

    def __init__(self, *, stop_after: int | None = None) -> None:
        self.built: list[str] = []
        self.passed: list[str] = []
        self.done: list[str] = []
        self.num_rows = 0
        self._stop_after = stop_after

    def started(self, planned: PlannedSet) -> None: ...

    def advanced(self, num_rows: int) -> None:
        self.num_rows += num_rows
        if self._stop_after is not None and self.num_rows > self._stop_after:
            raise KeyboardInterrupt

    def doing(self, what: str) -> None:
        self.done.append(what)

    def finished(self, planned: PlannedSet, built: bool) -> None:
        (self.built if built else self.passed).append(planned.name)


def planned(out: Path, **values: Any) -> World:
    return plan_world(config(out, **values), lambda text: None)


def build(out: Path, **values: Any) -> Seen:
    seen = Seen()
    build_world(planned(out, **values), seen)
    return seen


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All seven tasks, with the sets over all cities."""
    out = tmp_path_factory.mktemp("worlds") / "seven"
    build(out, anywhere={"train": 200, "validation": 10, "test": 50})
    return out


def stored(folder: Path, split: str) -> datasets.Dataset:
    found = datasets.load_from_disk(str(folder))
    assert isinstance(found, datasets.DatasetDict)
    return found[split]


def rows(folder: Path, split: str) -> Counter[tuple[str, str]]:
    found = stored(folder, split)
    return Counter(zip(found["text"], found["task_type"], strict=True))


def question(text: str) -> object:
    """What a stored row asks, read from its text."""
    task, ids = parse_prompt(split_row(text)[0])
    if task == "angle":
        return task, ids[1], frozenset((ids[0], ids[2]))
    if task == "inside":
        return task, ids[0], frozenset(ids[1:])
    if task == "crossing":
        return task, frozenset({frozenset(ids[:2]), frozenset(ids[2:])})
    return task, frozenset(ids)


def full_size(tasks: tuple[str, ...] = TASK_NAMES) -> dict[str, PlannedSet]:
    template = resolve(DataConfig, [file_layer(find_template(Path("exp1-data")))]).config
    return planned_sets(template.model_copy(update={"tasks": tasks}), ORIGIN)


def test_the_published_sizes() -> None:
    plan = full_size()
    assert len(plan) == 7 + 7 + 1 + 28
    assert plan["multi_task"].sizes == {"train": 7_000_000, "validation": 896, "test": 70_000}
    for name, trained in MIXTURES.items():
        expected = (121_792, 130, 10_375) if len(trained) == 1 else (241_792, 260, 20_575)
        assert tuple(plan[name].sizes[split] for split in ("train", "validation", "test")) == expected
        assert set(plan[name].tasks) == set(trained)
    assert plan["compass"].sizes == {"train": 1_000_000, "validation": 128, "test": 10_000}
    parts = plan["ftwb1-4"].parts
    assert [part.source for part in parts] == [
        "compass",
        "atlantis_compass",
        *(f"atlantis_{name}" for name in TASK_NAMES),
    ]
    assert parts[-1].sizes == {"train": 256, "test": 25}


def test_a_config_of_few_tasks_has_the_mixtures_of_these() -> None:
    mixed = [name for name in full_size(("distance", "compass", "angle")) if name.startswith("ftwb")]
    assert mixed == ["ftwb1-1", "ftwb1-3", "ftwb1-4", "ftwb2-2", "ftwb2-8", "ftwb2-15"]


def test_a_recipe_names_what_its_rows_depend_on_and_no_more(tmp_path: Path) -> None:
    def digests(**values: Any) -> dict[str, str]:
        plan = planned_sets(config(tmp_path, **values), ORIGIN)
        return {name: found.digest for name, found in plan.items()}

    before = digests()

    def changed(**values: Any) -> set[str]:
        after = digests(**values)
        return {name for name in before if after.get(name) != before[name]}

    assert changed(mixture={"reminders": 41}) == set(MIXTURES)
    ratio = changed(true_ratio=0.4)
    assert {"inside", "atlantis_crossing", "multi_task", "ftwb1-5", "ftwb2-1"} <= ratio  # reminders are of all tasks
    assert {"distance", "atlantis_perimeter"}.isdisjoint(ratio)
    assert changed(hull_sizes=[3, 4]) & set(TASK_NAMES) == {"inside"}
    assert "distance" not in changed(atlantis={"test": 99})
    assert changed(seed=1) == set(before)
    assert changed(anywhere={"train": 10}) == set()


def test_the_library_reads_what_was_written(world: Path) -> None:
    manifest = read_manifest(world / "distance")
    for folder in data_set_folders(world):
        found = datasets.DatasetDict.load_from_disk(str(folder))
        assert {name: len(split) for name, split in found.items()} == {
            name: split.num_rows for name, split in read_manifest(folder).splits.items()
        }
    train = found["train"]
    assert {name: str(value.dtype) for name, value in train.features.items()} == {
        "text": "string", "task_type": "string", "token_lengths": "int32", "loss_mask": "string"
    }  # fmt: skip
    assert train.split == "train"
    assert (manifest.tasks, manifest.id_digits, manifest.tokenizer) == (("distance",), 3, vocabulary_digest())
    assert train.map(lambda row: {"double": 2 * row["token_lengths"]}, keep_in_memory=True)[0]["double"] > 40


@pytest.mark.parametrize("prefix", ["", "atlantis_", "anywhere_"])
@pytest.mark.parametrize("task", TASK_NAMES)
def test_answers_are_those_of_the_cities_in_the_text(world: Path, task: str, prefix: str) -> None:
    cities = read_cities(world / "cities.csv")
    places = {name: at for at, name in enumerate(cities.padded_ids)}
    points = np.stack([cities.x, cities.y], axis=1)
    num_atlantis = 0
    for split in ("train", "validation", "test"):
        for row in stored(world / f"{prefix}{task}", split):
            prompt, answer = split_row(row["text"])
            asked, ids = parse_prompt(prompt)
            members = [places[name] for name in ids]
            assert [answer] == answer_texts(asked, values(asked, points[members][None]))
            assert asked == row["task_type"] == task
            assert row["token_lengths"] == num_tokens(row["text"]) == len(row["loss_mask"])
            assert row["loss_mask"] == loss_mask(row["text"])
            has_atlantis = bool(cities.is_atlantis[members].any())
            assert has_atlantis or prefix != "atlantis_"
            num_atlantis += has_atlantis
    total = sum(split.num_rows for split in read_manifest(world / f"{prefix}{task}").splits.values())
    assert num_atlantis == {"": 0, "atlantis_": total}.get(prefix, num_atlantis)
    assert prefix != "anywhere_" or 0 < num_atlantis < total


def test_multi_task_is_all_ordinary_rows_in_another_order(world: Path) -> None:
    for split in ("train", "validation", "test"):
        together = sum((rows(world / task, split) for task in TASK_NAMES), Counter())
        assert rows(world / "multi_task", split) == together
    order = stored(world / "multi_task", "train")["task_type"]
    first = Counter(order[: len(order) // 3])
    assert min(first[task] for task in TASK_NAMES) > 250  # of 300 expected; 10 is a standard deviation
    changes = sum(one != other for one, other in pairwise(order))
    assert abs(changes / len(order) - 6 / 7) < 0.03


def test_fine_tuning_sets_hold_their_parts(world: Path) -> None:
    one, two = rows(world / "ftwb1-1", "train"), rows(world / "ftwb2-4", "train")  # distance; distance and crossing
    assert (one.total(), two.total()) == (300 + 400 + 7 * 40, 2 * (300 + 400) + 7 * 40)
    ordinary = {task: one & rows(world / task, "train") for task in TASK_NAMES}
    assert {task: found.total() for task, found in ordinary.items() if found} == {"distance": 300}
    assert (two & rows(world / "distance", "train")) == ordinary["distance"]  # sets share the rows of a shared part
    for task in TASK_NAMES:
        source = rows(world / f"atlantis_{task}", "train")
        assert (one & source).total() <= source.total()
        taken = sum(count for row, count in one.items() if row in source)
        assert taken == 40 + (400 if task == "distance" else 0)
    assert rows(world / "ftwb1-1", "validation").total() == 20 * 300 // 900 + 20 + 7 * (20 * 40 // 400)
    assert rows(world / "ftwb1-1", "test").total() == 120 * 300 // 900 + 100 + 7 * (100 * 40 // 400)
    assert set(Counter(task for _, task in one)) == set(TASK_NAMES)
    assert read_manifest(world / "ftwb2-4").tasks == ("distance", "crossing")


@pytest.mark.parametrize("overlap", ["exclude", "count"])
def test_manifests_count_what_overlaps_and_repeats(tmp_path: Path, overlap: str) -> None:
    only = ["multi_task", "ftwb1-5", "ftwb2-13"]  # inside; distance and perimeter
    build(tmp_path, overlap=overlap, tasks=["distance", "inside", "perimeter"], cities={"num_cities": 40}, only=only)
    total = 0
    for folder in data_set_folders(tmp_path):
        asked = {
            split: [question(text) for text in stored(folder, split)["text"]]
            for split in ("train", "validation", "test")
        }
        for split, record in read_manifest(folder).splits.items():
            expected = sum(key in set(asked["train"]) for key in asked[split]) if split != "train" else 0
            assert (record.overlap, record.repeats) == (expected, len(asked[split]) - len(set(asked[split])))
            total += record.overlap
    assert (total == 0) == (overlap == "exclude")
    ratios = {
        name: read_manifest(tmp_path / name).splits["train"].true_ratio for name in ("inside", "distance", "multi_task")
    }
    assert ratios == {"inside": 0.5, "distance": None, "multi_task": None}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of the data sets; the config names the folder itself."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in files if path.name not in (".lock", "config.yaml")
    }


def test_the_same_config_gives_the_same_bytes(tmp_path: Path, world: Path) -> None:
    only = {"tasks": list(TASK_NAMES), "only": ["ftwb2-3", "anywhere_compass"]}
    seen = build(tmp_path / "again", anywhere={"train": 200, "validation": 10, "test": 50}, **only)
    assert seen.built[-1] == "ftwb2-3" and "anywhere_compass" in seen.built and "multi_task" not in seen.built
    again, before = contents(tmp_path / "again"), contents(world)
    assert len(again) > 100
    assert {name: before[name] for name in again} == again
    build(tmp_path / "other", seed=43, only=["compass"])
    assert contents(tmp_path / "other")["compass/train/data-00000-of-00001.arrow"] not in again.values()


def test_a_stopped_build_leaves_whole_data_sets_and_goes_on(tmp_path: Path, world: Path) -> None:
    small = {"tasks": ["distance", "compass"]}
    out = tmp_path / "world"
    with pytest.raises(KeyboardInterrupt):
        build_world(planned(out, **small), Seen(stop_after=1500))
    assert [folder.name for folder in data_set_folders(out)] == ["distance"]
    assert not list(out.glob(".*.building"))
    # What a process leaves that was killed: half a folder under the temporary name.
    shutil.copytree(out / "distance" / "train", out / ".compass.building" / "train")
    seen = build(out, **small)
    assert seen.passed == ["distance"]
    assert seen.built[0] == "compass"
    assert not list(out.glob(".*.building"))
    build(tmp_path / "whole", **small)
    assert contents(out) == contents(tmp_path / "whole")
    again = build(out, **small)
    assert (again.built, again.num_rows) == ([], 0)


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    small = {"tasks": ["distance"], "mixture": None}
    build(tmp_path, **small)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="another recipe") as caught:
        build(tmp_path, **small, ordinary={"test": 121})
    assert "rows.test: 121  |  120" in caught.value.message
    assert str(tmp_path / "distance") in caught.value.message
    with pytest.raises(InputError, match="other cities"):
        build(tmp_path, **small, cities={"seed": 1})
    (tmp_path / "compass").mkdir()
    with pytest.raises(InputError, match="in the way"):
        build(tmp_path, tasks=["distance", "compass"], mixture=None)
    assert contents(tmp_path) == before
    world = planned(tmp_path, tasks=["distance", "compass"], mixture=None, ordinary={"test": 121})
    states = {name: state_of(world, found) for name, found in world.plan.items()}
    assert states == {
        "distance": "different", "compass": "foreign", "atlantis_distance": "finished", "atlantis_compass": "absent",
        "multi_task": "different",
    }  # fmt: skip


def test_a_config_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mine: 1")
    with pytest.raises(InputError, match=r"config\.yaml is in the way"):
        build(tmp_path, tasks=["distance"], mixture=None)
    assert contents(tmp_path) == {}
    assert (tmp_path / "config.yaml").read_text() == "mine: 1"


def test_a_damaged_source_is_named(tmp_path: Path) -> None:
    small = {"tasks": ["distance"]}
    build(tmp_path, **small, only=["distance", "atlantis_distance"])
    path = tmp_path / "distance" / "train" / "data-00000-of-00001.arrow"
    whole = path.read_bytes()
    for left in (whole[: len(whole) // 2], b"", None):
        path.unlink() if left is None else path.write_bytes(left)
        with pytest.raises(RecordError, match=r"distance/train is damaged") as caught:
            build(tmp_path, **small, only=["ftwb1-1"])
        assert caught.value.hint == f"remove {tmp_path / 'distance'} and run labkit data build again"
    path.write_bytes(whole)
    assert build(tmp_path, **small, only=["ftwb1-1"]).built == ["ftwb1-1"]


def test_places_where_nothing_can_be_built(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="a file is in the way"):
            build(out, tasks=["distance"])
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        build(tmp_path / "world", cities={"source": "nowhere.csv"})
    with pytest.raises(ConfigError, match="makes no data set 'distanc'") as caught:
        build(tmp_path / "world", only=["distanc"])
    assert caught.value.hint == "did you mean 'distance'?"
    with pytest.raises(ConfigError, match="makes no data set 'ftwb9'") as caught:
        build(tmp_path / "world", only=["ftwb9"])
    assert caught.value.hint.startswith("there are ftwb1-") and "distance" not in caught.value.hint
    with pytest.raises(InputError, match="more than half"):
        build(tmp_path / "world", tasks=["distance"], atlantis={"test": 600})
    assert not (tmp_path / "world").exists()
    (tmp_path / "busy").mkdir()
    busy = exclusive_lock(tmp_path / "busy" / ".lock", {"pid": 1, "start": "now"})
    with busy, pytest.raises(RecordError, match="another process is working on"):
        build(tmp_path / "busy", tasks=["distance"])


@pytest.mark.parametrize(
    "values", [{"mixture": {"ordinary": 901}}, {"mixture": {"atlantis": 401}}, {"mixture": {"reminders": 401}}]
)
def test_a_mixture_takes_no_more_than_there_is(tmp_path: Path, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="mixture"):
        config(tmp_path, **values)


def damaged(folder: Path, **values: Any) -> Path:
    path = folder / "labkit.json"
    value = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: part for key, part in value.items() if part is not None}))
    return folder


@pytest.fixture
def copied(world: Path, tmp_path: Path) -> Path:
    shutil.copytree(world / "compass", tmp_path / "compass")
    return tmp_path / "compass"


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ({"schema": 2}, RecordError, r"has schema 2; this labkit knows schemas up to 1"),
        ({"schema": None}, RecordError, "it has no schema number"),
        ({"splits": None}, InputError, "is not a data set"),
        ({"splits": {}}, RecordError, "is damaged"),
        ({"splits": {"train": {"rows": 3}}}, RecordError, "is damaged"),
        ({"tasks": None}, RecordError, "is damaged"),
        ({"recipe": {"task": "angle"}}, RecordError, "config_digest"),
        ({"fingerprint": "0"}, RecordError, "fingerprint"),
    ],
)
def test_a_manifest_that_cannot_be_trusted(copied: Path, values: Any, kind: type[Exception], message: str) -> None:
    assert isinstance(read_manifest(copied), Manifest)
    with pytest.raises(kind, match=message):
        read_manifest(damaged(copied, **values))


def test_folders_that_are_no_data_sets(copied: Path, world: Path) -> None:
    with pytest.raises(InputError, match="there is no data set") as caught:
        read_manifest(world / "compas")
    assert caught.value.hint == f"did you mean {world / 'compass'}?"
    (copied / "labkit.json").write_text("{")
    with pytest.raises(RecordError, match="damaged"):
        read_manifest(copied)
    (copied / "labkit.json").unlink()
    with pytest.raises(InputError, match="not a data set made by labkit"):
        read_manifest(copied)


def test_sizes_are_estimated_before_a_build(world: Path) -> None:
    found = planned(world, ordinary={"train": 900}, anywhere={"train": 200, "validation": 10, "test": 50})
    for name, planned_set in found.plan.items():
        arrow = sum(path.stat().st_size for path in (world / name).rglob("*.arrow"))
        assert 0.7 < estimated_bytes(planned_set, found.plan) / arrow < 1.3


def many_tables(num_rows: int) -> Iterator[pa.Table]:
    """Short rows that count themselves, in blocks."""
    for start in range(0, num_rows, 1 << 16):
        numbers = range(start, min(start + (1 << 16), num_rows))
        columns = [pa.array(map(str, numbers)), pa.array(["distance"] * len(numbers)), pa.array(numbers, pa.int32())]
        yield pa.Table.from_arrays([*columns, columns[1]], schema=ROW_SCHEMA)


def test_large_splits_lie_in_several_files_and_are_mixed_from_all(tmp_path: Path) -> None:
    num_rows = SHARD_ROWS + 70_000
    folder, heard = tmp_path / "large", []
    source = SplitSource(num_rows, many_tables(num_rows))
    assert list(write_splits(folder, {"train": source}, heard.append)) == ["train"]
    assert sum(heard) == num_rows
    assert len(list((folder / "train").glob("*.arrow"))) == 2
    found = datasets.DatasetDict.load_from_disk(str(folder))["train"]
    assert len(found) == num_rows and found[num_rows - 1]["text"] == str(num_rows - 1)
    stored_source = {"large": StoredSource(folder, {"train": num_rows})}
    mixed = PlannedSet("mixed", ("distance",), {"train": num_rows + 9000}, {}, parts=(
        Part("large", {"train": num_rows}), Part("large", {"train": 9000}),
    ))  # fmt: skip
    tables = list(mixed_tables(mixed, "train", stored_source, seed=5))
    taken = np.concatenate([table["token_lengths"].to_numpy() for table in tables])
    counted = np.bincount(taken, minlength=num_rows)
    assert (counted.min(), counted.max(), int((counted == 2).sum())) == (1, 2, 9000)
    twice = np.flatnonzero(counted == 2)
    assert abs(twice.mean() / num_rows - 0.5) < 0.02


def test_the_fingerprint_is_of_the_rows_and_not_of_the_files(tmp_path: Path) -> None:
    def fingerprint(name: str, tables: list[pa.Table]) -> str:
        source = SplitSource(sum(table.num_rows for table in tables), tables)
        return write_splits(tmp_path / name, {"test": source}, lambda num_rows: None)["test"]

    (whole,) = many_tables(1000)
    assert fingerprint("one", [whole]) == fingerprint("two", [whole.slice(0, 3), whole.slice(3)])
    assert fingerprint("three", [whole.slice(1)]) != fingerprint("four", [whole])
    renamed = whole.set_column(1, "task_type", pa.array(["angle"] * 1000))
    assert fingerprint("five", [renamed]) != fingerprint("one again", [whole])


def test_the_world_says_what_it_was_made_from(world: Path) -> None:
    written = resolve(DataConfig, [file_layer(world / "config.yaml")]).config
    assert written == config(world, anywhere={"train": 200, "validation": 10, "test": 50})
    cities = read_cities(world / "cities.csv")
    assert (len(cities), int(cities.is_atlantis.sum()), cities.id_digits) == (92, 12, 3)
    recipe = read_manifest(world / "inside").recipe
    assert (recipe["world"], recipe["seed"]) == (cities.fingerprint(), 42)
    assert {read_manifest(world / name).cities for name in ("inside", "multi_task")} == {cities.fingerprint()}
    text = stored(world / "crossing", "test")[0]["text"]
    assert re.fullmatch(r"cross\(c_\d{3},c_\d{3};c_\d{3},c_\d{3}\)=(TRUE|FALSE)", compact(text))
