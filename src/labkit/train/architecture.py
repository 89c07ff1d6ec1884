"""A model from scratch: an architecture of transformers with random weights, sized for a tokenizer.

Knows configurations, not training. A model that exists already comes from `labkit.models`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from labkit.config.base import nearest
from labkit.errors import ConfigError


def build_model(
    *, architecture: str, sizes: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, seed: int
) -> PreTrainedModel:
    """A causal language model in float32, its weights a pure function of the arguments.

    Args:
        architecture: a model type of transformers, such as `qwen2`
        sizes: fields of its configuration (`hidden_size`, `num_hidden_layers`, …); the rest keep their defaults
        tokenizer: gives the vocabulary size and the ids of the special tokens

    Raises:
        ConfigError: no such architecture or field, or sizes that do not fit together.
    """
    if architecture not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        guess = nearest(architecture, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
        raise ConfigError(
            f"model.architecture: transformers has no language model {architecture!r}",
            f"did you mean `{guess}`?" if guess else "name a model type of transformers, such as qwen2",
        )
    known = AutoConfig.for_model(architecture).to_dict()
    for field in sizes:
        if field not in known:
            guess = nearest(field, known)
            raise ConfigError(
                f"model.{field} is no setting of {architecture}", f"did you mean `{guess}`?" if guess else "remove it"
            )
    config = AutoConfig.for_model(
        architecture,
        **sizes,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
                config, dtype=torch.float32
            )
        except (ValueError, RuntimeError, ZeroDivisionError) as error:
            raise ConfigError(f"model: these sizes do not fit together: {error}", "correct the sizes") from None
    return model
