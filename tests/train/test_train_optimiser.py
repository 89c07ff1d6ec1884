"""Muon and AdamW as one optimiser: what each one steps, against either alone, and that loading changes nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.optim import AdamW, Muon
from torch.optim.lr_scheduler import LambdaLR
from transformers import Qwen2Config, Qwen2ForCausalLM

from labkit.config.training import OptimisationConfig
from labkit.train.optimiser import MuonWithAdamW, split_parameters

HOW = OptimisationConfig(optimiser="muon", learning_rate=0.01, weight_decay=0.1)


def make_model(*, tied: bool = False) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=20, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, tie_word_embeddings=tied,
    )  # fmt: skip
    return Qwen2ForCausalLM(config)


def learn(model: Qwen2ForCausalLM, *optimisers: torch.optim.Optimizer, first: int = 0, steps: int = 3) -> None:
    for step in range(first, first + steps):
        ids = (torch.arange(24).reshape(2, 12) * (step + 3)) % 20
        model(input_ids=ids, labels=ids).loss.backward()
        for optimiser in optimisers:
            optimiser.step()
        model.zero_grad()


def weights(model: Qwen2ForCausalLM) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


@pytest.mark.parametrize("tied", [False, True])
def test_matrices_between_embeddings_and_output_go_to_muon(tied: bool) -> None:
    model = make_model(tied=tied)
    names = {id(weight): name for name, weight in model.named_parameters()}
    matrices, others = ([names[id(weight)] for weight in part] for part in split_parameters(model))
    assert len(matrices) == 2 * 7 and all(".layers." in name and name.endswith("proj.weight") for name in matrices)
    assert {"model.embed_tokens.weight", "model.norm.weight"} <= set(others)
    assert ("lm_head.weight" in others) == (not tied)
    assert sorted([*matrices, *others]) == sorted(names.values())


def test_it_steps_like_both_optimisers_side_by_side() -> None:
    together, apart = make_model(), make_model()
    matrices, others = split_parameters(apart)
    muon = Muon(matrices, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    groups = [
        {"params": [weight for weight in others if weight.ndim > 1], "weight_decay": 0.1},
        {"params": [weight for weight in others if weight.ndim == 1], "weight_decay": 0.0},
    ]
    learn(together, MuonWithAdamW(together, HOW))
    learn(apart, muon, AdamW(groups, lr=0.01, betas=(0.9, 0.95), fused=True))
    before = weights(make_model())
    for name, weight in weights(together).items():
        assert torch.equal(weight, weights(apart)[name]), name
        assert not torch.equal(weight, before[name]), name


def test_a_schedule_sets_the_rate_of_both() -> None:
    model = make_model()
    optimiser = MuonWithAdamW(model, HOW)
    schedule = LambdaLR(optimiser, lambda step: 0.0 if step else 1.0)
    learn(model, optimiser, steps=1)
    schedule.step()
    before = weights(model)
    learn(model, optimiser)
    assert [group["lr"] for group in optimiser.param_groups] == [0.0] * 3
    assert all(torch.equal(weight, before[name]) for name, weight in weights(model).items())


def test_a_loaded_state_goes_on_in_the_same_bits() -> None:
    straight, stopped = make_model(), make_model()
    learn(straight, MuonWithAdamW(straight, HOW), steps=6)
    optimiser = MuonWithAdamW(stopped, HOW)
    learn(stopped, optimiser, steps=3)
    state: dict[str, Any] = copy.deepcopy(optimiser.state_dict())
    assert len(state["state"]) == len(list(stopped.parameters()))
    again = MuonWithAdamW(stopped, HOW)
    again.load_state_dict(state)
    learn(stopped, again, first=3, steps=3)
    assert all(torch.equal(weight, weights(straight)[name]) for name, weight in weights(stopped).items())
