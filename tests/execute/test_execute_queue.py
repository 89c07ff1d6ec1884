"""Which item comes next, for whom."""

from __future__ import annotations

import itertools
import random
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.config.base import Resolved
from labkit.config.commands import EvalConfig, TrainConfig
from labkit.config.data import DataConfig
from labkit.config.sections import ModelConfig
from labkit.config.training import ArchitectureConfig, CharacterTokenizerConfig
from labkit.execute.entries import MET
from labkit.execute.items import Item
from labkit.execute.lookup import Found
from labkit.execute.order import Order
from labkit.execute.queue import Queue


class Clock:
    """A clock that is set by hand, in seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def item(number: int, kind: str) -> Item:
    """An evaluation of a model, or a training or a data set where the kind says so."""
    config: Any = EvalConfig(seed=number, model=ModelConfig(id=f"builtin:{kind}"))
    if kind == "train":
        tokenizer = CharacterTokenizerConfig(name="characters")
        config = TrainConfig(seed=number, architecture=ArchitectureConfig(), tokenizer=tokenizer)
    elif kind.startswith("data"):
        config = DataConfig(seed=number, out=Path(kind))
    return Item(f"{number}.yaml", Resolved(config, {}), f"{number:016x}", Path("runs"))


def queue_of(
    *kinds: str, needs: dict[int, tuple[int, ...]] | None = None, found: dict[int, Found] | None = None, **missing: str
) -> tuple[Queue, Clock]:
    clock = Clock()
    positions = range(len(kinds))
    order = Order(
        tuple((needs or {}).get(position, ()) for position in positions),
        tuple((missing[f"m{position}"],) if f"m{position}" in missing else () for position in positions),
    )
    there = [(found or {}).get(position, Found("absent")) for position in positions]
    return Queue([item(position, kind) for position, kind in enumerate(kinds)], order, there, clock=clock), clock


def taken(queue: Queue, slot: int) -> int | None:
    entry = queue.take(slot)
    return None if entry is None else entry.position


def states(queue: Queue) -> list[str]:
    return [entry.state for entry in queue.entries]


def test_a_worker_stays_with_the_model_that_it_has_loaded() -> None:
    queue, _ = queue_of("a", "b", "a", "b", "b", "c")
    order = []
    while (position := taken(queue, 0)) is not None:
        order.append(position)
        queue.ended(position, "done")
    assert order == [1, 3, 4, 0, 2, 5]
    assert not queue.unfinished


def test_another_worker_takes_another_model() -> None:
    queue, _ = queue_of("a", "a", "a", "b", "b", "c")
    assert [taken(queue, slot) for slot in range(3)] == [0, 3, 5]
    queue.ended(5, "done")
    assert taken(queue, 2) is None  # nobody knows yet how long a or b take to load


def test_a_second_worker_helps_when_that_ends_sooner() -> None:
    queue, clock = queue_of(*["a"] * 6)
    assert (taken(queue, 0), taken(queue, 1)) == (0, None)
    clock.now = 10
    queue.loaded(0, 4.0, 10.0)  # six of the ten went into a new worker, and will again
    assert taken(queue, 1) is None and queue.openings(9) == []
    clock.now = 14  # 4 s of work already: five more would take 20 s alone, and half of that beside another
    assert taken(queue, 1) is None
    clock.now = 15
    assert [entry.position for entry in queue.openings(9)] == [1]
    assert taken(queue, 1) == 1
    queue.ended(0, "done")
    assert taken(queue, 0) == 2
    assert queue.entries[0].duration_s == 15 and queue.entries[0].load_s == 4


def test_a_worker_that_is_there_helps_sooner_than_a_new_one() -> None:
    queue, clock = queue_of(*["a"] * 4, "b")
    assert (taken(queue, 0), taken(queue, 1)) == (0, 4)
    clock.now = 10
    queue.loaded(0, 1.0, 10.0)
    queue.loaded(4, 1.0, 10.0)
    queue.ended(4, "done")
    clock.now = 11  # three more of at least a second each: half of that is worth a load, and no start
    assert queue.openings(9) == [] and taken(queue, 2) is None
    assert taken(queue, 1) == 1


def test_no_second_load_for_a_few_short_items() -> None:
    queue, clock = queue_of(*["a"] * 15)
    assert taken(queue, 0) == 0
    clock.now = 2.25
    queue.loaded(0, 2.0, 2.0)
    queue.ended(0, "done")
    for position in range(1, 15):
        assert taken(queue, 1) is None
        assert taken(queue, 0) == position
        clock.now += 0.25
        queue.ended(position, "done")


def test_a_dead_worker_frees_its_model() -> None:
    queue, _ = queue_of("a", "a", "b")
    assert (taken(queue, 0), taken(queue, 1), taken(queue, 2)) == (0, 2, None)
    queue.worker_gone(0)
    queue.again(0, "killed")
    assert taken(queue, 2) == 0
    assert queue.entries[0].attempts == 2


def test_what_others_wait_for_comes_first() -> None:
    queue, _ = queue_of("a", "train", "train", "b", needs={3: (2,)})
    assert taken(queue, 0) == 2
    assert taken(queue, 1) == 1
    assert taken(queue, 2) == 0
    assert taken(queue, 3) is None
    queue.ended(2, "done")
    assert taken(queue, 3) == 3


def test_two_builds_of_one_world_come_one_after_the_other() -> None:
    queue, _ = queue_of("data/w", "data/w", "data/v")
    assert (taken(queue, 0), taken(queue, 1), taken(queue, 2)) == (0, 2, None)
    queue.ended(0, "done")
    assert taken(queue, 2) == 1


def test_what_needs_a_failed_item_is_blocked_and_the_rest_goes_on() -> None:
    queue, _ = queue_of("train", "a", "a", "b", needs={1: (0,), 2: (1,)})
    assert taken(queue, 0) == 0
    queue.ended(0, "failed", message="no luck")
    assert states(queue) == ["failed", "blocked", "blocked", "ready"]
    assert queue.entries[1].message == "needs 0.yaml, which is failed"
    assert taken(queue, 0) == 3


def test_what_was_found_is_not_started() -> None:
    queue, _ = queue_of(
        "train", "a", "b", "b", "train", "c",
        needs={1: (0,), 2: (0,), 3: (2,), 5: (4,)},
        found={0: Found("running"), 2: Found("done", Path("runs/eval/r")), 4: Found("done")},
    )  # fmt: skip
    # What is done already stays so, and its own followers go on.
    assert states(queue) == ["running", "waiting", "skipped", "ready", "skipped", "ready"]
    assert queue.entries[2].run == Path("runs/eval/r")
    queue, _ = queue_of("a", m0="task.path: there is no x")
    assert states(queue) == ["blocked"] and queue.entries[0].message == "task.path: there is no x"


def test_what_another_process_works_on_is_looked_at_again() -> None:
    queue, _ = queue_of("train", "a", needs={1: (0,)}, found={0: Found("running")})
    assert queue.unfinished and taken(queue, 0) is None and queue.num_owed == 2
    (entry,) = queue.elsewhere()
    queue.look_again(entry.position)
    assert taken(queue, 0) == 0 and queue.elsewhere() == []
    queue.ended(0, "running")  # somebody else was faster
    assert [entry.position for entry in queue.elsewhere()] == [0] and states(queue) == ["running", "waiting"]
    queue.look_again(0)
    assert taken(queue, 0) == 0 and queue.entries[0].attempts == 1
    queue.ended(0, "skipped")
    assert taken(queue, 0) == 1
    queue.ended(1, "done")
    assert not queue.unfinished


def test_the_failure_of_a_long_chain_reaches_its_end() -> None:
    length = 3000
    queue, _ = queue_of(*["train"] * length, needs={at: (at - 1,) for at in range(1, length)})
    assert taken(queue, 0) == 0
    queue.ended(0, "failed")
    assert states(queue) == ["failed"] + ["blocked"] * (length - 1)
    assert queue.entries[-1].message == f"needs {length - 2}.yaml, which is blocked"


@pytest.mark.parametrize("kinds", [["train"] * 20_000, [f"m{number}" for number in range(20_000)]])
def test_an_item_costs_as_little_among_many(kinds: list[str]) -> None:
    queue, _ = queue_of(*kinds)
    began = time.process_time()
    for _ in range(200):
        position = taken(queue, 0)
        assert position is not None and len(queue.openings(2)) == 2
        queue.ended(position, "done")
    assert (time.process_time() - began) / 200 < 0.001


def test_draining_starts_nothing_new() -> None:
    queue, _ = queue_of("a", "a", "b")
    assert taken(queue, 0) == 0
    queue.draining = True
    assert taken(queue, 1) is None and queue.openings(3) == [] and queue.unfinished
    queue.ended(0, "failed")
    assert not queue.unfinished
    queue.close()
    assert states(queue) == ["failed", "not started", "not started"]


def test_an_interrupt_blocks_nobody() -> None:
    queue, _ = queue_of("train", "a", needs={1: (0,)})
    assert taken(queue, 0) == 0
    queue.draining = True
    queue.ended(0, "interrupted")
    queue.close()
    assert states(queue) == ["interrupted", "not started"]


KINDS = st.sampled_from(["a", "b", "c", "train", "data/w"])


@given(st.lists(st.tuples(KINDS, st.integers(0, 9), st.integers(0, 9)), max_size=25), st.integers(1, 4), st.integers())
def test_every_item_is_done_exactly_once_after_what_it_needs(
    work: list[tuple[str, int, int]], num_slots: int, seed: int
) -> None:
    chance = random.Random(seed)
    kinds = [kind for kind, _, _ in work]
    needs = {
        at: tuple({at - back for back in backs if 0 < back <= at}) for at, (_, *backs) in enumerate(work)
    }  # those so many places before it
    queue, clock = queue_of(*kinds, needs=needs)
    at_work: dict[int, int] = {}
    done: list[int] = []
    loaded: dict[int, str | None] = dict.fromkeys(range(num_slots))
    num_loads = 0
    while queue.unfinished:
        for slot in chance.sample(range(num_slots), num_slots):
            if slot not in at_work and (entry := queue.take(slot)) is not None:
                assert set(needs.get(entry.position, ())) <= set(done)
                model = entry.item.model
                if model is not None and model != loaded[slot]:
                    num_loads += 1
                    queue.loaded(entry.position, 1.0, 1.0)
                loaded[slot] = model
                at_work[slot] = entry.position
        assert at_work, "somebody waits for nothing"
        worlds = [
            queue.entries[position].item.config.out for position in at_work.values() if kinds[position] == "data/w"
        ]
        assert len(worlds) <= 1
        clock.now += chance.random() * 3
        slot, position = chance.choice(sorted(at_work.items()))
        del at_work[slot]
        if chance.random() < 0.2:
            loaded[slot] = None
            queue.worker_gone(slot)
            queue.again(position, "killed")
        else:
            queue.ended(position, "done")
            done.append(position)
    assert sorted(done) == list(range(len(kinds)))
    assert all(entry.state in MET for entry in queue.entries) and queue.num_owed == 0


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=60))
def test_one_worker_loads_each_model_once(kinds: list[str]) -> None:
    queue, _ = queue_of(*kinds)
    order = []
    while (position := taken(queue, 0)) is not None:
        order.append(kinds[position])
        queue.ended(position, "done")
    assert len(order) == len(kinds)
    assert 1 + sum(one != other for one, other in itertools.pairwise(order)) == len(set(kinds))
