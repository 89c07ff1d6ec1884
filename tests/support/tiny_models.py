"""Small models made on the spot, in several shapes, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from labkit.train.tokenizer import build_word_tokenizer

WORDS = ("+", "-", "*", "/", "(", ")", "=", "<answer>", "</answer>")


def save_model(
    folder: Path, *, tied: bool = True, seed: int = 0, dtype: torch.dtype = torch.float32, context: int = 64
) -> Path:
    """A random Qwen2 with its tokenizer, in Hugging Face format."""
    tokenizer = build_word_tokenizer(integer_range=(0, 100), words=WORDS, max_length=context)
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=tied,
        initializer_range=0.2,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    Qwen2ForCausalLM(config).to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
