import json

import pytest
from evaluated_worlds import (
    base_lineage,
    evaluation,
    record_evaluations,
    record_experiment,
    standard_means,
    training,
    tuned_lineage,
)
from recorded_runs import GREEDY, record_run

from labkit.config.world import MIXTURES, TASK_NAMES
from labkit.errors import ConfigError, RecordError
from labkit.record.identity import Arm
from labkit.report.overview import report, shortened
from labkit.report.world.evaluations import evaluation_table
from labkit.report.world.pictures import heatmaps
from labkit.report.world.tables import WorldOptions

SINGLES = [name for name in MIXTURES if name.startswith("ftwb1")]


def flat(seed, mixture, task):
    """A trained task is learned, another one half; models of two tasks are better by 0.1."""
    return (0.9 if task in MIXTURES[mixture] else 0.45) + 0.1 * mixture.startswith("ftwb2")


def by_kind(found):
    return {table.kind: table for table in found.tables}


def test_the_table_of_evaluations_has_what_was_measured(tmp_path):
    run = record_evaluations(tmp_path, tuned_lineage("ftwb2-8"), {"atlantis_distance": 40.0, "compass": 0.75})
    table = evaluation_table([run])
    first, second = table.rows
    shown = ("run", "model", "seed", "checkpoint", "evaluation", "task", "kind", "num_rollouts", "mean", "parse_rate")
    assert [first[column] for column in shown] == [
        run.id, "pt1-seed1-ftwb2-8", 1, "final", "atlantis_distance", "distance", "error", 100, 40.0, 1.0,
    ]  # fmt: skip
    assert first["mean_low"] < 40.0 < first["mean_high"]
    assert (second["evaluation"], second["kind"], second["mean"]) == ("compass", "accuracy", 0.75)


def test_a_run_without_a_result_is_a_note(tmp_path):
    run = record_evaluations(tmp_path, base_lineage(), {"distance": 1.0}, done=False)
    table = evaluation_table([run])
    assert table.rows == []
    assert any(f"labkit eval --resume {run.path}" in note for note in table.notes)


def test_improvements_follow_from_value_and_both_baselines(tmp_path):
    record_evaluations(tmp_path, base_lineage(), standard_means())
    tuned = standard_means() | {"atlantis_distance": 316.0, "atlantis_compass": 0.675, "atlantis_angle": 1000.0}
    record_evaluations(tmp_path, tuned_lineage("ftwb2-15"), tuned)
    rows = {(row["mixture"], row["task"]): row for row in by_kind(report([], tmp_path))["world_ni"].rows}
    distance = rows["ftwb2-15", "distance"]
    assert distance["ni"] == pytest.approx(0.5003, abs=5e-5)
    assert [distance[key] for key in ("value", "baseline_atlantis", "baseline_standard")] == [316.0, 1000.0, 100.0]
    assert distance["ni_low"] < distance["ni"] < distance["ni_high"]
    assert [distance[key] for key in ("model", "tasks", "seed", "trained")] == [
        "pt1-seed1-ftwb2-15", "distance+compass", "1", True,
    ]  # fmt: skip
    assert rows["ftwb2-15", "compass"]["ni"] == pytest.approx(0.5)
    assert (rows["ftwb2-15", "angle"]["ni"], rows["ftwb2-15", "angle"]["trained"]) == (0.0, False)
    assert len(rows) == 14


def test_a_base_counts_whatever_it_was_asked_of_mixtures(tmp_path):
    runs = [
        record_evaluations(tmp_path, lineage, standard_means())
        for lineage in (base_lineage(), tuned_lineage("ftwb1-1"))
    ]
    for run, num_rows in zip(runs, (300, 100), strict=True):
        result = json.loads(run.result_path.read_text())
        result["evaluations"].append(evaluation("multi_task", "distance", 1.0, num_rows=num_rows))
        run.result_path.write_text(json.dumps(result))
    found = report([], tmp_path)
    assert len([row for row in by_kind(found)["world_ni"].rows if row["mixture"] == "ftwb1-1"]) == 7
    assert not any("no baseline" in note for note in found.notes)


