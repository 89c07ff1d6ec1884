"""What may stand against what: prompts, scorers, tasks, unfinished runs."""

import pytest
from goodhart_runs import record_condition
from recorded_runs import BASE, GREEDY, NOISY, SCORE, WARM, new_run, record_run, record_training

from labkit.errors import ConfigError, RecordError
from labkit.record.files import exclusive_lock
from labkit.record.identity import Arm
from labkit.report.comparison.kinds import ComparisonOptions
from labkit.report.comparison.sides import align
from labkit.report.comparison.tables import comparison_tables
from labkit.report.overview import report

HOT = Arm("temperature", 1.0)


def warm(tmp_path, num_prompts=3, **fields):
    return record_run(tmp_path, {GREEDY: ["+"] * num_prompts, WARM: ["+-"] * num_prompts}, **fields)


def noisy(tmp_path, num_prompts=3, **fields):
    return record_run(tmp_path, {NOISY: ["-+"] * num_prompts}, command="perturb", **fields)


def test_arrays_of_both_sides_follow_the_same_prompts(tmp_path):
    sides = align([warm(tmp_path)], [noisy(tmp_path)])
    assert sides.prompts == ("p0", "p1", "p2")
    for side in sides.both:
        for arm in side.arms:
            assert arm.prompts == sides.prompts
    assert [arm.arm for arm in sides.a.arms] == [WARM]  # greedy is a baseline, no arm of the sweep
    assert [arm.arm for arm in sides.a.baselines] == [GREEDY]
    assert sides.most_rollouts == 2


def test_other_prompts_are_refused_and_counted(tmp_path):
    with pytest.raises(RecordError, match="2 prompts only A has, 0 only B has") as refused:
        align([warm(tmp_path, 5)], [noisy(tmp_path, 3)])
    assert "--intersect compares over the 3 prompts" in refused.value.hint


def test_an_intersection_says_what_fell_out_and_is_over_the_same_prompts(tmp_path):
    a = record_run(tmp_path, {WARM: ["++", "--", "+-", "++", "++"]})
    tables = comparison_tables([a], [noisy(tmp_path, 3)], ComparisonOptions(intersect=True))
    assert [table.rows[0]["num_prompts"] for table in tables] == [3] * len(tables)
    assert tables[0].rows[0]["pass@1"] == 0.5
    assert any("left out: 2 prompts only A has, 0 only B has" in note for note in tables[2].notes)


def test_sides_without_a_prompt_in_common_cannot_be_intersected(tmp_path):
    b = new_run(tmp_path, {NOISY: ["+"]}, seed=1, base=BASE, score=SCORE)
    from labkit.record.rows import Rollout, RowWriter, Verdict, VerdictWriter

    rows, verdicts = RowWriter(b.rows_dir, 1), VerdictWriter(b.scores_path(b.score_hash))
    rows.append([Rollout("q0", NOISY.key, 0, 1, 3, "text", "stop", 5, 5, 0.1)])
    verdicts.append([Verdict("q0", NOISY.key, 0, 1, True, 1.0, None, "last")])
    rows.close()
    verdicts.close()
    with pytest.raises(RecordError, match="0 both have") as refused:
        align([warm(tmp_path)], [b], intersect=True)
    assert "--preset" in refused.value.hint


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"base": BASE | {"task": "gsm8k"}}, "is about countdown, .* about gsm8k"),
        ({"score": {"scorer": "other-1"}}, "scored differently"),
    ],
)
def test_other_tasks_and_scorers_are_refused(tmp_path, fields, message):
    with pytest.raises(RecordError, match=message):
        align([warm(tmp_path)], [noisy(tmp_path, **fields)])


def test_right_answers_may_come_from_files_that_differ_elsewhere(tmp_path):
    a, b = (make(tmp_path, score=SCORE | {"golds": golds}) for make, golds in ((warm, "one"), (noisy, "two")))
    assert align([a], [b]).prompts == ("p0", "p1", "p2")
    text = b.prompts_path.read_text().replace('{"id":"p1"}', '{"id":"p1","gold":{"answer":"8"}}')
    assert text != b.prompts_path.read_text()
    b.prompts_path.write_text(text)
    with pytest.raises(RecordError, match="the right answers of 1 of 3 prompts"):
        align([a], [b])


def test_runs_within_a_side_must_fit_together(tmp_path):
    with pytest.raises(RecordError, match="cannot be merged"):
        align([warm(tmp_path), warm(tmp_path, base=BASE | {"model": "x"})], [noisy(tmp_path)])


def test_a_run_cannot_stand_on_both_sides(tmp_path):
    run = warm(tmp_path)
    with pytest.raises(RecordError, match="on both sides"):
        align([run], [run])


def test_an_unfinished_run_takes_part_and_is_marked(tmp_path):
    b = record_run(tmp_path, {NOISY: ["-+", "+.", "-."], HOT: ["+.", "..", ".."]}, done=False, command="perturb")
    empty = new_run(tmp_path, {NOISY: ["-+"] * 3, WARM: ["++"] * 3}, seed=42, base=BASE, score=SCORE, command="perturb")
    sides = align([warm(tmp_path)], [b, empty])
    assert [arm.arm for arm in sides.b.arms] == [NOISY]
    assert sides.most_rollouts == 1
    notes = "\n".join(sides.notes)
    assert f"{HOT.key} (B) takes no part: it has 1 of the 3 prompts so far" in notes
    assert f"{WARM.key} (B) takes no part: it has no rollouts yet" in notes
    table = comparison_tables([warm(tmp_path)], [b], kinds=["comparison"])[0]
    assert any(note.startswith(f"B: {b.id} was interrupted: 5 of 12") for note in table.notes)


