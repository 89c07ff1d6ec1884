"""Figures of one group of runs that share their base and scorer: what each arm finds, and how often.

Numbers come from the table of kind `pass_at_k` where it has them, else from the counts below it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from labkit.errors import ConfigError
from labkit.report.colours import Family, Tone
from labkit.report.counting import ArmCounts
from labkit.report.figures import Bar, BarGroup, Bars, Figure, Point, Scatter, Series, Stacks, upper_tenth
from labkit.report.pass_at_k import subject
from labkit.report.pool import Pool
from labkit.report.table import Cell, Table, cell_text, number
from labkit.stats import wilson, wilson_mean

Row = Mapping[str, Cell]

_MOST_CURVES = 8
"""More of them are hard to tell apart; then each method has a panel of its own."""
_INTERVALS = "95 % intervals over prompts"
_SETTINGS = {"temperature": "temperature", "perturbation": "sigma"}
"""What the values of a method are."""
_FAMILIES: dict[str, Family] = {"temperature": "temperature", "perturbation": "perturbation"}


def pass_at_k_figures(table: Table) -> list[Figure]:
    """Curves of pass@k over k with their intervals, one an arm; an arm of one rollout a prompt is a line at its rate.

    Many curves of two methods are two figures, on the same axes.

    Args:
        table: of kind `pass_at_k`

    Raises:
        ConfigError: no arm has more than one rollout a prompt.
    """
    ks = shown_ks(table)
    curves = [row for row in table.rows if _num_rollouts(row) > 1]
    if not curves:
        what = f"no arm has more than one rollout a prompt, so there is no curve of pass@k ({table.title})"
        raise ConfigError(what, "labkit plot summary draws pass@1; --num-rollouts, with --resume RUN too, makes more")
    levels = [row for row in table.rows if _num_rollouts(row) == 1 and isinstance(row.get("pass@1"), float)]
    methods = list(dict.fromkeys(str(row["method"]) for row in curves))
    if len(methods) == 1 or len(curves) <= _MOST_CURVES:
        return [_pass_at_k_figure(table, ks, curves, levels, table.title)]
    return [
        _pass_at_k_figure(
            table, ks, [row for row in curves if row["method"] == method], levels,
            f"{table.title}: {_SETTINGS.get(method, method)}",
        )
        for method in methods
    ]  # fmt: skip


def _pass_at_k_figure(
    table: Table, ks: Sequence[int], curves: Sequence[Row], levels: Sequence[Row], title: str
) -> Figure:  # fmt: skip
    """Curves of some rows of a table, with numbers, colours and an axis that are the same for all of its figures."""
    tones = _tones(_named(table.rows))
    tops = [f"pass@{k}{end}" for k in ks for end in ("", "_high")]  # an interval may reach far beyond its value
    values = [value for row in table.rows for top in tops if isinstance(value := row[top], float)]
    series = [
        _curve(row, ks, place, tones[str(row["arm"])])
        for place, row in enumerate(table.rows)
        if row in curves or row in levels
    ]
    return Figure(
        title, "k (rollouts drawn)", [(k, str(k)) for k in ks], upper_tenth(max(values, default=0.0)), series,
        y_label="pass@k", x_is_log=True, subtitle=_pass_at_k_subtitle(curves, levels), interval_label=_INTERVALS,
    )  # fmt: skip


def summary_bars(table: Table) -> Bars:
    """pass@k at the smallest, a middle and the largest k, and the share of prompts solved: a bar an arm.

    Args:
        table: of kind `pass_at_k`
    """
    ks = shown_ks(table)
    chosen = list(dict.fromkeys([ks[0], ks[len(ks) // 2], ks[-1]]))
    tones = _tones(_named(table.rows))

    def bars(name: str, cells: Sequence[Row]) -> BarGroup:
        found = [_bar(row, cell, name, tones[str(row["arm"])]) for row, cell in zip(table.rows, cells, strict=True)]
        return BarGroup(name, found)

    groups = [bars(f"pass@{k}", table.rows) for k in chosen]
    groups.append(bars("share solved", [_share_solved(row) for row in table.rows]))
    title = f"what each arm finds{table.title.removeprefix('pass@k')}"
    return Bars(title, _counts_text(table.rows), "share of prompts", 1.0, groups, _INTERVALS, is_beside=True)


def correct_distribution(pooled: Pool) -> Stacks:
    """How many prompts have how many correct rollouts, an arm a row; counts between powers of two stand together."""
    arms = [arm for arm in pooled.arms if arm.num_rollouts.max() > 1] or list(pooled.arms)
    most = max(int(arm.num_rollouts.max()) for arm in arms)
    bins = _count_bins(most)
    counts = [[int(((arm.num_correct >= low) & (arm.num_correct <= high)).sum()) for low, high in bins] for arm in arms]
    sizes = [int(arm.num_rollouts.max()) for arm in arms]
    labels = [arm.arm.key + (f" (of {size})" if size != most else "") for arm, size in zip(arms, sizes, strict=True)]
    names = [str(low) if low == high else f"{low}–{high}" for low, high in bins]
    num_prompts = max(len(arm.num_rollouts) for arm in arms)
    subtitle = f"{num_prompts} prompts, {_each([most])}; 0 is unsolved"
    return Stacks(
        f"correct rollouts a prompt, {subject(pooled.runs)}",
        subtitle,
        labels,
        "correct rollouts",
        names,
        "prompts",
        counts,
    )


def coverage_depth(pooled: Pool) -> Scatter:
    """Share of prompts solved against the mean share of correct rollouts among those solved, a point an arm.

    Raises:
        ConfigError: every arm has one rollout a prompt, or none solves a prompt.
    """
    arms = [arm for arm in pooled.arms if arm.num_rollouts.max() > 1]
    if not arms:
        what = "every arm has one rollout a prompt: among those it solves its share correct is 1"
        raise ConfigError(what, "--num-rollouts, with --resume RUN too, makes more")
    tones = _tones([(arm.arm.key, arm.arm.method, arm.arm.value) for arm in arms])
    points = [point for arm in arms if (point := _coverage_point(arm, tones[arm.arm.key]))]
    if not points:
        raise ConfigError("no arm has solved a prompt, so none has a share correct among those", "labkit report")
    methods = {arm.arm.key: arm.arm.method for arm in arms}
    kinds = list(dict.fromkeys(methods[point.label] for point in points))
    paths = [
        (
            _SETTINGS.get(kind, kind),
            Tone(_FAMILIES.get(kind, "greedy"), 0.5),
            [place for place, point in enumerate(points) if methods[point.label] == kind],
        )
        for kind in kinds
    ]
    return Scatter(
        f"coverage against depth, {subject(pooled.runs)}",
        _sizes(arms),
        "coverage (share of prompts solved)",
        "depth (share of rollouts correct, of solved prompts)",
        upper_tenth(max(point.x_ends[1] for point in points)),
        upper_tenth(max(point.y_ends[1] for point in points)),
        points,
        _INTERVALS,
        paths,
    )


def shown_ks(table: Table) -> list[int]:
    """Every k that a table has pass@k for, in its order."""
    return [int(found[1]) for column in table.columns if (found := re.fullmatch(r"pass@(\d+)", column))]


def _curve(row: Row, ks: Sequence[int], place: int, tone: Tone) -> Series:
    points = [k for k in ks if isinstance(row[f"pass@{k}"], float)]
    values, lows, highs = ([number(row[f"pass@{k}{end}"]) for k in points] for end in ("", "_low", "_high"))
    is_level = _num_rollouts(row) == 1
    return Series(str(row["arm"]), points, values, place, lows, highs, tone, is_level=is_level)


def _pass_at_k_subtitle(rows: Sequence[Row], levels: Sequence[Row]) -> str:
    arms = ", ".join(f"{row['arm']} {number(row['pass@1']):.3f}" for row in levels)
    return _counts_text(rows) + (f"; level line: {arms}" if levels else "")


def _bar(row: Row, cells: Row, name: str, tone: Tone) -> Bar:
    value = cells[name]
    if not isinstance(value, float):
        return Bar(str(row["arm"]), None, f"– (has {row['num_rollouts']})", tone)
    low, high = number(cells[f"{name}_low"]), number(cells[f"{name}_high"])
    return Bar(str(row["arm"]), value, cell_text(cells, name), tone, low, high)


def _share_solved(row: Row) -> dict[str, Cell]:
    solved, size = int(number(row["solved"])), int(number(row["num_prompts"]))
    low, high = wilson(solved, size)
    return {"share solved": solved / size, "share solved_low": low, "share solved_high": high}


def _count_bins(most: int) -> list[tuple[int, int]]:
    """First and last count of every part: 0, 1, 2-3, 4-7, … and `most` itself."""
    starts = [0, *(1 << exponent for exponent in range(most.bit_length()) if 1 << exponent < most), most]
    return [(low, high - 1) for low, high in pairwise(starts)] + [(most, most)]


def _coverage_point(arm: ArmCounts, tone: Tone) -> Point | None:
    """None where nothing is solved: there is no share among no prompts."""
    solved = arm.num_correct > 0  # (P,)
    if not solved.any():
        return None
    shares = arm.num_correct[solved] / arm.num_rollouts[solved]
    ends = wilson(int(solved.sum()), len(solved))
    name = arm.arm.key.split("=", 1)[-1]
    return Point(arm.arm.key, name, float(np.mean(solved)), float(shares.mean()), ends, wilson_mean(shares), tone)


def _named(rows: Sequence[Row]) -> list[tuple[str, str, Cell]]:
    return [(str(row["arm"]), str(row["method"]), row["value"]) for row in rows]


def _tones(arms: Sequence[tuple[str, str, Cell]]) -> dict[str, Tone]:
    """The colour of each arm: those of a method by value, then as they stand, along its colours.

    Args:
        arms: key, method and value of each; of greedy decoding there is no value
    """
    found: dict[str, Tone] = {}
    for method in dict.fromkeys(method for _, method, _ in arms):
        alike = [(0.0 if value is None else number(value), key) for key, other, value in arms if other == method]
        keys = [key for _, key in sorted(alike, key=lambda each: each[0])]
        places = [place / (len(keys) - 1) for place in range(len(keys))] if len(keys) > 1 else [0.5]
        found |= {key: Tone(_FAMILIES.get(method, "greedy"), place) for key, place in zip(keys, places, strict=True)}
    return found


def _counts_text(rows: Sequence[Row]) -> str:
    prompts, rollouts = (sorted({int(number(row[name])) for row in rows}) for name in ("num_prompts", "num_rollouts"))
    return f"{_span(prompts)} prompts, {_each([n for n in rollouts if n > 1] or rollouts)}"


def _sizes(arms: Sequence[ArmCounts]) -> str:
    prompts = sorted({len(arm.num_rollouts) for arm in arms})
    return f"{_span(prompts)} prompts, {_each(sorted({int(arm.num_rollouts.max()) for arm in arms}))}"


def _span(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if numbers[0] == numbers[-1] else f"{numbers[0]} to {numbers[-1]}"


def _each(numbers: Sequence[int]) -> str:
    return f"{_span(numbers)} rollout{'s' * (numbers[-1] != 1)} each"


def _num_rollouts(row: Row) -> int:
    return int(number(row["num_rollouts"]))