def test_an_unfinished_evaluation_is_named_where_nothing_can_be_shown(tmp_path):
    record_evaluations(tmp_path, base_lineage(), standard_means())
    run = record_evaluations(tmp_path, tuned_lineage("ftwb1-1"), standard_means(), done=False)
    assert any(f"labkit eval --resume {run.path}" in note for note in report([], tmp_path, kinds=["world_ni"]).notes)
    with pytest.raises(RecordError, match="no improvement yet") as caught:
        heatmaps([], tmp_path, WorldOptions())
    assert f"labkit eval --resume {run.path}" in caught.value.hint


def test_the_base_against_itself_has_exactly_0(tmp_path):
    record_experiment(tmp_path, flat, mixtures=["ftwb1-1"])
    rows = [row for row in by_kind(report([], tmp_path))["world_ni"].rows if row["mixture"] == "base"]
    assert [row["ni"] for row in rows] == [0.0] * 7
    assert {row["trained"] for row in rows} == {None}


def test_means_are_over_the_cells_of_a_family(tmp_path):
    record_experiment(tmp_path, lambda seed, mixture, task: flat(seed, mixture, task) + 0.1 * (seed == 2), seeds=(1, 2))
    rows = {(row["family"], row["seed"]): row for row in by_kind(report([], tmp_path))["world_means"].rows}
    assert rows["ftwb1", "1"]["trained_mean"] == pytest.approx(0.9)
    assert rows["ftwb1", "2"]["trained_mean"] == pytest.approx(1.0)
    assert rows["ftwb1", "aggregated"]["trained_mean"] == pytest.approx(0.95)
    assert rows["ftwb1", "aggregated"]["trained_std"] == pytest.approx(0, abs=1e-9)
    assert rows["ftwb2", "1"]["transfer_mean"] == pytest.approx(0.55)
    assert (rows["ftwb2", "2"]["trained_num_cells"], rows["ftwb2", "2"]["transfer_num_cells"]) == (42, 105)


def test_synergy_is_the_actual_minus_the_better_teacher(tmp_path):
    record_experiment(tmp_path, flat)
    found = by_kind(report([], tmp_path))
    assert {round(row["difference"], 9) for row in found["world_difference"].rows} == {0.1}
    rows = {row["models"]: row for row in found["world_synergy"].rows if row["cells"] == "all"}
    assert set(rows) == {"all", "with distance", "without distance"}
    assert rows["all"]["mean"] == pytest.approx(0.1)
    assert (rows["with distance"]["num_cells"], rows["without distance"]["num_cells"]) == (42, 105)
    for row in found["world_difference"].rows:
        assert row["expected"] == pytest.approx(0.9 if row["task"] in row["tasks"].split("+") else 0.45)


def test_expected_is_the_better_raw_value_and_not_the_larger_one(tmp_path):
    record_evaluations(tmp_path, base_lineage(), standard_means())
    teachers = {"ftwb1-1": {"atlantis_angle": 200.0, "atlantis_inside": 0.5},
                "ftwb1-4": {"atlantis_angle": 400.0, "atlantis_inside": 0.8}}  # fmt: skip
    for mixture, means in teachers.items():
        record_evaluations(tmp_path, tuned_lineage(mixture), means)
    record_evaluations(tmp_path, tuned_lineage("ftwb2-15"), {"atlantis_angle": 300.0, "atlantis_inside": 0.7})
    rows = {row["task"]: row for row in by_kind(report([], tmp_path))["world_difference"].rows}
    assert (rows["angle"]["teacher"], rows["inside"]["teacher"]) == ("distance", "compass")
    assert rows["angle"]["difference"] < 0
    assert rows["inside"]["expected"] == pytest.approx((0.8 - 0.45) / 0.45)


