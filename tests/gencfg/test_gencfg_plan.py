"""What is on disk against what should be: created, updated, untouched, edited, stale, foreign."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from matrices import SWEEP, contents, made, planned, states, write_matrix

from labkit.config.yaml_text import load_mapping
from labkit.errors import RecordError
from labkit.gencfg.generate import digest_of
from labkit.gencfg.write import manifest_is_current

FIRST = "configs/t0.4/seed1.yaml"
LAST = "configs/t1/seed3.yaml"


def test_a_matrix_becomes_files(tmp_path: Path) -> None:
    plan = made(write_matrix(tmp_path), tmp_path / "out")
    assert states(plan) == {"create": 6}
    assert (tmp_path / "out" / FIRST).read_text() == (
        "# made by labkit gencfg from mine.yaml; edit that and run it again\n"
        "command: sample\nseed: 1\ntask:\n  num_prompts: 4\nnum_rollouts: 8\ntemperatures: [0.4]\n"
    )
    assert len(contents(tmp_path / "out")) == 7
    assert load_mapping(tmp_path / "out" / LAST)["temperatures"] == [1.0]


def test_the_manifest_has_every_file_and_nothing_of_here(tmp_path: Path) -> None:
    made(write_matrix(tmp_path), tmp_path / "out")
    text = (tmp_path / "out" / "gencfg.json").read_text()
    sections = json.loads(text)["matrices"]["mine"]["sections"]
    assert list(sections) == ["sweep"]
    assert set(sections["sweep"]) == {p for p in contents(tmp_path / "out") if p != "gencfg.json"}
    assert str(tmp_path) not in text and os.uname().nodename not in text


def test_what_is_right_is_not_touched(tmp_path: Path) -> None:
    path = write_matrix(tmp_path)
    made(path, tmp_path / "out")
    files = [tmp_path / "out" / name for name in contents(tmp_path / "out")]
    for file in files:
        os.utime(file, (1, 1))
    assert states(made(path, tmp_path / "out")) == {"unchanged": 6}
    assert {file.stat().st_mtime for file in files} == {1}
    write_matrix(tmp_path, SWEEP.replace("[1, 2, 3]", "[1, 2, 3, 4]"))
    assert states(made(path, tmp_path / "out")) == {"unchanged": 6, "create": 2}
    assert [file.name for file in files if file.stat().st_mtime != 1] == ["gencfg.json"]


def test_updates_say_which_keys_in_how_many_files(tmp_path: Path) -> None:
    path = write_matrix(tmp_path)
    made(path, tmp_path / "out")
    write_matrix(
        tmp_path,
        SWEEP.replace("rollouts: 8", "rollouts: 16").replace("num_prompts: 4", "num_prompts: 2, preset: short"),
    )
    plan = planned(path, tmp_path / "out")
    assert states(plan) == {"update": 6}
    assert plan.changed_keys == {"num_rollouts": 6, "task.num_prompts": 6, "task.preset": 6}
    made(path, tmp_path / "out")
    assert states(planned(path, tmp_path / "out")) == {"unchanged": 6}


def test_a_file_edited_by_hand_stays_until_it_may_go(tmp_path: Path) -> None:
    path, out = write_matrix(tmp_path), tmp_path / "out"
    made(path, out)
    edited = (out / FIRST).read_text() + "name: mine\n"
    (out / FIRST).write_text(edited)
    for text in (SWEEP, SWEEP.replace("rollouts: 8", "rollouts: 16")):
        plan = made(write_matrix(tmp_path, text), out)
        assert plan.paths("edited") == [FIRST]
        assert (out / FIRST).read_text() == edited
    assert planned(path, out).states[FIRST] == "edited"
    made(path, out, overwrite=True)
    assert states(planned(path, out)) == {"unchanged": 6}


def test_a_file_that_was_removed_by_hand_is_made_again(tmp_path: Path) -> None:
    path, out = write_matrix(tmp_path), tmp_path / "out"
    made(path, out)
    (out / FIRST).unlink()
    (out / LAST).write_bytes(b"")  # as a power cut may leave it
    assert made(path, out).paths("create") == [FIRST, LAST]
    assert states(planned(path, out)) == {"unchanged": 6}


def test_a_value_that_is_gone_leaves_stale_files_until_they_are_pruned(tmp_path: Path) -> None:
    path, out = write_matrix(tmp_path), tmp_path / "out"
    made(path, out)
    (out / LAST).write_text("name: mine\n")
    write_matrix(tmp_path, SWEEP.replace("[0.4, 1.0]", "[0.4]"))
    for _ in range(2):
        plan = made(path, out)
        assert plan.paths("stale") == ["configs/t1/seed1.yaml", "configs/t1/seed2.yaml"]
        assert plan.paths("stale and edited") == [LAST]
    made(path, out, prune=True)
    assert states(planned(path, out)) == {"unchanged": 3, "stale and edited": 1}
    made(path, out, prune=True, overwrite=True)
    assert states(planned(path, out)) == {"unchanged": 3}
    assert not (out / "configs" / "t1").exists()
    assert manifest_is_current(planned(path, out))


def test_pruning_leaves_what_is_not_labkits(tmp_path: Path) -> None:
    path, out = write_matrix(tmp_path), tmp_path / "out"
    made(path, out)
    (out / "configs" / "t1" / "notes.txt").write_text("mine")
    made(write_matrix(tmp_path, SWEEP.replace("[0.4, 1.0]", "[0.4]")), out, prune=True)
    assert [file.name for file in (out / "configs" / "t1").iterdir()] == ["notes.txt"]


def test_foreign_files_in_the_way_are_refused_by_name(tmp_path: Path) -> None:
    path, out = write_matrix(tmp_path), tmp_path / "out"
    (out / "configs" / "t1").mkdir(parents=True)
    (out / LAST).write_text("command: sample\n")
    (out / "configs" / "t0.4").write_text("a file where a folder should be")
    before = contents(out)
    for overwrite in (False, True):
        with pytest.raises(RecordError) as caught:
            made(path, out, overwrite=overwrite)
        assert LAST in caught.value.message and "\n  configs/t0.4" in caught.value.message
        assert "2 files stand in the way" in caught.value.message
    assert contents(out) == before


def test_a_folder_where_a_file_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out" / FIRST).mkdir(parents=True)
    with pytest.raises(RecordError, match="is a folder, where a file should stand"):
        made(write_matrix(tmp_path), tmp_path / "out")


def test_foreign_files_elsewhere_are_nobodys_business(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "configs" / "t1").mkdir(parents=True)
    (out / "configs" / "t1" / "mine.yaml").write_text("x")
    assert states(made(write_matrix(tmp_path), out)) == {"create": 6}


def test_files_that_are_right_are_taken_up_where_the_manifest_is_lost(tmp_path: Path) -> None:
    path, out = write_matrix(tmp_path), tmp_path / "out"
    made(path, out)
    manifest = (out / "gencfg.json").read_bytes()
    (out / "gencfg.json").unlink()
    assert not manifest_is_current(planned(path, out))
    assert states(made(path, out)) == {"unchanged": 6}
    assert (out / "gencfg.json").read_bytes() == manifest


def test_two_matrices_share_a_folder_but_no_file(tmp_path: Path) -> None:
    first, out = write_matrix(tmp_path), tmp_path / "out"
    second = write_matrix(tmp_path, SWEEP.replace("configs/", "others/"), "other.yaml")
    made(first, out)
    made(second, out)
    assert states(planned(first, out)) == states(planned(second, out)) == {"unchanged": 6}
    third = write_matrix(tmp_path, SWEEP, "third.yaml")
    with pytest.raises(RecordError, match="of the matrix mine stand in the way"):
        made(third, out)


def test_sections_that_are_off_are_left_alone(tmp_path: Path) -> None:
    more = SWEEP + SWEEP.removeprefix("sections:\n").replace("  sweep:", "  more:\n    optional: true").replace(
        "configs/", "more/"
    )
    more = more.replace("seed: [1, 2, 3]", "seed: [4, 5, 6]", 1)
    path, out = write_matrix(tmp_path, more), tmp_path / "out"
    assert states(made(path, out, extra=["more"])) == {"create": 12}
    plan = made(path, out, prune=True)
    assert states(plan) == {"unchanged": 6} and plan.unasked == {"more": 6}
    assert states(made(path, out, extra=["more"])) == {"unchanged": 12}


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"schema": 1}', '{"schema": 1, "matrices": {"mine": {}}}', '{"schema": 99}']
)
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "gencfg.json").write_text(text)
    with pytest.raises(RecordError, match=r"gencfg\.json"):
        made(write_matrix(tmp_path), out)
    assert [path.name for path in out.iterdir()] == ["gencfg.json"]


def test_a_manifest_never_reaches_out_of_its_folder(tmp_path: Path) -> None:
    """Neither `--prune` nor `--overwrite` may be led to other files by what somebody wrote into it."""
    path, out = write_matrix(tmp_path), tmp_path / "out"
    made(path, out)
    victim = tmp_path / "victim.yaml"
    victim.write_text("mine")
    manifest = json.loads((out / "gencfg.json").read_text())
    for name in ("../victim.yaml", str(victim)):
        manifest["matrices"]["mine"]["sections"]["sweep"][name] = digest_of(b"mine")
        (out / "gencfg.json").write_text(json.dumps(manifest))
        with pytest.raises(RecordError, match="damaged"):
            made(path, out, prune=True)
        del manifest["matrices"]["mine"]["sections"]["sweep"][name]
    assert victim.read_text() == "mine"


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    assert states(planned(write_matrix(tmp_path), tmp_path / "out")) == {"create": 6}
    assert not (tmp_path / "out").exists()
