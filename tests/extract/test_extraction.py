"""Extractions of a small model: what is saved, that it is what transformers gives, that a kill changes nothing."""

from __future__ import annotations

import csv
import gc
import json
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from city_worlds import character_model, make_cities, record_city_training, save_cities, save_city_reader
from transformers import AutoModelForCausalLM

from labkit.config.base import Layer, resolve
from labkit.config.commands import ExtractConfig, ProbeConfig
from labkit.errors import ConfigError, InputError, RecordError
from labkit.extract.files import load_representations, representations_path, saved_checkpoints
from labkit.extract.plan import Plan, plan_extraction
from labkit.extract.selection import drawing_order, select_cities
from labkit.extract.session import resume, start
from labkit.models.engines import Engines
from labkit.record.run import Run
from labkit.tasks.world.vocabulary import token_ids


class Killed(Exception):
    """Stands for a crash."""


class Watcher:
    """An observer that remembers, and may stop the work after a checkpoint."""

    def __init__(self, stop_after: str | None = None) -> None:
        self.done: list[str] = []
        self.run: Run | None = None
        self._stop_after = stop_after

    def started(self, run: Run, num_checkpoints: int, num_done: int) -> None:
        self.run, self.num_done = run, num_done

    def extracted(self, checkpoint: str, num_cities: int, duration_s: float) -> None:
        self.done.append(checkpoint)
        if checkpoint == self._stop_after:
            raise Killed


def resolved(tmp_path: Path, **values: Any) -> Any:
    standard = {
        "runs_dir": str(tmp_path / "runs"), "model.device": "cpu", "layers": [0, 2], "pca_components": [2, 4],
        "probe.num_train": 40, "probe.num_test": 20,
    }  # fmt: skip
    return resolve(ExtractConfig, [Layer("test", standard | {k.replace("__", "."): v for k, v in values.items()})])


def plan(asked: Any) -> tuple[Plan, list[str]]:
    said: list[str] = []
    return plan_extraction(asked.config, said.append), said


def extract(tmp_path: Path, watcher: Watcher | None = None, **values: Any) -> Run:
    asked = resolved(tmp_path, **values)
    return start(asked, plan(asked)[0], watcher or Watcher())


def result(run: Run) -> dict[str, Any]:
    found = run.result()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_city_reader(tmp_path_factory.mktemp("models") / "reader", tasks=["inside"])


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Run:
    """A whole extraction of one model, in batches that do not divide the cities."""
    tmp_path = tmp_path_factory.mktemp("extracted")
    cities = save_cities(tmp_path / "world", make_cities())
    return extract(tmp_path, model__id=str(folder), cities=str(cities), batch_size=7, layers=[2, 0])


@pytest.mark.parametrize("id_digits", [3, 4, 5])
@pytest.mark.parametrize("prompt_format", [None, "perimeter_firstcity_last_and_trans"])
def test_hidden_states_are_those_of_transformers(
    tmp_path: Path, folder: Path, id_digits: int, prompt_format: str | None
) -> None:
    cities = save_cities(tmp_path / "world", make_cities(id_digits=id_digits))
    run = extract(
        tmp_path, model__id=str(folder), cities=str(cities), prompt_format=prompt_format, layers=[0, 1, 2], batch_size=7
    )
    found = load_representations(run)
    num_cities = len(found.cities)
    assert found.values.shape == (num_cities, 2, 3, 16)
    assert found.values.dtype == np.float32
    name, separator = ("inside", ";") if prompt_format is None else ("perimeter", ",")
    assert found.prompt_format == f"{name}_firstcity_last_and_trans"
    last_digit = len(f"{name}(c_") + id_digits  # <bos> is token 0
    assert found.positions == (last_digit, last_digit + 1)
    model = AutoModelForCausalLM.from_pretrained(folder)
    for row in (0, 1, num_cities - 1):
        text = f"{name}(c_{found.city_ids[row]:0{id_digits}d}{separator}"
        tokens = torch.tensor([[2, *token_ids(text)]])
        with torch.no_grad():
            states = model(tokens, output_hidden_states=True).hidden_states
        expected = torch.stack(states)[:, 0, -2:].transpose(0, 1)  # (2, L, H)
        np.testing.assert_allclose(found.values[row], expected, atol=1e-5)


