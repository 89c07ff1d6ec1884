"""The log-probability of a completion against a forward pass over prompt and completion together."""

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
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from labkit.config.base import Layer, resolve
from labkit.config.commands import EvalConfig, SampleConfig
from labkit.models.draws import token_logprobs
from labkit.models.engine import Completion, Decoding, EncodedPrompt
from labkit.models.torch_engine import TorchEngine

VOCABULARY, END = 30, 3
SHAPE = {"vocab_size": VOCABULARY, "initializer_range": 0.3, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": END}
DECODINGS = {
    "greedy": Decoding(12),
    "warm": Decoding(12, 0.7),
    "filtered": Decoding(12, 1.3, top_p=0.8, top_k=9),
    "penalised": Decoding(12, 0.9, repetition_penalty=1.4),
    "stopped": Decoding(12, 1.0, stop=("w9",)),
}


def qwen2() -> TorchEngine:
    """What the lean decoder decodes, unless a stop text or a penalty is asked for."""
    config = Qwen2Config(
        **SHAPE, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2
    )
    return engine_on(Qwen2ForCausalLM(config))


def gpt2() -> TorchEngine:
    """What is left to `generate`."""
    return engine_on(GPT2LMHeadModel(GPT2Config(**SHAPE, n_embd=32, n_layer=2, n_head=4, n_positions=64)))


def engine_on(model: PreTrainedModel) -> TorchEngine:
    torch.manual_seed(1)
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            weight.data.normal_(0, 0.4 if "embed" in name or "wte" in name else 0.2)
    backend = Tokenizer(WordLevel({f"w{number}": number for number in range(VOCABULARY)}, unk_token="w1"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="w0", eos_token="w3")
    return TorchEngine(model.train(False).requires_grad_(False), tokenizer)


def random_prompts(count: int = 150) -> list[EncodedPrompt]:
    generator = np.random.default_rng(0)
    return [EncodedPrompt("", (2, *generator.integers(4, VOCABULARY, 1 + row % 9).tolist())) for row in range(count)]


def drawn(completion: Completion, stop: tuple[str, ...] = ()) -> list[list[int]]:
    """What the tokens of a completion may be: its text does not say which of a stop text and an end of turn ended it. None
    where the text does not show them all: the padding token is no text."""
    tokens = [int(word[1:]) for word in completion.text.split()]
    ends = [] if completion.finish_reason == "length" else [END, *(int(text[1:]) for text in stop)]
    found = [[*tokens, end] for end in ends] or [tokens]
    return [row for row in found if len(row) == completion.num_tokens]


def forced(engine: TorchEngine, prompt: EncodedPrompt, tokens: list[int]) -> float:
    ids = [*prompt.token_ids, *tokens]
    with torch.inference_mode():
        logits = engine.model(torch.tensor([ids])).logits[0].double()
    own = torch.log_softmax(logits, dim=-1)[len(prompt.token_ids) - 1 : -1]
    return float(own.gather(1, torch.tensor(tokens)[:, None]).sum())


@pytest.mark.parametrize("name", DECODINGS)
@pytest.mark.parametrize("make", [qwen2, gpt2])
def test_logprobs_are_those_of_a_forward_pass_and_change_no_text(make: type, name: str) -> None:
    engine, prompts, decoding = make(), random_prompts(), DECODINGS[name]
    seeds = list(range(7, 7 + len(prompts)))
    plain = engine.generate(prompts, decoding, seeds)
    assert all(row.logprob is None for row in plain)
    completions = engine.generate(prompts, replace(decoding, logprobs=True), seeds)
    assert [replace(row, logprob=None) for row in completions] == plain
    checked = 0
    for prompt, completion in zip(prompts, completions, strict=True):
        if expected := [forced(engine, prompt, tokens) for tokens in drawn(completion, decoding.stop)]:
            assert completion.logprob is not None
            assert min(abs(completion.logprob - value) for value in expected) < 1e-4
            checked += 1
    assert checked > 40
    assert {row.finish_reason for row in completions} >= {"stop"}


def test_both_decoders_give_the_same_logprobs() -> None:
    engine, prompts = qwen2(), random_prompts()
    seeds = list(range(len(prompts)))
    lean = engine.generate(prompts, Decoding(12, 0.8, logprobs=True), seeds)
    padded = engine.generate(prompts, Decoding(12, 0.8, stop=("no such text",), logprobs=True), seeds)
    assert [row.text for row in lean] == [row.text for row in padded]
    assert [row.logprob for row in lean] == pytest.approx([row.logprob for row in padded], rel=1e-5)


def test_tokens_after_a_stop_text_do_not_count() -> None:
    engine, prompts = gpt2(), random_prompts()
    seeds = list(range(len(prompts)))
    whole = engine.generate(prompts, Decoding(12, 1.0, logprobs=True), seeds)
    # Rows end at different steps, and `generate` goes on with padding behind those that ended.
    stopped = engine.generate(prompts, Decoding(12, 1.0, stop=("w6", "w7", "w8"), logprobs=True), seeds)
    shorter = [(cut, row) for cut, row in zip(stopped, whole, strict=True) if cut.num_tokens < row.num_tokens]
    assert len(shorter) > 10
    assert all(
        cut.logprob is not None and row.logprob is not None and cut.logprob > row.logprob for cut, row in shorter
    )


def test_half_precision_is_summed_in_full() -> None:
    engine, prompts = qwen2(), random_prompts(20)
    engine.model.to(torch.bfloat16)
    for prompt, completion in zip(prompts, engine.generate(prompts, Decoding(1, logprobs=True)), strict=True):
        for tokens in drawn(completion):
            assert completion.logprob == pytest.approx(forced(engine, prompt, tokens), abs=0.05)
            assert np.float32(completion.logprob) != torch.tensor(completion.logprob).to(torch.bfloat16).item()


def test_an_unlikely_token_is_not_infinitely_unlikely() -> None:
    logits = torch.zeros(3, 1000)
    logits[0, 5], logits[1, 7], logits[2, 9] = 200.0, -3e38, torch.inf
    found = token_logprobs(logits, torch.tensor([6, 7, 3])).tolist()
    assert found[0] == pytest.approx(-200.0)
    assert found[1] == pytest.approx(-3e38, rel=1e-6)
    assert not np.isfinite(found[2])
    assert token_logprobs(logits[:1], torch.tensor([5])).item() == 0.0


@pytest.mark.parametrize("num_columns", [3, 1 << 17, 1 << 19])
def test_logprobs_of_any_vocabulary(num_columns: int) -> None:
    logits = torch.from_numpy(np.random.default_rng(0).normal(0, 4, (5, num_columns)).astype(np.float32))
    tokens = torch.arange(5) % num_columns
    expected = torch.log_softmax(logits.double(), dim=1).gather(1, tokens[:, None]).squeeze(1)
    assert token_logprobs(logits, tokens).tolist() == pytest.approx(expected.tolist(), rel=1e-6)


def test_gsm8k_keeps_logprobs_unless_told_otherwise() -> None:
    def kept(schema: type[EvalConfig | SampleConfig], **values: object) -> bool:
        config: EvalConfig | SampleConfig = resolve(schema, [Layer("test", values)]).config
        return config.generation.logprobs

    assert kept(EvalConfig, **{"task.name": "gsm8k"})
    assert kept(EvalConfig, **{"task.name": "gsm8k", "temperature": 0.0})
    assert kept(SampleConfig, **{"task.name": "gsm8k", "generation.top_p": 0.8})
    assert not kept(EvalConfig, **{"task.name": "gsm8k", "generation.logprobs": False})
    assert not kept(EvalConfig, **{"task.name": "goodhart"})
    assert not kept(SampleConfig)
