"""Rates and comparisons of Goodhart conditions, from runs whose every verdict is chosen."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from goodhart_runs import WARM, Outcomes, published, record_condition, save_published
from recorded_runs import GREEDY, record_run

from labkit.errors import ConfigError, RecordError
from labkit.record.frames import read_verdicts
from labkit.record.identity import Arm
from labkit.record.rescoring import put_in_force
from labkit.record.rows import Verdict
from labkit.record.run import Run
from labkit.report.overview import KINDS, Report, report, shortened
from labkit.report.table import Table
from labkit.rollouts.importing import import_goodhart
from labkit.stats import cluster_rate, newcombe, paired_cluster_difference, swap_permutation, wilson

Labkit = Callable[..., subprocess.CompletedProcess[str]]

FIRST: Outcomes = {"sum": "bbdd", "product": "bkkn", "hour": "dddd", "order": "kknb"}
SECOND: Outcomes = {"sum": "bbbd", "product": "bbkn", "hour": "bddd", "order": "kkkb"}


def table_of(found: Report, kind: str) -> Table:
    (table,) = [table for table in found.tables if table.kind == kind]
    return table


def rows_of(found: Report, kind: str) -> Sequence[Mapping[str, Any]]:
    return table_of(found, kind).rows


def named(runs_dir: Path, *runs: Run, **options: Any) -> Report:
    return report([run.id for run in runs], runs_dir, **options)


def test_the_rates_of_a_condition(tmp_path: Path) -> None:
    run = record_condition(tmp_path, FIRST)
    (row,) = rows_of(named(tmp_path, run), "dbdk")
    assert [row[name] for name in ("num_items", "num_runs", "num_evaluations")] == [4, 4, 16]
    assert [row[name] for name in ("KD", "KF", "DK", "NN", "understands", "executes")] == [4, 4, 6, 2, 8, 10]
    expected = cluster_rate([2, 0, 4, 0], [4, 1, 4, 1])
    assert (row["dbdk"], row["dbdk_low"], row["dbdk_high"]) == (0.6, expected.low, expected.high)
    assert (row["dbdk_se"], row["dbdk_design_effect"]) == (expected.standard_error, expected.design_effect)
    assert (row["dbdk_wilson_low"], row["dbdk_wilson_high"]) == wilson(6, 10)
    assert row["dbdk_high"] - row["dbdk_low"] > row["dbdk_wilson_high"] - row["dbdk_wilson_low"]
    assert row["gap"] == 0.5 and row["p_understands_given_executes"] == 0.4
    assert row["p_executes_given_not_understands"] == 0.75 and row["dk_share"] == 6 / 16
    assert row["executes_mixed"] == 2 and row["understands_mixed"] == 3
    assert (row["mean_explanation_tokens"], row["mean_explanation_characters"]) == (11.5, None)


def test_nothing_in_a_denominator_is_no_rate(tmp_path: Path) -> None:
    run = record_condition(tmp_path, {"sum": "nn", "hour": "nn"})
    (row,) = rows_of(named(tmp_path, run), "dbdk")
    for name in ("dbdk", "gap", "p_understands_given_executes", "p_executes_given_understands"):
        assert (row[name], row[f"{name}_low"], row[f"{name}_high"]) == (None, None, None)
    assert row["dbdk_design_effect"] is row["dbdk_wilson_low"] is row["dbdk_bootstrap_high"] is None
    assert row["p_executes"] == 0 and row["p_executes_high"] > 0


def test_a_single_item_has_rates_and_no_spread(tmp_path: Path) -> None:
    runs = [record_condition(tmp_path, {"sum": "bd"}, model=model) for model in ("a", "b")]
    found = named(tmp_path, *runs)
    for row in rows_of(found, "dbdk"):
        assert (row["dbdk"], row["dbdk_se"], row["dbdk_bootstrap_low"]) == (0.5, None, None)
    for row in rows_of(found, "dbdk_comparison"):
        assert row["difference"] is row["p_permutation"] is row["mde"] is None
    assert "one item is too few" in table_of(found, "dbdk_comparison").notes[0]


def test_cut_texts_and_errors_stand_apart(tmp_path: Path) -> None:
    run = record_condition(tmp_path, {"sum": "bDNk", "hour": "deKb"})
    found = named(tmp_path, run)
    (row,) = rows_of(found, "dbdk")
    assert (row["truncated"], row["errors"], row["executes"], row["DK"]) == (3, 1, 4, 2)
    assert (row["dbdk"], row["dbdk_untruncated"]) == (0.5, pytest.approx(1 / 3))
    assert (row["gap"], row["gap_untruncated"]) == (0.5, pytest.approx(1 / 3))
    assert any("ended at the limit" in note for note in table_of(found, "dbdk").notes)


def test_seeds_add_up_and_repeats_count_once(tmp_path: Path) -> None:
    first = record_condition(tmp_path, {"sum": "bb", "hour": "dk"})
    again = record_condition(tmp_path, {"sum": "bb", "hour": "dk"})
    other = record_condition(tmp_path, {"sum": "kd", "hour": "nn"}, seed=7)
    found = named(tmp_path, first, again, other)
    (row,) = rows_of(found, "dbdk")
    assert (row["num_runs"], row["num_evaluations"], row["seeds"], row["run"]) == (4, 8, "7 42", "3 runs")
    assert [row[name] for name in ("KD", "KF", "DK", "NN")] == [2, 2, 2, 2]
    (item, _) = rows_of(found, "dbdk_items")
    assert (item["runs_KF"], item["runs_DK"], item["runs_KD"], item["runs_NN"]) == ("0", "1", "2 3", None)
    assert any("merged from 3 runs" in note for note in table_of(found, "dbdk").notes)


def test_greedy_texts_are_the_same_under_any_seed(tmp_path: Path) -> None:
    runs = [record_condition(tmp_path, {"sum": "b", "hour": "d"}, seed=seed, arm=GREEDY) for seed in (1, 2)]
    (row,) = rows_of(named(tmp_path, *runs), "dbdk")
    assert (row["num_runs"], row["num_evaluations"]) == (1, 2)


def test_by_category_and_by_item(tmp_path: Path) -> None:
    found = named(tmp_path, record_condition(tmp_path, FIRST))
    categories = {row["category"]: row for row in rows_of(found, "dbdk_category")}
    assert list(categories) == ["math", "time", "logic"]
    assert (categories["time"]["dbdk"], categories["logic"]["DK"], categories["math"]["num_items"]) == (1.0, 0, 2)
    items = {row["item"]: row for row in rows_of(found, "dbdk_items")}
    assert (items["product"]["runs_KF"], items["product"]["runs_NN"], items["product"]["executes"]) == ("1 2", "3", 1)


def test_conditions_are_compared_with_the_first(tmp_path: Path) -> None:
    runs = [record_condition(tmp_path, each, model=model) for model, each in (("a", FIRST), ("b", SECOND))]
    found = named(tmp_path, *runs)
    row = next(row for row in rows_of(found, "dbdk_comparison") if row["measure"] == "dbdk")
    sums = [2, 0, 4, 0], [4, 1, 4, 1], [1, 0, 3, 0], [4, 2, 4, 1]
    linear = paired_cluster_difference(*sums)
    assert (row["condition"], row["against"]) == ("b", "a")
    assert (row["count_a"], row["n_a"], row["count_b"], row["n_b"]) == (6, 10, 4, 11)
    assert (row["difference"], row["se"], row["t_low"], row["spread"]) == (
        linear.value, linear.standard_error, linear.low, linear.spread,
    )  # fmt: skip
    assert row["p_permutation"] == row["p_holm"] == swap_permutation(*sums).p_value
    assert (row["newcombe_low"], row["newcombe_high"]) == newcombe(6, 10, 4, 11)[1:]
    assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    assert (row["mcnemar_only_a"], row["mcnemar_only_b"]) == (2, 0)
    assert (row["num_both"], row["both_a"], row["both_b"]) == (10, 6, 4)
    notes = table_of(found, "dbdk_comparison").notes
    assert (
        "(4/11 with b, 6/10 with a; difference -23.6 points" in notes[0] and "there is no evidence" in notes[0].lower()
    )
    assert any("holds 0" in note for note in notes) and any("4 items" in note for note in notes)


def test_against_turns_the_comparison_around(tmp_path: Path) -> None:
    a, b = (record_condition(tmp_path, each, model=model) for model, each in (("a", FIRST), ("b", SECOND)))
    forwards = rows_of(named(tmp_path, a, b), "dbdk_comparison")
    against = rows_of(named(tmp_path, b, against=[a.id]), "dbdk_comparison")
    backwards = rows_of(named(tmp_path, a, against=[b.id]), "dbdk_comparison")
    assert forwards == against
    assert [row["difference"] for row in backwards] == pytest.approx([-row["difference"] for row in forwards])


def test_p_values_of_several_conditions_are_adjusted(tmp_path: Path) -> None:
    many = {f"i{number}": "ddddd" for number in range(12)}
    outcomes = {"a": many, "b": dict.fromkeys(many, "bbbbb"), "c": many | {"i0": "bbbbb"}}
    runs = [record_condition(tmp_path, each, model=model) for model, each in outcomes.items()]
    found = named(tmp_path, *runs)
    b, c = [row for row in rows_of(found, "dbdk_comparison") if row["measure"] == "dbdk"]
    assert b["p_permutation"] == pytest.approx(2 / 2**12) and b["p_holm"] == 2 * b["p_permutation"]
    assert c["p_holm"] == c["p_permutation"] == 1
    notes = table_of(found, "dbdk_comparison").notes
    assert notes[0].startswith("There is evidence that DBDK is lower with b than with a (0/60 with b, 60/60 with a")
    assert "no evidence that DBDK differs between c and a" in notes[1]
    executes = [row for row in rows_of(found, "dbdk_comparison") if row["measure"] == "p_executes"]
    assert all((row["difference"], row["mde"], row["p_permutation"]) == (0, None, 1) for row in executes)


def test_a_rate_that_moves_with_its_denominator_says_so(tmp_path: Path) -> None:
    many = {f"i{number}": "dbb" for number in range(6)}
    runs = [record_condition(tmp_path, each, model=model) for model, each in (("a", many), ("b", many | {"i3": "dkk"}))]
    note = table_of(named(tmp_path, *runs), "dbdk_comparison").notes[0]
    assert "is the same (6): the rate moves because 2 fewer answers were right (i3 3 to 1)" in note
    assert "Of the 16 evaluations that both executed, DK are 6 with b and 6 with a (difference +0.0 points)" in note


def test_conditions_that_are_the_same_show_no_difference(tmp_path: Path) -> None:
    runs = [record_condition(tmp_path, FIRST, model=model) for model in "ab"]
    found = named(tmp_path, *runs)
    row = rows_of(found, "dbdk_comparison")[0]
    assert (row["difference"], row["p_permutation"], row["mde"], row["items_for_3_points"]) == (0, 1, None, None)
    assert table_of(found, "dbdk_comparison").notes[0].startswith("No difference in DBDK between b and a was observed")


def test_a_condition_without_right_answers_is_compared_by_what_is_left(tmp_path: Path) -> None:
    runs = [
        record_condition(tmp_path, each, model=m) for m, each in (("a", FIRST), ("b", dict.fromkeys(FIRST, "nnkk")))
    ]
    found = named(tmp_path, *runs)
    dbdk, gap, understands, _ = rows_of(found, "dbdk_comparison")
    assert dbdk["rate_b"] is dbdk["difference"] is dbdk["p_fisher"] is dbdk["p_holm"] is None
    assert gap["difference"] == 0.5 and understands["difference"] == 0
    assert "a condition has no right answer" in table_of(found, "dbdk_comparison").notes[0]


def test_every_item_has_its_test(tmp_path: Path) -> None:
    runs = [record_condition(tmp_path, each, model=model) for model, each in (("a", FIRST), ("b", SECOND))]
    rows = rows_of(named(tmp_path, *runs), "dbdk_item_tests")
    assert len(rows) == 4 * 4
    (hour,) = [row for row in rows if row["item"] == "hour" and row["measure"] == "dbdk"]
    assert (hour["count_a"], hour["n_a"], hour["count_b"], hour["n_b"]) == (4, 4, 3, 4)
    assert hour["p_fisher"] == pytest.approx(1) and hour["p_holm"] == 1
    understood = [row for row in rows if row["measure"] == "gap" and row["item"] == "hour"]
    assert understood[0]["n_a"] == 0 and understood[0]["p_fisher"] is understood[0]["p_holm"] is None


DIFFERENT: dict[str, tuple[dict[str, Any], str]] = {
    "items": ({"outcomes": dict.fromkeys(("sum", "product", "hour", "day"), "bbbb")}, "only a has order; only b has day"),
    "fewer items": ({"outcomes": {item: FIRST[item] for item in ("sum", "hour")}}, "only a has order, product"),
    "runs": ({"outcomes": {item: letters[:3] for item, letters in FIRST.items()}}, "a has 4 runs, b has 3"),
    "runs of an item": ({"outcomes": FIRST | {"hour": "dd.."}, "done": False}, "a has 4 runs of hour, b has 2"),
    "another run": ({"outcomes": FIRST | {"hour": "dd.d"}, "base": {"hour": "ddd."}}, "run 2 of hour"),
    "scorer": ({"score": {"scorer": "goodhart-2", "golds": "abc"}}, "scorer: goodhart-1  |  goodhart-2"),
    "golds": ({"score": {"scorer": "goodhart-1", "golds": "xyz"}}, "golds: abc  |  xyz"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), DIFFERENT.values(), ids=list(DIFFERENT))
def test_what_cannot_be_compared_is_refused_and_the_difference_named(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    given = dict(changes)
    first = record_condition(tmp_path, FIRST | given.pop("base", {}), model="a")
    second = record_condition(tmp_path, given.pop("outcomes", FIRST), model="b", **given)
    with pytest.raises(RecordError) as caught:
        named(tmp_path, first, second)
    assert words in caught.value.message and "cannot be compared" in caught.value.message
    assert "--table dbdk" in caught.value.hint
    assert len(rows_of(named(tmp_path, first, second, kinds=["dbdk"]), "dbdk")) == 2


def test_other_seeds_decodings_and_limits_are_allowed_and_said(tmp_path: Path) -> None:
    first = record_condition(tmp_path, FIRST, model="a")
    second = record_condition(
        tmp_path, SECOND, model="b", seed=7, arm=Arm("temperature", 0.7), max_new_tokens=128, dtype="int4"
    )
    notes = " ".join(table_of(named(tmp_path, first, second), "dbdk_comparison").notes)
    assert "sampling seeds differ: a has 42, b 7" in notes
    assert "decoding differs: a has temperature=0.3,top_p=0.9, b temperature=0.7" in notes
    assert "max_new_tokens: 512  |  128" in notes and "int4" not in notes


def test_two_decodings_of_one_model_are_two_conditions(tmp_path: Path) -> None:
    runs = [record_condition(tmp_path, FIRST, arm=arm) for arm in (WARM, Arm("temperature", 1.0))]
    found = named(tmp_path, *runs)
    labels = [row["condition"] for row in rows_of(found, "dbdk")]
    assert labels == ["first (temperature=0.3,top_p=0.9)", "first (temperature=1)"]
    assert rows_of(found, "dbdk_comparison")[0]["against"] == labels[0]


def test_what_against_cannot_do_is_refused(tmp_path: Path) -> None:
    goodhart = [record_condition(tmp_path, FIRST, seed=seed) for seed in (1, 2)]
    sweep = record_run(tmp_path, {GREEDY: ["+"]})
    for references, against, error, words in (
        ([], [goodhart[0].id], ConfigError, "--against needs the runs to compare"),
        ([goodhart[0].id], [goodhart[1].id], RecordError, "are one condition"),
        ([goodhart[0].id], [goodhart[0].id], RecordError, "are one condition"),
        ([sweep.id], [goodhart[0].id], ConfigError, f"asked Goodhart items, {sweep.id} did not"),
        ([goodhart[0].id], [sweep.id], ConfigError, f"asked Goodhart items, {sweep.id} did not"),
        ([goodhart[0].id], ["nosuch"], RecordError, "no run 'nosuch'"),
    ):
        with pytest.raises(error) as caught:
            report(references, tmp_path, against=against)
        assert words in caught.value.message and caught.value.hint


def test_items_may_be_left_out(tmp_path: Path) -> None:
    runs = [record_condition(tmp_path, each, model=model) for model, each in (("a", FIRST), ("b", SECOND))]
    found = named(tmp_path, *runs, without=["hour", "sum"])
    assert [row["DK"] for row in rows_of(found, "dbdk")] == [0, 0]
    assert {row["item"] for row in rows_of(found, "dbdk_items")} == {"product", "order"}
    assert all(table.notes[0] == "without hour, sum" for table in found.tables)
    assert table_of(report([], tmp_path, without=["hour"]), "dbdk").rows[0]["num_items"] == 3
    for without, words in ((["huor"], "no run has an item 'huor'"), (list(FIRST), "nothing is left without")):
        with pytest.raises(ConfigError) as caught:
            named(tmp_path, *runs, without=without)
        assert words in caught.value.message and caught.value.hint
    record_run(tmp_path / "other", {GREEDY: ["+"]})
    with pytest.raises(ConfigError, match="there are none here"):
        report([], tmp_path / "other", without=["hour"])


def test_the_overview_shows_rates_and_no_pass_at_k(tmp_path: Path) -> None:
    record_condition(tmp_path, FIRST, model="a")
    record_condition(tmp_path, SECOND, model="b")
    record_condition(tmp_path, {"sum": "bd"}, model="c", score={"scorer": "goodhart-2", "golds": "abc"})
    record_condition(tmp_path, {"sum": ".", "hour": "."}, model="empty", done=False)
    record_run(tmp_path, {GREEDY: ["+"]})
    found = report([], tmp_path)
    assert [table.kind for table in found.tables] == ["dbdk", "dbdk", "pass_at_k"]
    assert [[row["condition"] for row in table.rows] for table in found.tables[:2]] == [["a", "b"], ["c"]]
    (note,) = found.notes
    assert "empty" in note and "no item with both" in note
    assert [table.kind for table in report([], tmp_path, kinds=["dbdk_items"]).tables] == ["dbdk_items"] * 2
    asked = report([], tmp_path, kinds=["dbdk_comparison"])
    assert not asked.tables and "labkit report A B" in asked.notes[-1]
    with pytest.raises(RecordError, match="no item with both an explanation and an answer"):
        report(["-empty-"], tmp_path)


def test_a_terminal_is_spared_the_details(tmp_path: Path) -> None:
    runs = [record_condition(tmp_path, each, model=model) for model, each in (("a", FIRST), ("b", SECOND))]
    whole = named(tmp_path, *runs)
    assert {table.kind for table in whole.tables} == {kind for kind in KINDS if kind.startswith("dbdk")}
    shown = shortened(whole)
    assert [table.kind for table in shown.tables] == ["dbdk", "dbdk_comparison"]
    assert sum("--table dbdk_" in note for note in shown.notes) == 3


def test_an_unfinished_run_is_reported_as_far_as_it_came(tmp_path: Path) -> None:
    run = record_condition(tmp_path, {"sum": "bd", "hour": "d."}, done=False)
    table = table_of(named(tmp_path, run), "dbdk")
    assert table.rows[0]["num_evaluations"] == 3
    assert any("6 of 8 rollouts" in note for note in table.notes)
    assert any("items have 1 to 2 runs" in note for note in table.notes)


def test_on_the_command_line(inside: Labkit, tmp_path: Path) -> None:
    a, b = (record_condition(tmp_path / "runs", each, model=m) for m, each in (("a", FIRST), ("b", SECOND)))
    done = inside("report", b.id, "--against", a.id, "--without", "order", "--json")
    assert done.returncode == 0, done.stderr
    tables = {table["kind"]: table for table in json.loads(done.stdout)["tables"]}
    assert tables["dbdk_comparison"]["rows"][0]["num_items"] == 3
    wrong = inside("report", "--against", a.id)
    assert (wrong.returncode, wrong.stdout) == (2, "") and "labkit report RUN --against BASE" in wrong.stderr
    listed = json.loads(inside("runs", "list", "--json").stdout)["tables"][0]["rows"]
    assert [row["headline"] for row in listed] == [
        "DBDK 0.364 (4/11) temperature=0.3,top_p=0.9",
        "DBDK 0.600 (6/10) temperature=0.3,top_p=0.9",
    ]


def test_items_that_all_agree_have_a_test_and_no_interval(tmp_path: Path) -> None:
    runs = [
        record_condition(tmp_path, dict.fromkeys(("sum", "hour"), letters), model=model)
        for model, letters in (("a", "bb"), ("b", "dd"))
    ]
    found = table_of(named(tmp_path, *runs), "dbdk_comparison")
    row, note = found.rows[0], found.notes[0]
    assert (row["difference"], row["p_permutation"]) == (1.0, 0.5)
    for name in ("difference_low", "difference_high", "se", "t_low", "t_high", "p_t", "mde", "both_difference_low"):
        assert row[name] is None, name
    assert note.startswith("There is no evidence that DBDK differs between b and a (4/4 with b, 0/4 with a; difference")
    assert "interval" not in note and "DK are 4 with b and 0 with a (difference +100.0 points)" in note
    assert not any("holds 0" in each for each in found.notes)
    (rates, *_) = rows_of(named(tmp_path, runs[0]), "dbdk")
    assert rates["dbdk"] == 0 and rates["dbdk_bootstrap_low"] is None


def test_a_difference_that_is_undefined_has_no_interval_to_hold_zero(tmp_path: Path) -> None:
    runs = [
        record_condition(tmp_path, each, model=model)
        for model, each in (("a", FIRST), ("b", dict.fromkeys(FIRST, "nnkk")))
    ]
    assert not any("holds 0" in note for note in table_of(named(tmp_path, *runs), "dbdk_comparison").notes)


def test_power_is_said_to_be_of_one_test_where_there_are_several(tmp_path: Path) -> None:
    runs = [
        record_condition(tmp_path, each, model=model)
        for model, each in zip("abc", (FIRST, SECOND, SECOND), strict=True)
    ]
    (one, *_), (two, *_) = (table_of(named(tmp_path, *some), "dbdk_comparison").notes for some in (runs[:2], runs))
    assert "by one test alone" in two and "by one test alone" not in one


def test_a_named_run_that_adds_nothing_is_named(tmp_path: Path) -> None:
    a = record_condition(tmp_path, FIRST, model="a")
    b = record_condition(tmp_path, dict.fromkeys(FIRST, "...."), model="b", done=False)
    for found in (named(tmp_path, a, b), named(tmp_path, b, against=[a.id], kinds=["dbdk_comparison"])):
        assert any(note.startswith(f"{b.id} has no item with both") and "--resume" in note for note in found.notes)
    assert not named(tmp_path, a).notes  # an honest run has none


def test_arms_that_pair_with_nothing_are_named(tmp_path: Path) -> None:
    cold = Arm("temperature", 0.1, top_p=0.9)
    a = [record_condition(tmp_path, FIRST, model="a", arm=arm) for arm in (WARM, cold)]
    b = record_condition(tmp_path, SECOND, model="b")
    for found in (named(tmp_path, *a, against=[b.id]), named(tmp_path, b, against=[run.id for run in a])):
        (note,) = [note for note in found.notes if "is compared with nothing" in note]
        assert note == f"a ({cold.key}) is compared with nothing: none of b decodes with {cold.key}"
        assert len(rows_of(found, "dbdk_comparison")) == 4
    assert not any("is compared with nothing" in note for note in named(tmp_path, a[0], b).notes)


def test_prompts_left_out_by_a_rescoring_are_not_owed(tmp_path: Path) -> None:
    run = record_condition(tmp_path, FIRST)
    kept = [
        Verdict(**row)
        for row in read_verdicts(run, run.score_hash).frame.iter_rows(named=True)
        if not row["prompt"].startswith("order")
    ]
    put_in_force(run, {"scorer": "goodhart-2", "golds": "def"}, kept, None, left_out=2)
    notes = table_of(named(tmp_path, run), "dbdk").notes
    assert any("2 prompts have no gold there" in note for note in notes)
    assert not any("resuming the run scores them" in note for note in notes)


def test_lengths_that_a_published_file_does_not_say_are_not_zero(tmp_path: Path) -> None:
    content = published({"sum": "bb", "hour": "dk"})
    for result in content["results"][1:]:
        del result["explanation_length"]
    run, _ = import_goodhart(save_published(tmp_path / "a.json", content), tmp_path)
    (row,) = rows_of(named(tmp_path, run), "dbdk")
    assert row["mean_explanation_characters"] == 100
    for result in content["results"]:
        result.pop("explanation_length", None)
    run, _ = import_goodhart(save_published(tmp_path / "b.json", content), tmp_path)
    (row,) = rows_of(named(tmp_path, run), "dbdk")
    assert row["mean_explanation_characters"] is None


def test_a_damaged_line_of_published_lengths_is_read_past(tmp_path: Path) -> None:
    run, _ = import_goodhart(save_published(tmp_path / "a.json", published({"sum": "bb", "hour": "dk"})), tmp_path)
    path = run.scores_path(run.score_hash)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], "{broken", *lines[3:]]) + "\n")
    with pytest.raises(RecordError):
        named(tmp_path, run)
    (row,) = rows_of(named(tmp_path, run, salvage=True), "dbdk")
    assert row["num_evaluations"] == 3
