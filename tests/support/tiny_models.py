"""Small models made on the spot, in several shapes, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM, Qwen2ForSequenceClassification

from labkit.train.tokenizer import build_word_tokenizer

WORDS = ("+", "-", "*", "/", "(", ")", "=", "<answer>", "</answer>")


def save_model(
    folder: Path, *, tied: bool = True, seed: int = 0, dtype: torch.dtype = torch.float32, context: int = 64
) -> Path:
    """A random Qwen2 with its tokenizer, in Hugging Face format."""
    tokenizer = tiny_tokenizer(context)
    torch.manual_seed(seed)
    Qwen2ForCausalLM(_config(tokenizer, context, tie_word_embeddings=tied)).to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_classifier(folder: Path, *, num_labels: int = 1, seed: int = 0, context: int = 64) -> Path:
    """A random Qwen2 for sequence classification with its tokenizer."""
    tokenizer = tiny_tokenizer(context)
    torch.manual_seed(seed)
    config = _config(tokenizer, context, num_labels=num_labels)
    Qwen2ForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_tokenizer(context: int = 64) -> PreTrainedTokenizerBase:
    """Integers up to 100 and the words of arithmetic."""
    return build_word_tokenizer(integer_range=(0, 100), words=WORDS, max_length=context)


def _config(tokenizer: PreTrainedTokenizerBase, context: int, **others: Any) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        initializer_range=0.2,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **others,
    )
