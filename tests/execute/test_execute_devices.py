"""How cores and GPUs are dealt out."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from labkit.execute import devices
from labkit.execute.devices import dealt, visible_gpus, worker_environment


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"CUDA_VISIBLE_DEVICES": "2,0"}, ["2", "0"]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-4f1b, MIG-77aa"}, ["GPU-4f1b", "MIG-77aa"]),
        ({"CUDA_VISIBLE_DEVICES": "1,-1,2"}, ["1"]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({}, ["0", "1", "2"]),
    ],
)
def test_which_gpus_may_be_used(
    monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str], expected: list[str]
) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: [{"name": "a GPU"}] * 3)
    assert visible_gpus(environ) == expected


def test_every_gpu_has_one_worker_where_there_are_enough() -> None:
    gpus = ["0", "1", "2", "3", "4"]
    for num_slots in range(1, 6):
        shares = [dealt(gpus, slot, num_slots) for slot in range(num_slots)]
        assert sorted(gpu for share in shares for gpu in share) == gpus
    assert dealt(gpus, 0, 1) == gpus  # a single worker may spread a model over all of them


def test_more_workers_than_gpus_share_them() -> None:
    assert [dealt(["4", "7"], slot, 3) for slot in range(3)] == [["4"], ["7"], ["4"]]
    assert dealt([], 0, 2) == []


def test_a_worker_gets_its_part_of_the_cores_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "usable_cores", lambda: 9)
    environment = worker_environment({"HOME": "/h", "MKL_NUM_THREADS": "1"}, ["0", "1"], 1, 2)
    assert environment["OMP_NUM_THREADS"] == "4" and environment["MKL_NUM_THREADS"] == "1"
    assert environment["CUDA_VISIBLE_DEVICES"] == "1" and environment["HOME"] == "/h"
    assert worker_environment({}, [], 0, 20)["OMP_NUM_THREADS"] == "1"
    assert worker_environment({"HOME": "/h"}, [], 0, 1) == {"HOME": "/h"}
    assert "CUDA_VISIBLE_DEVICES" not in worker_environment({}, [], 0, 1)
