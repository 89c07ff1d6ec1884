"""The published normalised improvements, transcribed with two decimals, and what the paper's figures say of them."""

import math
from pathlib import Path

import pytest

from labkit.config.world import TASK_NAMES
from labkit.errors import ConfigError, InputError
from labkit.report.world.published import read_cka, read_published
from labkit.report.world.scores import AGGREGATED
from labkit.report.world.synergy import difference_matrices, differences
from labkit.report.world.tables import WorldOptions, published_tables

DATA = Path(__file__).parents[1] / "data"
SINGLES, PAIRS = DATA / "ftwb1_normalized_by_seed.csv", DATA / "ftwb2_normalized_by_seed.csv"
CKA = DATA / "cka_single_task_7x7_by_layer.csv"
ROUNDING = 0.0015
"""The cells have two decimals, and so has what is compared with."""


def tables(paths=(SINGLES, PAIRS), cka=None, **options):
    chosen = WorldOptions(**options)
    return {table.kind: table for table in published_tables(list(paths), chosen, cka)}


def synergy(cells="all", **options):
    """Rows by models and seed."""
    rows = [row for row in tables(**options)["world_synergy"].rows if row["cells"] == cells]
    return {(row["models"], row["seed"]): row for row in rows}


@pytest.mark.parametrize(
    ("family", "seed", "trained", "transfer"),
    [
        ("ftwb1", "original", (0.802, 0.145), (0.449, 0.302)),
        ("ftwb1", "seed1", (0.853, 0.153), (0.450, 0.288)),
        ("ftwb1", "seed2", (0.893, 0.137), (0.515, 0.314)),
        ("ftwb1", "seed3", (0.802, 0.170), (0.483, 0.297)),
        ("ftwb1", AGGREGATED, (0.838, 0.136), (0.474, 0.292)),
        ("ftwb2", "original", (0.900, 0.121), (0.585, 0.284)),
        ("ftwb2", "seed1", (0.861, 0.205), (0.548, 0.299)),
        ("ftwb2", "seed2", (0.931, 0.141), (0.640, 0.304)),
        ("ftwb2", "seed3", (0.896, 0.163), (0.632, 0.282)),
        ("ftwb2", AGGREGATED, (0.897, 0.142), (0.601, 0.278)),
    ],
)
def test_every_published_mean_and_deviation_comes_out(family, seed, trained, transfer):
    rows = {(row["family"], row["seed"]): row for row in tables()["world_means"].rows}
    assert len(rows) == 10
    row = rows[family, seed]
    assert (row["trained_mean"], row["trained_std"]) == pytest.approx(trained, abs=ROUNDING)
    assert (row["transfer_mean"], row["transfer_std"]) == pytest.approx(transfer, abs=ROUNDING)
    assert (row["trained_num_cells"], row["transfer_num_cells"]) == {"ftwb1": (7, 42), "ftwb2": (42, 105)}[family]


def test_a_difference_is_the_pair_minus_the_better_teacher():
    found = {(each.seed, each.mixture.name, each.task): each for each in differences(read_published([SINGLES, PAIRS]))}
    assert len(found) == 4 * 21 * 7
    # From the tables by hand: ftwb2-1 (distance+trianglearea) against ftwb1-1 and ftwb1-2.
    one = found["original", "ftwb2-1", "distance"]
    assert (one.actual, one.expected, one.teacher) == (0.73, 0.62, "distance")
    other = found["original", "ftwb2-1", "angle"]
    assert (other.actual, other.expected, other.teacher) == (0.17, 0.40, "trianglearea")
    last = found["seed3", "ftwb2-20", "distance"]
    assert (last.actual, last.expected, last.teacher) == (0.97, 0.53, "perimeter")


def test_expected_is_at_least_what_each_teacher_has():
    models = read_published([SINGLES, PAIRS])
    single = {(model.seed, model.mixture.trained[0]): model for model in models if model.mixture.family == "ftwb1"}
    for each in differences(models):
        teachers = [single[each.seed, task].scores[each.task].improvement.value for task in each.mixture.trained]
        assert each.expected == max(teachers)


def test_pairs_with_distance_interfere_and_the_others_help_in_every_seed():
    rows = synergy()
    assert (rows["with distance", "all"]["num_cells"], rows["without distance", "all"]["num_cells"]) == (168, 420)
    for seed in ("original", "seed1", "seed2", "seed3", AGGREGATED):
        assert rows["with distance", seed]["mean"] < -0.1
        assert rows["without distance", seed]["mean"] > 0.05
        assert rows["all", seed]["num_cells"] == 147
    weighted = (168 * rows["with distance", "all"]["mean"] + 420 * rows["without distance", "all"]["mean"]) / 588
    assert rows["all", "all"]["mean"] == pytest.approx(weighted)