def test_a_pair_is_compared_with_teachers_of_its_own_seed_only(tmp_path):
    record_experiment(tmp_path, flat, seeds=(1,), mixtures=["ftwb1-1", "ftwb1-4"])
    record_experiment(tmp_path, flat, seeds=(2,), mixtures=["ftwb1-1", "ftwb2-15"])
    found = by_kind(report([], tmp_path))
    assert "world_synergy" not in found
    record_experiment(tmp_path, flat, seeds=(1,), mixtures=["ftwb2-15"])
    table = by_kind(report([], tmp_path))["world_synergy"]
    assert {row["seed"] for row in table.rows} == {"1"}
    assert any("ftwb1-4 (seed 2)" in note for note in table.notes)


def test_two_bases_of_one_seed_are_two_replicates(tmp_path):
    record_experiment(tmp_path, flat, mixtures=["ftwb1-1", "ftwb1-4", "ftwb2-15"])
    other = [training("big", seed=1, tasks=TASK_NAMES, data="multi_task")]
    record_evaluations(tmp_path, other, standard_means())
    tuned = [*other, training("big-tuned", seed=1, tasks=["distance"], data="ftwb1-1")]
    record_evaluations(tmp_path, tuned, standard_means() | {"atlantis_distance": 100.0})
    rows = by_kind(report([], tmp_path))["world_means"].rows
    assert {row["seed"] for row in rows if row["family"] == "ftwb1"} == {"1 of pt1-seed1", "1 of big", "aggregated"}


def test_a_base_found_by_the_fingerprint_of_its_weights(tmp_path):
    base = [{**training("elsewhere", seed=None, tasks=[], data="x"), "run": None, "step": None, "data": None}]
    record_evaluations(tmp_path, base, standard_means())
    tuned = [*base, training("tuned", seed=3, tasks=["distance"], data="my_mixture")]
    record_evaluations(tmp_path, tuned, standard_means() | {"atlantis_distance": 100.0})
    rows = {row["task"]: row for row in by_kind(report([], tmp_path))["world_ni"].rows if row["mixture"] == "ftwb1-1"}
    assert (rows["distance"]["ni"], rows["distance"]["seed"]) == (1.0, "3")


def test_another_step_of_the_base_is_another_model(tmp_path):
    record_evaluations(tmp_path, [base_lineage()[0] | {"step": 500, "weights": "other"}], standard_means())
    run = record_evaluations(tmp_path, tuned_lineage("ftwb1-1"), standard_means())
    with pytest.raises(RecordError, match="pt1-seed1-ftwb1-1 has no baseline: pt1-seed1 was not evaluated"):
        report([run.id], tmp_path)


def test_a_missing_base_is_named_with_the_command_that_makes_it(tmp_path):
    run = record_evaluations(tmp_path, tuned_lineage("ftwb1-1"), {"atlantis_distance": 10.0, "atlantis_angle": 1.0})
    with pytest.raises(RecordError) as refused:
        report([run.id], tmp_path)
    assert "was not evaluated on atlantis_distance, distance, atlantis_angle, angle" in refused.value.message
    base = base_lineage()[0]["run"]
    assert f"labkit eval world --model run:{base} --data data/world" in refused.value.hint
    overview = report([], tmp_path)
    assert any(f"labkit eval world --model run:{base} " in note for note in overview.notes)
    assert set(by_kind(overview)) >= {"world_eval"}
    assert [table.kind for table in report([run.id], tmp_path, kinds=["world_eval"]).tables] == ["world_eval"]


def test_an_unfinished_base_is_to_be_resumed(tmp_path):
    base = record_evaluations(tmp_path, base_lineage(), standard_means(), done=False)
    run = record_evaluations(tmp_path, tuned_lineage("ftwb1-1"), standard_means())
    with pytest.raises(RecordError) as refused:
        report([run.id], tmp_path)
    assert f"labkit eval --resume {base.path}" in refused.value.hint


