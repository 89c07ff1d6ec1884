"""The lean decoder against transformers' `generate`, text by text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from labkit.config.sections import ModelConfig
from labkit.models.decoding import lean
from labkit.models.decoding.network import network_of
from labkit.models.decoding.prefixes import stages
from labkit.models.engine import Completion, Decoding, EncodedPrompt, Perturbation
from labkit.models.folder import find_model
from labkit.models.loading import load_engine
from labkit.models.torch_engine import TorchEngine

VOCABULARY, END = 30, 3
TINY = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": END,
}
SHAPES = {
    "qwen2": Qwen2Config(**TINY, num_key_value_heads=4, tie_word_embeddings=False),
    "qwen2, tied, shared keys": Qwen2Config(**TINY, num_key_value_heads=2, tie_word_embeddings=True),
    "llama, one key head": LlamaConfig(**TINY, num_key_value_heads=1),
    "llama, biases, wide heads": LlamaConfig(
        **TINY, num_key_value_heads=2, attention_bias=True, mlp_bias=True, head_dim=12
    ),
    "llama, scaled positions": LlamaConfig(
        **TINY, num_key_value_heads=2, rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}
    ),
}
LEFT_TO_GENERATE = {
    "other class": GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=256, eos_token_id=END),
    "window": Qwen2Config(
        **TINY, num_key_value_heads=4, use_sliding_window=True, sliding_window=8, max_window_layers=1
    ),
    "other activation": LlamaConfig(**TINY, num_key_value_heads=4, hidden_act="gelu"),
    "positions that move": LlamaConfig(
        **TINY, num_key_value_heads=4, rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    ),
}
CLASSES = {Qwen2Config: Qwen2ForCausalLM, LlamaConfig: LlamaForCausalLM, GPT2Config: GPT2LMHeadModel}


def random_model(config: Qwen2Config | LlamaConfig | GPT2Config, seed: int = 0) -> PreTrainedModel:
    """Weights that leave every bias and norm at work."""
    torch.manual_seed(seed)
    model: PreTrainedModel = CLASSES[type(config)](config).train(False).requires_grad_(False)
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            weight.normal_(0, 0.3)
        elif "norm" in name:
            weight.uniform_(0.5, 1.5)
    return model


def engine_on(model: PreTrainedModel) -> TorchEngine:
    words = {f"w{number}": number for number in range(VOCABULARY)}
    backend = Tokenizer(WordLevel(words, unk_token="w1"))
    return TorchEngine(model, PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="w0", eos_token="w3"))


def random_prompts(count: int, seed: int = 0) -> list[EncodedPrompt]:
    """Questions of several lengths in any order: beginnings are shared, and some come twice."""
    generator = np.random.default_rng(seed)
    beginnings = [generator.integers(4, VOCABULARY, length).tolist() for length in (0, 3, 9)]
    prompts = []
    for _ in range(count):
        beginning = beginnings[int(generator.integers(3))]
        rest = generator.integers(4, 8, int(generator.integers(1, 7)))  # few choices, so that some prompts are repeated
        prompts.append(EncodedPrompt("", (2, *beginning, *rest.tolist())))
    return prompts


def left_to_generate(
    engine: TorchEngine, prompts: list[EncodedPrompt], decoding: Decoding, seeds: list[int] | None = None
) -> list[Completion]:
    """The same from transformers' `generate`: a stop text, though it never comes, is not for the lean decoder."""
    return engine.generate(prompts, replace(decoding, stop=("no such text",)), seeds)


@pytest.mark.parametrize("shape", SHAPES)
def test_greedy_completions_are_those_of_generate(shape: str) -> None:
    for seed in range(2):
        model = random_model(SHAPES[shape], seed)
        assert network_of(model) is not None
        engine, prompts = engine_on(model), random_prompts(700, seed)
        assert len(set(prompts)) < len(prompts)
        completions = engine.generate(prompts, Decoding(12))
        assert completions == left_to_generate(engine, prompts, Decoding(12))
        assert {row.finish_reason for row in completions} == {"stop", "length"}
        assert len({row.text for row in completions}) > 50


def test_draws_are_those_of_generate() -> None:
    engine, prompts = engine_on(random_model(SHAPES["qwen2"])), random_prompts(400)
    seeds = np.random.default_rng(1).integers(0, 2**63, len(prompts)).tolist()
    for decoding in (Decoding(10, 1.0), Decoding(10, 0.7, top_p=0.9), Decoding(10, 1.5, top_k=5)):
        assert engine.generate(prompts, decoding, seeds) == left_to_generate(engine, prompts, decoding, seeds)


def test_members_of_the_shipped_model_write_what_generate_writes() -> None:
    config = ModelConfig(id="builtin:countdown-tiny", device="cpu")
    engine = load_engine(find_model(config), config)
    numbers = np.random.default_rng(0).integers(1, 100, (128, 4))
    texts = [f"{a} {b} {c} = {target}" for a, b, c, target in numbers]
    prompts = [
        EncodedPrompt(text, tuple(engine.tokenizer(text, add_special_tokens=False)["input_ids"])) for text in texts
    ]
    base = engine.generate(prompts, Decoding(16))
    for seed in range(4):
        engine.perturb(Perturbation(seed, 0.01))
        member = engine.generate(prompts, Decoding(16))
        assert member == left_to_generate(engine, prompts, Decoding(16))
        assert member != base
    engine.perturb(None)
    assert engine.generate(prompts, Decoding(16)) == base == left_to_generate(engine, prompts, Decoding(16))


