"""Batches partition what was asked, at places that do not depend on what is done."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.record.identity import Arm
from labkit.record.run import Ask
from labkit.rollouts.plan import Done, TokenLimit, batches, mark_done, nothing_done, num_owed, owed_batches

ARMS = st.sampled_from(
    [Arm("greedy"), *(Arm("temperature", value) for value in (0.5, 1.0)), *(Arm("perturbation", s) for s in (0.0, 0.1))]
)


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    arms = draw(st.lists(ARMS, unique=True, max_size=4))
    counts = [1 if arm.method == "greedy" else draw(st.integers(1, 9)) for arm in arms]
    return Ask(draw(st.integers(1, 12)), tuple(zip(arms, counts, strict=True)))


@st.composite
def half_done(draw: st.DrawFn) -> tuple[Ask, Done]:
    ask = draw(asks())
    done = nothing_done(ask)
    for there in done.values():
        flags = draw(st.lists(st.booleans(), min_size=there.size, max_size=there.size))
        there[...] = np.array(flags).reshape(there.shape)
    return ask, done


@given(asks(), st.integers(1, 40))
def test_every_rollout_lies_in_exactly_one_batch(ask: Ask, batch_size: int) -> None:
    cells = [(batch.arm.key, *cell) for batch in batches(ask, batch_size) for cell in batch.cells]
    wanted = {
        (arm.key, prompt, index)
        for arm, count in ask.arms
        for prompt in range(ask.num_prompts)
        for index in range(count)
    }
    assert len(cells) == len(wanted) == ask.num_rollouts
    assert set(cells) == wanted


@given(asks(), st.integers(1, 40))
def test_batches_keep_their_size_and_a_member_has_one_index(ask: Ask, batch_size: int) -> None:
    for batch in batches(ask, batch_size):
        assert 1 <= len(batch) == len(list(batch.cells)) <= batch_size
        assert batch.arm.method == "temperature" or len(batch.indices) == 1


@given(half_done(), st.integers(1, 40))
def test_owed_are_the_batches_of_which_anything_is_owed(given_done: tuple[Ask, Done], batch_size: int) -> None:
    ask, done = given_done
    owed = list(owed_batches(ask, batch_size, done))
    expected = [
        batch
        for batch in batches(ask, batch_size)
        if any(not done[batch.arm.key][prompt, index] for prompt, index in batch.cells)
    ]
    assert owed == expected


@given(half_done(), st.integers(1, 40))
def test_doing_what_is_owed_leaves_nothing(given_done: tuple[Ask, Done], batch_size: int) -> None:
    ask, done = given_done
    assert num_owed(done) == sum(int(there.size - there.sum()) for there in done.values())
    for batch in owed_batches(ask, batch_size, done):
        prompts, indices = zip(*batch.cells, strict=True)
        mark_done(done, batch.arm.key, prompts, indices)
    assert num_owed(done) == 0
    assert list(owed_batches(ask, batch_size, done)) == []


@given(asks(), st.integers(1, 40))
def test_more_rollouts_extend_the_grid_and_move_no_temperature_batch(ask: Ask, batch_size: int) -> None:
    grown = Ask(
        ask.num_prompts, tuple((arm, count if arm.method == "greedy" else count + 7) for arm, count in ask.arms)
    )
    firsts = {(batch.arm.key, batch.prompts.start, batch.indices.start) for batch in batches(grown, batch_size)}
    assert {(batch.arm.key, batch.prompts.start, batch.indices.start) for batch in batches(ask, batch_size)} <= firsts


@pytest.mark.parametrize(("prompt", "index"), [(-1, 0), (3, 0), (0, 2), (7, 7)])
def test_rollouts_outside_of_the_ask_do_not_count(prompt: int, index: int) -> None:
    ask = Ask(3, ((Arm("temperature", 1.0), 2),))
    done = nothing_done(ask)
    mark_done(done, "temperature=1", [prompt], [index])
    mark_done(done, "sigma=1", [0], [0])
    assert num_owed(done) == 6
    mark_done(done, "temperature=1", [2], [1])
    assert num_owed(done) == 5
    assert done["temperature=1"][2, 1]


@given(asks(), st.integers(1, 40), st.lists(st.integers(1, 30), min_size=12, max_size=12), st.integers(1, 200))
def test_batches_of_a_token_limit_hold_everything_and_keep_to_it(
    ask: Ask, batch_size: int, sizes: list[int], most: int
) -> None:
    cut = list(batches(ask, batch_size, TokenLimit(sizes, most)))
    assert sorted((batch.arm.key, *cell) for batch in cut for cell in batch.cells) == sorted(
        (batch.arm.key, *cell) for batch in batches(ask, batch_size) for cell in batch.cells
    )
    for batch in cut:
        assert len(batch) <= batch_size
        assert len(batch) == 1 or len(batch) * max(sizes[at] for at in batch.prompts) <= most
        assert batch.arm.method == "temperature" or len(batch.indices) == 1


@given(asks(), st.integers(1, 40))
def test_a_limit_that_nothing_reaches_moves_no_batch(ask: Ask, batch_size: int) -> None:
    assert list(batches(ask, batch_size, TokenLimit([3] * 12, 120))) == list(batches(ask, batch_size))


def test_a_prompt_above_the_limit_is_decoded_alone_and_the_others_are_not() -> None:
    ask = Ask(6, ((Arm("temperature", 1.0), 2), (Arm("greedy"), 1)))
    cut = list(batches(ask, 512, TokenLimit([5, 5, 900, 5, 5, 5], 100)))
    assert [batch.prompts for batch in cut[:3]] == [range(2), range(2, 3), range(3, 6)]
    assert [len(batch.indices) for batch in cut] == [1] * 9
    assert [len(batch) for batch in batches(Ask(2, ask.arms), 512, TokenLimit([5, 20], 80))] == [4, 2]
