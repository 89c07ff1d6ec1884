"""The kinds of `labkit plot` about two sides on the same prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labkit.cli.plot_output import Json, Out, Width, check_out, show
from labkit.cli.report import DEFAULT_RUNS_DIR, RUN_HELP, Ks, RunsDir, Salvage, Verbose

if TYPE_CHECKING:
    from labkit.report.comparison.sides import Sides
    from labkit.report.figures import Drawable

    Figures = Callable[[Sides, Sequence[int]], tuple[Sequence[Drawable], list[str]]]

Runs = Annotated[list[str] | None, typer.Argument(help=f"Side A. {RUN_HELP}", show_default=False)]
Against = Annotated[
    list[str] | None,
    typer.Option("--against", metavar="RUN", help="Side B, the base; repeatable.", show_default=False),
]
Arms = Annotated[
    list[str] | None,
    typer.Option("--arm", metavar="ARM", help="An arm of A, then one of B, in place of the best.", show_default=False),
]
Intersect = Annotated[
    bool, typer.Option("--intersect", help="Compare over the prompts that both sides have, where they have others too.")
]

_SIDES = """
The named runs are side A, those after --against side B; each side is merged as labkit report merges runs.
"""

COMPARISON_HELP = f"""Draw pass@k of the best arm of each side, A solid and B dashed, and their paired difference below.
{_SIDES}"""

BEST_HELP = f"""Draw the best arm of A against the best of B: on the prompts that chose it, and cross-fitted.

A cross-fitted arm is chosen on one half of the prompts and measured on the other, both ways together. k goes up in powers of
four, or is what -k says; p-values are adjusted for every k of labkit report, whichever are drawn.
{_SIDES}"""

OVERLAP_HELP = f"""Draw how many prompts both sides solve, only A, only B, or neither, at equal rollouts.

The rollouts are the first k by index: as many as both sides have, or the largest -k.
{_SIDES}"""

DETAIL_HELP = f"""Draw every prompt's share of correct rollouts, A above and B below, by which side solves it in its first k.
{_SIDES}"""


def register(plots: typer.Typer) -> None:
    plots.command("comparison", short_help="pass@k of both sides, and their difference", help=COMPARISON_HELP)(
        _comparison
    )
    plots.command("best", short_help="Best arm against best arm, cross-fitted", help=BEST_HELP)(_best)
    plots.command("overlap", short_help="Prompts that both solve, A, B, or neither", help=OVERLAP_HELP)(_overlap)
    plots.command("solve-detail", short_help="Both sides, prompt by prompt", help=DETAIL_HELP)(_solve_detail)


def _comparison(
    runs: Runs = None, against: Against = None, runs_dir: RunsDir = DEFAULT_RUNS_DIR, ks: Ks = None, arms: Arms = None,
    intersect: Intersect = False, out: Out = None, width: Width = None, as_json: Json = False, salvage: Salvage = False,
    verbose: Verbose = False,
) -> None:  # fmt: skip
    def figures(sides: Sides, ks: Sequence[int]) -> tuple[Sequence[Drawable], list[str]]:
        from labkit.report.comparison_figures import comparison_figures

        return comparison_figures(sides, ks)

    _draw("comparison", figures, runs, against, runs_dir, ks, arms, intersect, out, width, as_json, salvage)


def _best(
    runs: Runs = None, against: Against = None, runs_dir: RunsDir = DEFAULT_RUNS_DIR, ks: Ks = None,
    intersect: Intersect = False, out: Out = None, width: Width = None, as_json: Json = False, salvage: Salvage = False,
    verbose: Verbose = False,
) -> None:  # fmt: skip
    def figures(sides: Sides, all_ks: Sequence[int]) -> tuple[Sequence[Drawable], list[str]]:
        from labkit.report.comparison_figures import best_bars, powers_of_four

        bars, notes = best_bars(sides, all_ks if ks else powers_of_four(sides.most_rollouts))
        return [bars], notes

    _draw("best", figures, runs, against, runs_dir, ks, None, intersect, out, width, as_json, salvage)


def _overlap(
    runs: Runs = None, against: Against = None, runs_dir: RunsDir = DEFAULT_RUNS_DIR, ks: Ks = None, arms: Arms = None,
    intersect: Intersect = False, out: Out = None, width: Width = None, as_json: Json = False, salvage: Salvage = False,
    verbose: Verbose = False,
) -> None:  # fmt: skip
    def figures(sides: Sides, ks: Sequence[int]) -> tuple[Sequence[Drawable], list[str]]:
        from labkit.report.comparison_figures import overlap_bars

        bars, notes = overlap_bars(sides, ks[-1])
        return [bars], notes

    _draw("overlap", figures, runs, against, runs_dir, ks, arms, intersect, out, width, as_json, salvage)


def _solve_detail(
    runs: Runs = None, against: Against = None, runs_dir: RunsDir = DEFAULT_RUNS_DIR, ks: Ks = None, arms: Arms = None,
    intersect: Intersect = False, out: Out = None, width: Width = None, as_json: Json = False, salvage: Salvage = False,
    verbose: Verbose = False,
) -> None:  # fmt: skip
    def figures(sides: Sides, ks: Sequence[int]) -> tuple[Sequence[Drawable], list[str]]:
        from labkit.report.comparison_figures import solve_detail

        strip, notes = solve_detail(sides, ks[-1])
        return [strip], notes

    _draw("solve-detail", figures, runs, against, runs_dir, ks, arms, intersect, out, width, as_json, salvage)


def _draw(
    kind: str, figures: Figures, runs: list[str] | None, against: list[str] | None, runs_dir: Path, ks: list[int] | None,
    arms: list[str] | None, intersect: bool, out: Path | None, width: int | None, as_json: bool, salvage: bool,
) -> None:  # fmt: skip
    """Align both sides and draw what a kind makes of them."""
    from labkit.cli.console import say
    from labkit.errors import ConfigError

    if not runs or not against:
        missing = "no run after --against" if runs else "no run before --against"
        raise ConfigError(f"a plot of kind {kind} needs two sides, and there is {missing}",
                          f"labkit plot {kind} RUN --against RUN; labkit runs list shows what there is")  # fmt: skip
    check_out(out, as_json=as_json)
    from labkit.record.catalog import find_runs
    from labkit.report.comparison.sides import align
    from labkit.report.comparison.tables import compared_ks
    from labkit.report.sweeps import refuse_without_rollouts

    both = [find_runs(references, runs_dir) for references in (runs, against)]
    for side in both:
        refuse_without_rollouts(side)
    sides = align(both[0], both[1], intersect=intersect, salvage=salvage).only(arms or ())
    drawn, notes = figures(sides, compared_ks(sides, ks or ()))
    show(drawn, out, width, as_json=as_json)
    for note in dict.fromkeys([*notes, *(note for side in sides.both for note in side.pool.notes)]):
        say(f"note: {note}")