def test_trained_and_transfer_cells_make_up_all_of_them():
    whole, trained, transfer = (synergy(cells) for cells in ("all", "trained", "transfer"))
    assert (trained["all", "original"]["num_cells"], transfer["all", "original"]["num_cells"]) == (42, 105)
    for key, row in whole.items():
        parts = [part[key] for part in (trained, transfer)]
        assert sum(part["num_cells"] for part in parts) == row["num_cells"]
        assert sum(part["num_cells"] * part["mean"] for part in parts) == pytest.approx(row["num_cells"] * row["mean"])


def test_the_split_sums_are_those_of_the_matrix():
    by_seed = difference_matrices(differences(read_published([SINGLES, PAIRS])))
    with_distance = [
        value for matrix in by_seed.values() for (mixture, _), value in matrix.items() if "distance" in mixture.trained
    ]
    rows = synergy()
    mean = sum(with_distance) / len(with_distance)
    assert rows["with distance", "all"]["mean"] == pytest.approx(mean)
    std = math.sqrt(sum((value - mean) ** 2 for value in with_distance) / len(with_distance))
    assert rows["with distance", "all"]["std"] == pytest.approx(std)


def test_splits_can_be_chosen_and_both_sides_are_counted():
    rows = synergy(splits=("kind:mixed", "contains:inside,angle"))
    # 4 error and 3 accuracy tasks: 12 of the 21 pairs are mixed; 11 hold inside or angle.
    assert rows["mixed tasks", "all"]["num_cells"] == 4 * 12 * 7
    assert rows["not mixed tasks", "all"]["num_cells"] == 4 * 9 * 7
    assert rows["with inside or angle", "original"]["num_cells"] == 11 * 7
    assert ("with distance", "all") not in rows


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("contains:distanc", "no task 'distanc'"),
        ("kind:errors", "no split"),
        ("contains:", "no split"),
        ("x", "no split"),
    ],
)
def test_a_split_that_means_nothing_is_refused(split, message):
    with pytest.raises(ConfigError, match=message):
        tables(splits=(split,))


def test_reciprocity_is_the_published_one():
    rows = {(row["seed"], row["task"]): row for row in tables()["world_reciprocity"].rows}
    published = {
        "perimeter": 2.04, "angle": 1.97, "trianglearea": 1.77, "inside": -2.31, "compass": -1.81, "distance": -1.66,
    }  # fmt: skip
    for task, net in published.items():
        assert rows["original", task]["net"] == pytest.approx(net, abs=0.025)  # ten rounded cells each
    assert ("original", "crossing") not in rows
    for seed in ("original", "seed1", "seed2", "seed3", AGGREGATED):
        assert sum(rows[seed, task]["net"] for task in published) == pytest.approx(0)


def test_reciprocity_can_be_over_other_tasks():
    rows = tables(tasks=("distance", "crossing"))["world_reciprocity"].rows
    assert {row["task"] for row in rows} == {"distance", "crossing"}
    original = next(row for row in rows if (row["seed"], row["task"]) == ("original", "distance"))
    assert (original["given"], original["received"]) == (0.05, 0.28)


def test_generalisation_rises_with_cka_as_an_independent_fit_has_it():
    import numpy as np

    table = tables(cka=read_cka(CKA))["world_cka"]
    rows = {row["layer"]: row for row in table.rows}
    assert sorted(rows) == [3, 4, 5, 6]
    cells = {}
    for model in read_published([SINGLES]):
        for task, score in model.scores.items():
            cells.setdefault((model.mixture.trained[0], task), []).append(score.improvement.value)
    tasks = [task for task in TASK_NAMES if task != "crossing"]
    pairs = [(x, y) for x in tasks for y in tasks if x != y]
    xs, ys = [read_cka(CKA, 5)[5][pair] for pair in pairs], [np.mean(cells[pair]) for pair in pairs]
    slope, intercept = np.polyfit(xs, ys, 1)
    row = rows[5]
    assert row["num_points"] == 30
    assert row["r_squared"] == pytest.approx(np.corrcoef(xs, ys)[0, 1] ** 2)
    assert (row["slope"], row["intercept"]) == pytest.approx((slope, intercept))
    # Student's t of the slope with 28 degrees of freedom; its two-sided 2 % and 1 % points are 2.467 and 2.763.
    t = math.sqrt(28 * row["r_squared"] / (1 - row["r_squared"]))
    assert 2.467 < t < 2.763
    assert 0.01 < row["p"] < 0.02


