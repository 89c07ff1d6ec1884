"""The 65,536 values that noise is drawn from, the same bits on every machine.

They are the midpoint quantiles of a standard Gaussian, scaled to unit variance. The table is computed, not shipped:
every step is one of `+ - * /`, a square root or `frexp`, which IEEE 754 rounds exactly, each in a NumPy pass of its
own so that no compiler can fuse two roundings into one. The library's `log` rounds differently from machine to
machine and is never called. A pinned digest has the last word.
"""

from __future__ import annotations

import hashlib
import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from labkit.errors import MachineError

Doubles = NDArray[np.float64]

NUM_LEVELS = 1 << 16
"""How many equally likely values a noise element can take."""

DIGEST = "65561716612ffbcbfd947ed80353b542"
"""blake2b, 16 bytes, of the table as little-endian float32."""

LOG_2 = 0.6931471805599453

# Wichura's rational functions, highest power first: numerator and denominator.
# fmt: off
CENTRE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)
TAIL = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)
# fmt: on


@cache
def gaussian_table() -> NDArray[np.float32]:
    """The table, shape `(65536,)`, ascending, exactly antisymmetric, mean 0, variance 1 to float32 rounding.

    The largest value is 4.33. About 2 ms, once a process. Not to be written to.

    Raises:
        MachineError: this machine's arithmetic gives other bits than the pinned ones.
    """
    table = compute_table()
    if hashlib.blake2b(table.astype("<f4").tobytes(), digest_size=16).hexdigest() != DIGEST:
        raise MachineError(
            "the table of Gaussian values computed on this machine differs from the pinned one",
            "noise made here would not match other machines: check that NumPy computes in IEEE double precision",
        )
    return table


def compute_table() -> NDArray[np.float32]:
    """Compute the table without checking its digest; see `gaussian_table`."""
    lower = (np.arange(NUM_LEVELS // 2, dtype=np.float64) + 0.5) / NUM_LEVELS
    positive = -quantile(lower)
    # fsum is exact: NumPy's own sum depends on the width of the machine's vectors.
    variance = math.fsum((positive * positive).tolist()) / len(positive)
    half = (positive / math.sqrt(variance)).astype(np.float32)
    return np.concatenate([-half, half[::-1]])


def quantile(p: Doubles) -> Doubles:
    """Inverse of the standard Gaussian distribution function for `1.4e-11 < p <= 0.5`, to about 1e-15 relative.

    Wichura (1988), "Algorithm AS 241: The percentage points of the normal distribution", PPND16.
    """
    result = np.empty_like(p)
    central = p >= 0.075
    q = p[central] - 0.5
    result[central] = q * _ratio(CENTRE, 0.180625 - q * q)
    result[~central] = -_ratio(TAIL, np.sqrt(-_log(p[~central])) - 1.6)
    return result


def _log(x: Doubles) -> Doubles:
    """Natural logarithm from exactly rounded operations: exponent and mantissa apart, then the series of atanh."""
    mantissa, exponent = np.frexp(x)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    series = _polynomial([1.0 / power for power in range(35, 0, -2)], s * s)
    return exponent * LOG_2 + 2.0 * s * series


def _ratio(fraction: tuple[tuple[float, ...], tuple[float, ...]], x: Doubles) -> Doubles:
    numerator, denominator = fraction
    return _polynomial(numerator, x) / _polynomial(denominator, x)


def _polynomial(coefficients: list[float] | tuple[float, ...], x: Doubles) -> Doubles:
    """Horner's rule, highest power first; a product and a sum are two passes, hence two roundings, everywhere."""
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value
