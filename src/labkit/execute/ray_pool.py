"""Workers as actors of a Ray cluster. What they write is seen by all because it lies on storage that all nodes share."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.config.commands import RolloutConfig, TrainConfig
from labkit.config.data import DataConfig
from labkit.errors import MachineError
from labkit.execute.items import Item
from labkit.execute.messages import Event, Outcome, Request
from labkit.execute.ray_worker import RayWorker
from labkit.execute.signals import install_handlers, raise_received
from labkit.execute.tails import log_tail, obituary
from labkit.record.provenance import usable_cores
from labkit.record.redaction import is_secret_name

HERE = "local"
_LOOPBACK = "127.0.0.1"
_ANSWER_S = 10.0
"""Seconds that a cluster has to answer."""
_LOOK_S = 3.0
"""Seconds between two looks whether any node could hold the workers that are waited for."""
_NO_ROOM_S = 60.0
"""Seconds that a node may take to come or to come back."""
_PASSED_ON = ("HF_", "TRANSFORMERS_", "PYTORCH_", "TORCH_", "MKL_", "OMP_")
"""Prefixes of variables that workers get from the runner. Ray shows them to everybody on the cluster, so no secret is one."""

Demand = tuple[float, float]
"""CPUs and GPUs."""


@dataclass(slots=True)
class _Worker:
    actor: Any
    demand: Demand
    waits_for: Any
    """The reference that is there when it has done what it was asked last; None while it is idle."""
    is_ready: bool = False
    log: Path | None = None
    """Of the item that it works on."""
    log_bytes: int = 0
    """Size of that log when it was given the item."""


class RayPool:
    """A `Pool` of actors."""

    def __init__(self, address: str, num_slots: int | None, *, cpus: float, gpus: float | None) -> None:
        """Connect to a cluster, or start one on this machine.

        Args:
            address: `HOST:PORT`, `auto`, or `local`, which starts one
            num_slots: items at once; None is as many as the nodes have room for
            cpus, gpus: what an item asks for; no GPU for one that would not use it, and None is 1 where there are some

        Raises:
            MachineError: Ray is not installed, there is no such cluster, or no node has what is asked for.
        """
        # Ray prints there what its daemons say when a node is lost, and our own table goes there afterwards.
        self._ray: Any = None
        self._quiet = ExitStack()
        nowhere = self._quiet.enter_context(open(os.devnull, "w"))  # noqa: SIM115  # closed with the stack
        self._quiet.enter_context(redirect_stdout(nowhere))
        try:
            self._ray = _connected(address)
            nodes = self._nodes()
            has_gpus = any(node.get("GPU", 0) for node in nodes)
            self._demand = cpus, (float(has_gpus) if gpus is None else gpus)
            self.num_slots = num_slots or _room(nodes, self._demand)
            if not _room(nodes, self._demand):
                raise _no_room(self._demand)
        except BaseException:
            self._disconnect()
            raise
        self._workers: dict[int, _Worker] = {}
        self._looked = 0.0
        self._no_room_since: float | None = None
        self._actor_class = self._ray.remote(RayWorker)

    def fits(self, slot: int, item: Item) -> bool:
        """Whether the worker of a slot has what an item asks for; it has no more than that either."""
        worker = self._workers.get(slot)
        return worker is None or worker.demand == self._demand_of(item)

    def start(self, slot: int, item: Item) -> None:
        """Ask for an actor. It comes as soon as a node has room."""
        cpus, gpus = demand = self._demand_of(item)
        actor = self._actor_class.options(
            num_cpus=cpus,
            num_gpus=gpus,
            max_restarts=0,  # a runner that knows what is owed gives the item to another
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": worker_variables(os.environ)},
        ).remote(os.getcwd())
        self._workers[slot] = _Worker(actor, demand, actor.trouble.remote())

    def give(self, slot: int, request: Request) -> None:
        """Hand a ready worker an item."""
        worker = self._workers[slot]
        worker.log, worker.log_bytes = Path(request.log), request.log_bytes
        worker.waits_for = worker.actor.carry_out.remote(request.as_json())

    def wait(self, timeout_s: float) -> list[Event]:
        """What workers have answered; those that are gone have ended."""
        asked = [worker.waits_for for worker in self._workers.values() if worker.waits_for is not None]
        if not asked:
            time.sleep(timeout_s)
            return []
        try:
            answered, _ = self._ray.wait(asked, timeout=timeout_s)
            if answered:  # others may have, too
                answered, _ = self._ray.wait(asked, num_returns=len(asked), timeout=0)
        except SystemError:
            raise_received()  # what a signal raised in there has lost its name
            raise
        if not answered:
            return self._look_for_room()
        slots = [slot for slot, worker in self._workers.items() if worker.waits_for in answered]
        return [event for slot in slots for event in self._answer(slot)]

    def _look_for_room(self) -> list[Event]:
        """Notice that only workers are waited for that no node can hold, since a node is lost.

        Raises:
            MachineError: it is so for a minute.
        """
        if any(worker.is_ready for worker in self._workers.values()) or time.monotonic() - self._looked < _LOOK_S:
            return []
        self._looked, nodes = time.monotonic(), self._nodes()
        demands = [worker.demand for worker in self._workers.values()]
        if any(_room(nodes, demand) for demand in demands):
            self._no_room_since = None
            return []
        if self._no_room_since is None:
            self._no_room_since = self._looked
            return [Event("note", note=f"{_no_room(demands[0]).message} any more; waiting {_NO_ROOM_S:g} s for one")]
        if self._looked - self._no_room_since >= _NO_ROOM_S:
            raise _no_room(demands[0])
        return []

    def _nodes(self) -> list[dict[str, float]]:
        """What each node that is there has in all."""
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def dismiss(self, slot: int) -> None:
        """Let a worker go, with the room that it takes on its node."""
        worker = self._workers.pop(slot, None)
        if worker is not None:
            self._ray.kill(worker.actor)

    def interrupt(self) -> list[Event]:
        """End all workers at once: what they were doing is owed, as after any crash."""
        self.close()
        return []

    def close(self) -> None:
        """Let all workers go, and the cluster, if it was started for them."""
        for slot in list(self._workers):
            self.dismiss(slot)
        self._disconnect()

    def _disconnect(self) -> None:
        if self._ray is not None:
            self._ray.shutdown()
        self._quiet.close()

    def _answer(self, slot: int) -> list[Event]:
        worker = self._workers[slot]
        try:
            answer = self._ray.get(worker.waits_for)
        except self._ray.exceptions.RayError as error:
            return [self._gone(slot, error)]
        worker.waits_for = None
        if worker.is_ready:
            return [Event.from_json(value | {"slot": slot}) for value in answer]
        if answer:
            raise MachineError(str(answer), "call labkit run in a folder that all nodes share under one path")
        worker.is_ready = True
        return [Event("ready", slot)]

    def _gone(self, slot: int, error: Exception) -> Event:
        worker = self._workers[slot]
        self.dismiss(slot)
        tail = "" if worker.log is None else log_tail(worker.log, worker.log_bytes)
        message = obituary(f"its worker is gone: {_reason(error)}", tail)
        return Event("ended", slot, outcome=Outcome("died", message=message, try_again=True, worker_is_whole=False))

    def _demand_of(self, item: Item) -> Demand:
        cpus, gpus = self._demand
        return cpus, gpus if uses_gpu(item) else 0.0


def uses_gpu(item: Item) -> bool:
    """Whether an item takes a GPU where there is one."""
    config = item.config
    if isinstance(config, DataConfig):
        return False
    if isinstance(config, TrainConfig) and config.model is None:
        return config.device != "cpu"
    return bool(config.model.device != "cpu" or (isinstance(config, RolloutConfig) and config.model.device_map))


def worker_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What the environment of a worker has from the runner's, and where it finds this package."""
    passed = {
        name: value for name, value in environ.items() if name.startswith(_PASSED_ON) and not is_secret_name(name)
    }
    root = Path(__file__).resolve().parents[2]
    if root.name in ("site-packages", "dist-packages"):  # installed, as it must be on every node
        return passed
    known = environ.get("PYTHONPATH")
    return passed | {"PYTHONPATH": f"{root}{os.pathsep}{known}" if known else str(root)}


