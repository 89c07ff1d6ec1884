"""The question that a prompt asks, apart from how it was put: what a reranker reads, and by which the questions of two
runs are told to be the same.
"""

from __future__ import annotations

import hashlib

from labkit.tasks.base import Prompt
from labkit.tasks.gsm8k.task import PRESETS

QUESTIONS_VERSION = "questions-1"
"""Name and version of these rules; scores of rerankers rest on them."""


def question_text(task: str, prompt: Prompt) -> str:
    """What is asked: the turns but the system's, a line each; of GSM8K the problem alone, without the instruction."""
    text = "\n".join(turn["content"] for turn in prompt.messages if turn["role"] != "system")
    return _without_instruction(text) if task == "gsm8k" else text


def solution_text(prompt: Prompt, text: str) -> str:
    """What the model's turn says as a whole: what it was begun with, and what the model wrote."""
    return prompt.prefill + text


def question_id(text: str) -> str:
    """16 hex digits that questions share which differ in nothing but white space."""
    return hashlib.blake2b(" ".join(text.split()).encode(errors="replace"), digest_size=8).hexdigest()


def _without_instruction(text: str) -> str:
    for wording in PRESETS.values():
        before, after = wording.split("{question}")
        if before + after and text.startswith(before) and text.endswith(after):
            return text[len(before) : len(text) - len(after)]
    return text
