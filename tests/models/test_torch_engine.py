"""The torch engine against transformers itself, and against what the record relies on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import save_model
from torch.nn import functional
from transformers import AutoModelForCausalLM

from labkit.config.sections import ModelConfig
from labkit.errors import InputError, MachineError
from labkit.models.draws import draw, uniforms
from labkit.models.engine import Decoding, EncodedPrompt, Perturbation
from labkit.models.folder import find_model
from labkit.models.loading import load_engine
from labkit.models.noise import gaussian
from labkit.models.torch_engine import TorchEngine
from labkit.tasks.base import Prompt

PADDED = Decoding(12, stop=("no such text",))
"""Any stop text leaves decoding to transformers' `generate`."""
PROMPTS = ["44 19 35 = 98", "1 2 3 = 6", "7 = 7", "12 13 14 15 = 54", "99 98 = 1"]


def load(folder: Path, **model: str) -> TorchEngine:
    config = ModelConfig(id=str(folder), device="cpu", **model)
    return load_engine(find_model(config), config)


def encoded(engine: TorchEngine, texts: list[str] = PROMPTS) -> list[EncodedPrompt]:
    return [engine.encode(Prompt(({"role": "user", "content": text},), "<answer>")) for text in texts]


def greedy_by_hand(engine: TorchEngine, prompt: EncodedPrompt, num_tokens: int) -> list[int]:
    """Full forward passes of one prompt, without cache, padding or `generate`."""
    ids = list(prompt.token_ids)
    for _ in range(num_tokens):
        with torch.inference_mode():
            logits = engine.model(torch.tensor([ids])).logits[0, -1]
        ids.append(int(logits.argmax()))
        if ids[-1] in engine.describe()["end_of_turn_ids"]:
            break
    return ids[len(prompt.token_ids) :]


@pytest.mark.parametrize("decoding", [Decoding(12), PADDED])
def test_greedy_in_a_padded_batch_is_what_a_plain_forward_pass_gives(tiny_folder: Path, decoding: Decoding) -> None:
    engine = load(tiny_folder)
    prompts = encoded(engine)
    assert len({len(prompt.token_ids) for prompt in prompts}) > 2  # padding is needed
    for prompt, completion in zip(prompts, engine.generate(prompts, decoding), strict=True):
        tokens = greedy_by_hand(engine, prompt, 12)
        assert completion.num_tokens == len(tokens)
        assert completion.text == engine.tokenizer.decode(tokens, skip_special_tokens=True)
        assert completion.num_prompt_tokens == len(prompt.token_ids)


def test_the_template_is_applied_once_and_the_prefill_continues_it(tiny_folder: Path) -> None:
    engine = load(tiny_folder)
    prompt = encoded(engine, ["1 2 = 3"])[0]
    assert prompt.text == "<|user|>1 2 = 3<|assistant|><answer>"
    assert engine.tokenizer.decode(prompt.token_ids).replace(" ", "") == prompt.text.replace(" ", "")


def test_finish_reasons_and_token_counts(tiny_folder: Path) -> None:
    engine = load(tiny_folder)
    prompts = encoded(engine) * 60
    rows = engine.generate(prompts, Decoding(20, temperature=2.0), list(range(len(prompts))))
    assert {row.finish_reason for row in rows} == {"stop", "length"}
    for row in rows:
        words = len(engine.tokenizer(row.text, add_special_tokens=False)["input_ids"])
        if row.finish_reason == "length":
            assert row.num_tokens == 20
            assert words <= 20  # special tokens are drawn but not written
        else:
            assert words + 1 <= row.num_tokens <= 20  # the end of turn was drawn too


def test_stop_texts_end_a_rollout_and_are_cut(tiny_folder: Path) -> None:
    engine = load(tiny_folder)
    prompts = encoded(engine)
    plain = engine.generate(prompts, Decoding(10))
    stop = plain[0].text.split()[2]
    cut = engine.generate(prompts, Decoding(10, stop=(stop,)))
    assert stop not in cut[0].text
    assert plain[0].text.startswith(cut[0].text)
    assert cut[0].finish_reason == "stop"
    assert cut[0].num_tokens < plain[0].num_tokens


