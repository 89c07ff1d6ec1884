"""What the rows of a data set promise: whom they ask, how often, and what they keep from each other."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from labkit.config.world import TASK_NAMES, TaskName
from labkit.errors import InputError
from labkit.tasks.world.draws import Stream, permuted
from labkit.tasks.world.geometry import values
from labkit.tasks.world.questions import SampleSettings, is_labelled, num_questions, question_keys, row_sizes
from labkit.tasks.world.sampling import BLOCK_ROWS, Block, Population, Sampler

NUM_REAL, NUM_ATLANTIS = 600, 40
UNLIKELY = 1e-3


def cities(num_real: int = NUM_REAL, num_atlantis: int = NUM_ATLANTIS) -> tuple[Population, Population]:
    """Ordinary cities spread evenly over the plane, and these with Atlantis, one of whose cities every row has."""
    stream = Stream(7)
    real = np.stack([stream.below(3600, num_real) - 1800, stream.below(1800, num_real) - 900], axis=1)
    scattered = np.stack([stream.below(120, num_atlantis) - 410, stream.below(120, num_atlantis) + 290], axis=1)
    ids = stream.order(10_000)[: num_real + num_atlantis]
    forced = np.arange(num_real, num_real + num_atlantis)
    return Population(real, ids[:num_real]), Population(np.concatenate([real, scattered]), ids, forced)


def sampler(
    task: TaskName,
    population: Population,
    *,
    train: int = 10_000,
    test: int = 1000,
    validation: int = 128,
    overlap: str = "exclude",
    seed: int = 42,
) -> Sampler:
    sizes = {"train": train, "validation": validation, "test": test}
    numbers = row_sizes(task, (3, 5), (2, 5))
    ratio = 0.5 if is_labelled(task) else None
    return Sampler(SampleSettings("x_" + task, task, sizes, seed, numbers, ratio, overlap), population)  # type: ignore[arg-type]


def rows_of(blocks: Iterator[Block]) -> list[tuple[int, ...]]:
    """The ids of every row, without what stands behind the last."""
    found: list[tuple[int, ...]] = []
    for block in blocks:
        counts = np.full(len(block.ids), block.ids.shape[1]) if block.counts is None else block.counts
        found += [tuple(row[:count]) for row, count in zip(block.ids.tolist(), counts.tolist(), strict=True)]
    return found


def question(task: str, row: tuple[int, ...]) -> object:
    """What a row asks, written down plainly."""
    if task == "angle":
        return row[1], frozenset((row[0], row[2]))
    if task == "inside":
        return row[0], frozenset(row[1:])
    if task == "crossing":
        return frozenset({frozenset(row[:2]), frozenset(row[2:])})
    return frozenset(row)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 97, 5190])
def test_a_permutation_takes_every_number_once(size: int) -> None:
    found = permuted(np.arange(size), size, seed=3)
    assert sorted(found.tolist()) == list(range(size))
    if size > 90:
        assert found.tolist() != permuted(np.arange(size), size, seed=4).tolist()
        assert abs(np.corrcoef(found, np.arange(size))[0, 1]) < 0.3


def test_random_numbers_are_those_of_every_machine() -> None:
    assert Stream(1).below(1000, 4).tolist() == Stream(1).below(np.full(4, 1000), 4).tolist()
    assert chisquare(np.bincount(Stream(5).below(7, 70_000), minlength=7)).pvalue > UNLIKELY
    # What numpy's documentation shows for default_rng(0).random(), which makes the same of the same bits.
    assert Stream(0).uniform(3).round(8).tolist() == [0.63696169, 0.26978671, 0.04097352]


@given(st.lists(st.lists(st.integers(0, 5), min_size=4, max_size=4, unique=True), min_size=2, max_size=40))
def test_keys_are_equal_exactly_when_questions_are(rows: list[list[int]]) -> None:
    for task in ("angle", "inside", "crossing", "perimeter"):
        width = 3 if task == "angle" else 4
        table = [tuple(row[:width]) for row in rows]
        keys = question_keys(task, np.array(table)).tolist()
        for (one, key), (other, its_key) in itertools.combinations(zip(table, keys, strict=True), 2):
            assert (key == its_key) == (question(task, one) == question(task, other))


@pytest.mark.parametrize(
    ("task", "size"), [("distance", 2), ("angle", 3), ("inside", 4), ("crossing", 4), ("perimeter", 3)]
)
@pytest.mark.parametrize("num_forced", [0, 2])
def test_the_number_of_questions_is_that_of_an_enumeration(task: TaskName, size: int, num_forced: int) -> None:
    rows = itertools.permutations(range(7), size)
    asked = {question(task, row) for row in rows if not num_forced or min(row) < num_forced}
    assert num_questions(task, 7, num_forced, size) == len(asked)


@pytest.mark.parametrize("atlantis", [False, True])
@pytest.mark.parametrize("task", TASK_NAMES)
def test_splits_keep_apart(task: TaskName, atlantis: bool) -> None:
    drawn = sampler(task, cities()[atlantis])
    rows = {split: rows_of(drawn.blocks(split)) for split in ("train", "validation", "test")}
    assert {split: len(found) for split, found in rows.items()} == {"train": 10_000, "validation": 128, "test": 1000}
    asked = {split: {question(task, row) for row in found} for split, found in rows.items()}
    assert not asked["train"] & asked["test"]
    assert not asked["train"] & asked["validation"]
    assert not asked["validation"] & asked["test"]
    assert (len(asked["test"]), len(asked["validation"])) == (1000, 128)
    assert all(len(set(row)) == len(row) for found in rows.values() for row in found)


def test_ordinary_pairs_come_once_and_both_ways_round() -> None:
    num_rows = BLOCK_ROWS + 20_000
    rows = rows_of(sampler("distance", cities()[0], train=num_rows, test=5000).blocks("train"))
    assert len({frozenset(row) for row in rows}) == num_rows
    ids = np.array(rows)
    position = {int(name): at for at, name in enumerate(cities()[0].ids)}
    turned = np.mean([position[a] < position[b] for a, b in rows])
    assert abs(turned - 0.5) < 0.01
    assert chisquare(np.unique(ids[:2000], return_counts=True)[1]).pvalue > UNLIKELY


@pytest.mark.parametrize("task", ["inside", "crossing"])
@pytest.mark.parametrize("atlantis", [False, True])
def test_the_answers_are_balanced(task: TaskName, atlantis: bool) -> None:
    population = cities()[atlantis]
    for block in sampler(task, population).blocks("train"):
        places = {name: at for at, name in enumerate(population.ids.tolist())}
        members = np.vectorize(places.__getitem__)(block.ids)
        found = values(task, population.points[members], block.counts)
        assert (found == block.values).all()
        assert found.mean() == 0.5
        # No beginning of the data set leans to one side.
        assert abs(found[:1000].mean() - 0.5) < 0.05


def test_an_uneven_ratio_is_held() -> None:
    settings = SampleSettings("crossing", "crossing", {"train": 1003, "test": 1}, 1, (4, 4), 0.3)
    (block,) = Sampler(settings, cities()[0]).blocks("train")
    assert block.values.sum() == 301


@pytest.mark.parametrize("task", TASK_NAMES)
def test_every_row_has_atlantis(task: TaskName) -> None:
    _, population = cities()
    assert population.forced is not None
    atlantis = set(population.ids[population.forced].tolist())
    rows = rows_of(sampler(task, population).blocks("train"))
    assert all(atlantis & set(row) for row in rows)
    counted = Counter(name for row in rows for name in row)
    assert len(counted) == NUM_REAL + NUM_ATLANTIS
    assert any(len(atlantis & set(row)) > 1 for row in rows)  # the others are drawn from all cities
    if not is_labelled(task):
        assert chisquare([counted[name] for name in sorted(atlantis)]).pvalue > UNLIKELY


@pytest.mark.parametrize("task", TASK_NAMES)
def test_the_city_of_atlantis_stands_anywhere(task: TaskName) -> None:
    """With one city of Atlantis it is known which one was forced; its position is uniform whatever the answer is."""
    _, population = cities(NUM_REAL, 1)
    rows = rows_of(sampler(task, population, overlap="count").blocks("train"))
    places = Counter((len(row), row.index(int(population.ids[-1]))) for row in rows)
    for size in {len(row) for row in rows}:
        assert chisquare([places[size, at] for at in range(size)]).pvalue > UNLIKELY


def test_the_best_guess_from_the_number_of_cities() -> None:
    """A hull of many cities holds another one more often: .596 for points spread evenly, by simulation elsewhere."""
    (block,) = sampler("inside", cities(3000)[0], train=60_000).blocks("train")
    assert block.counts is not None
    found = [block.values[block.counts == size].mean() for size in (4, 5, 6)]
    weights = [(block.counts == size).mean() for size in (4, 5, 6)]
    best = sum(weight * max(ratio, 1 - ratio) for weight, ratio in zip(weights, found, strict=True))
    assert abs(best - 0.596) < 0.012
    assert found == sorted(found)
    (block,) = sampler("crossing", cities()[0]).blocks("train")
    assert block.counts is None and block.values.mean() == 0.5


def test_hulls_are_those_of_plain_rejection() -> None:
    """Drawing the number of cities first, by how often it comes, changes nothing."""
    population, _ = cities()
    stream, size = Stream(11), 200_000
    counts = 4 + stream.below(3, size)
    answers = values("inside", population.points[stream.below(NUM_REAL, 6 * size).reshape(-1, 6)], counts)
    (block,) = sampler("inside", population, train=50_000).blocks("train")
    assert block.counts is not None
    for label in (False, True):
        expected = np.bincount(counts[answers == label], minlength=7)[4:] / (answers == label).sum()
        found = np.bincount(block.counts[block.values == label], minlength=7)[4:] / (block.values == label).sum()
        assert np.abs(found - expected).max() < 0.015


def test_perimeters_have_every_number_of_cities_alike() -> None:
    rows = rows_of(sampler("perimeter", cities()[1]).blocks("train"))
    assert chisquare([sum(len(row) == size for row in rows) for size in (2, 3, 4, 5)]).pvalue > UNLIKELY


@pytest.mark.parametrize("task", ["distance", "inside"])
def test_rows_depend_on_the_seed_and_on_nothing_else(task: TaskName) -> None:
    drawn = sampler(task, cities()[1])
    train = rows_of(drawn.blocks("train"))
    test = rows_of(drawn.blocks("test"))
    again = sampler(task, cities()[1])
    assert rows_of(again.blocks("test")) == test
    assert rows_of(again.blocks("train")) == train
    assert rows_of(sampler(task, cities()[1], seed=43).blocks("train")) != train
    longer = rows_of(sampler(task, cities()[1], train=BLOCK_ROWS + 10).blocks("train"))
    assert len(set(longer[-10:]) | set(longer[:10])) == 20


@pytest.mark.parametrize("atlantis", [False, True])
def test_a_small_world_repeats_its_training_rows(atlantis: bool) -> None:
    population = cities(16, 4)[atlantis]
    num_pairs = 16 * 15 // 2 if not atlantis else 4 * 16 + 6
    drawn = sampler("compass", population, train=3000, test=30, validation=5)
    train = {frozenset(row) for row in rows_of(drawn.blocks("train"))}
    held = {frozenset(row) for split in ("test", "validation") for row in rows_of(drawn.blocks(split))}
    assert len(held) == 35
    assert not train & held
    assert len(train) == num_pairs - 35  # whatever is not held out is asked


def test_sizes_that_leave_too_little_are_refused() -> None:
    population, forced = cities(16, 4)
    assert sampler("compass", population, test=50, validation=10)
    with pytest.raises(InputError, match="more than half") as caught:
        sampler("compass", population, test=51, validation=10)
    assert "at most 60 fit" in caught.value.hint
    with pytest.raises(InputError, match="more than half"):
        sampler("distance", forced, test=36, validation=0)
    assert sampler("compass", population, test=51, validation=10, overlap="count")
    with pytest.raises(InputError, match="names 6 cities; there are 5"):
        sampler("inside", cities(5)[0])


def test_answers_that_no_cities_give_are_refused() -> None:
    """One city of Atlantis at a corner of the plane lies in no hull, however often cities are drawn."""
    population, _ = cities(60, 1)
    points = np.concatenate([population.points, [[-1800, -900]]])
    ids = np.append(population.ids, 10_001)
    with pytest.raises(InputError, match="with the answer TRUE") as caught:
        list(sampler("inside", Population(points, ids, np.array([60])), train=2000, test=50).blocks("train"))
    assert "x_inside" in caught.value.message and "61 cities" in caught.value.message
    line = np.stack([np.arange(60), np.arange(60)], axis=1)
    with pytest.raises(InputError, match="has the answer TRUE"):
        list(sampler("inside", Population(line, ids[:60]), train=2000, test=50).blocks("train"))


def test_independent_splits_overlap_as_chance_has_it() -> None:
    population, _ = cities(101)  # 5,050 pairs
    drawn = sampler("distance", population, train=2525, test=1000, overlap="count")
    train = {frozenset(row) for row in rows_of(drawn.blocks("train"))}
    test = [frozenset(row) for row in rows_of(drawn.blocks("test"))]
    assert len(train) == 2525
    assert 430 < sum(pair in train for pair in test) < 570  # half of 1,000, and 4.4 standard deviations
