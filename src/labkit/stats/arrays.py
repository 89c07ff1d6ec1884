"""What the modules here call an array of numbers, and how many they make at a time."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

CHUNK = 1 << 20
"""Numbers that are drawn at a time, which bounds memory to some 30 MB."""
