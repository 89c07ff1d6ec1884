import pytest
from recorded_runs import GREEDY, NOISY, WARM, record_run, write_rows

from labkit.errors import ConfigError, RecordError
from labkit.record.compaction import compact
from labkit.record.identity import Arm
from labkit.report.pass_at_k import pass_at_k_table


def test_the_numbers_of_a_row_are_those_computed_by_hand(tmp_path):
    run = record_run(tmp_path, {GREEDY: ["+", "-"], WARM: ["+--+", "-lel"]})
    greedy, warm = pass_at_k_table([run]).rows
    assert greedy["pass@1"] == 0.5
    # Wilson's interval of 1 in 2.
    assert (greedy["pass@1_low"], greedy["pass@1_high"]) == pytest.approx((0.0945, 0.9055), abs=1e-4)
    assert (greedy["pass@2"], greedy["pass@2_low"], greedy["pass@4_high"]) == (None, None, None)
    # Two of four correct: 1/2, 1 - C(2,2)/C(4,2) = 5/6, 1; none of four: 0. The mean is over prompts.
    assert [warm[f"pass@{k}"] for k in (1, 2, 4)] == pytest.approx([1 / 4, 5 / 12, 1 / 2])
    assert warm["solved"] == 1
    assert (warm["truncated"], warm["errors"]) == (0.25, 1)
    # 10 + index tokens each, the failed rollout left out: (46 + 46 - 12) / 7.
    assert warm["mean_tokens"] == pytest.approx(80 / 7)
    assert (warm["method"], warm["value"], warm["num_prompts"], warm["num_rollouts"]) == ("temperature", 0.4, 2, 4)


def test_columns_are_the_published_ones_in_their_order(tmp_path):
    table = pass_at_k_table([record_run(tmp_path, {GREEDY: ["+"], NOISY: ["+-"]})])
    assert " ".join(table.columns) == (
        "run arm method value num_prompts num_rollouts solved "
        "pass@1 pass@1_low pass@1_high pass@2 pass@2_low pass@2_high "
        "truncated truncated_low truncated_high errors mean_tokens"
    )


def test_rows_are_greedy_then_temperatures_then_sigmas_each_ascending(tmp_path):
    arms = [Arm("perturbation", 0.01), Arm("temperature", 10), NOISY, WARM, GREEDY]
    table = pass_at_k_table([record_run(tmp_path, {arm: ["+"] for arm in arms})])
    assert [row["arm"] for row in table.rows] == [
        "greedy", "temperature=0.4", "temperature=10", "sigma=0.001", "sigma=0.01",
    ]  # fmt: skip


def test_debug_and_full_run_of_one_seed_merge_without_counting_twice(tmp_path):
    full = record_run(tmp_path, {GREEDY: ["+", "-", "-"], WARM: ["+---", "-+--", "----"]})
    debug = record_run(tmp_path, {GREEDY: ["+"], WARM: ["+-"]})
    alone, merged = pass_at_k_table([full]), pass_at_k_table([debug, full])
    for before, after in zip(alone.rows, merged.rows, strict=True):
        assert {**before, "run": "2 runs"} == after
    assert any(full.id in note and debug.id in note for note in merged.notes)


def test_another_run_seed_brings_further_rollouts_but_greedy_stays_one(tmp_path):
    first = record_run(tmp_path, {GREEDY: ["+"], WARM: ["+-"]}, seed=1)
    second = record_run(tmp_path, {GREEDY: ["+"], WARM: ["--"]}, seed=2)
    greedy, warm = pass_at_k_table([first, second]).rows
    assert greedy["num_rollouts"] == 1
    assert (warm["num_rollouts"], warm["pass@1"], warm["pass@4"]) == (4, 0.25, 1.0)


def test_prompts_of_two_runs_are_united_and_unequal_counts_are_said(tmp_path):
    few = record_run(tmp_path, {WARM: ["+-"]}, seed=1)
    more = record_run(tmp_path, {WARM: ["--", "+-"]}, seed=2)
    table = pass_at_k_table([few, more])
    (row,) = table.rows
    assert (row["num_prompts"], row["num_rollouts"]) == (2, 2)
    assert row["pass@1"] == pytest.approx((1 / 4 + 1 / 2) / 2)
    assert "temperature=0.4: prompts have 2 to 4 rollouts; k goes up to the fewest" in table.notes


