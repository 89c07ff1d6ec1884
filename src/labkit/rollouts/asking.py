"""Whether a model is asked as it was trained: what can be seen from token ids before anything is decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labkit.errors import InputError
from labkit.models.engine import EncodedPrompt


def num_beginnings(prompt: EncodedPrompt, about: Mapping[str, Any]) -> int:
    """How many tokens of a prompt begin a text. Where one token begins and ends, only those in front count."""
    bos = about.get("bos_token_id")
    if bos in (about.get("end_of_turn_ids") or ()):
        return next((at for at, token in enumerate(prompt.token_ids) if token != bos), len(prompt.token_ids))
    return prompt.token_ids.count(bos) if bos is not None else 0


def refuse_two_beginnings(encoded: Sequence[EncodedPrompt], about: Mapping[str, Any], model: str) -> None:
    """Raise InputError where a prompt has two beginnings of a text: models answer such prompts worse, silently.

    Args:
        about: `Engine.describe`
    """
    for prompt in encoded:
        if (count := num_beginnings(prompt, about)) > 1:
            raise InputError(
                f"a prompt of {model} has {count} beginning-of-text tokens (id {about['bos_token_id']}): {prompt.text[:80]!r}",
                "does its chat template (chat_template.jinja, or tokenizer_config.json) write the token twice, or is it in a "
                "message?",
            )


def too_long_text(encoded: Sequence[EncodedPrompt], about: Mapping[str, Any], model: str) -> str | None:
    """What to say of prompts that leave the model's context no room for an answer; None where all fit.

    Raises:
        InputError: none fits, so that nothing could be decoded.
    """
    context, sizes = about["context_length"], [len(prompt.token_ids) for prompt in encoded]
    if not (num_long := sum(size >= context for size in sizes)):
        return None
    what = (
        f"{num_long} of {len(sizes)} prompts do not fit into the context of {model}, {context} tokens: the longest has "
        f"{max(sizes)}"
    )
    if num_long == len(sizes):
        raise InputError(what, "take shorter prompts, or a model with a longer context")
    return f"{what}. Their rollouts fail and count as wrong"


def unstopped_text(about: Mapping[str, Any]) -> str | None:
    """What to say where the template ends a turn with a token that ends no rollout."""
    end = about.get("template_end_id")
    if end is None or end in about["end_of_turn_ids"]:
        return None
    return (
        f"the chat template ends a turn with the token {end}, which ends no rollout (those that do: "
        f"{about['end_of_turn_ids']}): add it to eos_token_id in the model's generation_config.json"
    )
