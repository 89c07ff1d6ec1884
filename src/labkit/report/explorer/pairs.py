"""Every two arms of a page against each other, as the table of kind `overlap` compares them: at equal rollouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from labkit.report.counting import ArmCounts
from labkit.stats import mcnemar_exact

MOST_PAIRED_ARMS = 64
"""With more arms no p-values are worked out, one for each pair."""

_Ints = npt.NDArray[np.int64]


def paired_tests(arms: Sequence[ArmCounts], prompts: Sequence[str]) -> list[list[float]]:
    """[arm, arm, p, solved by the first alone, by the second alone, rollouts] of every two arms.

    p is McNemar's exact test over the prompts that both have rollouts of. Solved is what one of the first so many rollouts by
    index solves; so many are there of each of these prompts under both arms, so that neither has more tries.

    Args:
        prompts: ids of all prompts, listed on the page or not
    """
    if len(arms) > MOST_PAIRED_ARMS:
        return []
    place = {prompt: number for number, prompt in enumerate(prompts)}
    placed = [_placed(arm, place) for arm in arms]
    return [_tested(a, b, placed[a], placed[b]) for a, b in combinations(range(len(arms)), 2)]


def _placed(arm: ArmCounts, place: Mapping[str, int]) -> tuple[_Ints, _Ints]:
    """(P,) rollouts and (P,) the position of the first correct one, -1 where none is, of all prompts."""
    places = [place[prompt] for prompt in arm.prompts]
    num_rollouts, first = np.zeros(len(place), dtype=np.int64), np.full(len(place), -1, dtype=np.int64)
    num_rollouts[places], first[places] = arm.num_rollouts, arm.first_correct
    return num_rollouts, first


def _tested(a: int, b: int, arm_a: tuple[_Ints, _Ints], arm_b: tuple[_Ints, _Ints]) -> list[float]:
    (n_a, first_a), (n_b, first_b) = arm_a, arm_b
    both = (n_a > 0) & (n_b > 0)
    size = int(np.minimum(n_a, n_b)[both].min()) if both.any() else 0
    solved_a, solved_b = (both & (first >= 0) & (first < size) for first in (first_a, first_b))
    only_a, only_b = int((solved_a & ~solved_b).sum()), int((solved_b & ~solved_a).sum())
    return [a, b, float(f"{mcnemar_exact(only_a, only_b):.4g}"), only_a, only_b, size]