def test_arms_half_done_on_other_prompts_are_compared_over_those_that_all_have(tmp_path):
    greedy = {GREEDY: ["+"] * 5}
    a = record_run(
        tmp_path, greedy | {WARM: ["++", "--", "+-", "++", ".."], HOT: ["..", "--", "+-", "++", "++"]}, done=False
    )
    sides = align([a], [noisy(tmp_path, 5)], intersect=True)
    assert sides.prompts == ("p1", "p2", "p3")
    assert [(arm.arm, arm.num_correct.tolist()) for arm in sides.a.arms] == [(WARM, [0, 1, 2]), (HOT, [0, 1, 2])]
    assert [arm.prompts for side in sides.both for arm in (*side.arms, *side.baselines)] == [sides.prompts] * 4
    said = f"all 5 prompts yet: {WARM.key} 4, {HOT.key} 4; compared over the 3 prompts that all of them have"
    assert any(said in note for note in sides.notes)


def test_arms_that_share_no_two_prompts_are_refused_with_their_counts(tmp_path):
    a = record_run(tmp_path, {WARM: ["++", "--", ".."], HOT: ["..", "+-", "++"]}, done=False)
    counts = f"no arm of side A has rollouts of all 3 prompts yet: {WARM.key} 2, {HOT.key} 2"
    with pytest.raises(RecordError, match=counts) as refused:
        align([a], [noisy(tmp_path)])
    assert "--intersect" in refused.value.hint
    with pytest.raises(RecordError, match=f"{counts}; prompts that every arm has: 1"):
        align([a], [noisy(tmp_path)], intersect=True)


def test_a_side_without_rollouts_says_how_to_go_on(tmp_path):
    b = new_run(tmp_path, {NOISY: ["++"]}, seed=1, base=BASE, score=SCORE, command="perturb")
    with pytest.raises(RecordError, match="side B has no rollouts") as refused:
        align([warm(tmp_path)], [b])
    assert f"labkit perturb --resume {b.path}" in refused.value.hint


def test_a_k_beyond_the_smaller_side_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="k is 4, but of rollouts a prompt A has 2 and B has 2"):
        comparison_tables([warm(tmp_path)], [noisy(tmp_path)], ks=[4])


@pytest.mark.parametrize(
    ("arms", "message"),
    [(["temperature=0.4"], "given once"), (["temperature=0.5", "sigma=0.001"], "side A has no arm")],
)
def test_arms_that_are_not_there_are_refused(tmp_path, arms, message):
    with pytest.raises(ConfigError, match=message):
        align([warm(tmp_path)], [noisy(tmp_path)]).only(arms)


def test_runs_that_are_no_sweeps_are_refused(tmp_path):
    run, training = warm(tmp_path), record_training(tmp_path, metrics=[{"step": 1, "loss": 2.0}])
    with pytest.raises(ConfigError, match=r"no comparison of runs like .* \(labkit train\)"):
        report([run.id], tmp_path, against=[training.id])
    goodhart = warm(tmp_path, command="eval", config={"task": {"name": "goodhart"}, "model": {"id": "tiny"}})
    with pytest.raises(ConfigError, match="goodhart runs with goodhart runs"):
        report([run.id], tmp_path, against=[goodhart.id])


def test_tables_that_sides_do_not_have_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="makes no table of kind best_of_n") as refused:
        report([warm(tmp_path).id], tmp_path, against=[noisy(tmp_path).id], kinds=["best_of_n", "overlap"])
    assert "comparison_arms" in refused.value.hint
    a, b = (record_condition(tmp_path, {"sum": "bk", "hour": "db"}, model=model).id for model in ("first", "second"))
    with pytest.raises(ConfigError, match="makes no table of kind overlap") as refused:
        report([a], tmp_path, against=[b], kinds=["overlap"])
    assert "dbdk_comparison" in refused.value.hint


def test_both_sides_are_checked(tmp_path):
    a, b = warm(tmp_path), noisy(tmp_path)
    (table,) = report([a.id], tmp_path, against=[b.id], kinds=["checks"]).tables
    assert {row["run"] for row in table.rows} == {a.id, b.id}  # their attempts never began
    notes = report([a.id], tmp_path, against=[b.id]).notes
    assert [note.partition(": ")[0] for note in notes] == [a.id, b.id]


@pytest.mark.parametrize("options", [{"kinds": ["best"]}, {"comparison": ComparisonOptions(intersect=True)}])
def test_what_is_about_two_sides_needs_two(tmp_path, options):
    with pytest.raises(ConfigError, match="how two sides compare") as refused:
        report([warm(tmp_path).id], tmp_path, **options)
    assert "--against" in refused.value.hint


def test_a_run_that_is_at_work_is_waited_for(tmp_path):
    b = new_run(tmp_path, {NOISY: ["++"]}, seed=1, base=BASE, score=SCORE, command="perturb")
    with exclusive_lock(b.lock_path, {"pid": 1}), pytest.raises(RecordError, match="has no rollouts") as refused:
        align([warm(tmp_path)], [b])
    assert refused.value.hint == f"wait for {b.id}, which is running"