def test_of_two_copies_the_answer_stands_and_not_the_error(tmp_path):
    failed = record_run(tmp_path, {WARM: ["e?"]})
    answered = record_run(tmp_path, {WARM: ["++"]})
    (row,) = pass_at_k_table([failed, answered]).rows
    assert (row["pass@1"], row["errors"]) == (1.0, 0)


def test_an_arm_of_one_run_only_names_that_run(tmp_path):
    warm = record_run(tmp_path, {GREEDY: ["+"], WARM: ["+-"]})
    noisy = record_run(tmp_path, {GREEDY: ["+"], NOISY: ["+-"]})
    table = pass_at_k_table([warm, noisy])
    assert [row["run"] for row in table.rows] == ["2 runs", warm.id, noisy.id]


@pytest.mark.parametrize(("what", "key"), [("base", "model"), ("score", "scorer")])
def test_runs_of_another_base_or_scorer_are_refused_with_both_values(tmp_path, what, key):
    first = record_run(tmp_path, {GREEDY: ["+"]}, **{what: {key: "this-one"}})
    second = record_run(tmp_path, {GREEDY: ["+"]}, **{what: {key: "that-one"}})
    with pytest.raises(RecordError, match=rf"{key}: this-one  \|  that-one"):
        pass_at_k_table([first, second])


def test_an_unfinished_run_says_how_far_it_is_and_how_to_go_on(tmp_path):
    run = record_run(tmp_path, {WARM: ["+-..", "+..."]}, done=False)
    (note,) = [note for note in pass_at_k_table([run]).notes if "interrupted" in note]
    assert note == f"{run.id} was interrupted: 3 of 8 rollouts; resume with labkit sample --resume {run.path}"


def test_rollouts_without_a_verdict_are_left_out_and_said(tmp_path):
    run = record_run(tmp_path, {WARM: ["+-?", "--?"]}, done=False)
    table = pass_at_k_table([run])
    assert (table.rows[0]["num_rollouts"], table.rows[0]["pass@1"]) == (2, 0.25)
    assert any(note.startswith("2 rollouts have no verdict") for note in table.notes)


def test_other_engines_and_torn_rows_are_said(tmp_path):
    old = record_run(tmp_path, {WARM: ["+-"]}, engine={"name": "vllm", "version": "0.32.0"})
    new = record_run(tmp_path, {WARM: ["+-"]})
    with (new.rows_dir / "0001-00.jsonl").open("ab") as stream:
        stream.write(b'{"prompt": "p0", "ar')
    notes = "\n".join(pass_at_k_table([old, new]).notes)
    assert "vllm 0.32.0" in notes
    assert "torch 2.13.0" in notes
    assert "torn last line (20 bytes)" in notes


def test_a_damaged_line_is_refused_unless_salvaging(tmp_path):
    run = record_run(tmp_path, {WARM: ["+-"]})
    write_rows(run, {WARM: ["..--"]}, attempt=2)
    path = run.rows_dir / "0002-00.jsonl"
    path.write_bytes(b"garbage\n" + path.read_bytes())
    with pytest.raises(RecordError, match="line 1 is damaged"):
        pass_at_k_table([run])
    table = pass_at_k_table([run], salvage=True)
    assert table.rows[0]["num_rollouts"] == 4
    assert any("line 1: damaged, left out" in note for note in table.notes)


def test_chosen_ks_replace_the_powers_of_two(tmp_path):
    run = record_run(tmp_path, {GREEDY: ["+"], WARM: ["+---"]})
    table = pass_at_k_table([run], ks=[3])
    assert [column for column in table.columns if column.startswith("pass@")] == ["pass@3", "pass@3_low", "pass@3_high"]
    assert [row["pass@3"] for row in table.rows] == [None, 0.75]
    with pytest.raises(ConfigError, match="no arm has more than 4 rollouts"):
        pass_at_k_table([run], ks=[1, 5])


def test_compaction_changes_no_number(tmp_path):
    run = record_run(tmp_path, {GREEDY: ["+", "-"], WARM: ["+--e", "-l+-"]})
    before = pass_at_k_table([run])
    compact(run)
    assert not list(run.rows_dir.glob("*.jsonl"))
    assert pass_at_k_table([run]) == before


def test_different_numbers_of_prompts_stay_on_a_narrow_screen(tmp_path):
    same, other = {WARM: ["+-", "--"]}, {NOISY: ["+-", "--", "++"]}
    assert "num_prompts" in pass_at_k_table([record_run(tmp_path, same)]).expendable
    both = pass_at_k_table([record_run(tmp_path, same), record_run(tmp_path, other)])
    assert "num_prompts" not in both.expendable