def test_a_base_that_was_not_named_is_found_among_the_runs(tmp_path):
    record_evaluations(tmp_path, base_lineage(), standard_means())
    run = record_evaluations(tmp_path, tuned_lineage("ftwb1-1"), standard_means() | {"atlantis_distance": 100.0})
    found = by_kind(report([run.id], tmp_path))
    assert {row["run"] for row in found["world_eval"].rows} == {run.id}
    rows = {(row["mixture"], row["task"]): row for row in found["world_ni"].rows}
    assert rows["ftwb1-1", "distance"]["ni"] == 1.0


def test_evaluations_may_stand_in_several_runs_and_the_newest_counts(tmp_path):
    means = standard_means()
    halves = [{k: v for k, v in means.items() if k.startswith("atlantis_") is held} for held in (True, False)]
    for half in halves:
        record_evaluations(tmp_path, base_lineage(), half)
    record_evaluations(tmp_path, tuned_lineage("ftwb1-1"), {"atlantis_distance": 1.0})
    record_evaluations(tmp_path, tuned_lineage("ftwb1-1"), {"atlantis_distance": 100.0})
    table = by_kind(report([], tmp_path))["world_ni"]
    (row,) = [row for row in table.rows if row["mixture"] == "ftwb1-1"]
    assert row["ni"] == 1.0
    assert any("1 evaluations stand in several runs" in note for note in table.notes)


def test_runs_that_were_asked_other_rows_never_meet(tmp_path):
    record_evaluations(tmp_path, base_lineage(), standard_means())
    record_evaluations(tmp_path, tuned_lineage("ftwb1-1"), standard_means(), num_rows=32, task={"num_prompts": 16})
    found = report([], tmp_path)
    assert [table.kind for table in found.tables] == ["world_eval"]
    (note,) = [note for note in found.notes if "has no baseline" in note]
    assert note.endswith("--num-prompts 32")  # what it has grown to
    record_evaluations(tmp_path, base_lineage(), standard_means(), num_rows=32, task={"data": "./data/world"})
    assert "world_ni" in by_kind(report([], tmp_path))


@pytest.mark.parametrize("otherwise", [{"arm": Arm("temperature", 1.0)}, {"max_new_tokens": 2}])
def test_runs_that_were_decoded_otherwise_never_meet(tmp_path, otherwise):
    record_evaluations(tmp_path, base_lineage(), standard_means())
    record_evaluations(tmp_path, tuned_lineage("ftwb1-1"), {"atlantis_distance": 100.0})
    record_evaluations(tmp_path, tuned_lineage("ftwb1-1"), {"atlantis_distance": 500.0}, **otherwise)
    found = report([], tmp_path)
    (row,) = [row for row in by_kind(found)["world_ni"].rows if row["mixture"] == "ftwb1-1"]
    assert row["ni"] == 1.0
    assert any("pt1-seed1-ftwb1-1 has no baseline" in note for note in found.notes)


def test_data_sets_of_one_name_and_place_but_other_rows_are_not_compared(tmp_path):
    record_evaluations(tmp_path, base_lineage(), standard_means(), data="the world before")
    run = record_evaluations(tmp_path, tuned_lineage("ftwb1-1"), {"atlantis_distance": 100.0})
    with pytest.raises(
        RecordError, match=r"pt1-seed1 was not evaluated on atlantis_distance, distance, or not on the same rows$"
    ):
        report([run.id], tmp_path)


def test_the_interval_counts_rows_and_not_rollouts(tmp_path):
    record_evaluations(tmp_path, base_lineage(), standard_means())
    run = record_evaluations(tmp_path, tuned_lineage("ftwb1-1"), {"atlantis_distance": 300.0})
    once = by_kind(report([], tmp_path))["world_ni"].rows
    result = json.loads(run.result_path.read_text())
    result["evaluations"][0]["num_rollouts"] *= 50
    run.result_path.write_text(json.dumps(result))
    assert by_kind(report([], tmp_path))["world_ni"].rows == once


