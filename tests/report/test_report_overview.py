import json

import pytest
from recorded_runs import GREEDY, WARM, record_run, record_training

from labkit.errors import ConfigError, RecordError
from labkit.report.overview import report


def test_runs_that_cannot_be_merged_stand_apart(tmp_path):
    for base in ({"model": "a"}, {"model": "a"}, {"model": "b"}):
        record_run(tmp_path, {GREEDY: ["+"]}, base=base)
    record_run(tmp_path, {GREEDY: ["+"]}, base={"model": "b"}, score={"scorer": "other"})
    tables = report([], tmp_path).tables
    assert sorted(table.rows[0]["run"] == "2 runs" for table in tables) == [False, False, True]


def test_an_overview_lists_damaged_runs_and_never_fails(tmp_path):
    good = record_run(tmp_path, {GREEDY: ["+"]})
    damages = {
        "cut": ("run.json", '{"schema": 1'),
        "newer": ("run.json", '{"schema": 99}'),
        "strange": ("run.json", json.dumps(json.loads((good.path / "run.json").read_text()) | {"ask": 5})),
        "events": ("events.jsonl", "garbage\n{}\n"),
        "parquet": ("rows.parquet", "no parquet"),
    }
    for slug, (name, content) in damages.items():
        run = record_run(tmp_path, {GREEDY: ["+"]}, slug=slug)
        (run.path / name).write_text(content)
    rebuilt = record_run(tmp_path, {GREEDY: ["+"]}, slug="result")
    rebuilt.result_path.write_text("[]")  # derived: resuming works it out again
    (tmp_path / "sample" / "empty-folder").mkdir()
    found = report([], tmp_path)
    (table,) = found.tables
    assert [row["run"] for row in table.rows] == ["2 runs"]
    assert any(good.id in note and rebuilt.id in note for note in table.notes)
    assert len(found.notes) == len(damages)
    for slug in damages:
        assert any(f"-{slug}-" in note for note in found.notes)
    assert any("install" not in note and "schema 99" in note for note in found.notes)


@pytest.mark.parametrize("folder", [".", "absent"])
def test_an_empty_or_absent_folder_has_no_tables(tmp_path, folder):
    found = report([], tmp_path / folder)
    assert (found.tables, found.notes) == ([], [])


def test_named_runs_that_differ_are_refused(tmp_path):
    first = record_run(tmp_path, {GREEDY: ["+"]}, base={"model": "a"})
    second = record_run(tmp_path, {GREEDY: ["+"]}, base={"model": "b"})
    with pytest.raises(RecordError, match=r"model: a  \|  b"):
        report([first.id, second.id], tmp_path)


def test_a_run_named_twice_is_one_run(tmp_path):
    run = record_run(tmp_path, {GREEDY: ["+"]})
    (table,) = report([run.id, str(run.path)], tmp_path).tables
    assert table.rows[0]["run"] == run.id


def test_a_k_that_no_arm_of_any_table_has_is_refused(tmp_path):
    record_run(tmp_path, {WARM: ["+-"]}, base={"model": "a"})
    record_run(tmp_path, {WARM: ["+-+-"]}, base={"model": "b"})
    tables = report([], tmp_path, ks=[4]).tables
    assert sorted(str(table.rows[0]["pass@4"]) for table in tables) == ["1.0", "None"]
    with pytest.raises(ConfigError, match="more than 4 rollouts"):
        report([], tmp_path, ks=[5])


def test_training_runs_show_the_last_value_of_each_metric(tmp_path):
    metrics = [{"step": 50, "loss": 1.5}, {"step": 100, "loss": 1.25}, {"step": 100, "eval_accuracy": 0.5}]
    finished = record_training(tmp_path, metrics=metrics)
    stopped = record_training(tmp_path, metrics=metrics[:1], done=False)
    (table,) = report([], tmp_path).tables
    assert table.kind == "training"
    rows = {row["run"]: row for row in table.rows}
    assert table.columns[:5] == ["run", "name", "status", "steps", "loss"]
    shown = ("status", "steps", "loss", "eval_accuracy")
    assert [rows[finished.id][key] for key in shown] == ["done", 100, 1.25, 0.5]
    assert [rows[stopped.id][key] for key in shown] == ["interrupted", 50, 1.5, None]
    assert any(f"--resume {stopped.path}" in note for note in table.notes)


def test_training_and_sampling_runs_may_be_named_together(tmp_path):
    sampled = record_run(tmp_path, {GREEDY: ["+"]})
    trained = record_training(tmp_path, metrics=[{"step": 1, "loss": 2.0}])
    assert [table.kind for table in report([trained.id, sampled.id], tmp_path).tables] == ["pass_at_k", "training"]
