"""Counts by prompt and arm: positions of first correct rollouts, in Parquet and in lines, of one run and of several."""

import pytest
from recorded_runs import GREEDY, NOISY, WARM, record_run, write_rows

from labkit.errors import RecordError
from labkit.record.compaction import compact
from labkit.record.frames import read_scored, scan_scored
from labkit.report.pool import pool, read_part


def arms_of(*runs):
    return {arm.arm.key: arm for arm in pool([read_part(run) for run in runs]).arms}


def test_prompts_solved_within_the_first_rollouts_by_index(tmp_path):
    warm = arms_of(record_run(tmp_path, {WARM: ["--+-", "+---", "----", "-l++"]}))[WARM.key]
    assert warm.prompts == ("p0", "p1", "p2", "p3")
    assert warm.first_correct.tolist() == [2, 0, -1, 2]
    assert [warm.solved_within(n).sum() for n in (1, 2, 3, 4)] == [1, 1, 3, 3]


def test_an_index_that_is_missing_moves_those_behind_it_up(tmp_path):
    run = record_run(tmp_path, {WARM: ["-.-+", "?-+-", "--+?"], NOISY: ["-+", "--", "+-"]}, done=False)
    arms = arms_of(run)
    assert arms[WARM.key].num_rollouts.tolist() == [3, 3, 3]
    assert arms[WARM.key].first_correct.tolist() == [2, 1, 2]
    assert arms[NOISY.key].first_correct.tolist() == [1, -1, 0]


def test_a_run_of_another_seed_goes_on_where_the_first_one_ends(tmp_path):
    first = record_run(tmp_path, {GREEDY: ["+", "-"], WARM: ["--", "-+"]}, seed=1)
    second = record_run(tmp_path, {GREEDY: ["+", "-"], WARM: ["-+", "+-"]}, seed=2)
    arms = arms_of(first, second)
    assert arms[WARM.key].first_correct.tolist() == [3, 1]
    assert arms[GREEDY.key].num_rollouts.tolist() == [1, 1]
    assert arms[GREEDY.key].first_correct.tolist() == [0, -1]


def test_runs_of_one_seed_share_their_positions(tmp_path):
    debug = record_run(tmp_path, {WARM: ["-+"]})
    full = record_run(tmp_path, {WARM: ["-+--", "---+"]})
    warm = arms_of(debug, full)[WARM.key]
    assert (warm.num_rollouts.tolist(), warm.first_correct.tolist()) == ([4, 4], [1, 3])


def test_parquet_is_counted_as_lines_are(tmp_path):
    outcomes = {GREEDY: ["+", "-"], WARM: ["-e+l", "-+-+"], NOISY: ["--", "l+"]}
    run = record_run(tmp_path, outcomes)
    before = read_part(run).counts
    lines = read_scored(run).frame.sort("arm", "prompt", "index")
    compact(run)
    assert read_part(run).counts.equals(before)
    assert read_part(run).scan.read().sort("arm", "prompt", "index").equals(lines)


def test_candidates_of_runs_that_share_draws_are_those_that_are_counted(tmp_path):
    debug = record_run(tmp_path, {GREEDY: ["+", "-"], WARM: ["-?", "+e"]}, done=False)
    full = record_run(tmp_path, {GREEDY: ["+", "-"], WARM: ["-+--", "++-l"]})
    other = record_run(tmp_path, {GREEDY: ["+", "-"], WARM: ["+", "-"]}, seed=7)
    compact(full)
    plain, whole = (
        pool([read_part(run, **more) for run in (debug, full, other)])
        for more in ({}, {"candidates": True, "texts": True})
    )
    assert plain.notes == whole.notes
    assert [arm.num_correct.tolist() for arm in plain.arms] == [arm.num_correct.tolist() for arm in whole.arms]
    for arm in whole.arms:
        rows = whole.rollouts(arm.arm.key)
        assert rows.height == arm.num_rollouts.sum() and rows["correct"].sum() == arm.num_correct.sum()
        assert rows["error"].null_count() == arm.num_answered.sum()
    assert {"text", "answer", "rule", "logprob"} <= set(whole.rollouts().columns)
    assert "text" not in plain.rollouts().columns


def test_rollouts_made_after_compaction_are_counted_too(tmp_path):
    run = record_run(tmp_path, {WARM: ["--", "+-"]})
    compact(run)
    write_rows(run, {WARM: ["..+-", "..--"]}, attempt=2)
    warm = arms_of(run)[WARM.key]
    assert (warm.num_rollouts.tolist(), warm.first_correct.tolist()) == ([4, 4], [2, 0])


def test_tokens_and_errors_are_of_the_rollouts_with_a_verdict(tmp_path):
    warm = arms_of(record_run(tmp_path, {WARM: ["+e-?"]}, done=False))[WARM.key]
    assert (warm.num_errors, warm.num_tokens.tolist(), warm.num_answered.tolist()) == (1, [10 + 12], [2])
    assert warm.mean_tokens == 11


def test_an_arm_over_some_of_its_prompts(tmp_path):
    warm = arms_of(record_run(tmp_path, {WARM: ["-+", "+-", "--"]}))[WARM.key]
    some = warm.over(["p2", "p0"])
    assert (some.prompts, some.first_correct.tolist(), some.num_correct.tolist()) == (("p2", "p0"), [-1, 1], [0, 1])
    with pytest.raises(KeyError):
        warm.over(["p0", "p9"])


def test_a_file_that_is_damaged_within_is_an_error_of_the_record(tmp_path):
    run = record_run(tmp_path, {WARM: ["-+-+", "--+-", "++--"]})
    compact(run)
    data = bytearray(run.parquet_path.read_bytes())
    middle = len(data) // 3
    data[4:middle] = bytes(middle - 4)
    run.parquet_path.write_bytes(bytes(data))
    scan = scan_scored(run)
    with pytest.raises(RecordError, match=r"rows\.parquet is damaged"):
        scan.collect(scan.rows)
