"""Honest runs of small models over several tasks, and what may get among their rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sweeps import Watcher
from transformers import Qwen2Config, Qwen2ForCausalLM

from labkit.config.base import Layer, resolve
from labkit.config.commands import EvalConfig
from labkit.config.sections import ModelConfig
from labkit.models.engine import Perturbation
from labkit.models.engines import Engines
from labkit.models.folder import find_model
from labkit.models.loading import load_engine
from labkit.record.run import Run, open_run
from labkit.rollouts.checks import check_run
from labkit.rollouts.experiment import prepare
from labkit.rollouts.findings import Finding
from labkit.rollouts.session import start
from labkit.train.tokenizer import build_word_tokenizer

Row = dict[str, Any]
Plant = Callable[[Run, Run, np.random.Generator], int]
"""Puts rows into a run, some perhaps of another run over the same prompts; gives how many."""

_LETTERS = (
    "#### so that makes each of the and has left answer: is = + - * / ( ) . , ? pens boxes then because day total first"
)
_WORDS = tuple(_LETTERS.split())


def save_talker(folder: Path, *, seed: int = 0) -> Path:
    """A random model with a vocabulary of numbers and words."""
    tokenizer = build_word_tokenizer(integer_range=(0, 60), words=_WORDS, max_length=512)
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.16,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_noisy_copy(folder: Path, *, sigma: float) -> Path:
    """The model that comes with labkit, a little off."""
    config = ModelConfig(id="builtin:countdown-tiny", device="cpu")
    engine = load_engine(find_model(config), config)
    engine.perturb(Perturbation(7, sigma))
    engine.model.save_pretrained(folder)
    engine.tokenizer.save_pretrained(folder)
    return folder


def save_problems(path: Path, count: int) -> Path:
    """Word problems in GSM8K's form."""
    generator, lines = np.random.default_rng(5), []
    for number in range(count):
        name, (a, b) = ("Ann", "Ben", "Cleo", "Dan")[number % 4], generator.integers(2, 60, 2)
        question = (
            f"{name} has {a} boxes of {b} pens and gives {number} of the pens away. How many pens has {name} left?"
        )
        answer = f"{a} * {b} = <<{a}*{b}={a * b}>>{a * b}\n#### {a * b - number}"
        lines.append(json.dumps({"question": question, "answer": answer}) + "\n")
    path.write_text("".join(lines))
    return path


def evaluate(runs_dir: Path, engines: Engines | None = None, **values: Any) -> Run:
    """An evaluation in this process; double underscores stand for dots."""
    given = {key.replace("__", "."): value for key, value in values.items()}
    base = {"model.device": "cpu", "runs_dir": str(runs_dir)}
    resolved = resolve(EvalConfig, [Layer("test", base | given)])
    return start(resolved, prepare(resolved.config, lambda text: None, engines=engines), Watcher())


def read_rows(run: Run) -> list[Row]:
    """The rows of a run's only segment."""
    (path,) = run.rows_dir.glob("*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_rows(run: Run, rows: list[Row]) -> None:
    (path,) = run.rows_dir.glob("*.jsonl")
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _stretch(num_rows: int, share: float, generator: np.random.Generator) -> range:
    length = max(1, round(share * num_rows))
    first = int(generator.integers(0, num_rows - length + 1))
    return range(first, first + length)


def plant_dummies(run: Run, other: Run, generator: np.random.Generator) -> int:
    """A generator that was a stand-in for some rows, one after the other."""
    rows = read_rows(run)
    where = _stretch(len(rows), 0.05, generator)
    for at in where:
        rows[at]["text"] = "dummy response #### 42"
    write_rows(run, rows)
    return len(where)


def plant_scattered_dummies(run: Run, other: Run, generator: np.random.Generator) -> int:
    """The same, where a cache answered some of the prompts."""
    rows = read_rows(run)
    where = generator.choice(len(rows), max(12, len(rows) // 20), replace=False)
    for at in where:
        rows[at]["text"] = "dummy response #### 42"
    write_rows(run, rows)
    return len(where)


def plant_stale_rows(run: Run, other: Run, generator: np.random.Generator) -> int:
    """Rows of an older run, under another seed, in front."""
    stale = read_rows(other)[:32]
    write_rows(run, stale + read_rows(run))
    return len(stale)


def plant_another_model(run: Run, other: Run, generator: np.random.Generator) -> int:
    """What another model wrote for the same prompts with the same draws, for a stretch of the rows."""
    rows = read_rows(run)
    theirs = {(row["prompt"], row["index"]): row for row in read_rows(other)}
    where = _stretch(len(rows), 0.05, generator)
    for at in where:
        rows[at] = theirs[rows[at]["prompt"], rows[at]["index"]]
    write_rows(run, rows)
    return len(where)


def plant_leak(run: Run, other: Run, generator: np.random.Generator) -> int:
    """The end of the prompt in front of some texts, as much as the padding was wide."""
    rows = read_rows(run)
    prompts = {line["id"]: line["messages"][-1]["content"] + line["prefill"] for line in run.prompts()}
    where = generator.choice(len(rows), max(4, len(rows) // 20), replace=False)
    for at in where:
        prompt = prompts[rows[at]["prompt"]]
        width = min(len(prompt), int(generator.integers(14, 90)))
        rows[at]["text"] = prompt[-width:] + "\n" + rows[at]["text"]
    write_rows(run, rows)
    return len(where)


Found = tuple[frozenset[str], frozenset[str]]
"""The checks of which one at least must find it, and how grave it may be called."""

_SURE = frozenset({"contamination"})
PLANTS: dict[str, tuple[Plant, Found]] = {
    "dummy rows": (plant_dummies, (frozenset({"dummies"}), _SURE)),
    # What is scattered may be a model's own refusal, so it is called doubtful.
    "dummy rows here and there": (plant_scattered_dummies, (frozenset({"dummies"}), _SURE | {"warning"})),
    "stale rows": (plant_stale_rows, (frozenset({"seeds", "repeats"}), _SURE)),
    "another model's rows": (plant_another_model, (frozenset({"style"}), _SURE)),
    "a leaked prompt": (plant_leak, (frozenset({"leaked prompt"}), _SURE)),
}
"""What is planted, and what must be found."""


def suspicions(findings: Sequence[Finding]) -> set[str]:
    """The checks that call rows another's."""
    return {finding.check for finding in findings if finding.severity == "contamination"}


def plant_all(
    folder: Path, engines: Engines, given: dict[str, Any], other: dict[str, Any], seed: int
) -> Iterator[tuple[str, bool]]:
    """Every contamination planted into a run of its own; gives its name and whether it was found, the honest run first,
    of which nothing must be.

    Args:
        given: what the run is asked
        other: what makes another model's run of it
    """
    run = evaluate(folder, engines, **given | {"seed": seed})
    another = evaluate(folder, engines, **given | {"seed": seed} | other)
    older = evaluate(folder, engines, **given | {"seed": 1000 + seed})
    yield "nothing", bool(suspicions(check_run(run)))
    for name, (put, (checks, severities)) in PLANTS.items():
        copy = open_run(Path(shutil.copytree(run.path, folder / f"{seed}-{name}" / run.id)))
        assert put(copy, older if name == "stale rows" else another, np.random.default_rng(seed)) > 0
        found = {finding.check for finding in check_run(copy) if finding.severity in severities}
        yield name, bool(found & checks)
