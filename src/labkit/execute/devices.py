"""How the cores and GPUs of a machine are dealt out among workers. Asks no driver: nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labkit.record.provenance import gpus, usable_cores

VISIBLE = "CUDA_VISIBLE_DEVICES"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS")


def visible_gpus(environ: Mapping[str, str]) -> list[str]:
    """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them, by number or by UUID; all of the machine's
    where it says nothing."""
    if VISIBLE not in environ:
        return [str(number) for number in range(len(gpus()))]
    names = [name.strip() for name in environ[VISIBLE].split(",")]
    end = next((at for at, name in enumerate(names) if name in ("", "-1")), len(names))  # CUDA stops reading there
    return names[:end]


def dealt(gpus: Sequence[str], slot: int, num_slots: int) -> list[str]:
    """The GPUs of a worker: its part of them, or one that several share where there are more workers than GPUs."""
    if not gpus:
        return []
    return list(gpus[slot::num_slots]) if num_slots <= len(gpus) else [gpus[slot % len(gpus)]]


def worker_environment(environ: Mapping[str, str], gpus: Sequence[str], slot: int, num_slots: int) -> dict[str, str]:
    """The environment of a worker: its part of the cores, as far as the user has not said how many threads there are to
    be, and its GPUs. Libraries of a single worker choose for themselves, as they do under any other command."""
    threads = dict.fromkeys(_THREADS, str(max(1, usable_cores() // num_slots))) if num_slots > 1 else {}
    mine = dealt(gpus, slot, num_slots)
    return threads | dict(environ) | ({VISIBLE: ",".join(mine)} if mine else {})
