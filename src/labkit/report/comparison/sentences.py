"""What a comparison says in words, made from its rows, and what its reader must be warned of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from labkit.report.comparison.sides import Sides
from labkit.report.counting import ArmCounts
from labkit.report.naming import first_few
from labkit.report.table import Cell, number

_LEVEL = 0.05
_MUCH_TRUNCATED = 0.01

Row = Mapping[str, Cell]


def verdict(rows: Sequence[Row], where: str) -> str:
    """One sentence: where A is ahead, where B is, where nothing was shown, and what could have been.

    Args:
        rows: with the cells of `difference_cells` and `p_holm`
        where: the column that tells the rows apart
    """
    ahead = {"A": [row for row in rows if _shown(row) and _of(row, "difference") > 0]}
    ahead["B"] = [row for row in rows if _shown(row) and _of(row, "difference") < 0]
    parts = [
        f"evidence that {name} solves more at {_places(found, rows, where)}" for name, found in ahead.items() if found
    ]
    if undecided := [row for row in rows if not _shown(row)]:
        parts.append(f"no evidence of a difference at {_places(undecided, rows, where)} ({_last_of(undecided, where)})")
    return "; ".join(parts)


def _last_of(rows: Sequence[Row], where: str) -> str:
    row = rows[-1]
    if row["mde"] is None:
        return f"at {where} = {row[where]} no prompt differs"
    seen = f"{_of(row, 'mde'):.3f} would have been seen 8 times in 10 by one test alone"
    return f"at {where} = {row[where]} it is {difference_text(row)}; {seen}"


def difference_text(row: Row) -> str:
    """`+0.070 [+0.020, +0.120], p_holm = 0.003`, or `p = …` where there is none after Holm."""
    ends = f"[{_of(row, 'difference_low'):+.3f}, {_of(row, 'difference_high'):+.3f}]"
    name = "p" if row.get("p_holm") is None else "p_holm"
    return f"{_of(row, 'difference'):+.3f} {ends}, {name} = {_of(row, name):.2g}"


def _places(found: Sequence[Row], rows: Sequence[Row], where: str) -> str:
    """`k = 1, 2, 8 to 64`: neighbours among all rows as ranges."""
    places = [number for number, row in enumerate(rows) if row in found]
    runs: list[list[int]] = []
    for place in places:
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    names = [str(row[where]) for row in rows]
    texts = [
        f"{names[run[0]]} to {names[run[-1]]}" if len(run) > 2 else ", ".join(names[place] for place in run)
        for run in runs
    ]
    return f"{where} = {', '.join(texts)}"


def _shown(row: Row) -> bool:
    return _of(row, "p_holm") < _LEVEL


def _of(row: Row, column: str) -> float:
    return number(row[column])


def warnings_of(sides: Sides, ks: Sequence[int]) -> Iterator[str]:
    """What the numbers do not show: single draws, unlike counts, texts cut off."""
    single = {side.name: [arm.arm.key for arm in side.arms if arm.least in ks and arm.least > 1] for side in sides.both}
    if found := [f"{first_few(keys)} ({name})" for name, keys in single.items() if keys]:
        yield (
            f"k equals the number of rollouts of {' and of '.join(found)}: there pass@k is a single draw a prompt, and another "
            "would differ by more than a smaller k shows; more rollouts or a smaller k say more"
        )
    for side in sides.both:
        counts = {arm.least for arm in side.arms}
        if len(counts) > 1:
            yield f"the arms of {side.name} have {min(counts)} to {max(counts)} rollouts; a larger k is for fewer of them"
        if perturbed := max((arm.least for arm in side.arms if arm.arm.method == "perturbation"), default=0):
            yield (
                f"all prompts of {side.name} were answered by the same {perturbed} perturbed models: its intervals are over "
                "prompts with these models given, and other ones would move all prompts together (another --seed shows how far)"
            )
    if sides.a.most_rollouts != sides.b.most_rollouts:
        yield (
            f"A has {sides.a.most_rollouts} rollouts a prompt, B {sides.b.most_rollouts}; "
            f"they are compared up to k = {sides.most_rollouts}"
        )
    cut = [f"{arm.arm.key} ({side.name}) {share:.0%}" for side in sides.both for arm, share in _truncated(side.arms)]
    if cut:
        yield f"ended at the limit of tokens, which a longer one might have solved: {', '.join(cut)}"


def _truncated(arms: Sequence[ArmCounts]) -> Iterator[tuple[ArmCounts, float]]:
    for arm in arms:
        share = float(arm.num_truncated.sum() / arm.num_rollouts.sum())
        if share >= _MUCH_TRUNCATED:
            yield arm, share