def test_a_draw_depends_on_its_seed_alone(tiny_folder: Path) -> None:
    engine = load(tiny_folder)
    prompts = encoded(engine)
    decoding = Decoding(10, temperature=1.0)
    together = engine.generate(prompts, decoding, [11, 12, 13, 14, 15])
    alone = [engine.generate([prompt], decoding, [11 + at])[0] for at, prompt in enumerate(prompts)]
    backwards = engine.generate(prompts[::-1], decoding, [15, 14, 13, 12, 11])[::-1]
    assert [row.text for row in together] == [row.text for row in alone] == [row.text for row in backwards]
    others = engine.generate(prompts, decoding, [21, 22, 23, 24, 25])
    assert [row.text for row in together] != [row.text for row in others]


def test_drawn_tokens_follow_the_model(tiny_folder: Path) -> None:
    engine = load(tiny_folder)
    prompt = encoded(engine, ["1 2 = 3"])[0]
    with torch.inference_mode():
        expected = torch.softmax(engine.model(torch.tensor([prompt.token_ids])).logits[0, -1].double() / 0.7, -1)
    count = 4000
    seeds = np.random.default_rng(0).integers(0, 2**63, count)
    rows = engine.generate([prompt] * count, Decoding(1, temperature=0.7), [int(seed) for seed in seeds])
    texts = [row.text for row in rows]
    for token in expected.topk(5).indices:
        seen = texts.count(engine.tokenizer.decode([int(token)], skip_special_tokens=True)) / count
        rate = float(expected[token])
        assert abs(seen - rate) < 5 * (rate * (1 - rate) / count) ** 0.5


def test_top_k_and_top_p_leave_unlikely_tokens_out(tiny_folder: Path) -> None:
    engine = load(tiny_folder)
    prompt = encoded(engine, ["1 2 = 3"])[0]
    seeds = list(range(300))
    best = engine.generate([prompt], Decoding(1))[0].text
    for decoding in (Decoding(1, temperature=2.0, top_k=1), Decoding(1, temperature=2.0, top_p=1e-6)):
        assert {row.text for row in engine.generate([prompt] * 300, decoding, seeds)} == {best}
    wide = {row.text for row in engine.generate([prompt] * 300, Decoding(1, temperature=2.0, top_k=3), seeds)}
    assert 2 <= len(wide) <= 3