def test_replaced_weights_are_followed() -> None:
    model = random_model(SHAPES["llama, one key head"])
    engine, prompts = engine_on(model), random_prompts(40)
    before = engine.generate(prompts, Decoding(8))
    layer = model.model.layers[1].mlp
    layer.up_proj.weight = torch.nn.Parameter(-layer.up_proj.weight, requires_grad=False)
    after = engine.generate(prompts, Decoding(8))
    assert after != before
    assert after == left_to_generate(engine, prompts, Decoding(8))


def test_hooks_are_called() -> None:
    model = random_model(SHAPES["qwen2"])
    engine, prompts = engine_on(model), random_prompts(8)
    before = engine.generate(prompts, Decoding(8))
    hook = model.model.layers[0].mlp.register_forward_hook(lambda module, given, found: -found)
    assert engine.generate(prompts, Decoding(8)) == left_to_generate(engine, prompts, Decoding(8)) != before
    hook.remove()
    assert engine.generate(prompts, Decoding(8)) == before


def test_texts_longer_than_the_first_room() -> None:
    model = random_model(SHAPES["qwen2, tied, shared keys"])
    engine, prompts = engine_on(model), random_prompts(30)
    completions = engine.generate(prompts, Decoding(200))
    assert max(row.num_tokens for row in completions) > 2 * lean.ROOM_COLUMNS
    assert completions == left_to_generate(engine, prompts, Decoding(200))


def test_half_precision_is_as_near_to_full_as_generate_is() -> None:
    count = both = lean_only = generate_only = 0
    for shape in SHAPES.values():
        prompts = random_prompts(200)
        full = engine_on(random_model(shape)).generate(prompts, Decoding(6))
        half = engine_on(random_model(shape).to(torch.bfloat16))
        lean_rows, rows = half.generate(prompts, Decoding(6)), left_to_generate(half, prompts, Decoding(6))
        both += sum(row == other for row, other in zip(lean_rows, rows, strict=True))
        lean_only += sum(row == other for row, other in zip(lean_rows, full, strict=True))
        generate_only += sum(row == other for row, other in zip(rows, full, strict=True))
        count += len(prompts)
    # Random weights put near ties everywhere: generate itself writes 2 % of these texts otherwise in smaller batches.
    assert both > 0.9 * count
    assert lean_only > generate_only - 0.03 * count


def test_rows_without_numbers_are_errors_and_the_others_are_not() -> None:
    model = random_model(SHAPES["qwen2"])
    engine, prompts = engine_on(model), random_prompts(200)
    expected = engine.generate(prompts, Decoding(1))
    model.model.embed_tokens.weight[5] = torch.nan
    hit = [5 in prompt.token_ids for prompt in prompts]
    assert {True, False} == set(hit)
    for row, lost, before in zip(engine.generate(prompts, Decoding(1)), hit, expected, strict=True):
        if lost:
            assert (row.finish_reason, row.text, row.num_tokens) == ("error", "", 0)
            assert "not numbers" in str(row.error)
        else:
            assert row == before
    assert engine.generate(prompts, Decoding(1)) == left_to_generate(engine, prompts, Decoding(1))


def test_the_same_batch_gives_the_same_bits() -> None:
    network = network_of(random_model(SHAPES["llama, biases, wide heads"]))
    assert network is not None
    prompts = [prompt.token_ids for prompt in random_prompts(300)]

    def all_logits() -> list[torch.Tensor]:
        seen: list[torch.Tensor] = []

        def choose(logits: torch.Tensor, rows: list[int], step: int) -> torch.Tensor:
            seen.append(logits.clone())
            return logits.argmax(dim=-1)

        with torch.inference_mode():
            lean.decode(network, prompts, choose, max_new_tokens=8, end_ids=[END])
        return seen

    first, second = all_logits(), all_logits()
    assert len(first) > 8
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("reason", LEFT_TO_GENERATE)
def test_other_models_are_left_to_generate(reason: str) -> None:
    model = random_model(LEFT_TO_GENERATE[reason])
    assert network_of(model) is None
    engine, prompts = engine_on(model), random_prompts(8)
    assert engine.generate(prompts, Decoding(5)) == left_to_generate(engine, prompts, Decoding(5))


def test_a_replaced_part_is_left_to_generate() -> None:
    model = random_model(SHAPES["qwen2"])
    model.model.layers[0].mlp.up_proj = torch.nn.Sequential(model.model.layers[0].mlp.up_proj)
    assert network_of(model) is None


@pytest.mark.parametrize("seed", range(20))
def test_stages_hold_every_prompt_and_each_prefix_once(seed: int) -> None:
    generator = np.random.default_rng(seed)
    count, length = int(generator.integers(1, 200)), int(generator.integers(1, 30))
    prompts = np.unique(generator.integers(0, 1 + seed % 4, (count, length)), axis=0)
    plan = stages(prompts)
    assert len(plan[-1].tokens) == len(prompts)
    assert [stage.start for stage in plan] == [0, *[stage.end for stage in plan[:-1]]]
    held = np.empty((1, 0), dtype=np.int64)
    for stage in plan:
        held = np.concatenate((held[stage.parents], stage.tokens), axis=1)
        assert len(np.unique(held, axis=0)) == len(held)
    assert np.array_equal(held, prompts)


def test_a_long_shared_beginning_is_read_once() -> None:
    endings = np.arange(100).reshape(100, 1)
    prompts = np.concatenate((np.zeros((100, 40), dtype=np.int64), endings, endings), axis=1)
    assert [stage.tokens.shape for stage in stages(prompts)] == [(1, 40), (100, 2)]
