"""Sweeps against sweeps, by the numbers: every table against a case small enough to work out by hand."""

import json

import numpy as np
import pytest
from recorded_runs import BASE, GREEDY, NOISY, WARM, record_run

from labkit.record.identity import Arm
from labkit.report.comparison.best import in_first_half
from labkit.report.comparison.kinds import KINDS, ComparisonOptions
from labkit.report.comparison.tables import comparison_tables
from labkit.stats import holm, mcnemar_exact, paired_difference, pass_at_k, wilson

HOT = Arm("temperature", 1.0)
NOISIER = Arm("perturbation", 0.01)
STILL = Arm("perturbation", 0.0)
SWEEP_A = {GREEDY: ["+", "-", "-", "-"], WARM: ["++--", "-+--", "----", "---+"], HOT: ["+---", "--+-", "----", "----"]}
SWEEP_B = {NOISY: ["+-+-", "----", "----", "+---"]}


def compare(a, b, *kinds, ks=(), **options):
    tables = comparison_tables(a, b, ComparisonOptions(**options), ks=ks, kinds=kinds)
    return tables[0] if len(kinds) == 1 and kinds != ("pass_at_k",) else tables


def sweeps(tmp_path, a=None, b=None):
    one = record_run(tmp_path, a or SWEEP_A)
    other = record_run(tmp_path, b or SWEEP_B, command="perturb")
    return [one], [other]


def test_all_tables_but_the_long_one_stand_in_their_order(tmp_path):
    tables = compare(*sweeps(tmp_path))
    assert [table.kind for table in tables] == ["pass_at_k", "pass_at_k", *KINDS[:-1]]
    assert [table.title[:2] for table in tables[:2]] == ["A:", "B:"]
    for table in tables:
        rates = [column.removesuffix("_low") for column in table.columns if column.endswith("_low")]
        assert all({rate, f"{rate}_high"} <= {*table.columns} for rate in rates)
        assert table.rows
        assert json.dumps(table.as_json(), allow_nan=False)


def test_the_best_arms_are_compared_prompt_by_prompt(tmp_path):
    table = compare(*sweeps(tmp_path), "comparison")
    assert [row["k"] for row in table.rows] == [1, 2, 4]
    for row in table.rows:
        k = row["k"]
        warm, noisy = (
            np.array([pass_at_k(4, correct, k) for correct in counts]) for counts in ([2, 1, 0, 1], [2, 0, 0, 1])
        )
        expected = paired_difference(noisy, warm)
        assert (row["arm_a"], row["arm_b"]) == (WARM.key, NOISY.key)
        assert (row["pass_a"], row["pass_b"]) == pytest.approx((warm.mean(), noisy.mean()))
        assert (row["difference"], row["difference_low"], row["difference_high"]) == pytest.approx(
            (expected.value, expected.low, expected.high)
        )
        assert (row["p"], row["test"], row["mde"]) == (expected.p_value, expected.test, expected.mde)
    assert [row["p_holm"] for row in table.rows] == holm([row["p"] for row in table.rows]).tolist()


def test_the_overlap_is_counted_at_equal_rollouts(tmp_path):
    # A has twice as many; only its first two count, and in those p3 is not solved yet.
    a = {WARM: ["+---", "-+--", "-+--", "---+", "----", "+-++"]}
    b = {NOISY: ["+-", "--", "--", "-+", "--", "--"]}
    (row,) = compare(*sweeps(tmp_path, a, b), "overlap").rows
    assert [row[name] for name in ("num_rollouts", "both", "only_a", "only_b", "neither")] == [2, 1, 3, 1, 1]
    assert row["p"] == mcnemar_exact(3, 1) == 0.625
    assert (row["solved_a"], row["solved_b"]) == (4 / 6, 2 / 6)
    assert (row["share_only_a"], row["share_only_a_low"], row["share_only_a_high"]) == (0.5, *wilson(3, 6))
    assert row["difference"] == pytest.approx(2 / 6)


def test_each_k_that_is_asked_for_has_its_overlap(tmp_path):
    table = compare(*sweeps(tmp_path), "overlap", ks=(2, 4))
    assert [row["num_rollouts"] for row in table.rows] == [2, 4]
    assert table.title.endswith("2, 4 rollouts each")
    assert [row["num_rollouts"] for row in compare(*sweeps(tmp_path / "b"), "overlap").rows] == [4]


@pytest.mark.parametrize("kind", ["comparison", "best"])
def test_a_verdict_does_not_depend_on_which_k_are_looked_at(tmp_path, kind):
    a, b = sweeps(tmp_path)
    whole, one = compare(a, b, kind), compare(a, b, kind, ks=(2,))
    assert [row["k"] for row in one.rows] == [2]
    assert one.rows[0] == next(row for row in whole.rows if row["k"] == 2)
    assert one.notes[0] == whole.notes[0]
    assert any("over 3 values of k (1, 2, 4)" in note for note in one.notes)


