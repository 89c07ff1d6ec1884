import json

import pytest
from recorded_runs import record_training

from labkit.errors import ConfigError
from labkit.report.terminal_curves import drawn_curves
from labkit.report.training_figures import training_figures

LOG = [
    {"step": 10, "loss": 3.5, "learning_rate": 3e-4, "grad_norm": 1.0},
    {"step": 20, "loss": 2.5, "learning_rate": 2e-4, "grad_norm": 1.0},
    {"step": 20, "eval_accuracy": 0.5, "eval_accuracy_low": 0.4, "eval_accuracy_high": 0.6},
]


def named(run, name):
    manifest = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps(manifest | {"name": name}))
    return type(run)(run.path, run.manifest | {"name": name})


def test_there_is_a_figure_a_metric_and_a_curve_a_run(tmp_path):
    first, second = (record_training(tmp_path, metrics=LOG) for _ in range(2))
    figures = {figure.title: figure for figure in training_figures([first, named(second, "tuned")])}
    assert list(figures) == ["loss", "learning_rate", "eval_accuracy"]
    assert [series.label for series in figures["loss"].series] == [first.id, "tuned"]
    assert figures["loss"].series[0].xs == [10, 20]
    assert figures["loss"].series[0].ys == [3.5, 2.5]
    assert figures["eval_accuracy"].series[0].ys == [0.5]


def test_runs_of_one_name_are_told_apart_by_their_ids(tmp_path):
    runs = [named(record_training(tmp_path, metrics=LOG), "same") for _ in range(2)]
    assert [series.label for series in training_figures(runs)[0].series] == [run.id for run in runs]


def test_a_metric_can_be_chosen_and_an_unknown_one_is_refused(tmp_path):
    run = record_training(tmp_path, metrics=LOG)
    (figure,) = training_figures([run], ["grad_norm"])
    assert figure.series[0].ys == [1.0, 1.0]
    with pytest.raises(ConfigError, match="logged 'los'") as refused:
        training_figures([run], ["los"])
    assert "'loss'" in refused.value.hint


def test_steps_done_again_after_a_resume_count_once(tmp_path):
    again = [{"step": 20, "loss": 2.0}, {"step": 30, "loss": 1.0}]
    (figure,) = training_figures([record_training(tmp_path, metrics=LOG + again)], ["loss"])
    assert figure.series[0].xs == [10, 20, 30]
    assert figure.series[0].ys == [3.5, 2.0, 1.0]


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ([0.5, 3.5], (0, 4)),
        ([3e-4, 5e-5], (0, 3e-4)),
        ([-0.5, 0.5], (-0.6, 0.6)),
        ([0.0], (0, 0.2)),
        ([-2.0], (-2, 0.5)),
    ],
)
def test_the_axis_holds_every_value(tmp_path, values, ends):
    metrics = [{"step": step, "loss": value} for step, value in enumerate(values)]
    (figure,) = training_figures([record_training(tmp_path, metrics=metrics)])
    assert figure.y_lower <= min(values) <= max(values) <= figure.y_upper
    assert (figure.y_lower, figure.y_upper) == pytest.approx(ends)
    assert len(drawn_curves(figure, 80).plain.splitlines()) > 20


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([3820.0, 41.0, 130.0], [20, 50, 100, 200, 500, 1000, 2000, 5000]),
        ([1e6, 0.3], [0.2, 1, 10, 100, 1000, 1e4, 1e5, 1e6]),
        ([6e15, 0.0, 3.0], [1e3, 1e6, 1e9, 1e12, 1e15]),
        ([200.0, 5.0], [5, 10, 20, 50, 100, 200]),
    ],
)
def test_errors_that_fall_far_have_a_logarithmic_axis(tmp_path, values, ticks):
    metrics = [
        {"step": step, "eval_distance": value, "learning_rate": 1 / 100**step} for step, value in enumerate(values)
    ]
    figure, rate = training_figures([record_training(tmp_path, metrics=metrics)])
    assert figure.is_log and not rate.is_log
    assert figure.y_lower <= min(value for value in values if value) <= max(values) <= figure.y_upper
    assert figure.y_ticks == pytest.approx([tick for tick in ticks if tick != 0.2])
    assert figure.y_label.endswith("(0 at the bottom)") == (0.0 in values)
    lines = drawn_curves(figure, 80).plain.splitlines()
    assert len(lines) > 20 and any("5,000" in line or "1,000,000" in line or "200" in line for line in lines)


def test_rates_are_drawn_from_0_to_1_whatever_they_are(tmp_path):
    metrics = [{"step": step, "eval_accuracy": 0.01 + step / 9, "eval_compass": 0.9} for step in range(2)]
    figures = training_figures([record_training(tmp_path, metrics=metrics)])
    assert [(figure.y_lower, figure.y_upper, figure.is_log) for figure in figures] == [(0.0, 1.0, False)] * 2


def test_a_run_has_one_letter_in_all_figures(tmp_path):
    first = record_training(tmp_path, metrics=[{"step": 1, "loss": 1.0}])
    second = record_training(tmp_path, metrics=[{"step": 1, "loss": 1.0, "eval_loss": 2.0}])
    loss, alone = training_figures([first, second])
    assert [number for number, _ in loss.numbered()] == [0, 1]
    assert [number for number, _ in alone.numbered()] == [1]
    assert drawn_curves(alone, 80).plain.splitlines()[-1].split() == ["b", second.id]


def test_a_run_that_logged_nothing_has_no_figure(tmp_path):
    assert training_figures([record_training(tmp_path, metrics=[])]) == []


def test_a_long_curve_keeps_a_few_letters(tmp_path):
    metrics = [{"step": step, "loss": 1.0} for step in range(1000)]
    (figure,) = training_figures([record_training(tmp_path, metrics=metrics)])
    curve = drawn_curves(figure, 100).plain.splitlines()[1:-3]
    assert 2 <= sum(line.count("a") for line in curve) <= 12
