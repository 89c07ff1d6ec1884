"""How long it takes to perturb a model: `python benchmarks/noise.py`.

Prints medians of `write_perturbed` over all tensors of a model, by dtype: a 0.8 M-parameter Qwen2 measured whole, and
Qwen2.5-0.5B extrapolated from one of its layers. Compilation is timed in a process with an empty cache.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from labkit.models.noise import write_perturbed

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
QWEN_HALF_B = 494_032_768
"""Parameters of Qwen2.5-0.5B, its embedding tied."""

COMPILE = """
import time, numba
start = time.perf_counter()
import labkit.models.noise.philox_cpu
print(time.perf_counter() - start)
"""


def layer_shapes(hidden: int, kv: int, mlp: int) -> list[tuple[int, ...]]:
    """The parameters of one Qwen2 layer."""
    attention = [(hidden, hidden), (hidden,), (kv, hidden), (kv,), (kv, hidden), (kv,), (hidden, hidden)]
    return [*attention, (mlp, hidden), (mlp, hidden), (hidden, mlp), (hidden,), (hidden,)]


def median_s(call: Callable[[], None], repeats: int) -> float:
    """Median seconds of `call`, after one call that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def member_s(shapes: list[tuple[int, ...]], dtype: torch.dtype, repeats: int) -> float:
    """Median seconds to write one member of a model with these tensors."""
    bases = [torch.randn(shape).to(dtype) for shape in shapes]
    weights = [torch.empty_like(base) for base in bases]

    def write() -> None:
        for i, (weight, base) in enumerate(zip(weights, bases, strict=True)):
            write_perturbed(weight, base, seed=1, name=f"parameter.{i}", sigma=0.001)

    return median_s(write, repeats)


def compile_s() -> float:
    """Seconds to compile the CPU kernel on a machine that has never run it."""
    with tempfile.TemporaryDirectory() as cache:
        command, environment = [sys.executable, "-c", COMPILE], os.environ | {"NUMBA_CACHE_DIR": cache}
        return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    tiny = [*layer_shapes(128, 64, 384) * 4, (128,), (120, 128)]
    half_b = layer_shapes(896, 128, 4864)
    rows = Table("model", "dtype", "tensors", "ms/member", "Melements/s")
    models = (("tiny Qwen2", tiny, None, 50), ("Qwen2.5-0.5B (est.)", half_b, QWEN_HALF_B, 7))
    for label, shapes, total, repeats in models:
        measured = sum(torch.Size(shape).numel() for shape in shapes)
        for dtype in DTYPES:
            seconds = member_s(shapes, dtype, repeats)
            member_ms = seconds * 1e3 * (total or measured) / measured
            name = str(dtype).removeprefix("torch.")
            rows.add_row(label, name, str(len(shapes)), f"{member_ms:.2f}", f"{measured / seconds / 1e6:.0f}")
    console = Console()
    console.print(rows)
    console.print(f"cold compile {compile_s():.2f} s, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
