"""Every way of choosing, against all draws written out."""

from __future__ import annotations

from itertools import combinations
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.rerank.candidate_arrays import Candidates
from labkit.rerank.selection import FIRST, LIKELIHOOD, MAJORITY, ORACLE, RANDOM, Selector, ranked

ENERGY = ranked("energy", "energy")
NAN = float("nan")


def candidates(prompts: list[list[dict[str, Any]]]) -> Candidates:
    every = [each for prompt in prompts for each in prompt]
    return Candidates(
        counts=np.array([len(prompt) for prompt in prompts]),
        correct=np.array([each["answer"] == "right" for each in every], dtype=bool),
        answers=[each["answer"] for each in every],
        failed=np.array([each["failed"] for each in every], dtype=bool),
        likelihood=np.array([each["likelihood"] for each in every], dtype=float),
        scores={"energy": np.array([each["energy"] for each in every], dtype=float)},
    )


def answered(answer: str | None, likelihood: float = 0.0, energy: float = 0.0, failed: bool = False) -> dict[str, Any]:
    return {"answer": answer, "likelihood": likelihood, "energy": energy, "failed": failed}


ANSWERS = st.sampled_from(["right", "right", "a", "b", None])
VALUES = st.sampled_from([-2.0, -1.0, -0.5])
FAILED = st.just(answered(None, NAN, NAN, failed=True))
CANDIDATE = st.builds(answered, ANSWERS, VALUES, VALUES | st.just(NAN)) | FAILED
PROMPTS = st.lists(st.lists(CANDIDATE, min_size=1, max_size=8), min_size=1, max_size=4)


def chosen(drawn: tuple[dict[str, Any], ...], reranker: Selector, prompt: list[dict[str, Any]]) -> float:
    """Expected accuracy of a choice among the candidates that were drawn."""
    with_text = [each for each in drawn if not each["failed"]]
    if reranker is RANDOM:
        return fmean(each["answer"] == "right" for each in with_text or drawn)
    if reranker is FIRST:
        return float(next((each["answer"] == "right" for each in prompt if not each["failed"]), 0.0))
    if reranker is ORACLE:
        return float(any(each["answer"] == "right" for each in drawn))
    if reranker is MAJORITY:
        given = [each["answer"] for each in drawn if each["answer"] is not None]
        most = max(map(given.count, given), default=0)
        leaders = {answer for answer in given if given.count(answer) == most}
        return float("right" in leaders) / len(leaders) if leaders else 0.0

    def key(each: dict[str, Any]) -> float:
        value = -each["likelihood"] if reranker is LIKELIHOOD else each["energy"]
        return np.inf if each["failed"] or np.isnan(value) else value

    least = min(map(key, with_text or drawn))
    return fmean(each["answer"] == "right" for each in with_text or drawn if key(each) == least)


@pytest.mark.parametrize("reranker", [RANDOM, FIRST, MAJORITY, LIKELIHOOD, ENERGY, ORACLE], ids=lambda each: each.name)
@given(PROMPTS)
@settings(max_examples=60)
def test_a_choice_is_the_mean_over_all_draws(reranker: Selector, prompts: list[list[dict[str, Any]]]) -> None:
    ks = list(range(1, min(map(len, prompts)) + 1))
    found = reranker.choose(candidates(prompts), ks)
    assert found.shape == (len(prompts), len(ks))
    for prompt, values in zip(prompts, found, strict=True):
        for k, value in zip(ks, values, strict=True):
            expected = fmean(chosen(drawn, reranker, prompt) for drawn in combinations(prompt, k))
            assert value == pytest.approx(expected, abs=1e-12)


def test_a_failed_candidate_comes_last_whatever_is_said_of_it() -> None:
    prompts = [[answered("a", likelihood=-5.0, energy=9.0), answered("right", likelihood=NAN, energy=NAN, failed=True)]]
    for reranker in (LIKELIHOOD, ENERGY):
        assert reranker.why_not(candidates(prompts)) is None
        assert reranker.choose(candidates(prompts), [1, 2]).tolist() == [[0.5, 0.0]]


def test_who_cannot_choose_says_why() -> None:
    unknown = candidates([[answered("right", likelihood=NAN, energy=NAN), answered("a", energy=NAN)]])
    assert "1 of 2 candidates have no log-probability" in str(LIKELIHOOD.why_not(unknown))
    assert ENERGY.why_not(unknown) == "it has no score for any candidate"
    assert MAJORITY.why_not(unknown) is None
    silent = Candidates(
        np.array([2]), np.array([True, False]), [None, "a"], np.zeros(2, bool), np.zeros(2), {"energy": np.zeros(2)}
    )
    assert MAJORITY.why_not(silent) == "some candidates are right without an answer"
    torn = Candidates(np.array([2]), np.array([True, False]), ["a", "a"], np.zeros(2, bool), np.zeros(2))
    assert "'a' is right for one candidate and wrong for another" in str(MAJORITY.why_not(torn))
    many = candidates([[answered("right"), *[answered("a")] * 1000]])
    assert MAJORITY.why_not(many) == "votes are counted exactly for at most 1000 candidates a prompt"
    apart = Candidates(np.array([1, 1]), np.array([True, False]), ["a", "a"], np.zeros(2, bool), np.zeros(2))
    assert MAJORITY.why_not(apart) is None


def test_the_area_of_prompts_with_different_numbers_of_candidates() -> None:
    prompts = [
        [answered("right", energy=1.0), answered("a", energy=2.0)],
        [answered("right", energy=3.0), answered("a", energy=1.0), answered("b", energy=3.0)],
        [answered("a"), answered("b")],
    ]
    values = ENERGY.auc(candidates(prompts))
    assert values is not None and values[:2].tolist() == [1.0, 0.25] and np.isnan(values[2])
    assert MAJORITY.auc(candidates(prompts)) is None
