"""What the tests of the record share: small runs, rows, and child processes that really run and really die."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labkit.record.identity import Arm, components_hash
from labkit.record.rows import Rollout, Verdict
from labkit.record.run import Ask, Run, create_run

Child = subprocess.Popen[str]


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """Make a run of one greedy arm under `tmp_path/runs`; keywords replace parts of its manifest."""

    def make(command: str = "sample", slug: str = "tiny", **manifest: Any) -> Run:
        score = {"scorer": "exact-1"}
        fields = {
            "seed": 42,
            "config": {"command": command, "seed": 42},
            "origins": {"seed": "default"},
            "base": {"model": "builtin:tiny", "dtype": "float32"},
            "base_hash": components_hash({"model": "builtin:tiny", "dtype": "float32"}),
            "score": score,
            "score_hash": components_hash(score),
            "ask": Ask(2, ((Arm("greedy"), 1),)).as_json(),
        }
        prompts = [{"id": "p0", "text": "1 + 1 = é\u2028\n"}, {"id": "p1", "text": 'say "{}"'}]
        return create_run(
            tmp_path / "runs",
            command=command,
            slug=slug,
            manifest=fields | manifest,
            config_yaml=f"command: {command}\nseed: 42\n",
            prompts=prompts,
        )

    return make


@pytest.fixture
def rollout() -> Callable[..., Rollout]:
    """Make a rollout by its index; keywords replace fields."""

    def make(index: int = 0, **fields: Any) -> Rollout:
        standard: dict[str, Any] = {
            "prompt": "p0",
            "arm": "temperature=0.4",
            "attempt": 1,
            "seed": 7 + index,
            "text": f"answer {index}",
            "finish_reason": "stop",
            "num_prompt_tokens": 5,
            "num_tokens": 3,
            "duration_s": 0.25,
        }
        return Rollout(**(standard | {"index": index} | fields))

    return make


@pytest.fixture
def verdict() -> Callable[..., Verdict]:
    """Make the verdict of a rollout; keywords replace fields."""

    def make(row: Rollout, **fields: Any) -> Verdict:
        standard: dict[str, Any] = {"correct": True, "reward": 1.0, "answer": "2", "rule": "last"}
        return Verdict(row.prompt, row.arm, row.index, row.attempt, **(standard | fields))

    return make


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """Start Python code in a process of its own; whatever is left of it ends with the test."""
    started: list[Child] = []

    def start(code: str, *arguments: object, cwd: Path | None = None) -> Child:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
