"""One run in words, section by section, and what two runs differ in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from labkit.config.base import flatten
from labkit.errors import RecordError
from labkit.record.run import Run
from labkit.report.goodhart.kinds import is_goodhart_run
from labkit.report.naming import config_value
from labkit.report.table import Table, cell_text
from labkit.report.world.reading import is_world_run

Facts = dict[str, dict[str, str]]
"""Section → key → value, everything as text."""

_NOT_COMPARED = ("run", "timings")
_BOOKKEEPING = ("timings", "finished", "events_bytes", "num_asked")


def run_as_json(run: Run) -> dict[str, Any]:
    """Everything a run says about itself, for programs."""
    return {
        "schema": 1,
        "path": str(run.path),
        "status": run.status(),
        "manifest": run.manifest,
        "ask": run.ask().as_json(),
        "events": run.events(),
        "result": run.result(),
    }


def facts(run: Run) -> Facts:
    """What a run is, rests on, was asked and found, in the order in which it is shown.

    Raises:
        RecordError: a file of the run is damaged.
    """
    manifest, result, ask = run.manifest, run.result() or {}, run.ask()
    provenance = manifest.get("provenance") or {}
    return {
        "run": _identity(run),
        "config": _leaves(manifest["config"]),
        "base": _leaves(manifest["base"]) | {"hash": run.base_hash},
        "score": _leaves(run.score) | {"hash": run.score_hash},
        "ask": {"seed": _text(manifest["seed"]), "prompts": _text(ask.num_prompts)}
        | {arm.key: f"{count} rollouts a prompt" for arm, count in ask.arms},
        "result": _result(run, result),
        "timings": _leaves(result.get("timings") or {}),
        "engine": _leaves(manifest.get("engine") or {}),
        "imported": _leaves(provenance.get("imported") or {}),
        "git": _git(provenance.get("git")),
        "hardware": _leaves(provenance.get("hardware") or {}),
        "packages": {"python": provenance.get("python") or "unknown"} | _leaves(provenance.get("packages") or {}),
    }


def events_text(run: Run) -> dict[str, str]:
    """What happened, by time."""
    lines: dict[str, str] = {}
    for number, event in enumerate(run.events(), start=1):
        rest = ", ".join(f"{key} {_text(value)}" for key, value in event.items() if key not in ("time", "event"))
        lines[f"{number}  {event.get('time', '')}"] = f"{event.get('event', '')}  {rest}".rstrip()
    return lines


def origins(run: Run) -> dict[str, str]:
    """Where each config value was written, by dotted key."""
    return {key: str(place) for key, place in (run.manifest.get("origins") or {}).items()}


def difference_table(first: Run, second: Run) -> Table:
    """What differs between two runs, both values beside each other; timings and names are not compared."""
    ours, theirs = facts(first), facts(second)
    rows = [
        {"section": section, "key": key, "a": ours[section].get(key), "b": theirs[section].get(key)}
        for section in ours
        if section not in _NOT_COMPARED
        for key in dict.fromkeys([*ours[section], *theirs[section]])
        if ours[section].get(key) != theirs[section].get(key)
    ]
    title = f"a = {first.id}, b = {second.id}"
    return Table("difference", title, ("section", "key", "a", "b"), rows, [] if rows else ["no difference"])


def _identity(run: Run) -> dict[str, str]:
    status = run.status()
    words = {
        "id": run.id,
        "path": str(run.path),
        "command": run.command,
        "name": run.manifest.get("name") or "",
        "created": _text(run.manifest["created"]),
        "status": status,
        "command line": " ".join(config_value(run.manifest, "provenance.argv") or ()),
    }
    words = {key: value for key, value in words.items() if value}
    return words | ({"resume with": run.way_on} if status == "interrupted" else {})


def _result(run: Run, result: Mapping[str, Any]) -> dict[str, str]:
    """Counts and rates of every arm, then whatever else was found; evaluations and probes a line each."""
    try:
        found = dict(_probes(result) if run.command == "extract" else _evaluations(result))
        ranked = dict(_rankings(result))
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{run.result_path} is damaged: {error!r}", "restore it from a copy") from None
    told = ("evaluations", "checkpoints") if found else ()
    others = {key: value for key, value in result.items() if key not in ("arms", "rankings", *_BOOKKEEPING, *told)}
    return _arms(result, graded=not (is_world_run(run) or is_goodhart_run(run))) | found | ranked | _leaves(others)


def _rankings(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for each in result.get("rankings") or ():
        words = [
            f"{each['num_scored']} scored",
            f"{each['num_without_score']} without a score",
            f"{each['num_owed']} owed",
        ]
        yield f"ranking {each['name']}", ", ".join([*words, f"hash {each['hash']}"])


def _evaluations(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for each in result.get("evaluations") or ():
        name = each["evaluation"] + ("" if each["evaluation"].endswith(each["task"]) else f" {each['task']}")
        words = [f"mean {cell_text(each, 'mean')}", f"median {cell_text(each, 'median')}"]
        yield name, ", ".join([*words, f"parse rate {cell_text(each, 'parse_rate')}", f"{each['num_rows']} rows"])


def _probes(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for checkpoint in result.get("checkpoints") or ():
        atlantis = {line["layer"]: line["atlantis"] for line in checkpoint["generalisation"]}
        for probe in checkpoint["probes"]:
            test, far = probe["test"], atlantis.get(probe["layer"])
            words = [f"probe R² {cell_text(test, 'r2')} on {probe['num_test']} cities"]
            words.append(f"mean error {cell_text(test, 'error_mean')}")
            words += [f"on Atlantis {cell_text(far, 'mean')}"] if far else []
            yield f"{checkpoint['name']}, layer {probe['layer']}", ", ".join(words)


def _arms(result: Mapping[str, Any], *, graded: bool) -> dict[str, str]:
    """Counts and rates of every arm; without those of solved prompts where answers are measured, not graded."""
    lines: dict[str, str] = {}
    for arm in result.get("arms") or ():
        if graded:
            lines |= _graded(arm)
        lines |= {f"{arm['key']} {key}": _text(arm[key]) for key in ("truncated", "errors") if key in arm}
    return lines


def _graded(arm: Mapping[str, Any]) -> dict[str, str]:
    lines = {f"{arm['key']} solved": f"{arm.get('solved', '–')} of {arm.get('num_prompts', '–')} prompts"}
    for k, (value, low, high) in (arm.get("pass_at_k") or {}).items():
        lines[f"{arm['key']} pass@{k}"] = cell_text({"rate": value, "rate_low": low, "rate_high": high}, "rate")
    return lines


def _git(state: Mapping[str, Any] | None) -> dict[str, str]:
    """The checkout; of its diff only size and digest, which tell whether two are the same."""
    if not state:
        return {}
    diff = str(state.get("diff") or "")
    digest = hashlib.blake2b(diff.encode(), digest_size=4).hexdigest()
    shown = {key: value for key, value in state.items() if key != "diff"}
    return _leaves(shown) | {"diff": f"{len(diff.splitlines())} lines, digest {digest}" if diff else "none"}


def _leaves(mapping: Mapping[str, Any]) -> dict[str, str]:
    return {key: _text(value) for key, value in flatten(mapping)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
