"""Right or wrong, and nothing else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def as_verdicts(correct: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """As booleans, of the same shape.

    Raises:
        ValueError: a value that is neither 0 nor 1, as a share of correct answers or a text is.
    """
    array = np.asarray(correct)
    if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
        raise ValueError("a verdict is neither right (1, True) nor wrong (0, False)")
    return array.astype(np.bool_)
