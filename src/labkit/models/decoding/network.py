"""A Qwen2 or Llama model as plain functions of its weights.

The functions read the parameters where the model keeps them, so weights that are perturbed or trained are followed and
nothing is kept twice. A population of members can stand behind the same functions: they see rows, and may split them by
member. Knows layers, positions and attention. Does *not* know prompts, draws, or which rows share a prefix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn import functional
from transformers import LlamaForCausalLM, PreTrainedModel, Qwen2ForCausalLM
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer, Qwen2RMSNorm

from labkit.models.decoding.cache import Cache

Function = Callable[[torch.Tensor], torch.Tensor]

FIXED_ROTATIONS = ("default", "linear", "llama3")
"""Rotary embeddings whose frequencies do not depend on the length of the text."""

PLAIN_ATTENTION_COLUMNS = 128
"""Up to this many keys, two matrix products and a softmax are faster on a CPU than the fused kernel."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer: functions of states, (N, Q, hidden)."""

    attention_norm: Function
    query: Function
    key: Function
    value: Function
    output: Function
    mlp_norm: Function
    gate: Function
    up: Function
    down: Function


@dataclass(frozen=True, slots=True)
class Angles:
    """Rotary embeddings of some positions, for rows or for columns: (…, 1, head dim) each."""

    cos: torch.Tensor
    sin: torch.Tensor
    """The first half negated, as the rotation needs it."""

    def at(self, positions: torch.Tensor) -> Angles:
        """Those of each position, (Q,) for columns or (N, 1) for rows."""
        return Angles(self.cos[positions].unsqueeze(-2), self.sin[positions].unsqueeze(-2))


@dataclass(frozen=True, slots=True)
class Network:
    """A whole model."""

    embed: Function
    """(N, Q) tokens to (N, Q, hidden)."""
    layers: tuple[Layer, ...]
    norm: Function
    head: Function
    """(N, hidden) to (N, vocabulary)."""
    angles: Callable[[int], Angles]
    """Those of the first so many positions, (positions, head dim)."""
    num_kv_heads: int
    head_dim: int
    like: torch.Tensor
    """A tensor with the type and the device of the states."""

    def room(self, num_rows: int, num_columns: int) -> Cache:
        """A cache of a size, not filled."""
        shape = (len(self.layers), num_rows, self.num_kv_heads, num_columns, self.head_dim)
        return Cache.empty(shape, self.like)

    def read(
        self, tokens: torch.Tensor, cache: Cache, angles: Angles, mask: torch.Tensor | None, *, last: bool
    ) -> torch.Tensor | None:
        """Read tokens as the cache's last columns: their keys and values are written there.

        Args:
            tokens: (N, Q)
            cache: N rows; the Q last columns are filled here
            angles: those of the tokens' positions
            mask: added to the scores of every query, (Q, S) or (N, 1, 1, S); None hides nothing
            last: whether the states are wanted; without, the last layer stops at its keys and values

        Returns:
            (N, hidden): the states of the last token, after the final norm
        """
        states, width = self.embed(tokens), tokens.shape[1]  # (N, Q, hidden)
        for number, layer in enumerate(self.layers):
            keys, values = cache.keys[number], cache.values[number]  # (N, KV heads, S, head dim)
            normed = layer.attention_norm(states)
            keys[:, :, -width:] = _rotated(self._heads(layer.key(normed)), angles).transpose(1, 2)
            values[:, :, -width:] = self._heads(layer.value(normed)).transpose(1, 2)
            if number == len(self.layers) - 1:
                if not last:
                    return None
                if width > 1:  # the last token sees all columns, and only its states are needed from here on
                    states, normed, mask = states[:, -1:], normed[:, -1:], None
                    angles = Angles(angles.cos[-1:], angles.sin[-1:])
            queries = _rotated(self._heads(layer.query(normed)), angles)  # (N, Q, heads, head dim)
            states = states + layer.output(attention(queries, keys, values, mask))
            normed = layer.mlp_norm(states)
            states = states + layer.down(functional.silu(layer.gate(normed), inplace=True).mul_(layer.up(normed)))
        return self.norm(states[:, -1])

    def _heads(self, projected: torch.Tensor) -> torch.Tensor:
        return projected.view(*projected.shape[:-1], -1, self.head_dim)  # (N, Q, heads, head dim)


