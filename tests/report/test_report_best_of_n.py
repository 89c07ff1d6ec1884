"""What a report says of choosing among candidates, from runs on disk to sentences."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from recorded_runs import WARM, record_run
from solved_runs import rank, solved_run

from labkit.errors import ConfigError
from labkit.report.overview import report
from labkit.report.table import Table
from labkit.stats import holm

N = 5


def texts(num_prompts: int, rate: float, seed: int = 0, num_candidates: int = N) -> list[list[str | None]]:
    """Solutions that are right at a rate that differs from problem to problem."""
    draw = random.Random(seed)
    rates = [min(1.0, max(0.0, rate + draw.uniform(-0.4, 0.4))) for _ in range(num_prompts)]
    return [
        [f"#### {number if draw.random() < chance else draw.choice([1001, 1002, 1003])}" for _ in range(num_candidates)]
        for number, chance in enumerate(rates)
    ]


def table(run_or_runs: Any, runs_dir: Path, ks: tuple[int, ...] = ()) -> Table:
    names = [str(run.path) for run in (run_or_runs if isinstance(run_or_runs, list) else [run_or_runs])]
    (found,) = report(names, runs_dir, kinds=["best_of_n"], ks=ks).tables
    return found


def row(found: Table, reranker: str, k: int = N) -> Any:
    (only,) = [each for each in found.rows if (each["reranker"], each["k"]) == (reranker, k)]
    return only


def note(found: Table, reranker: str) -> str:
    """What is said of one reranker, against both bases."""
    said = [text for text in found.notes if text.startswith(f"{reranker} (k = ")]
    assert all(len(text) <= 160 for text in said)  # two lines of a terminal
    return "; ".join(said)


def test_a_constant_reranker_is_chance_and_a_perfect_one_is_pass_at_k_exactly(tmp_path: Path) -> None:
    run = solved_run(tmp_path, texts(90, 0.4))
    rank(run, "constant", lambda _: 0.3)
    rank(run, "perfect", lambda each: -float(each["correct"]))
    pass_at_k, found, _ = report([str(run.path)], tmp_path).tables
    mean = row(found, "random")["accuracy"]
    assert mean == pytest.approx(pass_at_k.rows[0]["pass@1"])
    for k in (1, 2, 4, 5):
        assert row(found, "constant", k)["accuracy"] == mean
        assert row(found, "perfect", k)["accuracy"] == row(found, "oracle", k)["accuracy"]
        if k < N:
            assert row(found, "oracle", k)["accuracy"] == pass_at_k.rows[0][f"pass@{k}"]
    assert (row(found, "constant")["vs_random"], row(found, "constant")["vs_random_p"]) == (0.0, 1.0)
    assert row(found, "constant")["vs_random_low"] is None  # every problem agrees, which says nothing of others
    assert "does as chance on every one of 90 prompts" in note(found, "constant")
    assert "p < 1e-11 by Holm (permuted verdicts)" in note(found, "perfect")
    assert (row(found, "perfect")["efficiency"], row(found, "perfect")["auc"]) == (1.0, 1.0)
    assert row(found, "constant")["auc"] == 0.5


def test_a_reranker_that_is_worse_than_chance_is_said_to_be(tmp_path: Path) -> None:
    run, draw = solved_run(tmp_path, texts(120, 0.5)), random.Random(1)
    rank(run, "misled", lambda each: each["correct"] + draw.gauss(0, 1))
    rank(run, "good", lambda each: -each["correct"] + draw.gauss(0, 1))
    rank(run, "blind", lambda _: draw.random())
    found = table(run, tmp_path)
    assert "worse than chance: " in note(found, "misled") and "worse than majority: " in note(found, "misled")
    assert "better than chance: " in note(found, "good")
    assert f"p = {row(found, 'blind')['vs_random_p_holm']:.3g} by Holm (permuted verdicts)" in note(found, "blind")
    assert "no better than chance, as far as 120 prompts show: " in note(found, "blind")
    assert "better than chance: " in note(found, "majority") and "than majority" not in note(found, "majority")
    misled, blind = row(found, "misled"), row(found, "blind")
    assert misled["vs_random_high"] < 0 and misled["auc_high"] < 0.5 and misled["efficiency"] < 0
    assert blind["vs_random_low"] < 0 < blind["vs_random_high"]


def test_holm_is_over_every_test_of_the_table(tmp_path: Path) -> None:
    run, draw = solved_run(tmp_path, texts(50, 0.5)), random.Random(2)
    for name in ("a", "b"):
        rank(run, name, lambda _: draw.random())
    found = table(run, tmp_path)
    tested = [
        (each, base) for base in ("random", "majority") for each in found.rows if each[f"vs_{base}_p"] is not None
    ]
    assert [(each["reranker"], base) for each, base in tested] == [
        ("first", "random"), ("majority", "random"), ("a", "random"), ("b", "random"),
        ("first", "majority"), ("a", "majority"), ("b", "majority"),
    ]  # fmt: skip
    assert {each["k"] for each, _ in tested} == {N}
    adjusted = holm([float(each[f"vs_{base}_p"]) for each, base in tested])  # type: ignore[arg-type]
    assert [each[f"vs_{base}_p_holm"] for each, base in tested] == adjusted.tolist()
    assert any("p_holm: over the 7 comparisons" in text for text in found.notes)


def test_the_first_candidate_is_compared_like_any_other_choice(tmp_path: Path) -> None:
    """Which candidate came first says nothing, unless it does: here the first is always right, and then no better."""
    lucky = [[f"#### {number}", "#### 99", "#### 98"] for number in range(20)]
    found = table(solved_run(tmp_path / "lucky", lucky), tmp_path / "lucky")
    # One of three is right in each of 20 problems: a blind choice is right in all with probability 3^-20.
    assert row(found, "first", 3)["vs_random_p"] == pytest.approx(3.0**-20, rel=0.01)
    assert "better than chance: +0.667" in note(found, "first") and row(found, "first", 3)["auc"] is None
    alarms = 0
    for number in range(20):
        folder, draw = tmp_path / str(number), random.Random(number)
        given: list[list[str | None]] = [
            [f"#### {prompt if draw.random() < 0.2 else 77}" for _ in range(8)] for prompt in range(20)
        ]
        alarms += row(table(solved_run(folder, given), folder), "first", 8)["vs_random_p"] <= 0.05
    assert alarms <= 4


def test_every_rate_has_its_interval_and_first_is_the_first(tmp_path: Path) -> None:
    given = texts(30, 0.5)
    logprobs = [[-float(index) for index in range(N)] for _ in given]
    found = table(solved_run(tmp_path, given, logprobs=logprobs), tmp_path)
    firsts = [candidates[0] == f"#### {number}" for number, candidates in enumerate(given)]
    assert row(found, "first")["accuracy"] == pytest.approx(sum(firsts) / 30)
    assert row(found, "likelihood")["accuracy"] == row(found, "first")["accuracy"]  # the same candidate, here
    for each in found.rows:
        for rate in ("accuracy", "efficiency", "auc", "vs_random", "vs_majority"):
            if each[rate] is not None:
                assert each[f"{rate}_low"] <= each[rate] <= each[f"{rate}_high"]  # type: ignore[operator]
        assert (each["num_prompts"], each["num_rollouts"]) == (30, N)


def test_what_is_not_there_is_left_out_and_said(tmp_path: Path) -> None:
    run = solved_run(tmp_path, texts(10, 0.5))
    rank(run, "mute", lambda _: None)
    found = table(run, tmp_path)
    assert {"likelihood", "mute"}.isdisjoint(each["reranker"] for each in found.rows)
    assert "likelihood is left out: 50 of 50 candidates have no log-probability (generation.logprobs)" in found.notes
    assert "mute is left out: it has no score for any candidate" in found.notes


def test_a_failed_candidate_and_one_without_a_score_come_last(tmp_path: Path) -> None:
    run = solved_run(tmp_path, [[None, "#### 0", "#### 9"], ["#### 9", "#### 1", None]])
    rank(run, "energy", lambda each: {"#### 0": 5.0, "#### 1": 5.0}.get(each["text"]), trained_on=1)
    found = table(run, tmp_path)
    assert row(found, "energy", 3)["accuracy"] == 1.0
    assert "energy has no score for 2 of 6 candidates, which come after those with one" in found.notes
    assert "energy was trained on 1 of these questions: how it does here says nothing of new ones" in found.notes


def test_a_k_above_the_candidates_is_refused(tmp_path: Path) -> None:
    run = solved_run(tmp_path, texts(3, 0.5))
    for kinds in ([], ["best_of_n"]):
        with pytest.raises(ConfigError, match="k is 8, but no arm has more than 5 rollouts a prompt"):
            report([str(run.path)], tmp_path, kinds=kinds, ks=[8])
    assert {each["k"] for each in table(run, tmp_path, ks=(3,)).rows} == {3}


def test_prompts_with_fewer_candidates_bound_k(tmp_path: Path) -> None:
    given = texts(12, 0.5)
    given[3] = given[3][:3]
    found = table(solved_run(tmp_path, given), tmp_path)
    assert {each["k"] for each in found.rows} == {1, 2, 3}
    shares = [candidates.count(f"#### {number}") / len(candidates) for number, candidates in enumerate(given)]
    assert row(found, "random", 3)["accuracy"] == pytest.approx(sum(shares) / 12)
    assert any("prompts have 3 to 5 rollouts; k goes up to the fewest" in text for text in found.notes)


def test_merged_runs_choose_among_the_candidates_of_all(tmp_path: Path) -> None:
    runs = [solved_run(tmp_path, texts(20, 0.5, seed), seed=seed, slug=f"s{seed}") for seed in (1, 2)]
    for run in runs:
        rank(run, "both", lambda each: -float(each["correct"]))
        rank(run, "other", lambda each: float(each["index"]), ranking_hash=run.id[-6:] * 2)
    rank(runs[0], "one", lambda _: 1.0)
    found = table(runs, tmp_path)
    assert {each["run"] for each in found.rows} == {"2 runs"}
    assert row(found, "both", 10)["accuracy"] == row(found, "oracle", 10)["accuracy"]
    for name in ("one", "other"):
        assert f"{name} is left out: it is not one and the same ranking in every run" in found.notes


def test_a_ranking_that_lacks_candidates_of_a_grown_run_is_left_out(tmp_path: Path) -> None:
    run = solved_run(tmp_path, texts(40, 0.5, num_candidates=6))
    rank(run, "perfect", lambda each: -float(each["correct"]))
    (path,) = (run.path / "rankings").glob("*.jsonl")
    whole = path.read_bytes()
    path.write_bytes(b"".join(line for line in whole.splitlines(keepends=True) if b'"index":5' not in line))
    found = table(run, tmp_path)
    assert "perfect" not in {each["reranker"] for each in found.rows}
    assert "perfect is left out: 40 candidates have no score yet; labkit eval --rerank RUN" in found.notes
    assert not [each for each in found.rows if (each["vs_random_p_holm"] or 1) < 1e-6]
    path.write_bytes(whole)
    assert row(table(run, tmp_path), "perfect", 6)["accuracy"] == row(found, "oracle", 6)["accuracy"]


def test_a_ranking_may_be_called_like_a_reranker(tmp_path: Path) -> None:
    run = solved_run(tmp_path, texts(10, 0.5))
    rank(run, "random", lambda each: -float(each["correct"]))
    found = table(run, tmp_path)
    assert (
        row(found, "random (ranking)")["accuracy"]
        == row(found, "oracle")["accuracy"]
        != row(found, "random")["accuracy"]
    )


def test_other_tasks_have_the_table_only_where_it_is_asked_for(tmp_path: Path) -> None:
    run = record_run(tmp_path, {WARM: ["++-", "---", "+-e"]})
    assert [each.kind for each in report([str(run.path)], tmp_path).tables] == ["pass_at_k"]
    assert [each.kind for each in report([], tmp_path).tables] == ["pass_at_k"]
    found = table(run, tmp_path)
    assert [each["reranker"] for each in found.rows] == [*["random"] * 3, "first", *["oracle"] * 3]
    assert "majority is left out: some candidates are right without an answer" in found.notes


def test_a_single_candidate_or_prompt_is_no_error(tmp_path: Path) -> None:
    alone = solved_run(tmp_path, texts(4, 0.5, num_candidates=1), slug="alone")
    assert [each.kind for each in report([str(alone.path)], tmp_path).tables] == ["pass_at_k", "gsm8k_rules"]
    found = table(solved_run(tmp_path, texts(1, 0.5)), tmp_path)
    assert any("a single prompt has no interval over prompts" in text for text in found.notes)
    assert all(each["vs_random_p"] is None for each in found.rows)


def test_failures_are_no_merit_of_a_score(tmp_path: Path) -> None:
    draw = random.Random(3)
    given = [[None if draw.random() < 0.1 else each for each in prompt] for prompt in texts(300, 0.5)]
    run = solved_run(tmp_path, given)
    rank(run, "constant", lambda _: 0.3)
    rank(run, "blind", lambda _: draw.random())
    rank(run, "perfect", lambda each: -float(each["correct"]))
    found = table(run, tmp_path)
    for k in (1, 2, 4, 5):
        assert row(found, "constant", k)["accuracy"] == row(found, "random", k)["accuracy"]
        assert row(found, "perfect", k)["accuracy"] == row(found, "oracle", k)["accuracy"]
    constant, blind = row(found, "constant"), row(found, "blind")
    assert (constant["vs_random"], constant["vs_random_p"], constant["auc"], constant["efficiency"]) == (0, 1, 0.5, 0)
    assert blind["vs_random_p"] > 0.05 and blind["auc_low"] < 0.5 < blind["auc_high"]
    failed = sum(prompt.count(None) for prompt in given)
    mean = sum(each.count(f"#### {number}") / N for number, each in enumerate(given)) / 300
    (said,) = [text for text in found.notes if "candidates failed" in text]
    assert said.startswith(f"{failed} of 1500 candidates failed") and f"as wrong answers is {mean:.3f}" in said
    assert row(found, "random", 1)["accuracy"] == pytest.approx(mean)


def test_a_blind_score_is_rarely_taken_for_a_good_one(tmp_path: Path) -> None:
    """20 prompts of 16 candidates, one in ten right: where sign flips are wrong in one run of eight."""
    draw, alarms = random.Random(4), 0
    for number in range(40):
        given: list[list[str | None]] = [
            [f"{index}: #### {prompt if draw.random() < 0.1 else 77}" for index in range(16)] for prompt in range(20)
        ]
        run = solved_run(tmp_path / str(number), given)
        rank(run, "blind", lambda _: draw.random())
        alarms += row(table(run, tmp_path / str(number)), "blind", 16)["vs_random_p"] <= 0.05
    assert alarms <= 5


def test_a_score_of_texts_alone_is_compared_with_chance_among_texts(tmp_path: Path) -> None:
    """Nine wrong copies of one text and one right text: to choose a text blindly is right in one half."""
    given: list[list[str | None]] = [[*["#### 1001"] * 9, f"#### {number}"] for number in range(60)]
    draw, run = random.Random(5), solved_run(tmp_path, given)
    scores: dict[tuple[str, str], float] = {}
    rank(run, "of texts", lambda each: scores.setdefault((each["prompt"], each["text"]), draw.random()))
    found = table(run, tmp_path)
    assert row(found, "of texts", 10)["vs_random"] > 0.25 and row(found, "of texts", 10)["vs_random_p"] > 0.05
    assert "no better than chance" in note(found, "of texts")
    assert any("480 of 600 texts repeat another one" in text and "is right in 0.500" in text for text in found.notes)


def test_prompts_that_all_agree_have_no_interval(tmp_path: Path) -> None:
    run = solved_run(tmp_path, [[f"#### {number}", "#### 99"] for number in range(4)])
    rank(run, "perfect", lambda each: -float(each["correct"]))
    found = table(run, tmp_path)
    assert row(found, "perfect", 2)["vs_random_low"] is None
    assert "no better than chance, as far as 4 prompts show: +0.500, p = " in note(found, "perfect")


def test_a_prompt_with_one_candidate_does_not_hide_the_others(tmp_path: Path) -> None:
    given = texts(12, 0.5)
    given[3] = given[3][:1]
    found = table(solved_run(tmp_path, given), tmp_path)
    assert {(each["num_prompts"], each["num_rollouts"]) for each in found.rows} == {(11, N)}
    assert any("1 of 12 prompts have fewer than 2 scored candidates and are left out" in text for text in found.notes)