def test_features_are_both_tokens_beside_each_other(extracted: Run) -> None:
    found = load_representations(extracted)
    assert found.layers == (2, 0)
    features = found.features(0)
    assert features.shape == (len(found.cities), 32)
    np.testing.assert_array_equal(features, np.concatenate([found.values[:, 0, 1], found.values[:, 1, 1]], axis=1))
    with pytest.raises(InputError, match="layer 1 was not extracted"):
        found.features(1)


def test_the_index_has_the_cities_in_the_order_of_the_rows(extracted: Run) -> None:
    found = load_representations(extracted)
    with (extracted.artifacts_dir / "cities.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["city_id"]) for row in rows] == found.city_ids.tolist()
    assert {len(row["city_id"]) for row in rows} == {4}
    assert [row["split"] == "train" for row in rows] == found.is_train.tolist()
    world = make_cities()
    place = dict(zip(world.ids.tolist(), zip(world.x.tolist(), world.y.tolist(), strict=True), strict=True))
    assert all(place[int(row["city_id"])] == (int(row["x"]), int(row["y"])) for row in rows)
    # The default filters leave out ids that begin with a zero.
    assert all(row["city_id"][0] != "0" for row in rows)


def test_the_result_of_an_extraction(extracted: Run) -> None:
    found = result(extracted)
    assert extracted.status() == "done"
    assert found["task"] == "inside"
    assert found["positions"] == {"last_digit": 13, "separator": 14}
    num_cities = len(load_representations(extracted).cities)
    assert found["num_cities"] == num_cities
    (checkpoint,) = found["checkpoints"]
    assert checkpoint["name"] == "final"
    assert (extracted.path / checkpoint["file"]).exists()
    assert [probe["layer"] for probe in checkpoint["probes"]] == [2, 0]
    for probe in checkpoint["probes"]:
        assert (probe["num_features"], probe["num_train"], probe["num_test"]) == (32, 40, num_cities - 40)
        assert probe["train"]["r2"] > probe["test"]["r2"]
        assert set(probe["test"]) >= {"r2_x", "r2_y", "mae", "error_mean", "error_median"}
    assert [(line["layer"], line["num_components"]) for line in checkpoint["pca"]] == [(2, 2), (2, 4), (0, 2), (0, 4)]
    for line in checkpoint["generalisation"]:
        assert line["baseline"]["n"] + line["num_train"] + line["atlantis"]["n"] == num_cities
        assert 0 <= line["p_value"] <= 1
    assert extracted.manifest["lineage"][-1]["tasks"] == ["inside"]
    assert extracted.manifest["checkpoint"] == "final"
    assert extracted.manifest["first_prompt"]["text"].startswith("inside(c_")


def test_the_projections_have_every_city_along_three_axes(extracted: Run) -> None:
    with (extracted.artifacts_dir / "projections" / "final.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    num_cities = result(extracted)["num_cities"]
    assert len(rows) == 2 * 2 * num_cities
    places = {
        (mode, layer): np.array([
            [float(row[f"axis{number}"]) for number in (1, 2, 3)] for row in rows if (row["mode"], row["layer"]) == (mode, layer)
        ])
        for mode in ("mixed", "pca") for layer in ("0", "2")
    }  # fmt: skip
    spread = places["pca", "2"].std(axis=0)
    assert spread[0] > spread[1] > spread[2] > 0
    np.testing.assert_allclose(np.cov(places["pca", "2"].T)[0, 1], 0, atol=1e-4)
    found = load_representations(extracted)
    coordinates = np.stack([found.cities.x, found.cities.y], axis=1)[found.is_train]
    # On as many features as these the probes are nearly exact, so their axes order the cities as the map does.
    mixed = places["mixed", "2"][found.is_train]
    assert np.corrcoef(mixed[:, 0], coordinates[:, 0])[0, 1] > 0.3
    assert np.corrcoef(mixed[:, 1], coordinates[:, 1])[0, 1] > 0.3


def test_states_are_float32_whatever_the_model_is(tmp_path: Path, folder: Path) -> None:
    cities = save_cities(tmp_path / "world", make_cities())
    half, whole = (
        load_representations(extract(tmp_path, model__id=str(folder), cities=str(cities), model__dtype=dtype)).values
        for dtype in ("bfloat16", "float32")
    )
    assert half.dtype == np.float32
    assert 0 < np.abs(half - whole).max() < 0.2


def test_every_model_is_asked_about_the_same_cities(tmp_path: Path, folder: Path, extracted: Run) -> None:
    cities = save_cities(tmp_path / "world", make_cities())
    other = save_city_reader(tmp_path / "other", seed=5)
    runs = [extract(tmp_path, model__id=str(id), cities=str(cities), num_cities=30) for id in (folder, other)]
    first, second = (load_representations(run) for run in runs)
    assert first.city_ids.tolist() == second.city_ids.tolist()
    assert first.is_train.tolist() == second.is_train.tolist()
    assert len(first.cities) == 30
    assert set(first.city_ids) < set(load_representations(extracted).city_ids)
    assert runs[0].base_hash != runs[1].base_hash
    assert result(runs[1])["task"] == "distance"
    assert any("nothing says which tasks" in warning for warning in result(runs[1])["warnings"])


def test_a_model_of_other_cities_is_warned_about(tmp_path: Path) -> None:
    cities = make_cities()
    path = save_cities(tmp_path / "world", cities)
    learnt = {"here": cities.fingerprint(), "elsewhere": "others"}
    for name, known in learnt.items():
        save_city_reader(tmp_path / name, tasks=["distance"], data="multi_task", cities=known)
    runs = [extract(tmp_path, model__id=str(tmp_path / name), cities=str(path), num_cities=30) for name in learnt]
    doubts = [[text for text in result(run)["warnings"] if "an id is another place" in text] for run in runs]
    assert doubts[0] == [] and doubts[1][0].startswith(f"the cities of {path} are not those of multi_task")


def test_all_checkpoints_with_one_file_each_and_resumed_after_a_kill(tmp_path: Path) -> None:
    cities = save_cities(tmp_path / "world", make_cities())
    training = record_city_training(tmp_path / "runs", steps=[0, 10, 20], tasks=["compass", "crossing"])
    values = {"model__id": str(training.path), "cities": str(cities), "checkpoints": "all"}
    whole = extract(tmp_path, **values)
    names = ["checkpoint-0", "checkpoint-10", "checkpoint-20"]
    assert saved_checkpoints(whole) == names
    assert [(line["name"], line["step"]) for line in result(whole)["checkpoints"]] == list(
        zip(names, [0, 10, 20], strict=True)
    )
    assert result(whole)["task"] == "compass"  # as published for this pair
    assert load_representations(whole, "final").checkpoint == "checkpoint-20"
    assert load_representations(whole, "0").step == 0

    watcher = Watcher(stop_after="checkpoint-10")
    with pytest.raises(Killed):
        extract(tmp_path, watcher, **values)
    assert watcher.run is not None
    killed = watcher.run
    assert killed.status() == "interrupted"
    before = representations_path(killed, "checkpoint-0").stat().st_mtime_ns
    asked = resolved(tmp_path, **values)
    second = Watcher()
    resume(killed, asked.config, lambda: plan(asked)[0], second)
    assert second.done == ["checkpoint-20"]
    assert second.num_done == 2
    assert representations_path(killed, "checkpoint-0").stat().st_mtime_ns == before
    assert killed.status() == "done"
    assert result(killed)["checkpoints"] == result(whole)["checkpoints"]
    for name in names:
        files = [representations_path(run, name).read_bytes() for run in (whole, killed)]
        assert files[0] == files[1]
    third = Watcher()
    resume(killed, asked.config, lambda: plan(asked)[0], third)
    assert third.done == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layers": [1]}, "layers"),
        ({"model__dtype": "float16"}, "model.dtype"),
        ({"probe__method": "ridge"}, "probe"),
        ({"seed": 1}, "seed"),
    ],
)
def test_a_resumed_extraction_is_asked_the_same(extracted: Run, changes: dict[str, Any], words: str) -> None:
    given = {key.replace("__", "."): value for key, value in changes.items()}
    config = resolve(ExtractConfig, [Layer("run", extracted.manifest["config"]), Layer("test", given)]).config
    with pytest.raises(RecordError, match=words):
        resume(extracted, config, lambda: pytest.fail("planned"), Watcher())