def attention(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """Scaled dot-product attention; query heads that share keys are folded into the queries.

    Args:
        queries: (N, Q, heads, head dim)
        keys: (N, KV heads, S, head dim)
        values: like `keys`
        mask: added to the scores: (Q, S), or (N, 1, 1, S) where Q is 1

    Returns:
        (N, Q, heads * head dim)
    """
    num_rows, width, num_heads, size = queries.shape
    shared = num_heads // keys.shape[1]
    split = queries.view(num_rows, width, -1, shared, size).permute(0, 2, 3, 1, 4)
    folded = split.reshape(num_rows, -1, shared * width, size)  # (N, KV heads, shared * Q, head dim)
    if mask is not None and mask.dim() == 2 and shared > 1:
        mask = mask.repeat(shared, 1)
    if keys.shape[2] <= PLAIN_ATTENTION_COLUMNS and keys.dtype == torch.float32:
        scores = torch.matmul(folded, keys.transpose(-1, -2)).mul_(size**-0.5)  # (N, KV heads, shared * Q, S)
        weights = torch.softmax(scores if mask is None else scores.add_(mask), dim=-1)
        mixed = torch.matmul(weights, values)
    else:
        mixed = functional.scaled_dot_product_attention(folded, keys, values, attn_mask=mask)
    return mixed.view(num_rows, -1, shared, width, size).permute(0, 3, 1, 2, 4).reshape(num_rows, width, -1)


def network_of(model: PreTrainedModel) -> Network | None:
    """The model as a network, or None where it is anything but a plain Qwen2 or Llama on one CPU."""
    if not isinstance(model, (Qwen2ForCausalLM, LlamaForCausalLM)) or not _is_plain(model):
        return None
    inner = model.model
    config = model.config
    head_dim = int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
    return Network(
        embed=partial(_embedded, inner.embed_tokens),
        layers=tuple(_layer(layer) for layer in inner.layers),
        norm=_norm(inner.norm),
        head=_linear(model.lm_head),
        angles=partial(_angles, inner.rotary_emb, inner.embed_tokens.weight),
        num_kv_heads=inner.layers[0].self_attn.k_proj.out_features // head_dim,
        head_dim=head_dim,
        like=inner.embed_tokens.weight,
    )


def has_hooks(model: PreTrainedModel) -> bool:
    """Whether somebody looks at, or changes, what passes through a part of the model, which these functions do not call."""
    return any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def _is_plain(model: Qwen2ForCausalLM | LlamaForCausalLM) -> bool:
    """Whether the model is what its class says, with nothing quantised, hooked, windowed or kept elsewhere."""
    config = model.config
    known = {
        *(nn.Linear, nn.Embedding, nn.ModuleList, Qwen2RMSNorm, LlamaRMSNorm, Qwen2DecoderLayer, LlamaDecoderLayer),
        *(type(model), type(model.model), type(model.model.rotary_emb)),
        *(type(part) for layer in model.model.layers[:1] for part in (layer.self_attn, layer.mlp, layer.mlp.act_fn)),
    }
    return (
        type(model) in (Qwen2ForCausalLM, LlamaForCausalLM)
        and all(type(module) in known and not hasattr(module, "_hf_hook") for module in model.modules())
        and config.hidden_act == "silu"
        and set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}
        and model.model.rotary_emb.rope_type in FIXED_ROTATIONS
        and all(weight.device.type == "cpu" for weight in model.parameters())
        and len({weight.dtype for weight in model.parameters()}) == 1
    )


def _layer(layer: Qwen2DecoderLayer | LlamaDecoderLayer) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    return Layer(
        attention_norm=_norm(layer.input_layernorm),
        query=_linear(attention.q_proj),
        key=_linear(attention.k_proj),
        value=_linear(attention.v_proj),
        output=_linear(attention.o_proj),
        mlp_norm=_norm(layer.post_attention_layernorm),
        gate=_linear(mlp.gate_proj),
        up=_linear(mlp.up_proj),
        down=_linear(mlp.down_proj),
    )


def _linear(module: nn.Linear) -> Function:
    return partial(_projected, module)


def _norm(module: Qwen2RMSNorm | LlamaRMSNorm) -> Function:
    return partial(_normed, module)


def _embedded(module: nn.Embedding, tokens: torch.Tensor) -> torch.Tensor:
    return functional.embedding(tokens, module.weight)


def _projected(module: nn.Linear, states: torch.Tensor) -> torch.Tensor:
    return functional.linear(states, module.weight, module.bias)


def _normed(module: Qwen2RMSNorm | LlamaRMSNorm, states: torch.Tensor) -> torch.Tensor:
    """Root-mean-square norm (Zhang & Sennrich 2019, equation 4), rounded where transformers rounds."""
    wide = states.float()
    scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True).add_(module.variance_epsilon))
    return (wide * scale).to(states.dtype).mul_(module.weight)


def _angles(rotary: nn.Module, like: torch.Tensor, num_positions: int) -> Angles:
    cos, sin = rotary(like, torch.arange(num_positions, device=like.device)[None])  # (1, positions, head dim)
    half = sin.shape[-1] // 2
    return Angles(cos[0], torch.cat((-sin[0, :, :half], sin[0, :, half:]), dim=-1))


def _rotated(heads: torch.Tensor, angles: Angles) -> torch.Tensor:
    """Rotary position embedding (Su et al. 2021, equation 34), in the half-split layout of transformers."""
    swapped = heads.roll(heads.shape[-1] // 2, dims=-1)
    return (heads * angles.cos).add_(swapped.mul_(angles.sin))
