"""Which runs can be compared as sweeps, and the kinds of table that makes, for those who ask before anything heavy is
imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labkit.errors import ConfigError
from labkit.record.run import Run
from labkit.report.checks import CHECKS_KIND
from labkit.report.goodhart.kinds import KINDS as GOODHART_KINDS
from labkit.report.goodhart.kinds import is_goodhart_run
from labkit.report.world.reading import is_world_run

SWEEP_KIND = "pass_at_k"
ARMS_KIND = "comparison_arms"
DEFAULT_KINDS = ("comparison", "best", "overlap", "union", "equal_tokens")
KINDS = (*DEFAULT_KINDS, ARMS_KIND)
"""Every kind of table that only two sides have; the last is made only where it is asked for by name."""

_COMMANDS = ("sample", "perturb", "eval")


@dataclass(frozen=True, slots=True)
class ComparisonOptions:
    """What the user chose."""

    arms: Sequence[str] = ()
    """Keys of one arm of A and one of B; none is the best ones."""
    intersect: bool = False
    """Whether to compare over the prompts that both sides have, where they are not the same."""

    @property
    def given(self) -> bool:
        """Whether anything was chosen."""
        return bool(self.arms) or self.intersect


def refuse_misfits(
    named: Sequence[Run], against: Sequence[Run], options: ComparisonOptions, kinds: Sequence[str] = ()
) -> None:
    """Raise ConfigError for runs that have no comparison with one another, and for options and tables that theirs does not
    know.

    Args:
        named: every run that was named
        against: those to compare with; none asks for no comparison
        kinds: of table that are asked for; none is all that there are
    """
    every = [*named, *against] if against else []
    if not (all(map(is_goodhart_run, every)) or all(map(is_sweep, every))):
        odd = next((run for run in every if not (is_goodhart_run(run) or is_sweep(run))), None)
        what = f"there is no comparison of runs like {odd.id} (labkit {odd.command})" if odd else _one_of_each(every)
        raise ConfigError(
            f"--against compares sweeps with sweeps, or goodhart runs with goodhart runs: {what}",
            "name runs of labkit sample, perturb and eval on both sides",
        )
    if options.given and any(map(is_goodhart_run, every)):
        raise ConfigError("--arm and --intersect are about sweeps, and these are goodhart runs", "leave them out")
    there = (CHECKS_KIND, *(GOODHART_KINDS if any(map(is_goodhart_run, every)) else (SWEEP_KIND, *KINDS)))
    if every and (lacking := [kind for kind in kinds if kind not in there]):
        raise ConfigError(
            f"--against makes no table of kind {' or '.join(lacking)} of these runs",
            f"leave --against out, or ask for one of {', '.join(there)}",
        )


def _one_of_each(runs: Sequence[Run]) -> str:
    goodhart, sweep = (next(run.id for run in runs if is_goodhart_run(run) is wanted) for wanted in (True, False))
    return f"{goodhart} asked Goodhart items, {sweep} did not"


def is_sweep(run: Run) -> bool:
    """Whether a report has a table of pass@k of a run."""
    return run.command in _COMMANDS and not is_goodhart_run(run) and not is_world_run(run)