def test_another_model_in_the_same_place_is_refused(tmp_path: Path) -> None:
    cities = save_cities(tmp_path / "world", make_cities())
    model = save_city_reader(tmp_path / "model")
    watcher = Watcher(stop_after="final")
    values = {"model__id": str(model), "cities": str(cities)}
    with pytest.raises(Killed):
        extract(tmp_path, watcher, **values)
    save_city_reader(model, seed=1)
    asked = resolved(tmp_path, **values)
    assert watcher.run is not None
    with pytest.raises(RecordError, match="another base"):
        resume(watcher.run, asked.config, lambda: plan(asked)[0], Watcher())


def test_a_layer_that_the_model_does_not_have(tmp_path: Path, folder: Path) -> None:
    cities = save_cities(tmp_path / "world", make_cities())
    with pytest.raises(InputError, match="no layer 5: it has 2"):
        extract(tmp_path, model__id=str(folder), cities=str(cities), layers=[1, 5])


def test_a_tokenizer_that_is_not_of_characters(tmp_path: Path, tiny_folder: Path) -> None:
    cities = save_cities(tmp_path / "world", make_cities())
    with pytest.raises(InputError, match="token 11 of the prompt 'dist") as caught:
        extract(tmp_path, model__id=str(tiny_folder), cities=str(cities))
    assert "characters" in caught.value.hint
    assert not (tmp_path / "runs").exists()


