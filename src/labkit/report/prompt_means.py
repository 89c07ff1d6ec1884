"""An accuracy over prompts with its interval, as cells of a table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.report.table import Cell
from labkit.stats import wilson_mean


def accuracy_cells(name: str, values: npt.ArrayLike, num_trials: float) -> dict[str, Cell]:
    """`x`, `x_low` and `x_high`: the mean over prompts, and `labkit.stats.wilson_mean` of it.

    Args:
        values: (P,) accuracy of each prompt
        num_trials: as `wilson_mean`
    """
    array = np.asarray(values, dtype=np.float64)
    low, high = wilson_mean(array, num_trials=num_trials)
    return {name: float(array.mean()), f"{name}_low": low, f"{name}_high": high}


def mean_by_prompt(name: str, rollouts: pl.DataFrame, column: str) -> dict[str, Cell]:
    """`accuracy_cells` of verdicts, one row a rollout; prompts count alike. `x` is None without rollouts.

    Args:
        rollouts: with `prompt` and the verdicts
        column: of the verdicts
    """
    if not rollouts.height:
        return {name: None}
    by_prompt = rollouts.group_by("prompt").agg(pl.col(column).mean()).sort("prompt")[column]
    return accuracy_cells(name, by_prompt.to_numpy(), float(rollouts.height))
