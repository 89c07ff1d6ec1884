"""`labkit doctor`: what this machine and installation can do, what is missing, and how to get it."""

from __future__ import annotations

import importlib.metadata
import json
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    app.command("doctor", help="Show devices, engines and extras, and what is missing.")(_doctor)


def _doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    findings = [*_machine(), *_devices(), *_engines(), *_extras(), *_storage()]
    if as_json:
        print(json.dumps({"schema": 1, "findings": findings}, ensure_ascii=False))
        return
    width = max(len(finding["name"]) for finding in findings)
    section = ""
    for finding in findings:
        if finding["section"] != section:
            section = finding["section"]
            print(section)
        mark = {True: "ok", False: "--"}[finding["ok"]]
        print(f"  {mark}  {finding['name']:<{width}}  {finding['what']}")
        if finding["hint"]:
            print(f"      {'':<{width}}  → {finding['hint']}")


def _finding(section: str, name: str, ok: bool, what: str, hint: str = "") -> dict[str, Any]:
    return {"section": section, "name": name, "ok": ok, "what": what, "hint": hint}


def _machine() -> list[dict[str, Any]]:
    from labkit.record.provenance import hardware, package_versions

    machine = hardware()
    memory = machine["memory_bytes"]
    gigabytes = f"{memory / 2**30:.0f} GiB" if memory else "memory unknown"
    about = f"{machine['cpu']}, {machine['num_cores']} cores, {gigabytes}"
    packages = [_finding("Packages", name, True, version) for name, version in package_versions().items()]
    return [_finding("Machine", "cpu", True, about), *packages]


def _devices() -> list[dict[str, Any]]:
    import torch

    found = [_finding("Devices", "cpu", True, f"{torch.get_num_threads()} threads")]
    if torch.version.cuda is None:
        reason, hint = (
            "this torch was built without CUDA",
            "on Linux, plain `pip install torch==2.13.0` brings the CUDA build",
        )
    else:
        reason, hint = f"torch for CUDA {torch.version.cuda} sees no GPU", "check the driver with nvidia-smi"
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(index)
            what = f"{about.name}, {about.total_memory / 2**30:.0f} GiB"
            found.append(_finding("Devices", f"cuda:{index}", True, what))
    else:
        found.append(_finding("Devices", "cuda", False, reason, hint))
    mps = torch.backends.mps.is_available()
    found.append(_finding("Devices", "mps", mps, "Apple GPU" if mps else "needs a Mac with an Apple GPU"))
    return found


def _engines() -> list[dict[str, Any]]:
    from labkit.models.folder import builtin_names
    from labkit.models.noise import STREAM, gaussian

    noise = gaussian(0, "probe", count=1024)
    kernel = f"noise {STREAM.decode()}, {noise.numel()} values computed"
    models = ", ".join(builtin_names()) or "none"
    return [
        _finding("Engines", "torch", True, f"transformers {importlib.metadata.version('transformers')}"),
        _finding("Engines", "noise", True, kernel),
        _finding("Models", "builtin", bool(builtin_names()), models),
    ]


_EXTRAS_IN_USE = {"dev", "figures", "ray", "world"}
"""Extras that some feature needs today; the others are declared so that their versions fit together."""


def _extras() -> list[dict[str, Any]]:
    """The extras and what they need, as the package's own metadata says."""
    about = importlib.metadata.metadata("labkit")
    found = []
    for extra in about.get_all("Provides-Extra") or []:
        needs = _needs_of(extra)
        missing = [name for name in needs if _version(name) is None]
        what = ", ".join(f"{name} {_version(name) or 'missing'}" for name in needs)
        hint = f"pip install 'labkit[{extra}]'" if missing else ""
        if extra not in _EXTRAS_IN_USE:
            what, hint = f"{what} (no command needs it yet)", ""
        found.append(_finding("Extras", extra, not missing, what, hint))
    return found


def _needs_of(extra: str) -> list[str]:
    from packaging.requirements import Requirement

    requirements = [Requirement(text) for text in importlib.metadata.requires("labkit") or []]
    return [
        need.name
        for need in requirements
        if need.marker is not None and need.marker.evaluate({"extra": extra}) and need.name != "labkit"
    ]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _storage() -> list[dict[str, Any]]:
    import os
    import shutil
    from pathlib import Path

    runs_dir = Path(os.environ.get("LABKIT_RUNS_DIR", "runs")).absolute()
    existing = next(path for path in (runs_dir, *runs_dir.parents) if path.exists())
    writable = os.access(existing, os.W_OK)
    free = f"{shutil.disk_usage(existing).free / 2**30:.0f} GiB free"
    hint = "" if writable else "choose another folder with --runs-dir or LABKIT_RUNS_DIR"
    return [_finding("Storage", "runs", writable, f"{runs_dir}, {free}", hint)]
