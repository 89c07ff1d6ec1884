"""Hidden states of a loaded model at two tokens of every city's prompt.

Layer 0 is the embeddings, layer l the residual stream after block l, and the last one after the final norm, as
transformers gives `hidden_states`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from labkit.errors import InputError, MachineError
from labkit.models.memory import is_out_of_memory
from labkit.models.torch_engine import TorchEngine
from labkit.tasks.base import Prompt

TokenIds = npt.NDArray[np.int64]
HiddenStates = npt.NDArray[np.float32]


def encode_prompts(engine: TorchEngine, texts: Sequence[str], positions: tuple[int, int]) -> TokenIds:
    """The prompts' tokens up to the second position, (N, S), through the model's chat template.

    Args:
        texts: beginnings of questions, `dist(c_0865,`; their last two characters are what is read
        positions: where those two are expected, the first token of all being 0

    Raises:
        InputError: the tokens there are not the last digit of the city's id and the separator after it.
    """
    rows = []
    for text in texts:
        encoded = engine.encode(Prompt(messages=({"role": "user", "content": text},)))
        rows.append(_checked(engine, list(encoded.token_ids), text, positions))
    return np.array(rows, dtype=np.int64)


def _checked(engine: TorchEngine, tokens: list[int], text: str, positions: tuple[int, int]) -> list[int]:
    for position, expected in zip(positions, text[-2:], strict=True):
        found = engine.tokenizer.convert_ids_to_tokens(tokens[position : position + 1])
        if found != [expected]:
            raise InputError(
                f"token {position} of the prompt {text!r} is {found[0] if found else 'missing'!r} in this model, "
                f"and not {expected!r}",
                "hidden states are read from models whose tokenizer has one token a character, as those trained with "
                "`tokenizer: {name: characters}` have",
            )
    return tokens[: positions[1] + 1]  # what a template puts behind cannot be seen from before it


@torch.inference_mode()
def read_hidden_states(
    engine: TorchEngine, tokens: TokenIds, *, positions: tuple[int, int], layers: Sequence[int], batch_size: int
) -> HiddenStates:
    """Hidden states in float32, (N, 2, L, H): of N prompts, at two positions, after the given L layers.

    Args:
        tokens: (N, S)
        layers: each from 0 to the number of the model's blocks
        batch_size: prompts in a forward pass

    Raises:
        InputError: a state is no number. MachineError: out of memory.
    """
    parts = []
    for start in range(0, len(tokens), batch_size):
        batch = torch.from_numpy(tokens[start : start + batch_size]).to(engine.model.device)  # (B, S)
        try:
            # Without the output layer: the logits would be the largest tensor of all, and nobody reads them.
            states = engine.model.base_model(input_ids=batch, output_hidden_states=True, use_cache=False).hidden_states
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise MachineError(
                f"out of memory on {engine.model.device} with {len(batch)} prompts", "use a smaller --batch-size"
            ) from None
        chosen = torch.stack([states[layer][:, list(positions)] for layer in layers], dim=2)  # (B, 2, L, H)
        parts.append(chosen.float().cpu().numpy())
    values = np.concatenate(parts)
    if not np.isfinite(values).all():
        raise InputError("the hidden states are no numbers in this number format", "extract with --dtype float32")
    return values