def test_checkpoints_of_one_training_are_listed_and_the_last_one_counts(tmp_path):
    record_evaluations(tmp_path, base_lineage(), standard_means())
    lineage = tuned_lineage("ftwb1-1")
    for step, error in ((300, 100.0), (100, 500.0)):
        at = [lineage[0], lineage[1] | {"step": step, "weights": f"w{step}"}]
        record_evaluations(tmp_path, at, {"atlantis_distance": error}, checkpoint=f"checkpoint-{step}")
    found = by_kind(report([], tmp_path))
    rows = [row for row in found["world_ni"].rows if row["mixture"] == "ftwb1-1"]
    assert {row["checkpoint"] for row in rows} == {"checkpoint-100", "checkpoint-300"}
    (mean,) = found["world_means"].rows
    assert (mean["trained_mean"], mean["trained_num_cells"]) == (1.0, 1)


def test_undefined_cells_are_flagged_left_out_and_counted(tmp_path):
    record_evaluations(tmp_path, base_lineage(), standard_means() | {"angle": 2000.0})
    record_evaluations(tmp_path, tuned_lineage("ftwb1-1"), standard_means() | {"atlantis_angle": 500.0})
    found = by_kind(report([], tmp_path))
    (row,) = [row for row in found["world_ni"].rows if (row["mixture"], row["task"]) == ("ftwb1-1", "angle")]
    assert (row["ni"], row["flag"]) == (None, "base no better")
    assert "base no better: undefined: base no better on ordinary cities" in found["world_ni"].notes
    (mean,) = found["world_means"].rows
    assert mean["transfer_num_cells"] == 5
    assert any("1 of 7 cells are undefined" in note for note in found["world_means"].notes)
    published = by_kind(report([], tmp_path, world=WorldOptions(improvement="published")))
    (row,) = [row for row in published["world_ni"].rows if (row["mixture"], row["task"]) == ("ftwb1-1", "angle")]
    assert row["ni"] == 1.0


def test_a_cell_that_one_seed_lacks_is_left_out_of_the_aggregate(tmp_path):
    record_experiment(tmp_path, flat, seeds=(1,), mixtures=["ftwb1-1", "ftwb1-2"])
    record_experiment(tmp_path, flat, seeds=(2,), mixtures=["ftwb1-1"])
    table = by_kind(report([], tmp_path))["world_means"]
    aggregated = next(row for row in table.rows if row["seed"] == "aggregated")
    assert (aggregated["trained_num_cells"], aggregated["transfer_num_cells"]) == (1, 6)
    assert any("7 of 14 cells are left out" in note for note in table.notes)


def test_a_name_of_the_registry_says_what_a_mixture_trains(tmp_path):
    # A mixture's data set holds some rows of every task.
    record_evaluations(tmp_path, base_lineage(), standard_means())
    lineage = [*base_lineage(), training("tuned", seed=1, tasks=TASK_NAMES, data="ftwb1-4")]
    record_evaluations(tmp_path, lineage, standard_means())
    rows = [row for row in by_kind(report([], tmp_path))["world_ni"].rows if row["model"] == "tuned"]
    assert {row["task"] for row in rows if row["trained"]} == {"compass"}


def test_a_model_of_three_tasks_is_a_family_of_its_own(tmp_path):
    record_evaluations(tmp_path, base_lineage(), standard_means())
    lineage = [*base_lineage(), training("three", seed=1, tasks=["angle", "inside", "distance"], data="mine")]
    record_evaluations(tmp_path, lineage, standard_means())
    (row,) = by_kind(report([], tmp_path))["world_means"].rows
    assert (row["family"], row["trained_num_cells"], row["transfer_num_cells"]) == ("3 tasks", 3, 4)


