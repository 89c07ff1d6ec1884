"""How fast hidden states are read, probed and compared, at the size of the published experiment: 4,500 cities of a Qwen2 of
128 dimensions and 6 layers. Needs the extra `world`."""

from __future__ import annotations

import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.utils import logging as transformers_logging

from labkit.config.commands import ExtractConfig
from labkit.config.sections import ModelConfig
from labkit.extract.analysis import analyse, assign_cities, projections_csv
from labkit.extract.files import Representations
from labkit.extract.hidden_states import encode_prompts, read_hidden_states
from labkit.extract.plan import plan_extraction
from labkit.extract.similarity import linear_cka, prepare, procrustes_similarity
from labkit.models.folder import find_model
from labkit.models.loading import load_engine
from labkit.tasks.world.cities import COLUMNS
from labkit.train.character_tokenizer import build_character_tokenizer
from labkit.train.model_folder import save_model

NUM_REAL, NUM_ATLANTIS = 5075, 100
NUM_COMPARED = 4413


def seconds(call: Callable[[], object], times: int = 5) -> float:
    """Median of several goes."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def write_world(path: Path) -> None:
    """As many cities as the published world has, at random."""
    random = np.random.default_rng(0)
    total = NUM_REAL + NUM_ATLANTIS
    ids = random.choice(10_000, size=total, replace=False)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for number, city in enumerate(ids):
            region = "Africa" if number < NUM_REAL else "Atlantis"
            x, y = random.integers(-1800, 1800), random.integers(-900, 900)
            writer.writerow([number, f"City {number}", x, y, "XX", region, f"{city:04d}"])


def write_model(folder: Path) -> None:
    """A random model of the published shape."""
    tokenizer = build_character_tokenizer()
    torch.manual_seed(0)
    shape = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 6, "num_attention_heads": 4}
    config = Qwen2Config(
        vocab_size=len(tokenizer), num_key_value_heads=4, initializer_range=0.1,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, **shape,
    )  # fmt: skip
    save_model(Qwen2ForCausalLM(config), tokenizer, {}, folder)


def main() -> None:
    transformers_logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_world(folder / "cities.csv")
        write_model(folder / "model")
        asked = ModelConfig(id=str(folder / "model"))
        config = ExtractConfig(model=asked, cities=folder / "cities.csv")
        plan = plan_extraction(config, lambda _: None)
        planning_s = seconds(lambda: plan_extraction(config, lambda _: None), 3)
        engine = load_engine(find_model(asked), asked)
        tokens = encode_prompts(engine, plan.prompts, plan.positions)
        encoding_s = seconds(lambda: encode_prompts(engine, plan.prompts, plan.positions), 3)

        def read(layers: tuple[int, ...] = config.layers) -> np.ndarray:
            return read_hidden_states(
                engine, tokens, positions=plan.positions, layers=layers, batch_size=config.batch_size
            )

        values = read()
        reading_s = seconds(read)
    found = Representations(
        values, config.layers, plan.chosen, plan.selection.is_train, "final", None, plan.prompt_format, plan.positions
    )
    cities = assign_cities(plan.chosen, plan.selection.is_train, config)
    x = found.features(5)[:NUM_COMPARED]
    y = x + np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    count = len(tokens)
    print(f"| what, {torch.get_num_threads()} threads on {engine.model.device} | reading | target |\n|---|---|---|")
    print(f"| choosing {count:,} of {NUM_REAL + NUM_ATLANTIS:,} cities | {planning_s:.2f} s | |")
    print(f"| their prompts to tokens | {count / encoding_s:,.0f} cities/s | |")
    print(f"| their hidden states, one layer | {count / reading_s:,.0f} cities/s | |")
    print(
        f"| probes, components, generalisation | {seconds(lambda: analyse(found, cities, config), 3):.2f} s a layer | |"
    )
    print(f"| projections | {seconds(lambda: projections_csv(found, cities, config), 3):.2f} s a layer | |")
    shape = f"{x.shape[0]:,} x {x.shape[1]}"
    print(f"| linear CKA of {shape} with as many | {1000 * seconds(lambda: linear_cka(x, y)):.0f} ms | 1 s |")
    print(f"| Procrustes of the same | {1000 * seconds(lambda: procrustes_similarity(x, y)):.0f} ms | 1 s |")
    first, second = prepare(x), prepare(y)
    again_s = seconds(lambda: (first.cka(second), first.procrustes(second)))
    print(f"| both, for a further pair of a table of many models | {1000 * again_s:.0f} ms | |")


if __name__ == "__main__":
    main()
