"""How fast a model of the world-cities shape is evaluated: `python benchmarks/evaluation.py`.

Trains such a model for less than a minute, until its answers are as long as real ones. Then compares, on one thread,
`TorchEngine.generate` with transformers' `generate` on batches in arrival order, text by text, in turns in one process;
and one `labkit eval` over 15 data sets with a process for each of them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.utils import logging

from labkit.config.world import TASKS, TaskName, evaluation_names
from labkit.models.engine import Completion, Decoding, EncodedPrompt
from labkit.models.torch_engine import TorchEngine
from labkit.tasks.base import Prompt
from labkit.tasks.world.geometry import answer_texts, values
from labkit.tasks.world.text import prompt_text, row_text
from labkit.train.character_tokenizer import build_character_tokenizer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from eval_worlds import Row, save_data_set

NUM_ROWS = 512
NUM_CITIES = 5175
BATCH_SIZE = 512
REPEATS = 3
STEPS, TRAINING_BATCH, LEARNING_RATE = 80, 32, 3e-3
TARGET, START_TARGET = 2, 10
GREEDY = Decoding(30)


def random_rows(task: TaskName, count: int, generator: np.random.Generator) -> list[Row]:
    """Rows about random cities, with the right answers; `inside` and `perimeter` have several lengths."""
    world = np.random.default_rng(0)
    ids = world.permutation(10_000)[:NUM_CITIES]
    places = world.integers((-1800, -900), (1801, 901), (NUM_CITIES, 2))
    sizes = {"inside": (4, 7), "perimeter": (2, 6), "trianglearea": (3, 4), "angle": (3, 4), "crossing": (4, 5)}
    rows: list[Row] = []
    for _ in range(count):
        chosen = generator.choice(NUM_CITIES, int(generator.integers(*sizes.get(task, (2, 3)))), replace=False)
        found = values(task, places[chosen][None], np.array([len(chosen)]))
        rows.append((task, prompt_text(task, [f"{ids[city]:04d}" for city in chosen]), answer_texts(task, found)[0]))
    return rows


def mixture(count: int, generator: np.random.Generator) -> list[Row]:
    """Rows of all tasks, shuffled."""
    rows = [row for task in TASKS for row in random_rows(task, -(-count // len(TASKS)), generator)]
    return [rows[at] for at in generator.permutation(len(rows))[:count]]


def trained_engine() -> TorchEngine:
    """A model that has learnt from the answers how they look, and where they end."""
    tokenizer = build_character_tokenizer()
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=512, num_hidden_layers=6,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=256, initializer_range=0.1,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=STEPS, pct_start=0.1)
    rows = mixture(STEPS * TRAINING_BATCH, np.random.default_rng(1))
    tokenizer.padding_side = "right"
    equals = tokenizer.convert_tokens_to_ids("=")
    for start in range(0, len(rows), TRAINING_BATCH):
        texts = [row_text(prompt, answer) for _, prompt, answer in rows[start : start + TRAINING_BATCH]]
        batch = tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt")
        answered = (batch["input_ids"] == equals).cumsum(dim=1) - (batch["input_ids"] == equals).long()
        labels = batch["input_ids"].masked_fill((answered * batch["attention_mask"]) == 0, -100)
        optimiser.zero_grad()
        model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    tokenizer.padding_side = "left"
    return TorchEngine(model.train(False).requires_grad_(False), tokenizer)


def compare(engine: TorchEngine, prompts: Sequence[EncodedPrompt], batch_size: int) -> tuple[float, float, float]:
    """Median rows a second of `generate` and of the engine, by the processor's clock, and tokens an answer."""
    batches = [prompts[start : start + batch_size] for start in range(0, len(prompts), batch_size)]
    ways = (lambda batch: engine._generate_padded(batch, GREEDY, None), lambda batch: engine.generate(batch, GREEDY))
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        texts: list[list[Completion]] = []
        for way, times in zip(ways, seconds, strict=True):
            began = time.process_time()
            texts.append([row for batch in batches for row in way(batch)])
            times.append(time.process_time() - began)
        assert texts[0] == texts[1]
    slow, fast = (len(prompts) / statistics.median(times) for times in seconds)
    return slow, fast, statistics.mean(row.num_tokens for row in texts[1])


def show_decoding(console: Console, engine: TorchEngine) -> None:
    """A table of rows a second, by task."""
    table = Table("rows", "batch", "tokens/answer", "generate, rows/s", "labkit, rows/s", "ratio", "target")
    generator = np.random.default_rng(2)
    sets = {"multi_task": mixture(NUM_ROWS, generator)}
    sets |= {task: random_rows(task, NUM_ROWS, generator) for task in TASKS}
    for name, rows in sets.items():
        prompts = [engine.encode(Prompt(({"role": "user", "content": prompt},))) for _, prompt, _ in rows]
        for batch_size in (BATCH_SIZE, BATCH_SIZE // 4) if name == "multi_task" else (BATCH_SIZE,):
            slow, fast, num_tokens = compare(engine, prompts, batch_size)
            figures = (f"{num_tokens:.1f}", f"{slow:,.0f}", f"{fast:,.0f}", f"{fast / slow:.2f}", str(TARGET))
            table.add_row(name, str(batch_size), *figures)
    console.print(table)


def wall_s(call: Callable[[], None]) -> float:
    """Seconds by the clock."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def show_starts(console: Console, engine: TorchEngine, num_prompts: int = 128) -> None:
    """One run over 15 data sets against 15 processes that load the model each."""
    with tempfile.TemporaryDirectory() as folder:
        place, generator = Path(folder), np.random.default_rng(3)
        engine.model.save_pretrained(place / "model")
        engine.tokenizer.save_pretrained(place / "model")
        names = evaluation_names()
        for name in names:
            task = name.removeprefix("atlantis_")
            rows = mixture(num_prompts, generator) if task not in TASKS else random_rows(task, num_prompts, generator)
            save_data_set(place / "world", name, rows)

        def evaluate(*some: str) -> None:
            chosen = [word for name in some for word in ("--evaluation", name)]
            arguments = ["--model", "model", "--data", "world", "--num-prompts", str(num_prompts), "--device", "cpu"]
            subprocess.run(
                [sys.executable, "-m", "labkit", "eval", "world", *arguments, *chosen],
                cwd=place, check=True, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip

        evaluate(names[0])  # what is compiled or read from disk for the first time does not count
        together = wall_s(lambda: evaluate(*names))
        apart = sum(wall_s(lambda name=name: evaluate(name)) for name in names)
    table = Table(f"{len(names)} evaluations of {num_prompts} rows", "seconds", "ratio", "target")
    table.add_row("a process for each", f"{apart:.1f}", "", "")
    table.add_row("one process", f"{together:.1f}", f"{apart / together:.1f}", str(START_TARGET))
    console.print(table)


def main() -> None:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    console = Console()
    began = time.perf_counter()
    engine = trained_engine()
    console.print(f"trained in {time.perf_counter() - began:.0f} s; {engine.version}")
    show_decoding(console, engine)
    show_starts(console, engine)


if __name__ == "__main__":
    main()