def test_an_unknown_prompt_format(tmp_path: Path, folder: Path) -> None:
    cities = save_cities(tmp_path / "world", make_cities())
    with pytest.raises(InputError, match="no prompt format"):
        extract(tmp_path, model__id=str(folder), cities=str(cities), prompt_format="distances")


def test_states_that_are_no_numbers(tmp_path: Path) -> None:
    from labkit.train.character_tokenizer import build_character_tokenizer
    from labkit.train.model_folder import save_model

    model = character_model()
    model.model.layers[0].mlp.down_proj.weight.data.fill_(float("inf"))
    save_model(model, build_character_tokenizer(), {}, tmp_path / "broken")
    cities = save_cities(tmp_path / "world", make_cities())
    with pytest.raises(InputError, match="no numbers"):
        extract(tmp_path, model__id=str(tmp_path / "broken"), cities=str(cities))


def probe(**values: Any) -> ProbeConfig:
    return ProbeConfig(**values)


def test_a_large_world_gives_what_is_asked() -> None:
    cities = make_cities(900, 100)
    found = select_cities(cities, probe(num_train=325, num_test=125), seed=1)
    assert (found.is_train.sum(), (~found.is_train).sum()) == (325, 125)
    assert found.notes == ()
    other = select_cities(cities, probe(num_train=325, num_test=125), seed=2)
    assert other.rows.tolist() != found.rows.tolist()
    more = select_cities(cities, probe(num_train=400, num_test=125), seed=1)
    assert set(found.rows[found.is_train]) < set(more.rows[more.is_train])


@pytest.mark.parametrize(
    ("values", "num_cities", "given"),
    [
        ({}, None, (55, 13)),  # a fifth of 68 is kept
        ({"num_train": 60}, None, (55, 13)),
        ({"num_train": 60, "num_test": 5}, None, (60, 5)),
        ({"num_train": 50}, None, (50, 18)),
        ({"num_test": 2}, None, (66, 2)),
        ({}, 32, (26, 6)),
        ({}, 3, (2, 1)),
    ],
)
def test_a_small_world_is_divided_and_says_so(
    values: dict[str, Any], num_cities: int | None, given: tuple[int, int]
) -> None:
    asked = probe(train="region:.*", test="region:.*", **values)
    found = select_cities(make_cities(60, 8), asked, seed=1, num_cities=num_cities)
    assert (found.is_train.sum(), (~found.is_train).sum()) == given
    if given == (asked.num_train, asked.num_test):
        assert found.notes == ()
    else:
        assert f"{given[0]} cities to fit the probes on and {given[1]}" in found.notes[0]
        assert f"{asked.num_train} and {asked.num_test}" in found.notes[0]


