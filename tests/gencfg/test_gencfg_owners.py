"""Whose a file is: of which matrix, of which section, and what happens when one is renamed, moved, or off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matrices import SWEEP, contents, generated, made, planned, write_matrix

from labkit.errors import ConfigError, RecordError
from labkit.gencfg.matrix import load_matrix
from labkit.gencfg.missing import missing_inputs
from labkit.gencfg.plan import make_plan, optional_sections_written
from labkit.gencfg.write import manifest_is_current

FIRST = "configs/t0.4/seed1.yaml"
NAMED = SWEEP.replace("configs/", "configs/{matrix}/")


def two_of_one_name(folder: Path) -> tuple[Path, Path]:
    for name, text in (("a", SWEEP), ("b", SWEEP.replace("configs/", "others/"))):
        (folder / name).mkdir()
        write_matrix(folder / name, text)
    return folder / "a" / "mine.yaml", folder / "b" / "mine.yaml"


def test_another_matrix_of_the_same_name_is_told_apart(tmp_path: Path) -> None:
    first, second = two_of_one_name(tmp_path)
    made(first, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(
        RecordError, match=r"another matrix of the name mine has files in .*: \.\./a/mine\.yaml"
    ) as caught:
        made(second, tmp_path / "out", prune=True)
    assert "`name`" in caught.value.hint and contents(tmp_path / "out") == before
    second.write_text("name: b\n" + second.read_text())
    made(second, tmp_path / "out", prune=True)
    assert len(contents(tmp_path / "out")) == 13
    assert len(planned(first, tmp_path / "out").paths("unchanged")) == 6


def test_a_matrix_that_moved_has_its_files_still(tmp_path: Path) -> None:
    first, second = two_of_one_name(tmp_path)
    made(first, tmp_path / "out")
    second.unlink()
    first.rename(second)
    plan = planned(second, tmp_path / "out")
    assert len(plan.paths("unchanged")) == 6 and not manifest_is_current(plan)
    made(second, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "gencfg.json").read_text())["matrices"]
    assert {name: value["made_from"] for name, value in content.items()} == {"mine": "../b/mine.yaml"}


def test_a_matrix_that_was_renamed_takes_its_files_over(tmp_path: Path) -> None:
    path, out = write_matrix(tmp_path), tmp_path / "out"
    made(path, out)
    (out / FIRST).write_text("name: mine\n")
    renamed = path.rename(tmp_path / "noise.yaml")
    plan = made(renamed, out)
    assert len(plan.paths("update")) == 5 and plan.paths("edited") == [FIRST]
    assert list(json.loads((out / "gencfg.json").read_text())["matrices"]) == ["noise"]
    made(renamed, out, overwrite=True)
    assert len(planned(renamed, out).paths("unchanged")) == 6


def test_what_a_renamed_matrix_left_is_named_and_pruned(tmp_path: Path) -> None:
    path, out = write_matrix(tmp_path, NAMED), tmp_path / "out"
    made(path, out)
    (out / "configs/mine/t1/seed3.yaml").write_text("name: mine\n")
    (out / "configs/mine/t1/seed2.yaml").unlink()
    renamed = path.rename(tmp_path / "noise.yaml")
    plan = made(renamed, out)
    assert (len(plan.paths("create")), len(plan.paths("stale"))) == (6, 4)
    assert plan.paths("stale and edited") == ["configs/mine/t1/seed3.yaml"]
    assert set(plan.orphans.values()) == {"mine"} and plan.manifest.gone == {"mine": "../mine.yaml"}
    made(renamed, out, prune=True, overwrite=True)
    assert len(contents(out)) == 7 and "mine" not in json.loads((out / "gencfg.json").read_text())["matrices"]
    assert manifest_is_current(planned(renamed, out))


def test_what_a_matrix_made_under_another_name_is_named_and_pruned(tmp_path: Path) -> None:
    path, out = write_matrix(tmp_path, NAMED), tmp_path / "out"
    made(path, out)
    path.write_text("name: other\n" + path.read_text())
    plan = made(path, out)
    assert (len(plan.paths("create")), len(plan.paths("stale"))) == (6, 6)
    made(path, out, prune=True)
    assert len(contents(out)) == 7 and manifest_is_current(planned(path, out))


def test_a_matrix_that_is_there_loses_nothing_to_another(tmp_path: Path) -> None:
    first, out = write_matrix(tmp_path, NAMED), tmp_path / "out"
    made(first, out)
    second = write_matrix(tmp_path, NAMED, "other.yaml")
    assert not made(second, out, prune=True, overwrite=True).orphans
    assert len(planned(first, out).paths("unchanged")) == 6


def test_a_template_of_ones_own_is_there_wherever_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("project/templates", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    made(write_matrix(Path("templates"), NAMED), Path("out"))
    monkeypatch.chdir(tmp_path / "elsewhere")
    other = write_matrix(tmp_path, NAMED, "other.yaml")
    assert not made(other, tmp_path / "project" / "out", prune=True).orphans
    assert len(contents(tmp_path / "project" / "out")) == 13


def test_files_of_another_matrix_are_taken_over_where_that_is_asked_for(tmp_path: Path) -> None:
    first, out = write_matrix(tmp_path), tmp_path / "out"
    made(first, out)
    second = write_matrix(tmp_path, SWEEP, "other.yaml")
    with pytest.raises(RecordError) as caught:
        made(second, out)
    assert "--overwrite takes the files over" in caught.value.hint
    assert len(made(second, out, overwrite=True).paths("update")) == 6
    assert len(planned(second, out).paths("unchanged")) == 6


def test_files_that_labkit_made_are_taken_up_again_without_a_manifest(tmp_path: Path) -> None:
    path, out = write_matrix(tmp_path), tmp_path / "out"
    made(path, out)
    (out / "gencfg.json").write_text("<<<<<<< ours\n{}\n")
    with pytest.raises(RecordError, match="is damaged") as caught:
        made(path, out)
    assert "remove it, and --overwrite" in caught.value.hint
    (out / "gencfg.json").unlink()
    write_matrix(tmp_path, SWEEP.replace("rollouts: 8", "rollouts: 16"))
    with pytest.raises(RecordError, match="6 files stand in the way") as caught:
        made(path, out)
    assert "--overwrite takes up others that it made" in caught.value.hint
    made(path, out, overwrite=True)
    assert len(planned(path, out).paths("unchanged")) == 6


def test_empty_files_and_links_to_nothing_are_not_labkits(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / FIRST).parent.mkdir(parents=True)
    (out / FIRST).touch()
    (out / FIRST).with_name("seed2.yaml").symlink_to("nowhere")
    with pytest.raises(RecordError, match="2 files stand in the way"):
        made(write_matrix(tmp_path), out)


TWO = SWEEP + SWEEP.removeprefix("sections:\n").replace("  sweep:", "  other:").replace("configs/", "others/").replace(
    "num_rollouts: 8", "num_rollouts: 4"
)


def test_a_section_that_was_renamed_keeps_its_files_while_another_is_made(tmp_path: Path) -> None:
    path, out = write_matrix(tmp_path, TWO), tmp_path / "out"
    made(path, out)
    write_matrix(tmp_path, TWO.replace("  sweep:", "  swept:"))
    assert not make_plan(generated(path, only=["other"]), out).paths("stale")
    made(path, out, only=["other"], prune=True)
    assert len(contents(out)) == 13
    write_matrix(tmp_path, TWO.replace("  sweep:", "  swept:\n    optional: true"))
    plan = made(path, out, prune=True)
    assert plan.unasked == {"swept": 6} and len(contents(out)) == 13


def test_files_of_a_section_that_nobody_knows_are_not_asked_for_by_another(tmp_path: Path) -> None:
    path, out = write_matrix(tmp_path, TWO), tmp_path / "out"
    made(path, out)
    write_matrix(tmp_path, TWO.replace("  sweep:", "  swept:").replace("configs/t", "configs/x"))
    assert made(path, out, only=["other"], prune=True).unasked == {"sweep": 6}
    assert len(planned(path, out).paths("stale")) == 6


def test_optional_sections_that_are_there(tmp_path: Path) -> None:
    path, out = write_matrix(tmp_path, TWO.replace("  other:", "  other:\n    optional: true")), tmp_path / "out"
    assert optional_sections_written(load_matrix(path), out) == []
    made(path, out)
    assert optional_sections_written(load_matrix(path), out) == []
    made(path, out, extra=["other"])
    assert optional_sections_written(load_matrix(path), out) == ["other"]


def test_inputs_in_many_places_are_a_few_lines(tmp_path: Path) -> None:
    text = SWEEP.replace("[1, 2, 3]", "{from: 1, to: 200}").replace(
        "task: {num_prompts: 4}", 'task: {num_prompts: 4, data: "d{seed}/x.json"}'
    )
    lines = missing_inputs(generated(write_matrix(tmp_path, text)), [tmp_path])
    assert len(lines) == 22 and lines[-1] == "  and 190 more in 190 other places"


TRAININGS = """\
sections:
  training:
    command: train
    axes: {seed: [1, 2]}
    path: "{seed}.yaml"
    base: {name: same, seed: "{seed}", model.id: builtin:countdown-tiny}
"""
ENERGY = """\
  energy:
    command: train
    path: energy.yaml
    base: {method: energy, model.id: "./body", examples: {name: rollouts, runs: [NAME]}}
"""
EVALUATION = """\
  evaluation:
    command: sample
    path: evaluation.yaml
    base: {model.id: "run:same"}
"""


def test_a_run_that_two_configs_make_and_one_needs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two configs make run:same, which others need") as caught:
        generated(write_matrix(tmp_path, TRAININGS + EVALUATION))
    assert caught.value.message.endswith(":\n  1.yaml\n  2.yaml") and "`name`" in caught.value.hint
    warned = missing_inputs(generated(write_matrix(tmp_path, TRAININGS)), [tmp_path])
    assert warned == ["several configs make the same: run:same", "    1.yaml, 2.yaml"]


def test_evaluations_that_nobody_needs_may_share_a_name(tmp_path: Path) -> None:
    text = TRAININGS.replace("command: train", "command: eval")
    assert missing_inputs(generated(write_matrix(tmp_path, text)), [tmp_path]) == []
    needs_them = ENERGY.replace("NAME", "same")
    with pytest.raises(ConfigError, match="two configs make run:same, which others need"):
        generated(write_matrix(tmp_path, text + needs_them))
