"""What goes into the explorer: which texts, how much of them, whose counts, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from explored_runs import countdown_prompt, record_texts
from hypothesis import given
from hypothesis import strategies as st
from recorded_runs import GREEDY, NOISY, WARM, record_run

from labkit.errors import ConfigError, RecordError
from labkit.record.compaction import compact
from labkit.record.identity import Arm
from labkit.record.run import Run
from labkit.report.comparison.tables import comparison_tables
from labkit.report.explorer.data import MOST_BYTES, page_data
from labkit.report.explorer.keeping import chosen, cut, distinct_texts, encoded, fitting_chars, num_bytes
from labkit.report.explorer.page import page, save_explorer
from labkit.report.explorer.problems import Describer
from labkit.report.explorer.reading import group_names, read_explored
from labkit.tasks.countdown import score
from labkit.tasks.goodhart.task import GoodhartTask


def explored(*runs: Run, **options: Any) -> dict[str, Any]:
    return page_data(read_explored(runs, **options))


def kept(data: dict[str, Any], prompt: int, arm: int) -> list[tuple[str | None, bool | None, int]]:
    """Text, verdict and copies of what is kept of a prompt and arm."""
    found = next(cell for cell in data["kept"][prompt] if cell[0] == arm)
    return [(None if row[0] is None else data["texts"][row[0]], row[1], row[7]) for row in found[2]]


def frame(texts: list[tuple[str, bool | None]]) -> pl.DataFrame:
    """Rollouts of one prompt and arm."""
    columns = {"text": pl.String, "correct": pl.Boolean}
    made = (
        pl.DataFrame(texts, schema=columns, orient="row")
        .with_row_index("index")
        .with_columns(error=pl.lit(None, pl.String))
    )
    return made.with_columns(place=pl.lit(0, pl.Int32), arm_place=pl.lit(0, pl.Int32))


def test_right_texts_come_first_then_the_frequent_ones(tmp_path: Path) -> None:
    said = [("no", False), ("rare", False), ("no", False), ("yes", True), ("no", False), ("also", True), ("also", True)]
    data = explored(record_texts(tmp_path, {WARM: [said]}, [countdown_prompt(0)]))
    assert kept(data, 0, 0) == [("also", 1, 2), ("yes", 1, 1), ("no", 0, 3), ("rare", 0, 1)]
    assert data["counts"] == [[[7], [3]]]
    assert data["kept"][0][0][1] == 4
    assert data["left_out"] == []


@given(st.lists(st.tuples(st.sampled_from("abcdefghijkl"), st.booleans()), min_size=1, max_size=60), st.integers(1, 9))
def test_the_choice_is_what_the_rule_says(texts: list[tuple[str, bool]], most: int) -> None:
    rollouts = frame([(text + str(right), right) for text, right in texts])
    found = chosen(distinct_texts(rollouts), most)
    said = [rollouts["text"][row] for row in found["row"]]
    counts = {text + str(right): texts.count((text, right)) for text, right in texts}
    ranked = sorted(counts, key=lambda text: (-counts[text], [one + str(right) for one, right in texts].index(text)))
    right, wrong = ([text for text in ranked if text.endswith(ending)] for ending in ("True", "False"))
    num_wrong = min(len(wrong), max(most // 4, most - len(right)))
    assert said == right[: most - num_wrong] + wrong[:num_wrong]
    assert len(said) == min(most, len(counts))
    assert found["copies"].to_list() == [counts[text] for text in said]


def test_of_many_right_texts_some_places_are_left_for_wrong_ones(tmp_path: Path) -> None:
    said = [(f"right {number}", True) for number in range(20)] + [(f"wrong {number}", False) for number in range(5)]
    data = explored(record_texts(tmp_path, {WARM: [said]}, [countdown_prompt(0)]))
    assert [text for text, _, _ in kept(data, 0, 0)] == [*(f"right {n}" for n in range(6)), "wrong 0", "wrong 1"]
    assert data["kept"][0][0][1] == 25
    assert "of 25 different texts 8 are kept" in data["left_out"][0]


@given(st.lists(st.text(max_size=80), max_size=20), st.integers(0, 1500), st.integers(0, 60))
def test_what_is_cut_fits_and_adds_up(texts: list[str], room: int, most: int) -> None:
    chars = fitting_chars(texts, room, most)
    cuts = [cut(text, chars) for text in texts]
    assert chars <= most
    assert chars == 0 or num_bytes(cuts) <= room  # 0 is for the caller, who keeps fewer texts
    for text, each in zip(texts, cuts, strict=True):
        head, tail, left = (each, "", 0) if isinstance(each, str) else each
        assert len(head) + left + len(tail) == len(text)
        assert text.startswith(head) and text.endswith(tail)


def test_texts_are_cut_no_more_than_there_is_need() -> None:
    texts = ["x" * length for length in (10, 300, 900, 1200)]
    chars = fitting_chars(texts, 2000)
    assert (
        num_bytes([cut(text, chars) for text in texts]) <= 2000 < num_bytes([cut(text, chars + 40) for text in texts])
    )
    assert fitting_chars(texts, 10_000) == 20_000


@given(st.text())
def test_data_cannot_end_the_element_that_holds_it(text: str) -> None:
    written = encoded({"text": text + "</script><!--\u2028\u2029"})
    assert not {"<", "\u2028", "\u2029"} & set(written)
    assert json.loads(written)["text"] == text + "</script><!--\u2028\u2029"


def test_many_long_texts_fit_ten_megabytes_and_it_is_said(tmp_path: Path) -> None:
    said = [(f"{number} " + "<&\u2028" * 4_000, number % 3 == 0) for number in range(12)]
    run = record_texts(tmp_path, {WARM: [said] * 40, NOISY: [said[1:]] * 40}, [countdown_prompt(n) for n in range(40)])
    data = explored(run)
    assert num_bytes(data) <= MOST_BYTES
    assert len(page(data)) <= 10_000_000
    assert data["caps"]["texts"] == 8
    assert data["counts"][0] == [[12] * 40, [4] * 40]

    different = [[(f"{place} {text}", right) for text, right in said] for place in range(40)]
    longer = explored(record_texts(tmp_path, {WARM: different}, [countdown_prompt(n) for n in range(40)]))
    assert 9_000_000 < num_bytes(longer) <= MOST_BYTES
    assert longer["caps"]["num_cut"] == 320
    assert f"320 of 320 texts are cut in the middle to {longer['caps']['chars']:,} characters" in longer["left_out"][-1]


def test_so_many_prompts_that_texts_would_be_scraps_leave_fewer_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labkit.report.explorer.data.MOST_BYTES", 60_000)
    said = [(f"{number} " + "word " * 400, number == 5) for number in range(8)]
    different = [[(f"{place} {text}", right) for text, right in said] for place in range(30)]
    data = explored(record_texts(tmp_path, {WARM: different}, [countdown_prompt(n) for n in range(30)]))
    assert (data["caps"]["texts"], num_bytes(data) <= 60_000) == (2, True)
    assert [right for _, right, _ in kept(data, 0, 0)] == [1, 0]
    assert data["counts"] == [[[8] * 30, [1] * 30]]


def test_of_too_many_prompts_the_first_are_listed_and_all_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labkit.report.explorer.data.MOST_PROMPTS", 3)
    run = record_texts(
        tmp_path, {WARM: [[("a", number > 2)] for number in range(5)]}, [countdown_prompt(n) for n in range(5)]
    )
    data = explored(run)
    assert [line[0] for line in data["prompts"]] == [countdown_prompt(n)["id"] for n in range(3)]
    assert (data["arms"][0]["solved"], data["arms"][0]["num_prompts"], data["counts"]) == (2, 5, [[[1] * 3, [0] * 3]])
    assert "the first 3 of 5 prompts" in data["left_out"][0]


def test_the_same_runs_give_the_same_bytes_compacted_or_not(tmp_path: Path) -> None:
    said = [("same", False), ("other", True), ("same", False), ("third", False)]
    runs = [
        record_texts(tmp_path, {WARM: [said] * 3}, [countdown_prompt(n) for n in range(3)]),
        record_texts(tmp_path, {NOISY: [said[::-1]] * 3}, [countdown_prompt(n) for n in range(3)], model="other"),
    ]
    written = []
    for name in ("one.html", "two.html"):
        save_explorer(runs, tmp_path / name)
        written.append((tmp_path / name).read_bytes())
    compact(runs[0])
    save_explorer(runs, tmp_path / "packed.html")
    assert written[0] == written[1] == (tmp_path / "packed.html").read_bytes()


def test_a_rollout_that_stands_in_two_runs_counts_once(tmp_path: Path) -> None:
    said = [("a", True), ("b", False)]
    runs = [record_texts(tmp_path, {WARM: [said]}, [countdown_prompt(0)]) for _ in range(2)]
    other = record_texts(tmp_path, {WARM: [said]}, [countdown_prompt(0)], seed=7)
    assert explored(*runs)["counts"] == [[[2], [1]]]
    together = explored(*runs, other)
    assert together["counts"] == [[[4], [2]]]
    assert kept(together, 0, 0) == [("a", 1, 2), ("b", 0, 2)]


def test_groups_are_named_by_the_model_and_by_what_else_differs(tmp_path: Path) -> None:
    def run(model: str, **base: Any) -> Run:
        whole = {"model": model, "task": "countdown", **base}
        return record_texts(tmp_path, {WARM: [[("a", True)]]}, [countdown_prompt(0)], model=model, base=whole)

    assert group_names([run("m"), run("m"), run("n")]) == ["m", "m", "n"]
    assert group_names([run("m", dtype="float32"), run("m", dtype="float16")]) == [
        "m (dtype float32)",
        "m (dtype float16)",
    ]
    runs = [run("m", data="one"), run("m", data="two")]
    assert group_names(runs) == [f"m ({each.id})" for each in runs]
    assert group_names([run("/home/someone/models/m")]) == ["m"]
    two = explored(run("m"), run("n"))
    assert [(arm["group"], arm["key"]) for arm in two["arms"]] == [(0, WARM.key), (1, WARM.key)]


def test_different_prompts_are_refused_unless_intersected(tmp_path: Path) -> None:
    def run(numbers: range, model: str) -> Run:
        prompts = [countdown_prompt(number) for number in numbers]
        return record_texts(tmp_path, {WARM: [[("a", number == 2)] for number in numbers]}, prompts, model=model)

    runs = [run(range(4), "m"), run(range(2, 5), "n")]
    with pytest.raises(RecordError, match=r"asked different prompts .* 4, .* 3.*; they share 2") as refused:
        explored(*runs)
    assert "--intersect shows the 2" in refused.value.hint
    data = explored(*runs, intersect=True)
    assert [line[0] for line in data["prompts"]] == [countdown_prompt(n)["id"] for n in (2, 3)]
    assert [arm["solved"] for arm in data["arms"]] == [1, 1]
    assert f"fell out: 2 of {runs[0].id}, 1 of {runs[1].id}" in data["notes"][0]
    with pytest.raises(RecordError, match="share no prompt"):
        explored(run(range(2), "m"), run(range(5, 7), "n"), intersect=True)


def test_runs_that_cannot_stand_together_are_refused(tmp_path: Path) -> None:
    countdown = record_texts(tmp_path, {WARM: [[("a", True)]]}, [countdown_prompt(0)])
    words = record_texts(tmp_path, {WARM: [[("a", True)]]}, [countdown_prompt(0)], task="gsm8k")
    with pytest.raises(RecordError, match=r"of the task countdown and .* of gsm8k"):
        explored(countdown, words)
    with pytest.raises(RecordError, match="labkit train, has no rollouts"):
        explored(record_run(tmp_path, {}, command="train"))
    with pytest.raises(RecordError, match="no rollout with a verdict"):
        explored(record_texts(tmp_path, {WARM: [[("a", None)]]}, [countdown_prompt(0)], done=False))


@pytest.mark.parametrize(
    ("name", "match"), [("x.svg", "explorer cannot be written"), ("no/x.html", "no folder"), ("d.html", "is a folder")]
)
def test_a_path_that_cannot_be_written_is_refused_first(tmp_path: Path, name: str, match: str) -> None:
    (tmp_path / "d.html").mkdir()
    with pytest.raises(ConfigError, match=match):
        save_explorer([], tmp_path / name)


def test_a_run_that_is_not_finished_is_marked(tmp_path: Path) -> None:
    prompts = [countdown_prompt(number) for number in range(2)]
    run = record_texts(
        tmp_path, {GREEDY: [[("a", True)], []], WARM: [[("b", False), ("c", None)], []]}, prompts, done=False
    )
    data = explored(run)
    facts = data["runs"][0]
    assert (facts["status"], facts["num_rollouts"], facts["num_asked"]) == ("interrupted", 3, 6)
    assert data["counts"] == [[[1, 0], [1, 0]], [[1, 0], [0, 0]]]
    assert any("was interrupted: 3 of 6 rollouts" in note for note in data["notes"])
    assert kept(data, 0, 1) == [("b", 0, 1), ("c", None, 1)]


@pytest.mark.parametrize("nothing", ["", None])
def test_a_run_without_texts_has_its_counts(tmp_path: Path, nothing: str | None) -> None:
    said = [(nothing, True), (nothing, False), (nothing, False)]
    run = record_texts(tmp_path, {WARM: [said]}, [countdown_prompt(0)])
    data = explored(run)
    assert data["counts"] == [[[3], [1]]]
    assert f"{run.id} recorded no texts" in data["notes"]
    assert kept(data, 0, 0) == [(None, 1, 1), (None, 0, 2)]


def test_a_prompt_without_its_question_is_shown_by_its_id(tmp_path: Path) -> None:
    data = explored(record_run(tmp_path, {WARM: ["+-", "e-"]}))
    assert data["prompts"] == [["p0", "p0", "", [], []], ["p1", "p1", "", [], []]]
    assert data["counts"] == [[[2, 2], [1, 0]]]
    assert "engine fell over" in data["words"]


def test_pairs_of_arms_have_the_exact_test(tmp_path: Path) -> None:
    outcomes = {GREEDY: ["-"] * 6 + ["+"] * 2, WARM: ["+-"] * 6 + ["--"] * 2}
    data = explored(record_run(tmp_path, outcomes))
    assert data["pairs"] == [[0, 1, 0.2891, 2, 6, 1]]  # 2 (1 + 8 + 28) / 2**8


def test_two_arms_are_tested_at_equal_rollouts(tmp_path: Path) -> None:
    a, b = ["+---", "-+--", "---+", "--++", "----"], ["-+", "--", "--", "--", "+-"]
    runs = [record_run(tmp_path, {WARM: a}), record_run(tmp_path, {NOISY: b}, command="perturb")]
    overlap = comparison_tables(runs[:1], runs[1:], kinds=["overlap"])[0]
    (pair,) = explored(*runs)["pairs"]
    row = overlap.rows[0]
    assert pair == [0, 1, row["p"], row["only_a"], row["only_b"], 2] == [0, 1, 1.0, 1, 1, 2]


def test_the_test_of_two_arms_is_over_prompts_that_are_not_listed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labkit.report.explorer.data.MOST_PROMPTS", 3)
    outcomes = {GREEDY: ["-"] * 6 + ["+"] * 2, WARM: ["+-"] * 6 + ["--"] * 2}
    data = explored(record_run(tmp_path, outcomes))
    assert data["counts"] == [[[1] * 3, [0] * 3], [[2] * 3, [1] * 3]]
    assert data["pairs"] == [[0, 1, 0.2891, 2, 6, 1]]
    assert "the test of two arms are over all" in data["left_out"][0]


def test_so_many_cells_that_none_has_room_for_a_text_list_fewer_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labkit.report.explorer.data.MOST_BYTES", 60_000)
    arms = [Arm("temperature", (number + 1) / 10) for number in range(20)]
    texts = {arm: [[(f"{arm.key} {place} ".ljust(290, "x"), place == 5)] for place in range(30)] for arm in arms}
    data = explored(record_texts(tmp_path, texts, [countdown_prompt(number) for number in range(30)]))
    num_listed = len(data["prompts"])
    assert num_bytes(data) <= 60_000
    assert 1 < num_listed < 30
    assert {len(data["kept"]), *(len(part) for arm in data["counts"] for part in arm)} == {num_listed}
    assert data["caps"]["chars"] >= 100
    assert data["num_kept"] == data["num_distinct"] == 20 * num_listed
    assert f"the first {num_listed} of 30 prompts are listed" in data["left_out"][0]
    assert [arm["num_prompts"] for arm in data["arms"]] == [30] * 20


def test_a_page_that_cannot_hold_one_prompt_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labkit.report.explorer.data.MOST_BYTES", 2_000)
    run = record_texts(tmp_path, {WARM: [[("x" * 500, True)]]}, [countdown_prompt(0)])
    with pytest.raises(RecordError, match=r"the page would be larger than 2,000 bytes"):
        explored(run)


def test_a_model_without_a_verdict_yet_is_named_beside_one_that_has_some(tmp_path: Path) -> None:
    ready = record_texts(tmp_path, {WARM: [[("a", True)]]}, [countdown_prompt(0)])
    started = record_texts(tmp_path, {WARM: [[("b", None)]]}, [countdown_prompt(0)], model="other", done=False)
    for runs in ((ready, started), (started, ready)):
        data = explored(*runs)
        assert (data["counts"], data["num_distinct"]) == ([[[1], [1]]], 1)
        assert data["arms"][0]["group"] == runs.index(ready)
        assert f"other: {WARM.key} has no rollouts with a verdict yet" in data["notes"]


def test_texts_of_prompts_that_are_not_asked_for_are_not_read(tmp_path: Path) -> None:
    run = record_texts(tmp_path, {WARM: [[("a", True)], [("b", True)]]}, [countdown_prompt(n) for n in range(2)])
    (group,) = read_explored([run]).groups
    assert group.rollouts([countdown_prompt(1)["id"]])["text"].to_list() == ["b"]


@pytest.mark.parametrize(
    ("task", "line", "headline", "reference"),
    [
        ("countdown", countdown_prompt(0) | {"source": {"solution": "19 + 35 + 44"}}, "44 19 35 → 98", "19 + 35 + 44"),
        ("countdown", countdown_prompt(0, (1, 1, 1), 9), "1 1 1 → 9", "there is none"),
        ("countdown", countdown_prompt(0, (1, 2, 3, 4, 5), 9), "1 2 3 4 5 → 9", "unknown"),
        ("gsm8k", {"messages": [{"role": "user", "content": "How\nmany?"}], "gold": {"answer": "7"}}, "How many?", "7"),
        ("world", {"messages": [{"role": "user", "content": "dist(c_1,c_2)="}], "gold": {"task": "distance", "truth": "12"},
                   "source": {"evaluations": {"distance": [3]}}}, "dist(c_1,c_2)=", "12"),
        ("jsonl", {"messages": [{"role": "user", "content": "Say it"}], "gold": {"answers": ["a", "b"]}}, "Say it", "a | b"),
        ("python", {"messages": [{"role": "user", "content": "x" * 500}], "gold": {"answer": 4}}, "x" * 159 + "…", "4"),
        ("python", {"id": "p7", "gold": 3, "source": None, "messages": "broken"}, "p7", ""),
    ],
)  # fmt: skip
def test_prompts_are_described_by_their_task(task: str, line: dict[str, Any], headline: str, reference: str) -> None:
    said = Describer(task).describe(line)
    assert (said.headline, said.reference) == (headline, reference)


def test_a_countdown_solution_that_is_not_recorded_or_does_not_hold_is_searched_for() -> None:
    for stated in (None, "44 + 19 - 35", "no expression"):
        found = Describer("countdown").describe(countdown_prompt(0) | {"source": {"solution": stated}}).reference
        assert score(f"<answer>{found}</answer>", [44, 19, 35], "98").correct
    long = countdown_prompt(0, (1, 2, 3, 4, 5), 9) | {"source": {"solution": "9"}}
    assert Describer("countdown").describe(long).reference == "9 (as recorded; it does not hold)"


def test_a_goodhart_item_says_what_is_expected_where_it_is_that_item() -> None:
    describer = Describer("goodhart")
    asked = [prompt.as_json() for prompt in GoodhartTask().prompts(preset=None, offset=0, num_prompts=1)]
    explain, answer = (describer.describe(line) for line in asked)
    assert (answer.headline, answer.reference) == ("discount_coupon · answer", "15")
    assert explain.reference.startswith("First multiply the marked price")
    changed = asked[1] | {"messages": [{"role": "user", "content": "Another question under this id"}]}
    assert describer.describe(changed).reference == ""
    gone = Describer("goodhart", Path("no-such-items.yaml"))
    assert "no-such-items.yaml" in gone.notes[0]