def test_filters_that_share_no_city_take_nothing_from_each_other() -> None:
    found = select_cities(make_cities(60, 8), probe(train="region:^(?!Atlantis)", test="region:^Atlantis"), seed=1)
    assert (found.is_train.sum(), (~found.is_train).sum()) == (60, 8)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"train": "region:^Mars"}, r"probe.train 'region:\^Mars' matches 0 of the 68"),
        ({"test": "region:^Mars"}, r"probe.test 'region:\^Mars' matches 0 of the 68"),
    ],
)
def test_filters_that_leave_nothing(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        select_cities(make_cities(60, 8), probe(**values), seed=1)


def test_a_city_to_measure_on_that_the_probe_is_fitted_on() -> None:
    cities = make_cities(60, 8)
    first = cities.padded_ids[drawing_order(cities.padded_ids, 1)[0]]
    with pytest.raises(ConfigError, match="matches 1 of the 68 cities, 1 of them among those"):
        select_cities(cities, probe(train="", test=f"city_id:^{first}$", num_train=10), seed=1)


def test_a_world_without_atlantis_says_why_nothing_generalises(tmp_path: Path, folder: Path) -> None:
    cities = save_cities(tmp_path / "world", make_cities(60, 0))
    run = extract(tmp_path, model__id=str(folder), cities=str(cities))
    line = result(run)["checkpoints"][0]["generalisation"][0]
    assert (line["baseline"], line["atlantis"], line["p_value"]) == (None, None, None)
    assert "matches 0 of the" in line["reason"]


def test_reading_what_is_not_there(tmp_path: Path, extracted: Run) -> None:
    with pytest.raises(RecordError, match="no representations of checkpoint-7") as caught:
        load_representations(extracted, "checkpoint-7")
    assert "final" in caught.value.hint
    training = record_city_training(tmp_path / "runs", steps=[1])
    with pytest.raises(RecordError, match="labkit train"):
        load_representations(training)


def test_one_model_at_a_time_is_in_memory(tmp_path: Path) -> None:
    cities = save_cities(tmp_path / "world", make_cities())
    training = record_city_training(tmp_path / "runs", steps=[0, 10, 20])
    models: list[weakref.ref[Any]] = []
    num_alive = []

    def loaded(_seconds: float) -> None:
        assert engines._kept is not None
        models.append(weakref.ref(engines._kept[1].model))
        num_alive.append(sum(model() is not None for model in models))

    engines = Engines(loaded)
    asked = resolved(tmp_path, model__id=str(training.path), cities=str(cities), checkpoints="all")
    gc.collect()
    gc.disable()  # the room of one must be free without anybody looking for circles
    try:
        start(asked, plan(asked)[0], Watcher(), engines)
    finally:
        gc.enable()
    assert num_alive == [1, 1, 1]


def test_a_damaged_file_is_named(tmp_path: Path, folder: Path) -> None:
    cities = save_cities(tmp_path / "world", make_cities())
    run = extract(tmp_path, model__id=str(folder), cities=str(cities))
    path = representations_path(run, "final")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RecordError, match=r"final\.safetensors cannot be read"):
        load_representations(run)


def test_a_removed_file_is_extracted_again(tmp_path: Path, folder: Path) -> None:
    cities = save_cities(tmp_path / "world", make_cities())
    asked = resolved(tmp_path, model__id=str(folder), cities=str(cities))
    run = start(asked, plan(asked)[0], Watcher())
    path, before = representations_path(run, "final"), result(run)["checkpoints"]
    content = path.read_bytes()
    path.unlink()
    resume(run, asked.config, lambda: plan(asked)[0], Watcher())
    assert path.read_bytes() == content
    assert result(run)["checkpoints"] == before


def test_reading_needs_no_torch(extracted: Run) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from labkit.record.run import open_run\n"
        "from labkit.extract.files import load_representations\n"
        "from labkit.report.representations import cka_table, representation_table\n"
        f"run = open_run(Path({str(extracted.path)!r}))\n"
        "print(load_representations(run).values.shape, len(representation_table([run]).rows), cka_table([run]).rows)\n"
        "assert not {'torch', 'transformers', 'datasets'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    num_cities = result(extracted)["num_cities"]
    assert done.stdout.split() == [f"({num_cities},", "2,", "2,", "16)", "2", "[]"]


def test_the_saved_file_says_what_it_is(extracted: Run) -> None:
    from safetensors import safe_open

    with safe_open(representations_path(extracted, "final"), framework="numpy") as stored:
        about = json.loads(stored.metadata()["labkit"])
        assert list(stored.keys()) == ["representations"]
    assert about == {
        "checkpoint": "final", "step": None, "layers": [2, 0],
        "prompt_format": "inside_firstcity_last_and_trans", "positions": [13, 14],
    }  # fmt: skip
