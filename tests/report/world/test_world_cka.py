import numpy as np
import pytest
from city_worlds import make_cities
from evaluated_worlds import base_lineage, record_experiment, tuned_lineage
from recorded_runs import record_run

from labkit.errors import ConfigError
from labkit.extract.files import index_path, representations_path, write_index, write_representations
from labkit.extract.similarity import linear_cka
from labkit.report.overview import report
from labkit.report.world.pictures import heatmaps
from labkit.report.world.tables import WorldOptions

MIXTURES = {"ftwb1-1": "distance", "ftwb1-3": "angle", "ftwb1-4": "compass"}
CITIES = make_cities(40, 0)


def states(seed):
    return np.random.default_rng(seed).normal(size=(40, 2, 2, 4)).astype(np.float32)


def record_extraction(runs_dir, lineage, values, layers=(4, 5)):
    run = record_run(
        runs_dir, {}, command="extract", slug="x", result={"checkpoints": []}, base={"cities": "w"},
        config={"checkpoints": "final"}, lineage=lineage,
    )  # fmt: skip
    run.artifacts_dir.mkdir()
    write_index(index_path(run), CITIES, np.ones(len(CITIES), dtype=bool))
    about = {"checkpoint": "final", "step": 1, "layers": list(layers), "prompt_format": "x", "positions": [11, 12]}
    write_representations(representations_path(run, "final"), values, about)
    return run


@pytest.fixture
def extracted(tmp_path):
    """Two seeds of three single-task models, their states, and a base and a pair that play no part."""
    found = {}
    for seed in (1, 2):
        for number, mixture in enumerate(MIXTURES):
            found[seed, MIXTURES[mixture]] = states(10 * seed + number)
            record_extraction(tmp_path, tuned_lineage(mixture, seed), found[seed, MIXTURES[mixture]])
        record_extraction(tmp_path, base_lineage(seed), states(99))
        record_extraction(tmp_path, tuned_lineage("ftwb2-8", seed), states(98))
    return tmp_path, found


def expected(found, layer_place, x, y):
    chosen = CITIES.ids >= 1000
    sides = [
        [found[seed, task][chosen][:, :, layer_place].reshape(chosen.sum(), -1) for task in (x, y)] for seed in (1, 2)
    ]
    return np.mean([linear_cka(*pair) for pair in sides])


def test_the_heatmap_is_the_mean_over_seeds_of_models_of_one_seed(extracted):
    folder, found = extracted
    drawn, _ = heatmaps([], folder, WorldOptions(layer=5), value="cka")
    (heatmap,) = drawn
    assert heatmap.column_labels == ["distance", "angle", "compass"]
    assert heatmap.values[0][1] == pytest.approx(expected(found, 1, "distance", "angle"))
    assert heatmap.values[2][1] == pytest.approx(expected(found, 1, "angle", "compass"))
    assert [heatmap.values[place][place] for place in range(3)] == [1.0] * 3


def test_generalisation_is_fitted_on_extractions_where_it_is_asked_for(extracted):
    folder, found = extracted
    record_experiment(
        folder, lambda seed, mixture, task: 0.1 * len(task) + 0.05 * seed, seeds=(1, 2), mixtures=list(MIXTURES)
    )
    assert "world_cka" not in {table.kind for table in report([], folder).tables}
    (table,) = report([], folder, kinds=["world_cka"]).tables
    assert [(row["layer"], row["num_points"]) for row in table.rows] == [(4, 6), (5, 6)]
    tasks = list(MIXTURES.values())
    pairs = [(x, y) for x in tasks for y in tasks if x != y]
    xs = [expected(found, 0, *pair) for pair in pairs]
    ys = [0.1 * len(y) + 0.075 for _, y in pairs]
    assert table.rows[0]["r_squared"] == pytest.approx(np.corrcoef(xs, ys)[0, 1] ** 2)


def test_extractions_have_their_own_tables(extracted):
    folder, _ = extracted
    kinds = [table.kind for table in report([], folder).tables]
    assert kinds == ["representations"]
    assert [table.kind for table in report([], folder, kinds=["cka"]).tables] == ["cka"]


def test_without_two_single_task_models_there_is_nothing_to_compare(tmp_path):
    record_extraction(tmp_path, tuned_lineage("ftwb1-1"), states(0))
    with pytest.raises(ConfigError, match="no extractions of two single-task models"):
        heatmaps([], tmp_path, WorldOptions(), value="cka")
