"""The tables of extractions: what was read, and how alike models are."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from city_worlds import make_cities
from recorded_runs import record_run
from scipy.stats import ortho_group

from labkit.errors import ConfigError, RecordError
from labkit.extract.files import index_path, representations_path, some_cities, write_index, write_representations
from labkit.extract.similarity import linear_cka, procrustes_similarity
from labkit.record.run import Run
from labkit.report.representations import cka_table, representation_table
from labkit.tasks.world.cities import Cities

LAYERS = (3, 5)


def record_extraction(
    runs_dir: Path,
    states: Mapping[str, np.ndarray[Any, Any]],
    cities: Cities,
    *,
    world: str = "w1",
    layers: Sequence[int] = LAYERS,
    name: str = "pt1-1",
    checkpoints: str = "final",
    result: Mapping[str, Any] | None = None,
    done: bool = True,
) -> Run:
    """An extraction with these hidden states, by checkpoint."""
    run = record_run(
        runs_dir, {}, command="extract", slug=name, done=done, result=result or {"checkpoints": []},
        base={"cities": world, "name": name}, config={"checkpoints": checkpoints},
        lineage=[{"name": "pt1"}, {"name": name, "tasks": ["distance", "angle"], "seed": 1}],
    )  # fmt: skip
    run.artifacts_dir.mkdir()
    write_index(index_path(run), cities, np.arange(len(cities)) % 2 == 0)
    for checkpoint, values in states.items():
        about = {
            "checkpoint": checkpoint, "step": 7, "layers": list(layers), "prompt_format": "x", "positions": [11, 12],
        }  # fmt: skip
        write_representations(representations_path(run, checkpoint), values, about)
    return run


def random_states(num_cities: int, seed: int, num_layers: int = 2) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=(num_cities, 2, num_layers, 4)).astype(np.float32)


def test_rows_are_aligned_by_the_cities_that_both_have(tmp_path: Path) -> None:
    cities = make_cities(80, 10)
    whole = random_states(90, 0)
    order = np.random.default_rng(1).permutation(90)[:70]
    # The same states of fewer cities in another order, turned about: whatever is aligned, is wholly alike.
    turn = ortho_group.rvs(4, random_state=0)
    turned = (3 * whole[order] @ turn).astype(np.float32)
    first = record_extraction(tmp_path, {"final": whole}, cities, name="one")
    second = record_extraction(tmp_path, {"final": turned}, some_cities(cities, order), name="two")
    table = cka_table([first, second])
    assert (table.kind, [row["layer"] for row in table.rows]) == ("cka", [3, 5])
    is_taken = ~cities.is_atlantis & (cities.ids >= 1000)
    for row in table.rows:
        assert row["num_cities"] == is_taken[order].sum()
        assert row["cka"] == pytest.approx(1, abs=1e-5)
        assert row["procrustes"] == pytest.approx(1, abs=1e-4)
        assert (row["model_a"], row["model_b"]) == ("one", "two")
        assert (row["run_a"], row["tasks_b"], row["seed_b"]) == (first.id, "distance+angle", 1)
    everything = cka_table([first, second], cities="region:.*")
    assert {row["num_cities"] for row in everything.rows} == {70}


def test_the_numbers_are_those_of_the_two_formulas(tmp_path: Path) -> None:
    cities = make_cities(50, 0)
    x, y = random_states(50, 1), random_states(50, 2)
    runs = [record_extraction(tmp_path, {"final": states}, cities, name=name) for states, name in ((x, "b"), (y, "a"))]
    (row,) = cka_table(runs, layer=5, cities="").rows
    order = np.argsort(cities.ids)
    features = [states[order, :, 1].reshape(50, -1) for states in (x, y)]
    assert row["cka"] == pytest.approx(linear_cka(*features))
    assert row["procrustes"] == pytest.approx(procrustes_similarity(*features))


def test_every_pair_stands_once_whatever_the_order(tmp_path: Path) -> None:
    cities = make_cities(30, 0)
    runs = [
        record_extraction(tmp_path, {"final": random_states(30, seed)}, cities, name=f"m{seed}") for seed in range(4)
    ]
    tables = [cka_table(given, layer=3) for given in (runs, [*reversed(runs), runs[0]])]
    assert tables[0].rows == tables[1].rows
    assert len(tables[0].rows) == 6
    pairs = {frozenset((row["run_a"], row["run_b"])) for row in tables[0].rows}
    assert len(pairs) == 6


def test_layers_in_common_are_compared_and_the_rest_is_noted(tmp_path: Path) -> None:
    cities = make_cities(30, 0)
    first = record_extraction(tmp_path, {"final": random_states(30, 0)}, cities)
    second = record_extraction(tmp_path, {"final": random_states(30, 1)}, cities, layers=(5, 6))
    third = record_extraction(tmp_path, {"final": random_states(30, 2, 1)}, cities, layers=(6,))
    assert [row["layer"] for row in cka_table([first, second]).rows] == [5]
    table = cka_table([first, second, third], layer=5)
    assert len(table.rows) == 1
    assert sum("layer 5 not in common" in note for note in table.notes) == 2
    assert any("no layer in common" in note for note in cka_table([first, third]).notes)


def test_other_worlds_are_not_compared(tmp_path: Path) -> None:
    first = record_extraction(tmp_path, {"final": random_states(30, 0)}, make_cities(30, 0))
    second = record_extraction(tmp_path, {"final": random_states(30, 1)}, make_cities(30, 0, seed=2), world="w2")
    table = cka_table([first, second])
    assert table.rows == []
    assert first.id in table.notes[0] and second.id in table.notes[0]
    assert "other cities" in table.notes[0]


def test_checkpoints_are_chosen_by_word_and_missing_ones_noted(tmp_path: Path) -> None:
    cities = make_cities(30, 0)
    states = {"checkpoint-8": random_states(30, 0), "checkpoint-100": random_states(30, 1)}
    whole = record_extraction(tmp_path, states, cities, checkpoints="all")
    final = record_extraction(tmp_path, {"final": random_states(30, 2)}, cities)
    (row,) = cka_table([whole, final], layer=3).rows  # the last of all checkpoints is the final model
    assert {row["checkpoint_a"], row["checkpoint_b"]} == {"checkpoint-100", "final"}
    table = cka_table([whole, final], checkpoint="8")
    assert table.rows == []
    assert f"{final.id} is left out" in table.notes[0]
    few = record_extraction(tmp_path, states, cities, checkpoints="last")
    assert any("no representations of final" in note for note in cka_table([few, final]).notes)


def test_states_that_are_all_the_same_have_no_similarity(tmp_path: Path) -> None:
    cities = make_cities(30, 0)
    runs = [
        record_extraction(tmp_path, {"final": states}, cities)
        for states in (random_states(30, 0), np.ones((30, 2, 2, 4), dtype=np.float32))
    ]
    table = cka_table(runs, layer=3)
    assert (table.rows[0]["cka"], table.rows[0]["procrustes"]) == (None, None)
    assert "are the same" in table.notes[0]


def test_what_is_no_extraction_and_a_malformed_filter_are_refused(tmp_path: Path) -> None:
    sweep = record_run(tmp_path, {})
    for table in (representation_table, cka_table):
        with pytest.raises(RecordError, match="labkit sample"):
            table([sweep])
    run = record_extraction(tmp_path, {"final": random_states(30, 0)}, make_cities(30, 0))
    with pytest.raises(ConfigError, match="continent"):
        cka_table([run], cities="continent:Asia")


def scores(value: float) -> dict[str, float]:
    names = ("r2", "r2_x", "r2_y", "mae", "mae_x", "mae_y", "error_mean", "error_median")
    return dict.fromkeys(names, value)


def checkpoint(name: str, *, reason: str | None = None, converged: bool = True) -> dict[str, Any]:
    error = {"n": 10, "mean": 18.6, "std": 16.2, "median": 14.0}
    there = reason is None
    return {
        "name": name, "step": 9, "file": "…", "pca": [],
        "probes": [
            {"layer": layer, "num_train": 40, "num_test": 20, "converged": converged, "train": scores(0.9), "test": scores(0.5)}
            for layer in LAYERS
        ],
        "generalisation": [
            {"layer": layer, "baseline": error if there else None, "atlantis": error | {"mean": 508.3} if there else None,
             "p_value": 0.01 if there else None, "reason": reason}
            for layer in LAYERS
        ],
    }  # fmt: skip


def test_a_row_for_each_checkpoint_and_layer(tmp_path: Path) -> None:
    found = {
        "task": "distance",
        "warnings": ["few cities"],
        "checkpoints": [checkpoint("checkpoint-9"), checkpoint("final")],
    }
    run = record_extraction(tmp_path, {}, make_cities(30, 0), result=found)
    table = representation_table([run])
    assert table.kind == "representations"
    assert [(row["checkpoint"], row["layer"]) for row in table.rows] == [
        ("checkpoint-9", 3), ("checkpoint-9", 5), ("final", 3), ("final", 5),
    ]  # fmt: skip
    row = table.rows[0]
    assert (row["model"], row["tasks"], row["asked"], row["step"]) == ("pt1-1", "distance+angle", "distance", 9)
    assert (row["train_r2"], row["test_r2"], row["test_error_mean"]) == (0.9, 0.5, 0.5)
    assert (row["baseline_mean"], row["atlantis_mean"], row["p_value"]) == (18.6, 508.3, 0.01)
    assert table.notes == [f"{run.id}: few cities"]


def test_what_is_missing_is_noted(tmp_path: Path) -> None:
    found = {"task": "angle", "checkpoints": [checkpoint("final", reason="no Atlantis", converged=False)]}
    run = record_extraction(tmp_path, {}, make_cities(30, 0), result=found)
    cut = record_extraction(tmp_path, {}, make_cities(30, 0), done=False)
    table = representation_table([run, cut])
    assert len(table.rows) == 2
    assert table.rows[0]["atlantis_mean"] is None
    assert f"{run.id}: no probe of generalisation: no Atlantis" in table.notes
    assert any("layer 5: the probe did not converge" in note for note in table.notes)
    assert any(f"--resume {cut.path}" in note for note in table.notes)


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    run = record_extraction(tmp_path, {}, make_cities(30, 0), result={"checkpoints": [{"name": "final"}]})
    with pytest.raises(RecordError, match="damaged"):
        representation_table([run])


def test_a_damaged_index_is_a_note(tmp_path: Path) -> None:
    run = record_extraction(tmp_path, {"final": random_states(30, 0)}, make_cities(30, 0))
    with index_path(run).open(newline="") as stream:
        lines = list(csv.reader(stream))
    lines[3][-1] = "half"
    index_path(run).write_text("\n".join(",".join(f'"{cell}"' for cell in line) for line in lines))
    assert "a city has no split" in cka_table([run]).notes[0]