def test_the_sizes_of_the_halves_are_said(tmp_path):
    num_first = int(in_first_half([f"p{number}" for number in range(4)]).sum())
    row = compare(*sweeps(tmp_path), "best").rows[0]
    assert (row["num_first_half"], row["num_second_half"]) == (num_first, 4 - num_first)


def test_an_odd_budget_cannot_be_shared(tmp_path):
    table = compare(*sweeps(tmp_path), "union", ks=(3,))
    assert not table.rows
    assert any("even" in note for note in table.notes)


def test_best_is_chosen_on_the_half_that_it_is_not_measured_on(tmp_path):
    first = in_first_half([f"p{number}" for number in range(8)])
    assert 2 <= first.sum() <= 6
    # WARM is right on the first half only, HOT on the second only: each is chosen where it is measured on its failures.
    warm = ["+" if half else "-" for half in first]
    hot = ["-" if half else "+" for half in first]
    noisy = ["+" if number == 0 else "-" for number in range(8)]
    (row,) = compare(*sweeps(tmp_path, {WARM: warm, HOT: hot}, {NOISY: noisy}), "best").rows
    assert row["arm_a"] == f"{WARM.key} / 1"
    assert (row["pass_a"], row["pass_b"], row["difference"]) == (0, 1 / 8, -1 / 8)
    assert row["flattering"] == max(first.mean(), 1 - first.mean()) - 1 / 8


def test_a_prompt_is_in_the_same_half_of_every_comparison():
    prompts = [f"{number:016x}" for number in range(1000)]
    halves = in_first_half(prompts)
    assert 450 < halves.sum() < 550
    assert in_first_half(prompts[300:400]).tolist() == halves[300:400].tolist()


def test_the_union_has_half_the_budget_from_each_side(tmp_path):
    table = compare(*sweeps(tmp_path), "union")
    assert [row["budget"] for row in table.rows] == [2, 4]
    warm, noisy = np.array([2, 1, 0, 1]) / 4, np.array([2, 0, 0, 1]) / 4
    union = 1 - (1 - warm) * (1 - noisy)  # one rollout of each
    row = table.rows[0]
    assert row["union"] == pytest.approx(union.mean())
    assert row["better"] == "A"
    alone = [pass_at_k(4, correct, 2) for correct in (2, 1, 0, 1)]
    assert row["difference"] == pytest.approx(union.mean() - np.mean(alone))


def test_draws_that_both_sides_share_are_said_to_be_dependent(tmp_path):
    a, b = record_run(tmp_path, {WARM: ["+-", "--"]}), record_run(tmp_path, {HOT: ["+-", "--"]})
    other = record_run(tmp_path, {HOT: ["+-", "--"]}, seed=7)
    assert any("not independent" in note for note in compare([a], [b], "union").notes)
    assert not any("not independent" in note for note in compare([a], [other], "union").notes)


def test_equal_tokens_give_the_dearer_arm_fewer_rollouts(tmp_path):
    # Tokens are 10 + index, an error has none: 10, 11 on one side, 10 on the other, whose mean is lower.
    a, b = {WARM: ["+-", "+-", "-+", "--"]}, {NOISY: ["+e", "-e", "-e", "+e"]}
    table = compare(*sweeps(tmp_path, a, b), "equal_tokens")
    row = table.rows[1]
    assert (row["k"], row["tokens"], row["k_a"], row["k_b"]) == (2, 20, pytest.approx(20 / 10.5), 2)
    share = 20 / 10.5 - 1
    values = [(1 - share) * pass_at_k(2, correct, 1) + share * pass_at_k(2, correct, 2) for correct in (1, 1, 1, 0)]
    assert row["pass_a"] == pytest.approx(np.mean(values))
    assert row["equal_rollouts"] == pytest.approx(3 / 4 - 2 / 4)


def test_every_pair_of_arms_is_corrected_for_all(tmp_path):
    a, b = sweeps(tmp_path, b={NOISY: ["+-", "--", "--", "+-"], NOISIER: ["++", "--", "--", "--"]})
    table = compare(a, b, "comparison_arms", ks=(1,))
    pairs = [(row["arm_a"], row["arm_b"]) for row in table.rows]
    assert pairs == [(x.key, y.key) for x in (WARM, HOT) for y in (NOISY, NOISIER)]
    assert [row["p_holm"] for row in table.rows] == holm([row["p"] for row in table.rows]).tolist()


