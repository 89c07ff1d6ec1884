"""Which runs can be compared as sweeps, and the kinds of table that makes, for those who ask before anything heavy is
imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labkit.record.run import Run

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


def has_sweeps(run: Run) -> bool:
    """Whether a run was made by a command whose rollouts have pass@k."""
    return run.command in _COMMANDS