def test_one_family_alone_has_no_synergy():
    assert set(tables([PAIRS])) == {"world_ni", "world_means"}
    assert set(tables([SINGLES])) == {"world_ni", "world_means", "world_reciprocity"}


def test_published_tables_have_their_rules_behind_them():
    with pytest.raises(ConfigError, match="improvements already"):
        tables(improvement="published")


SINGLE_HEAD, PAIR_HEAD = "seed,ftwb1_id,trained_task,distance,angle", "seed,ftwb2_id,trained_pair,distance,angle"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{PAIR_HEAD}\n1,2,distance+angle,0.1,0.2", r"line 2: distance\+angle is ftwb2-8, not ftwb2-2"),
        (f"{PAIR_HEAD}\n1,22,distance+angle,0.1,0.2", "is ftwb2-8, not ftwb2-22"),
        (f"{PAIR_HEAD}\n1,1,distance+triangle,0.1,0.2", "is no pair of two tasks"),
        (f"{PAIR_HEAD}\n1,1,distance,0.1,0.2", "is no pair of two tasks"),
        (f"{PAIR_HEAD}\n1,1,distance+distance,0.1,0.2", "is no pair of two tasks"),
        (f"{SINGLE_HEAD}\n1,3,distance,0.1,0.2", "distance is ftwb1-1, not ftwb1-3"),
        (f"{SINGLE_HEAD}\n1,1,distance,0.1,", "line 2: column angle is empty"),
        (f"{SINGLE_HEAD}\n1,1,distance,0.1,nan", "column angle holds 'nan'"),
        (f"{SINGLE_HEAD}\n1,1,distance,0.1,much", "column angle holds 'much', which is no number"),
        (f"{SINGLE_HEAD}\n1,1,distance,0.1", "line 2 has 4 cells and the header 5"),
        (f"{SINGLE_HEAD}\n,1,distance,0.1,0.2", "column seed is empty"),
        (f"{SINGLE_HEAD}\n1,1,distance,0.1,0.2\n1,1,distance,0.1,0.2", "ftwb1-1 of 1 stands at"),
        (f"{SINGLE_HEAD},angel\n1,1,distance,0.1,0.2,0.3", "column 'angel' is no task"),
        (f"{SINGLE_HEAD},angle\n1,1,distance,0.1,0.2,0.3", "column 'angle' stands there twice"),
        ("seed,id,task,distance\n1,1,distance,0.1", "starts with the columns seed, id, task"),
        ("seed,ftwb1_id,trained_task\n1,1,distance", "no column of a task"),
        (SINGLE_HEAD, "has no rows"),
        ("", "has no rows"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_place(tmp_path, text, message):
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_published([path])


def test_an_id_may_be_written_with_its_family_and_cells_out_of_range_are_noted(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(f"{PAIR_HEAD}\n1,ftwb2-8,angle+distance,0.1,99\n")
    (model,) = read_published([path])
    assert model.name == "ftwb2-8"
    assert any("1 cells are outside 0 … 1.5" in note for table in tables([path]).values() for note in table.notes)


def test_the_order_within_a_pair_does_not_matter_and_a_byte_order_mark_neither(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(f"\ufeff{PAIR_HEAD}\n1,8,angle+distance,0.1,0.2\n")
    (model,) = read_published([path])
    assert (model.name, model.mixture.trained) == ("ftwb2-8", ("distance", "angle"))


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        read_published([tmp_path / "absent.csv"])


@pytest.mark.parametrize(
    ("text", "layer", "message"),
    [
        ("layer,row_task,distance,angle\n5,distance,1,0.5\n", 4, "has no layer 4: 5"),
        ("layer,row_task,distance,angle\n5,compass,1,0.5\n", None, "'compass' is none of the columns"),
        ("layer,row_task,distance,angle\n5,angle,1,0.5\n5,angle,1,0.5\n", None, "angle has a row already"),
        ("row,distance\nangle,1\n", None, "starts with the columns"),
        ("row_task,distance,angle\ndistance,1,0.5\n", 5, "no layers named"),
    ],
)
def test_a_file_of_cka_is_checked_too(tmp_path, text, layer, message):
    path = tmp_path / "cka.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_cka(path, layer)