def test_the_noise_floor_stands_beside_every_sigma(tmp_path):
    b = {GREEDY: ["+", "-", "-"], STILL: ["++", "-+", "--"], NOISY: ["+-", "--", "-+"]}
    _, table, *_ = compare(*sweeps(tmp_path, {WARM: ["+-", "--", "--"]}, b))
    assert [(row["arm"], row["noise_floor"], row["floor_arm"]) for row in table.rows] == [
        ("greedy", None, None), ("sigma=0", None, None), ("sigma=0.001", 2, "sigma=0"),
    ]  # fmt: skip
    overlap = next(each for each in compare(*sweeps(tmp_path, {WARM: ["--", "--", "-+"]}, b)) if each.kind == "overlap")
    assert overlap.rows[0]["arm_b"] == NOISY.key  # what is not perturbed is a baseline, not the best sigma
    del b[STILL]
    _, table, *_ = compare(*sweeps(tmp_path, {WARM: ["+-", "--", "--"]}, b))
    assert [row["noise_floor"] for row in table.rows] == [None, 1]
    assert any("--sigma 0" in note for note in table.notes)


def test_greedy_decoding_alone_is_compared_at_one_rollout(tmp_path):
    a = record_run(tmp_path, {GREEDY: ["+", "+", "-"]}, command="eval")
    b = record_run(tmp_path, {GREEDY: ["+", "-", "-"]}, command="eval", base=BASE | {"model": "other"})
    table = compare([a], [b], "comparison")
    (row,) = table.rows
    assert (row["k"], row["difference"], row["test"], row["p"]) == (1, pytest.approx(1 / 3), "mcnemar", 1.0)
    assert any("greedy decoding alone" in note for note in table.notes)
    assert any("differ in model: abc  |  other" in note for note in table.notes)


def test_an_arm_can_be_chosen_on_each_side(tmp_path):
    table = compare(*sweeps(tmp_path), "comparison", arms=("temperature=1.0", "sigma=1e-3"))
    assert {(row["arm_a"], row["arm_b"]) for row in table.rows} == {(HOT.key, NOISY.key)}
    assert any("nothing was chosen" in note for note in table.notes)


def test_what_a_comparison_says_in_words(tmp_path):
    a = {WARM: ["++++"] * 12 + ["----"] * 8}
    b = {NOISY: ["----"] * 20}
    table = compare(*sweeps(tmp_path, a, b), "comparison")
    assert table.notes[0] == "evidence that A solves more at k = 1 to 4"
    notes = "\n".join(table.notes)
    assert "only 20 prompts" in notes
    assert f"k equals the number of rollouts of {WARM.key} (A) and of {NOISY.key} (B)" in notes
    none = compare(*sweeps(tmp_path, b={NOISY: ["++--", "-+--", "----", "--l+"]}), "comparison")
    said = (
        "had these arms been chosen beforehand: no evidence of a difference at k = 1 to 4 (at k = 4 no prompt differs)"
    )
    assert none.notes[0] == said
    some = compare(*sweeps(tmp_path), "comparison", arms=(WARM.key, NOISY.key)).notes[0]
    assert some.startswith("no evidence of a difference at k = 1 to 4 (at k = 4 it is +0.250 [")
    assert some.endswith("would have been seen 8 times in 10 by one test alone)")
    assert any("limit of tokens" in note and f"{NOISY.key} (B) 6%" in note for note in none.notes)


def test_draws_are_shared_only_by_arms_that_runs_of_one_seed_have(tmp_path):
    # B draws at temperatures with seed 2; its run of seed 1 has the other method alone.
    a = [record_run(tmp_path, {WARM: ["+-", "-+", "--"]}, seed=1)]
    b = [
        record_run(tmp_path, {NOISY: ["+-", "-+", "--"]}, seed=1),
        record_run(tmp_path, {WARM: ["++", "--", "-+"]}, seed=2),
    ]
    (table,) = comparison_tables(a, b, kinds=["union"])
    assert not any("same seed by the same method" in note for note in table.notes)
    shared = comparison_tables(a, [record_run(tmp_path, {WARM: ["++", "--", "-+"]}, seed=1)], kinds=["union"])[0]
    assert any("same seed by the same method" in note for note in shared.notes)


def test_a_floor_of_fewer_rollouts_than_solved_is_counted_over_is_told(tmp_path):
    for last, is_told in (("--", False), ("-?", True)):
        _, table, *_ = compare(*sweeps(tmp_path, None, {STILL: ["+-", *["--"] * 3], NOISY: ["-+", "--", "--", last]}))
        assert any("while solved counts all rollouts" in note for note in table.notes) == is_told