def _connected(address: str) -> Any:
    """The module `ray`, connected. It prints nothing: what workers print is in the items' logs."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of a change to come
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise MachineError("Ray is not installed", "pip install 'labkit[ray]'") from None
    try:
        ray.init(**_place(address), log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:  # a ConnectionError is an OSError
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MachineError(
            f"there is no Ray cluster at {address}: {first}",
            "ray start --head starts one, --address local one for this command alone",
        ) from None
    finally:
        install_handlers()  # Ray has put its own in their place
    return ray


def _place(address: str) -> dict[str, Any]:
    """Where `ray.init` is to connect to, or what it is to start.

    Raises:
        OSError: nobody answers there. Ray itself would try for many minutes.
    """
    if address == HERE:
        cores = usable_cores()
        return {"address": HERE, "num_cpus": cores, "include_dashboard": False, "_node_ip_address": _LOOPBACK}
    from ray._private.services import canonicalize_bootstrap_address

    found = canonicalize_bootstrap_address(address)
    if found is None or "://" in found:
        return {"address": address}
    host, _, port = found.rpartition(":")
    socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    # A cluster within this machine: its nodes are not known by the address that the machine has outside.
    return {"address": address} | ({"_node_ip_address": host} if host.startswith("127.") else {})


def _room(nodes: list[dict[str, float]], demand: Demand) -> int:
    """How many workers of a demand fit on the nodes."""
    wanted = {"CPU": demand[0], "GPU": demand[1]}
    return sum(
        int(min((node.get(kind, 0) // amount for kind, amount in wanted.items() if amount), default=node.get("CPU", 1)))
        for node in nodes
    )


def _no_room(demand: Demand) -> MachineError:
    cpus, gpus = demand
    return MachineError(f"no node of the cluster has {cpus:g} CPUs and {gpus:g} GPUs", "ask for less: --cpus, --gpus")


def _reason(error: Exception) -> str:
    """Why a worker is gone. What Ray says of it are many lines about itself, except where the worker could not begin."""
    text = str(error)
    if "its node has died" in text or "node was terminated" in text:
        return "the node that it was on is lost"
    if "running low on memory" in text or "OOM" in text:
        return "the memory of its node ran out"
    if "Traceback" in text or "creation task" in text or "runtime_env" in text:
        return text.strip().splitlines()[-1][:300]
    return "it was killed or it crashed, or its node is lost"
