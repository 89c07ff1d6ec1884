"""`labkit extract` as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from city_worlds import make_cities, record_city_training, save_cities, save_city_reader
from typer.testing import CliRunner, Result

from labkit.cli import extract, runs
from labkit.errors import LabkitError

Labkit = Callable[..., Result]


@pytest.fixture
def labkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Labkit:
    """The command line within this process, where torch is loaded already, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    for module in (extract, runs):
        module.register(app)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A world at its default place, and a model."""
    save_cities(tmp_path / "data" / "world", make_cities())
    return save_city_reader(tmp_path / "reader", tasks=["angle"])


def test_extract_shows_a_row_for_each_layer(labkit: Labkit, tmp_path: Path, world: Path) -> None:
    done = labkit("extract", "--model", "reader", "--layer", 1, "--layer", 2, "--device", "cpu", "--json")
    assert done.exit_code == 0, done.exception
    (table,) = json.loads(done.stdout)["tables"]
    assert table["kind"] == "representations"
    assert [(row["checkpoint"], row["layer"], row["asked"]) for row in table["rows"]] == [
        ("final", 1, "angle"), ("final", 2, "angle"),
    ]  # fmt: skip
    assert "final: 6" in done.stderr and "a second" in done.stderr
    assert "3250 and 1250" in done.stderr  # the world is smaller than the experiment's
    again = labkit("extract", "--resume", "last", "--json")
    assert again.exit_code == 0, again.exception
    assert json.loads(again.stdout) == json.loads(done.stdout)
    assert len(list((tmp_path / "runs" / "extract").iterdir())) == 1
    listed = labkit("runs", "list")
    assert listed.exit_code == 0 and "extract" in listed.stdout


def test_a_dry_run_says_what_would_be_done(labkit: Labkit, tmp_path: Path, world: Path) -> None:
    training = record_city_training(tmp_path / "runs", steps=[4, 8])
    asked = ("extract", "--model", training.path, "--layer", 2, "--dry-run", "--json")
    done = labkit(*asked, "--checkpoint", "all", "--debug")
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    assert (found["checkpoints"], found["num_cities"]) == (["checkpoint-4", "checkpoint-8"], 32)
    assert found["num_bytes"] == 2 * 32 * 2 * 16 * 4
    assert (found["prompt_format"], found["positions"]) == ("distance_firstcity_last_and_trans", [11, 12])
    steps = labkit(*asked, "--checkpoint", "8", "--checkpoint", "checkpoint-4")
    assert json.loads(steps.stdout)["checkpoints"] == ["checkpoint-8", "checkpoint-4"]
    assert json.loads(labkit(*asked, "--checkpoint", "last").stdout)["checkpoints"] == ["checkpoint-8"]
    assert not (tmp_path / "runs" / "extract").exists()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--layer", "5"], ["no layer 5", "it has 2"]),
        (["--checkpoint", "newest"], ["--checkpoint newest", "final, last, all"]),
        (["--checkpoint", "last", "--checkpoint", "4"], ["--checkpoint last", "beside others"]),
        (["--checkpoint", "last"], ["has no checkpoints"]),
        (["--cities", "nowhere.csv"], ["nowhere.csv"]),
        (["--prompt-format", "distance"], ["no prompt format", "distance_firstcity_last_and_trans"]),
        (["--set", "probe.train=region:^Mars"], ["probe.train", "matches 0 of the 68"]),
        (["--set", "probe.train=land:x"], ["'land'", "columns:"]),
        (["--set", "model.checkpoint=last", "--checkpoint", "all"], ["leave model.checkpoint out"]),
        (["nothing.yaml"], ["there is no config nothing.yaml"]),
    ],
)
def test_what_is_refused(labkit: Labkit, world: Path, arguments: list[str], parts: list[str]) -> None:
    done = labkit("extract", "--model", "reader", "--layer", "2", *arguments)
    assert isinstance(done.exception, LabkitError)
    for part in parts:
        assert part in f"{done.exception.message}\n{done.exception.hint}"
    assert done.exception.hint
    assert not (world.parent / "runs").exists()


def test_a_model_must_be_named(labkit: Labkit, world: Path) -> None:
    error = labkit("extract", "--layer", "2").exception
    assert isinstance(error, LabkitError)
    assert (error.message, error.hint) == ("which model?", "--model run:NAME, a folder or a hub id")


def test_a_config_of_extract(labkit: Labkit, tmp_path: Path, world: Path) -> None:
    (tmp_path / "extract.yaml").write_text(
        "command: extract\nmodel: {id: reader, device: cpu}\nlayers: [2]\nprobe: {method: ridge}\nname: angles\n"
    )
    done = labkit("extract", "extract.yaml", "--debug")
    assert done.exit_code == 0, done.exception
    (run,) = (tmp_path / "runs" / "extract").iterdir()
    assert "-angles-" in run.name
    found = json.loads((run / "result.json").read_text())
    assert (found["num_cities"], found["checkpoints"][0]["probes"][0]["method"]) == (32, "ridge")
    (tmp_path / "sample.yaml").write_text("command: sample\n")
    wrong = labkit("extract", "sample.yaml").exception
    assert isinstance(wrong, LabkitError) and "is a config for labkit sample" in wrong.message
