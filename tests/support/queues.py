"""Configs to carry out, small real ones, and what is left of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from labkit.execute.items import Item, read_items
from labkit.record.catalog import run_paths
from labkit.record.frames import KEY, read_rollouts
from labkit.record.run import Run, open_run

EVAL = {
    "command": "eval",
    "task": {"name": "countdown", "num_prompts": 2, "preset": "short"},
    "generation": {"max_new_tokens": 4},
}
TRAINING = {
    "command": "train",
    "architecture": {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 64,
    },
    "tokenizer": {"integer_range": [0, 100], "words": ["+", "-", "*", "/", "(", ")", "=", "<answer>", "</answer>"]},
    "optimisation": {"num_steps": 3, "batch_size": 8},
    "evaluation": {"num_prompts": 2, "max_new_tokens": 4},
}  # fmt: skip


def write_config(path: Path, *parts: Mapping[str, Any], **values: Any) -> Path:
    """A config with a line of comment above, as generated ones have it; double underscores stand for dots."""
    config: dict[str, Any] = {}
    for part in parts:
        config |= {key: dict(value) if isinstance(value, Mapping) else value for key, value in part.items()}
    for key, value in values.items():
        *sections, last = key.split("__")
        inner = config
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("# written by a test\n" + yaml.safe_dump(config))
    return path


def write_evaluations(folder: Path, count: int, **values: Any) -> list[Path]:
    """Evaluations that differ in their seed."""
    width = len(str(count - 1))
    return [write_config(folder / f"e{seed:0{width}}.yaml", EVAL, seed=seed, **values) for seed in range(count)]


def items_of(*paths: Path, environ: Mapping[str, str] | None = None) -> list[Item]:
    """The items of files and folders."""
    return read_items(paths, environ or {})[0]


def runs_below(runs_dir: Path) -> list[Run]:
    """Every run of a folder."""
    return [open_run(path) for path in run_paths(runs_dir)]


def check_each_done_once(configs: list[Path], runs_dir: Path) -> None:
    """Every config has one run, which is finished, and no rollout stands twice."""
    asked = {item.digest: item.name for item in items_of(*configs)}
    runs = runs_below(runs_dir)
    assert Counter(run.manifest["config_digest"] for run in runs) == Counter(list(asked))
    assert {run.status() for run in runs} == {"done"}
    for run in runs:
        if run.command in ("sample", "perturb", "eval"):
            assert read_rollouts(run).frame.select(KEY).is_duplicated().sum() == 0
            assert (
                sum(path.read_bytes().count(b"\n") for path in run.rows_dir.glob("*.jsonl")) == run.ask().num_rollouts
            )


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and that are there."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def environment(**others: str) -> dict[str, str]:
    return os.environ | others