def test_generation_settings_hidden_in_the_model_do_not_apply(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hidden"
    model = AutoModelForCausalLM.from_pretrained(tiny_folder)
    model.generation_config.update(repetition_penalty=5.0, do_sample=True, top_k=2, temperature=3.0, max_new_tokens=1)
    model.save_pretrained(folder)
    load(tiny_folder).tokenizer.save_pretrained(folder)
    assert json.loads((folder / "generation_config.json").read_text())["repetition_penalty"] == 5.0
    plain, hidden = load(tiny_folder), load(folder)
    expected = [row.text for row in plain.generate(encoded(plain), Decoding(12))]
    assert [row.text for row in hidden.generate(encoded(hidden), Decoding(12))] == expected
    asked = [row.text for row in hidden.generate(encoded(hidden), Decoding(12, repetition_penalty=5.0))]
    assert asked != expected


@pytest.mark.parametrize("tied", [True, False])
def test_a_member_is_base_plus_sigma_times_noise_of_every_parameter(tmp_path: Path, tied: bool) -> None:
    engine = load(save_model(tmp_path / "model", tied=tied))
    base = {name: weight.clone() for name, weight in engine.model.named_parameters()}
    assert ("lm_head.weight" in base) == (not tied)
    engine.perturb(Perturbation(7, 0.01))
    for name, weight in engine.model.named_parameters():
        noise = gaussian(7, name, count=weight.numel()).view_as(weight) * torch.tensor(0.01)
        assert torch.equal(weight, base[name] + noise)
    if tied:
        assert engine.model.lm_head.weight.data_ptr() == engine.model.get_input_embeddings().weight.data_ptr()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_base_comes_back_bit_for_bit_after_512_members(tmp_path: Path, dtype: torch.dtype) -> None:
    engine = load(save_model(tmp_path / "model", dtype=dtype))
    assert engine.model.dtype == dtype
    before = engine.weights_digest()
    for seed in range(512):
        engine.perturb(Perturbation(seed, 0.01))
    assert engine.weights_digest() != before
    engine.perturb(None)
    assert engine.weights_digest() == before
    engine.perturb(Perturbation(3, 0.0))
    assert engine.weights_digest() == before


def test_a_member_does_not_depend_on_the_one_before(tiny_folder: Path) -> None:
    engine, fresh = load(tiny_folder), load(tiny_folder)
    for seed in range(3):
        engine.perturb(Perturbation(seed, 0.5))
    engine.perturb(Perturbation(9, 0.02))
    fresh.perturb(Perturbation(9, 0.02))
    assert engine.weights_digest() == fresh.weights_digest()


def test_a_prompt_longer_than_the_context_is_an_error_of_its_own(tiny_folder: Path) -> None:
    engine = load(tiny_folder)
    short, long = encoded(engine, ["1 2 = 3", " ".join(["1"] * 70)])
    rows = engine.generate([short, long, short], Decoding(4))
    assert [row.finish_reason == "error" for row in rows] == [False, True, False]
    assert rows[1].error == "the prompt has 73 tokens, the model's context 64"
    assert rows[0].text == engine.generate([short], Decoding(4))[0].text


@pytest.mark.parametrize("decoding", [Decoding(6, repetition_penalty=5.0), Decoding(6, 1.0, repetition_penalty=5.0)])
def test_padding_is_no_repetition(tiny_folder: Path, decoding: Decoding) -> None:
    engine = load(tiny_folder)
    long, short = sorted(encoded(engine), key=lambda prompt: -len(prompt.token_ids))[:: len(PROMPTS) - 1]
    words = range(engine.model.config.vocab_size)
    for engine._pad_id in words:
        beside, _ = engine.generate([short, long], decoding, [1, 2])
        assert beside == engine.generate([short], decoding, [1])[0]


def test_no_row_runs_past_the_context(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = load(tiny_folder)
    prompts = encoded(engine)
    context = max(len(prompt.token_ids) for prompt in prompts) + 2
    engine.model.config.max_position_embeddings = context
    lengths: list[int] = []
    generate = engine.model.generate

    def watched(**given: Any) -> torch.Tensor:
        output: torch.Tensor = generate(**given)
        lengths.append(output.shape[1])
        return output

    monkeypatch.setattr(engine.model, "generate", watched)
    padded = engine.generate(prompts, replace(PADDED, max_new_tokens=1000))
    assert max(lengths) <= context
    assert engine.generate(prompts, Decoding(1000)) == padded
    for prompt, completion in zip(prompts, padded, strict=True):
        assert completion == engine.generate([prompt], Decoding(1000))[0]
        assert len(prompt.token_ids) + completion.num_tokens <= context


@pytest.mark.parametrize("decoding", [Decoding(6), replace(PADDED, max_new_tokens=6)])
def test_a_batch_is_halved_when_memory_runs_out(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, decoding: Decoding
) -> None:
    engine = load(tiny_folder)
    expected = engine.generate(encoded(engine), Decoding(6))
    embedding, sizes = functional.embedding, []

    def small_memory(tokens: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        sizes.append(tokens.shape[0])
        if tokens.shape[0] > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return embedding(tokens, *arguments, **options)

    monkeypatch.setattr(functional, "embedding", small_memory)
    limit = 2
    assert engine.generate(encoded(engine), decoding) == expected
    assert max(sizes) > limit
    limit = 0
    with pytest.raises(MachineError, match="single prompt"):
        engine.generate(encoded(engine), decoding)


def test_the_version_names_the_decoder(tiny_folder: Path) -> None:
    assert load(tiny_folder).version.endswith("lean decoder 1")


def test_uniforms_are_uniform_and_streams_differ() -> None:
    seeds = np.arange(100_000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    first, second = uniforms(seeds, 0), uniforms(seeds, 1)
    for values in (first, second):
        assert values.min() >= 0
        assert values.max() < 1
        assert abs(values.mean() - 0.5) < 5 * (1 / 12 / 100_000) ** 0.5
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02


def test_draw_never_takes_an_impossible_token() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]]).repeat(4, 1)
    uniform = torch.tensor([0.0, 0.4999, 0.5001, 1 - 2**-53], dtype=torch.float64)
    assert draw(logits, uniform).tolist() == [1, 1, 3, 3]


def test_a_model_without_chat_template_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in tiny_folder.iterdir():
        if path.name != "chat_template.jinja":
            (folder / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="no chat template"):
        load(folder)


def test_a_device_that_is_not_here_is_refused(tiny_folder: Path) -> None:
    config = ModelConfig(id=str(tiny_folder), device="cuda:77")
    with pytest.raises(MachineError, match="cuda:77") as refusal:
        load_engine(find_model(config), config)
    assert "labkit doctor" in refusal.value.hint
