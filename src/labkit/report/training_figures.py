"""Curves of what trainings logged, over their steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from labkit.config.base import nearest
from labkit.config.world import TASKS
from labkit.errors import ConfigError
from labkit.record.files import iterate_json_lines
from labkit.record.run import Run
from labkit.report.figures import Figure, Series

_ALWAYS = ("loss", "learning_rate")
_EVALUATION_PREFIX = "eval_"
_RATES = {"eval_accuracy", "eval_parse_rate", "eval_pair_accuracy", "eval_auc"} | {
    f"eval_{task.name}" for task in TASKS.values() if task.kind == "accuracy"
}
_ERRORS = {f"eval_{task.name}" for task in TASKS.values() if task.kind == "error"}
_NUM_TICKS = 5
_LOG_FROM = 10
"""The axis is logarithmic where the largest value is so many times the smallest, as errors of a training are: the failure
value of the first unreadable answers would press all that follows to the ground."""

Curves = Mapping[str, tuple[list[float], list[float]]]
"""Steps and values of each metric."""


def training_figures(runs: Sequence[Run], metrics: Sequence[str] = ()) -> list[Figure]:
    """A figure for each metric, with a curve for each training that logged it.

    Args:
        runs: training runs
        metrics: names in `metrics.jsonl`; none is the loss, the learning rate, and everything that evaluations measured

    Raises:
        ConfigError: no run logged a metric that was asked for; says what there is. RecordError: a log is damaged.
    """
    logged = {label: _curves(run) for label, run in _labelled(runs)}
    known = list(dict.fromkeys(name for curves in logged.values() for name in curves))
    for name in metrics:
        if name not in known:
            guess = nearest(name, known)
            hint = f"did you mean {guess!r}?" if guess else f"there are: {', '.join(known) or 'none'}"
            raise ConfigError(f"no training here logged {name!r}", hint)
    shown = metrics or [name for name in known if name in _ALWAYS or _is_evaluation(name)]
    numbers = {label: number for number, label in enumerate(logged)}
    return [
        _figure(name, {label: curves[name] for label, curves in logged.items() if name in curves}, numbers)
        for name in shown
    ]


def _is_evaluation(name: str) -> bool:
    return name.startswith(_EVALUATION_PREFIX) and not name.endswith(("_low", "_high"))


def _labelled(runs: Sequence[Run]) -> list[tuple[str, Run]]:
    """Every run under its name, or under its id where it has none or shares it."""
    names = [run.manifest.get("name") for run in runs]
    return [
        (str(name) if name and names.count(name) == 1 else run.id, run) for name, run in zip(names, runs, strict=True)
    ]


def _curves(run: Run) -> Curves:
    """What a run logged. A resumed training logs steps again that it had done before: the later line counts."""
    found: dict[str, dict[float, float]] = {}
    if run.metrics_path.exists():
        for line in iterate_json_lines(run.metrics_path):
            numbers = {name: float(value) for name, value in line.items() if _is_number(value)}
            if "step" in numbers:
                step = numbers.pop("step")
                for name, value in numbers.items():
                    found.setdefault(name, {})[step] = value
    return {name: (sorted(points), [points[step] for step in sorted(points)]) for name, points in found.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _figure(name: str, curves: Mapping[str, tuple[list[float], list[float]]], numbers: Mapping[str, int]) -> Figure:
    values = [value for _, ys in curves.values() for value in ys]
    last = max(step for xs, _ in curves.values() for step in xs)
    spacing = _nice(max(last, 1) / _NUM_TICKS)
    ticks = [(spacing * number, f"{spacing * number:.12g}") for number in range(math.floor(last / spacing) + 1)]
    positive = [value for value in values if value > 0]
    is_log = name in _ERRORS and min(values) >= 0 and max(values) >= _LOG_FROM * min(positive, default=math.inf)
    if name in _RATES:
        lower, upper = 0.0, 1.0
    else:
        lower, upper = _log_ends(positive) if is_log else _linear_ends(values)
    series = [Series(label, xs, ys, numbers[label]) for label, (xs, ys) in curves.items()]
    y_label = f"{name} (0 at the bottom)" if is_log and len(positive) < len(values) else name
    return Figure(name, "step", ticks, upper, series, y_label=y_label, y_lower=lower, y_format=",.7g", is_log=is_log)


def _linear_ends(values: Sequence[float]) -> tuple[float, float]:
    spacing = _nice((max(*values, 0.0) - min(*values, 0.0)) / _NUM_TICKS or 0.2)
    upper = spacing * math.ceil(round(max(*values, 0.0) / spacing, 9)) or spacing
    return spacing * math.floor(round(min(*values, 0.0) / spacing, 9)), upper


def _log_ends(values: Sequence[float]) -> tuple[float, float]:
    below, above = (10.0 ** math.floor(math.log10(end)) for end in (min(values), max(values)))
    lower = next(factor * below for factor in (5, 2, 1) if factor * below <= min(values))
    return lower, next(factor * above for factor in (1, 2, 5, 10) if factor * above >= max(values))


def _nice(spacing: float) -> float:
    """The next of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(spacing))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= spacing * (1 - 1e-9))
