"""Figures of two sides on the same prompts; every number is one of the tables of the comparison, or a share below it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby

from labkit.report.colours import Family, Tone
from labkit.report.comparison.best import best_table
from labkit.report.comparison.differences import comparison_table
from labkit.report.comparison.overlap import CATEGORIES, overlap_table
from labkit.report.comparison.pairs import best_pairs, values_at
from labkit.report.comparison.sides import Sides
from labkit.report.comparison.tables import adjusted_ks
from labkit.report.counting import ArmCounts
from labkit.report.figures import Bar, BarGroup, Bars, Figure, Series, Strip, StripPart, upper_tenth
from labkit.report.pass_at_k import subject
from labkit.report.table import Cell, Table, cell_text, number
from labkit.stats import powers_of_two

Row = Mapping[str, Cell]
Notes = list[str]

_INTERVALS = "95 % intervals over prompts"
_SIDES: tuple[tuple[str, Family], ...] = (("A", "a"), ("B", "b"))


def comparison_figures(sides: Sides, ks: Sequence[int]) -> tuple[list[Figure], Notes]:
    """pass@k of the best arm of each side at each k, and below it the paired difference, A minus B.

    Returns:
        The figures, and what a reader of their numbers must know.
    """
    every = adjusted_ks(sides, ks)
    table = comparison_table(sides, best_pairs(sides, every), ks)
    ticks = [(k, str(k)) for k in ks]
    arms = "; ".join(f"{name} is {_arms_by_k(table.rows, f'arm_{name.lower()}')}" for name, _ in _SIDES)
    curves = [
        _curve(table.rows, f"pass_{family}", f"{name}: {_who(sides, name)}", place, family)
        for place, (name, family) in enumerate(_SIDES)
    ]
    baselines = _baselines(sides, ks)
    upper = upper_tenth(max(value for series in [*curves, *baselines] for value in [*series.ys, *series.highs]))
    rates = Figure(
        f"best arm of A against best arm of B, {_about(sides)}", "k (rollouts drawn)", ticks, upper, [*curves, *baselines],
        y_label="pass@k", x_is_log=True, subtitle=f"{_size(sides)}; {arms}{_chosen(sides)}", interval_label=_INTERVALS,
    )  # fmt: skip
    difference = _curve(table.rows, "difference", "A minus B", 0, "both")
    level = Series("no difference", (), [0.0], 1, tone=Tone("greedy"), is_level=True)
    lower, upper = _difference_ends(min(difference.lows), max(difference.highs))
    differences = Figure(
        "the difference on the same prompts", "k (rollouts drawn)", ticks, upper, [difference, level],
        y_label="A minus B", y_lower=lower, x_is_log=True, subtitle=_smallest_p(table, len(every)),
        interval_label="95 % intervals of the paired difference",
    )  # fmt: skip
    return [rates, differences], _notes(table, sides)


def best_bars(sides: Sides, ks: Sequence[int]) -> tuple[Bars, Notes]:
    """pass@k of the best arm of each side: chosen on the prompts it is measured on, and chosen on other prompts."""
    best = best_pairs(sides, adjusted_ks(sides, ks))
    flattering, fitted = comparison_table(sides, best, ks), best_table(sides, best, ks)
    fair = {row["k"]: row for row in fitted.rows}
    groups = []
    for row in flattering.rows:
        bars = [_best_bar(row, name, family, is_fitted=False) for name, family in _SIDES]
        bars += [_best_bar(fair[row["k"]], name, family, is_fitted=True) for name, family in _SIDES if row["k"] in fair]
        groups.append(BarGroup(f"k = {row['k']}", bars))
    every = [bar for group in groups for bar in group.bars]
    upper = upper_tenth(max(value for bar in every for value in (bar.value, bar.high) if value is not None))
    subtitle = f"{_size(sides)}; best: on the prompts that chose the arm; cross-fitted: on those that did not"
    figure = Bars(f"best of A against best of B, {_about(sides)}", subtitle, "pass@k", upper, groups, _INTERVALS)
    return figure, _notes(fitted, sides)


def overlap_bars(sides: Sides, k: int) -> tuple[Bars, Notes]:
    """How many prompts both best arms at k solve in their first k rollouts, only one of them, or neither."""
    table = overlap_table(sides, best_pairs(sides, [k]))
    (row,) = table.rows
    names = {"both": "both", "only_a": "A only", "only_b": "B only", "neither": "neither"}
    families: tuple[Family, ...] = ("both", "a", "b", "neither")
    bars = []
    for category, family in zip(CATEGORIES, families, strict=True):
        column = f"share_{category}"
        ends = number(row[f"{column}_low"]), number(row[f"{column}_high"])
        note = f"{row[category]} of {len(sides.prompts)}"
        text = cell_text(row, column)
        bars.append(Bar(names[category], number(row[column]), text, Tone(family), *ends, note=note))
    p, size = number(row["p"]), len(sides.prompts)
    subtitle = f"{size} prompts; {row['only_a']} against {row['only_b']}: p = {p:.2g} by McNemar's exact test"
    title = f"{table.title}, {_about(sides)}"
    return Bars(title, subtitle, "share of prompts", 1.0, [BarGroup("", bars)], _INTERVALS), _notes(table, sides)


def solve_detail(sides: Sides, k: int) -> tuple[Strip, Notes]:
    """Of every prompt the share of correct rollouts of both best arms at k, by which of them solves it in its first k."""
    pair = best_pairs(sides, [k])[0].pair
    a, b = pair.a.solved_within(k), pair.b.solved_within(k)  # (P,)
    shares = [arm.num_correct / arm.num_rollouts for arm in (pair.a, pair.b)]  # (P,) each
    # Within a stretch from what is solved most often to what is solved least.
    order = sorted(range(len(sides.prompts)), key=lambda place: -(shares[0][place] + shares[1][place]))
    parts = []
    for name, chosen in (("both", a & b), ("A only", a & ~b), ("B only", b & ~a), ("neither", ~a & ~b)):
        places = [place for place in order if chosen[place]]
        above, below = ([float(values[place]) for place in places] for values in shares)
        parts.append(StripPart(name, [sides.prompts[place] for place in places], above, below))
    counts = ", ".join(f"{part.label} {len(part.above)}" for part in parts)
    labels = [f"{name} {arm.arm.key}" for (name, _), arm in zip(_SIDES, (pair.a, pair.b), strict=True)]
    subtitle = f"solved in the first {k} rollouts by, in this order, {counts}"
    title = f"share of rollouts correct, prompt by prompt, {_about(sides)}"
    return Strip(title, subtitle, labels[0], labels[1], "prompts", parts), list(sides.notes)


def powers_of_four(most: int) -> list[int]:
    """1, 4, 16, … up to `most`, and behind them the last power of two, if that is none of them."""
    powers = powers_of_two(most)
    return sorted({*powers[::2], *powers[-1:]})


def _curve(rows: Sequence[Row], name: str, label: str, place: int, family: Family) -> Series:
    values, lows, highs = ([number(row[f"{name}{end}"]) for row in rows] for end in ("", "_low", "_high"))
    ks = [number(row["k"]) for row in rows]
    return Series(label, ks, values, place, lows, highs, Tone(family), is_dashed=family == "b")


def _baselines(sides: Sides, ks: Sequence[int]) -> list[Series]:
    """What neither side varies: greedy decoding as a line at its rate, unperturbed weights as a curve. What both sides have
    with the same result is drawn once."""
    found: dict[tuple[str, tuple[int, ...]], tuple[list[str], ArmCounts]] = {}
    for side in sides.both:
        for arm in side.baselines:
            if arm not in side.arms:
                key = arm.arm.key, tuple(map(int, arm.num_correct))
                found.setdefault(key, ([], arm))[0].append(side.name)
    # One without a k that was asked for has nothing to be drawn at; a single rollout is a line whatever the k.
    shown = [(names, arm) for names, arm in found.values() if arm.least == 1 or arm.least >= min(ks)]
    return [_baseline(arm, " and ".join(names), ks, 2 + place) for place, (names, arm) in enumerate(shown)]


def _baseline(arm: ArmCounts, names: str, ks: Sequence[int], place: int) -> Series:
    if arm.least == 1:
        rate, tone = float(values_at(arm, 1).mean()), Tone("greedy")
        return Series(f"{arm.arm.key} ({names}) {rate:.3f}", (), [rate], place, tone=tone, is_level=True)
    able = [k for k in ks if k <= arm.least]
    means = [float(values_at(arm, k).mean()) for k in able]
    return Series(f"{arm.arm.key} ({names})", able, means, place, tone=Tone("neither"))


def _who(sides: Sides, name: str) -> str:
    side = sides.a if name == "A" else sides.b
    return side.arms[0].arm.key if len(side.arms) == 1 else f"best of {len(side.arms)} arms"


def _arms_by_k(rows: Sequence[Row], column: str) -> str:
    """Which arm stands for a side at which k: `temperature=0.7 (k 2 to 4), temperature=1 (k from 8)`."""
    runs = [(str(arm), [row["k"] for row in group]) for arm, group in groupby(rows, key=lambda row: row[column])]
    if len(runs) == 1:
        return runs[0][0]
    # Spaces that do not break: a line shall not end between an arm and its ks.
    spans = [f"{ks[0]} to {ks[-1]}" if len(ks) > 1 else str(ks[0]) for _, ks in runs]
    return ", ".join(f"{arm} (k {span})".replace(" ", "\u00a0") for (arm, _), span in zip(runs, spans, strict=True))


def _best_bar(row: Row, name: str, family: Family, *, is_fitted: bool) -> Bar:
    column = f"pass_{family}"
    label = f"{name}, {'cross-fitted' if is_fitted else 'best'}"
    low, high = number(row[f"{column}_low"]), number(row[f"{column}_high"])
    arm = str(row[f"arm_{family}"])
    return Bar(label, number(row[column]), cell_text(row, column), Tone(family), low, high, is_fitted, arm)


def _chosen(sides: Sides) -> str:
    """Whether the arms were chosen by what is drawn."""
    return "; chosen on these prompts" if any(len(side.arms) > 1 for side in sides.both) else ""


def _smallest_p(table: Table, num_tested: int) -> str:
    """The smallest adjusted p-value of those drawn, and where."""
    row = min(table.rows, key=lambda row: number(row["p_holm"]))
    smallest = f"smallest p_holm = {number(row['p_holm']):.2g} at k = {row['k']}"
    return f"{smallest}, adjusted for {num_tested} value{'s' * (num_tested != 1)} of k"


def _notes(table: Table, sides: Sides) -> Notes:
    return list(dict.fromkeys([*table.notes, *sides.notes]))


def _about(sides: Sides) -> str:
    """Task and models of the sides; what they share is said once."""
    a, b = (", ".join(subject(side.pool.runs).split(", ")[:-1]) for side in sides.both)
    return a if a == b else f"A: {a}, B: {b}"


def _size(sides: Sides) -> str:
    return f"{len(sides.prompts)} prompts"


def _difference_ends(low: float, high: float) -> tuple[float, float]:
    """Ends of an axis of five equal round steps that holds an interval, with 0 at one of them."""
    for step in (0.01, 0.02, 0.05, 0.1, 0.2):
        below = math.ceil(round(max(-low, 0.0) / step, 9))
        if high <= (5 - below) * step:
            return -below * step, (5 - below) * step
    return -1.0, 1.0
