"""The matrices of GSM8K's best-of-N: what each makes, and that their stages name each other and nothing else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from matrices import generated, made

from labkit.config.base import Config, file_layer, resolve
from labkit.config.commands import COMMANDS, EvalConfig
from labkit.config.references import made_by, needed_by
from labkit.config.sections import Gsm8kTask
from labkit.gencfg.matrix import find_matrix
from labkit.gencfg.missing import missing_inputs

TINY = {"data": 1, "training": 1, "candidates": 1, "energy": 1, "evaluation": 1, "goodhart": 2}
FULL = {"candidates": 2, "energy": 2, "evaluation": 2}


def configs(matrix: str, folder: Path) -> dict[str, Config]:
    """Every generated config, as its command would read it, by its path."""
    made(find_matrix(matrix), folder)
    layers = {path: file_layer(path) for path in sorted((folder / "configs").rglob("*.yaml"))}
    return {
        str(path.relative_to(folder / "configs" / matrix)): resolve(COMMANDS[layer.values["command"]], [layer]).config
        for path, layer in layers.items()
    }


@pytest.mark.parametrize(("matrix", "counts"), [("gsm8k-tiny", TINY), ("gsm8k", FULL)])
def test_a_matrix_makes_its_stages_and_nothing_is_missing(matrix: str, counts: dict[str, int], tmp_path: Path) -> None:
    found = generated(find_matrix(matrix))
    assert Counter(file.group for file in found.files) == counts
    assert missing_inputs(found, [tmp_path]) == []


def test_the_stages_of_the_small_experiment_need_each_other(tmp_path: Path) -> None:
    found = configs("gsm8k-tiny", tmp_path)
    needs = {path: {(need.kind, need.name) for need in needed_by(config)} for path, config in found.items()}
    makes = {path: {(made.kind, made.name) for made in made_by(config)} for path, config in found.items()}
    model, problems = ("run", "word-problems"), ("path", "data/word-problems")
    assert makes["data.yaml"] == {problems}
    assert makes["training.yaml"] == {model}
    assert needs["training.yaml"] == {
        ("path", f"data/word-problems/{split}.jsonl") for split in ("train", "validation")
    }
    assert needs["candidates.yaml"] == {model, ("path", "data/word-problems/train.jsonl")}
    assert needs["energy.yaml"] == {model, ("rollouts", "candidates")}
    assert needs["evaluation.yaml"] == {
        model, ("run", "word-problems-energy"), ("path", "data/word-problems/test.jsonl")
    }  # fmt: skip
    assert needs["goodhart/final.yaml"] == needs["goodhart/250.yaml"] == {model}
    evaluation = found["evaluation.yaml"]
    assert isinstance(evaluation, EvalConfig)
    assert (evaluation.num_rollouts, evaluation.temperature, evaluation.generation.top_p) == (5, 0.7, 0.9)


def test_each_model_of_the_full_experiment_has_its_own_energy_model(tmp_path: Path) -> None:
    found = configs("gsm8k", tmp_path)
    for model, hub_id in {
        "gemma-3-1b-it": "google/gemma-3-1b-it",
        "qwen2.5-0.5b-instruct": "Qwen/Qwen2.5-0.5B-Instruct",
    }.items():
        candidates, evaluation = found[f"{model}/candidates.yaml"], found[f"{model}/evaluation.yaml"]
        assert isinstance(candidates, EvalConfig) and isinstance(evaluation, EvalConfig)
        assert candidates.model == evaluation.model
        assert (candidates.model.id, candidates.task.name, evaluation.rerankers) == (
            hub_id, "gsm8k", (f"run:{model}-energy",)
        )  # fmt: skip
        assert isinstance(candidates.task, Gsm8kTask) and isinstance(evaluation.task, Gsm8kTask)
        assert (candidates.task.split, evaluation.task.split, evaluation.task.num_prompts) == ("train", "test", None)
        energy = {(need.kind, need.name) for need in needed_by(found[f"{model}/energy.yaml"])}
        assert energy == {("rollouts", f"{model}-candidates")}
        assert candidates.generation == evaluation.generation
