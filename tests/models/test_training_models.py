"""Models of training runs: found by the run's folder or its name, at the step that is asked for, or refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from city_worlds import record_city_training, save_city_reader
from recorded_runs import record_run, record_training

from labkit.config.sections import ModelConfig
from labkit.errors import InputError, RecordError
from labkit.models.folder import ModelFolder, checkpoint_folders, find_model
from labkit.models.training_run import checkpoints_dir, final_dir, find_training
from labkit.record import named_runs
from labkit.record.run import Run, open_run

STEPS = (0, 4, 10)


def training(runs_dir: Path, name: str | None = None, *, done: bool = True, keep: str = "all") -> Run:
    """A training that kept the steps 0, 4 and 10, under a name."""
    run = record_city_training(runs_dir, steps=STEPS)
    manifest = json.loads((run.path / "run.json").read_text())
    manifest["name"] = name
    manifest["config"]["keep_checkpoints"] = keep
    (run.path / "run.json").write_text(json.dumps(manifest))
    if not done:
        run.result_path.unlink()
    return run


def find(name: Path | str, checkpoint: str = "final", runs_dir: Path = Path("runs")) -> ModelFolder:
    return find_model(ModelConfig(id=str(name), checkpoint=checkpoint), runs_dir)


def refusal(name: Path | str, checkpoint: str = "final", runs_dir: Path = Path("runs")) -> InputError:
    with pytest.raises(InputError) as caught:
        find(name, checkpoint, runs_dir)
    assert caught.value.hint
    return caught.value


def test_a_runs_folder_is_its_model_at_any_step_that_it_kept(tmp_path: Path) -> None:
    run = training(tmp_path)
    expected = {"final": final_dir(run), "last": checkpoints_dir(run) / "checkpoint-10"}
    expected |= {str(step): checkpoints_dir(run) / f"checkpoint-{step}" for step in STEPS}
    for checkpoint, path in expected.items():
        found = find(run.path, checkpoint)
        assert (found.path, found.name) == (path, str(run.path))
        assert found.checkpoint == ("final" if checkpoint == "final" else path.name)
        assert found.parents() == [{"run": run.id, "role": "model", "hash": found.weights_fingerprint()}]


def test_the_folder_of_a_checkpoint_knows_its_run(tmp_path: Path) -> None:
    run = training(tmp_path)
    found = find(checkpoints_dir(run) / "checkpoint-4")
    assert found.checkpoint == "checkpoint-4"
    assert found.parents()[0]["run"] == run.id
    assert found.lineage()[-1]["step"] == 4


@pytest.mark.parametrize("folder", ["/checkpoints/checkpoint-4", "/artifacts/model", "/model"])
def test_a_folder_that_is_named_like_one_of_a_run(folder: str) -> None:
    assert ModelFolder(Path(folder), folder).checkpoint is None


def test_a_name_is_the_newest_finished_training(tmp_path: Path) -> None:
    older, newer = training(tmp_path, "pt1"), training(tmp_path, "pt1")
    training(tmp_path, "pt1", done=False)
    training(tmp_path, "pt2")
    assert older.id < newer.id
    assert find("run:pt1", runs_dir=tmp_path).path == final_dir(newer)
    assert find(f"run:{older.id}", "4", tmp_path).path == checkpoints_dir(older) / "checkpoint-4"


def test_a_damaged_training_is_in_nobodys_way_but_its_own(tmp_path: Path) -> None:
    training(tmp_path, "base")
    damaged = training(tmp_path, "other")
    (damaged.path / "run.json").write_text("{")
    damaged.path.rename(damaged.path.with_name("20990101T000000000Z-other-000000"))
    assert find("run:base", runs_dir=tmp_path).checkpoint == "final"
    with pytest.raises(RecordError, match="other-000000"):
        find("run:other", runs_dir=tmp_path)


def test_of_many_trainings_only_those_of_the_name_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(named_runs, "open_run", lambda path: read.append(path) or open_run(path))
    values = {"command": "train", "done": False}
    runs = [record_run(tmp_path, {}, slug=f"pt 1.{number}", name=f"PT 1.{number}", **values) for number in range(6)]
    for run in runs:
        run.finish({}, owed=0, num_asked=0)
    assert find_training("PT 1.4", tmp_path).path == runs[4].path and read == [runs[4].path]
    trainings = named_runs.NamedRuns()
    for _ in range(2):
        assert [trainings.training(run.manifest["name"], tmp_path) for run in runs] == runs
        with pytest.raises(InputError, match="called 'PT 2'"):
            trainings.training("PT 2", tmp_path)
    assert len(read) == 1 + len(runs)  # each once
    renamed = runs[4].path.rename(tmp_path / "train" / "by-hand")
    assert find_training("PT 1.4", tmp_path).path == renamed


def test_a_name_that_no_training_has(tmp_path: Path) -> None:
    assert "no training under" in refusal("run:pt1", runs_dir=tmp_path).message
    training(tmp_path, "pt1-seed1")
    error = refusal("run:pt1-sed1", runs_dir=tmp_path)
    assert "called 'pt1-sed1'" in error.message and "run:pt1-seed1" in error.hint
    assert "pt1-seed1" in refusal("run:quite-another", runs_dir=tmp_path).hint


def test_a_training_that_has_not_finished(tmp_path: Path) -> None:
    run = training(tmp_path, "pt1", done=False)
    for name in (run.path, "run:pt1"):
        error = refusal(name, runs_dir=tmp_path)
        assert "was interrupted" in error.message
        assert error.hint == f"finish it with labkit train --resume {run.path}"
    assert "was interrupted" in refusal(run.path, "last").message
    assert find(run.path, "4").checkpoint == "checkpoint-4"  # a step that is there does not change any more


def test_a_step_that_was_not_kept(tmp_path: Path) -> None:
    run = training(tmp_path)
    error = refusal(run.path, "5")
    assert "keeps no checkpoint of step 5" in error.message
    assert error.hint == "steps that it keeps: 0, 4, 10"
    assert "keep_checkpoints: all" in refusal(training(tmp_path, keep="newest").path, "5").hint


def test_a_torn_checkpoint_is_none(tmp_path: Path) -> None:
    run = training(tmp_path)
    (checkpoints_dir(run) / "checkpoint-10" / "complete.json").unlink()
    assert find(run.path, "last").checkpoint == "checkpoint-4"
    assert "of step 10" in refusal(run.path, "10").message


def test_a_run_of_another_command_has_no_model(tmp_path: Path) -> None:
    run = record_training(tmp_path, metrics=[])
    manifest = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps(manifest | {"command": "sample"}))
    assert "is a run of labkit sample and has no model" in refusal(run.path).message


def test_a_single_model_has_no_checkpoints(tmp_path: Path) -> None:
    folder = save_city_reader(tmp_path / "reader")
    assert find(folder).checkpoint is None
    for checkpoint in ("last", "10"):
        assert "is a single model" in refusal(folder, checkpoint).message
    with pytest.raises(InputError, match="is a single model"):
        checkpoint_folders(ModelConfig(id=str(folder)), "all")
    assert [found.path for found in checkpoint_folders(ModelConfig(id=str(folder)), "final")] == [folder]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("final", ["final"]),
        ("last", ["checkpoint-10"]),
        ("all", ["checkpoint-0", "checkpoint-4", "checkpoint-10"]),
        ([4, 0], ["checkpoint-4", "checkpoint-0"]),
    ],
)
def test_several_checkpoints_at_once(tmp_path: Path, asked: str | list[int], expected: list[str]) -> None:
    training(tmp_path, "pt1")
    found = checkpoint_folders(ModelConfig(id="run:pt1"), asked, tmp_path)
    assert [folder.checkpoint for folder in found] == expected


def test_the_final_model_stands_beside_checkpoints_of_other_steps(tmp_path: Path) -> None:
    run = training(tmp_path)
    (checkpoints_dir(run) / "checkpoint-10" / "complete.json").unlink()
    found = checkpoint_folders(ModelConfig(id=str(run.path)), "all")
    assert [folder.checkpoint for folder in found] == ["checkpoint-0", "checkpoint-4", "final"]


def test_the_lineage_of_a_model_from_elsewhere(tmp_path: Path) -> None:
    folder = ModelFolder(save_city_reader(tmp_path / "reader"), "a name")
    assert folder.lineage() == [
        {"run": None, "name": "reader", "seed": None, "data": None, "cities": None, "tasks": [], "step": None,
         "weights": folder.weights_fingerprint()}
    ]  # fmt: skip


@pytest.mark.parametrize(
    "lineage",
    [[], {}, [{"run": "a"}], "pt1", [{"run": None, "name": None, "seed": "1", "data": None, "cities": None, "tasks": [],
                                      "step": None, "weights": None}]],
)  # fmt: skip
def test_a_damaged_lineage_is_refused(tmp_path: Path, lineage: object) -> None:
    folder = save_city_reader(tmp_path / "reader")
    (folder / "labkit.json").write_text(json.dumps({"lineage": lineage}))
    with pytest.raises(InputError, match=r"labkit\.json: lineage is not that of a training"):
        ModelFolder(folder, "reader").lineage()


def test_a_run_has_no_revisions(tmp_path: Path) -> None:
    run = training(tmp_path)
    with pytest.raises(InputError, match="has no revisions"):
        find_model(ModelConfig(id=str(run.path), revision="main"))
