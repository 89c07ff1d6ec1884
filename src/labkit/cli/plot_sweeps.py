"""The kinds of `labkit plot` about sweeps: what each arm finds, and how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labkit.cli.plot_output import Json, Out, Width, check_out, show
from labkit.cli.report import DEFAULT_RUNS_DIR, RUN_HELP, Ks, RunsDir, Salvage, Verbose

if TYPE_CHECKING:
    from labkit.report.figures import Drawable
    from labkit.report.pool import Pool

Runs = Annotated[list[str] | None, typer.Argument(help=RUN_HELP, show_default=False)]

_GROUPS = """
Named runs are merged as labkit report merges them; without names every group of runs gets a figure. Off a terminal a
figure is 100 columns wide and has no colour.
"""

PASS_AT_K_HELP = f"""Draw pass@k over k, one curve an arm, k on a logarithmic axis, with 95 % intervals over prompts.

An arm of one rollout a prompt, such as greedy, is a line at its rate. Where there are many curves, temperatures and sigmas
have a figure each, on the same axes.
{_GROUPS}"""

DISTRIBUTION_HELP = f"""Draw how many prompts have how many correct rollouts, a bar an arm.
{_GROUPS}"""

SUMMARY_HELP = f"""Draw pass@k at the smallest, a middle and the largest k, and the share of prompts solved: a bar an arm.

The ks are those of labkit report, or of -k. Whiskers are 95 % intervals over prompts.
{_GROUPS}"""

COVERAGE_HELP = f"""Draw the share of prompts that an arm solves against its share of correct rollouts on those.

To the right are arms that solve more prompts, above those that solve what they solve more often.
{_GROUPS}"""


def register(plots: typer.Typer) -> None:
    plots.command("pass-at-k", short_help="pass@k over k, a curve an arm", help=PASS_AT_K_HELP)(_pass_at_k)
    plots.command("correct-distribution", short_help="How many prompts have how many right", help=DISTRIBUTION_HELP)(
        _correct_distribution
    )
    plots.command("summary", short_help="pass@k at three ks, and the share solved", help=SUMMARY_HELP)(_summary)
    plots.command("coverage-depth", short_help="Prompts solved against how often", help=COVERAGE_HELP)(_coverage_depth)


def _pass_at_k(
    runs: Runs = None, runs_dir: RunsDir = DEFAULT_RUNS_DIR, ks: Ks = None, out: Out = None, width: Width = None,
    as_json: Json = False, salvage: Salvage = False, verbose: Verbose = False,
) -> None:  # fmt: skip
    def figures(pooled: Pool) -> Sequence[Drawable]:
        from labkit.report.pass_at_k import pool_table
        from labkit.report.sweep_figures import pass_at_k_figures

        return pass_at_k_figures(pool_table(pooled, ks or ()))

    _draw(figures, runs or (), runs_dir, ks or (), out, width, as_json, salvage)


def _correct_distribution(
    runs: Runs = None, runs_dir: RunsDir = DEFAULT_RUNS_DIR, out: Out = None, width: Width = None,
    as_json: Json = False, salvage: Salvage = False, verbose: Verbose = False,
) -> None:  # fmt: skip
    def figures(pooled: Pool) -> Sequence[Drawable]:
        from labkit.report.sweep_figures import correct_distribution

        return [correct_distribution(pooled)]

    _draw(figures, runs or (), runs_dir, (), out, width, as_json, salvage)


def _summary(
    runs: Runs = None, runs_dir: RunsDir = DEFAULT_RUNS_DIR, ks: Ks = None, out: Out = None, width: Width = None,
    as_json: Json = False, salvage: Salvage = False, verbose: Verbose = False,
) -> None:  # fmt: skip
    def figures(pooled: Pool) -> Sequence[Drawable]:
        from labkit.report.pass_at_k import pool_table
        from labkit.report.sweep_figures import summary_bars

        return [summary_bars(pool_table(pooled, ks or ()))]

    _draw(figures, runs or (), runs_dir, ks or (), out, width, as_json, salvage)


def _coverage_depth(
    runs: Runs = None, runs_dir: RunsDir = DEFAULT_RUNS_DIR, out: Out = None, width: Width = None,
    as_json: Json = False, salvage: Salvage = False, verbose: Verbose = False,
) -> None:  # fmt: skip
    def figures(pooled: Pool) -> Sequence[Drawable]:
        from labkit.report.sweep_figures import coverage_depth

        return [coverage_depth(pooled)]

    _draw(figures, runs or (), runs_dir, (), out, width, as_json, salvage)


def _draw(
    figures: Callable[[Pool], Sequence[Drawable]], references: Sequence[str], runs_dir: Path, ks: Sequence[int],
    out: Path | None, width: int | None, as_json: bool, salvage: bool,
) -> None:  # fmt: skip
    """Draw the figures of every group of runs. One that cannot be drawn is an error where runs are named, else a note."""
    from labkit.cli.console import say

    check_out(out, as_json=as_json)
    from labkit.errors import ConfigError
    from labkit.report.sweeps import found_pools

    notes: list[str] = []
    drawn: list[Drawable] = []
    pools = found_pools(references, runs_dir, ks, notes, salvage=salvage)
    for pooled in pools:
        notes += pooled.notes
        try:
            drawn += figures(pooled)
        except ConfigError as error:
            if references or len(pools) == 1:
                raise
            notes.append(f"{error.message}; {error.hint}")
    show(drawn, out, width, as_json=as_json)
    if not pools:
        say(f"there are no rollouts to plot under {runs_dir}; labkit sample and labkit perturb make some")
    for note in notes:
        say(f"note: {note}")