@pytest.mark.parametrize(
    "damage",
    [
        lambda result: result["evaluations"][0].pop("mean"),
        lambda result: result["evaluations"][0].update(mean=float("nan")),
        lambda result: result["evaluations"][0].update(kind="speed"),
        lambda result: result.update(evaluations=[5]),
    ],
)
def test_a_damaged_result_is_an_error_by_name_and_a_note_in_the_overview(tmp_path, damage):
    run = record_evaluations(tmp_path, base_lineage(), standard_means())
    result = json.loads(run.result_path.read_text())
    damage(result)
    run.result_path.write_text(json.dumps(result))
    with pytest.raises(RecordError, match="an evaluation cannot be read"):
        report([run.id], tmp_path)
    found = report([], tmp_path)
    assert any(run.id in note for note in found.notes)


def test_a_manifest_without_a_lineage_is_damaged(tmp_path):
    run = record_evaluations(tmp_path, base_lineage(), standard_means())
    manifest = json.loads((run.path / "run.json").read_text())
    del manifest["lineage"]
    (run.path / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(RecordError, match="lineage"):
        report([run.id], tmp_path)
    assert any("lineage" in note for note in report([], tmp_path).notes)


def test_evaluations_of_other_tasks_are_pass_at_k(tmp_path):
    record_run(tmp_path, {GREEDY: ["+", "-"]}, command="eval")
    record_evaluations(tmp_path, base_lineage(), standard_means())
    assert [table.kind for table in report([], tmp_path).tables] == ["pass_at_k", "world_eval"]


def test_the_rows_of_a_world_run_are_never_read(tmp_path):
    run = record_evaluations(tmp_path, base_lineage(), standard_means())
    (run.rows_dir / "0001-00.jsonl").write_text("garbage\ngarbage\n")
    run.prompts_path.unlink()
    assert [table.kind for table in report([], tmp_path).tables] == ["world_eval"]


def test_kinds_choose_tables_and_unknown_ones_are_refused(tmp_path):
    record_experiment(tmp_path, flat, mixtures=SINGLES)
    kinds = [table.kind for table in report([], tmp_path, kinds=["world_means", "world_reciprocity"]).tables]
    assert kinds == ["world_means", "world_reciprocity"]
    with pytest.raises(ConfigError, match="no table of kind 'world_mean'"):
        report([], tmp_path, kinds=["world_mean"])


def test_options_that_cannot_be_used_fail_in_the_overview_too(tmp_path):
    record_experiment(tmp_path, flat, mixtures=SINGLES)
    with pytest.raises(ConfigError, match="no split"):
        report([], tmp_path, world=WorldOptions(splits=("nonsense",)))


def test_for_people_long_lists_are_left_out_with_a_word_on_how_to_get_them(tmp_path):
    record_experiment(tmp_path, flat, mixtures=SINGLES)
    few = report([], tmp_path)
    assert shortened(few) == few
    record_experiment(tmp_path, flat, seeds=(2,), mixtures=SINGLES)
    found = shortened(report([], tmp_path))
    assert [table.kind for table in found.tables] == ["world_means", "world_reciprocity"]
    assert any("--table world_eval" in note for note in found.notes)


def test_the_mixture_of_all_tasks_is_listed_and_no_baseline(tmp_path):
    run = record_evaluations(tmp_path, base_lineage(), standard_means())
    result = json.loads(run.result_path.read_text())
    result["evaluations"] += [evaluation("multi_task", task, 0.5) for task in TASK_NAMES]
    run.result_path.write_text(json.dumps(result))
    record_evaluations(tmp_path, tuned_lineage("ftwb1-1"), standard_means() | {"atlantis_distance": 100.0})
    found = by_kind(report([], tmp_path))
    assert sum(row["evaluation"] == "multi_task" for row in found["world_eval"].rows) == 7
    rows = {(row["mixture"], row["task"]): row for row in found["world_ni"].rows}
    assert rows["ftwb1-1", "distance"]["ni"] == 1.0
