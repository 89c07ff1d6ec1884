"""The engine on torch: any causal model, any device, one member at a time.

transformers' `generate` decodes, but for small plain models on a CPU, which `labkit.models.decoding` decodes in half the
time to the same texts.
"""

from __future__ import annotations

import gc
import hashlib
import importlib.metadata
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from labkit.errors import InputError, MachineError
from labkit.models.decoding import lean
from labkit.models.decoding.network import Network, has_hooks, network_of
from labkit.models.draws import LogprobsKept, NumberCheck, PenalisedRepetition, SeededDraw, draw, uniforms
from labkit.models.engine import Completion, Decoding, EncodedPrompt, Perturbation
from labkit.models.memory import in_halves, is_out_of_memory
from labkit.models.noise import write_perturbed
from labkit.models.stopping import StopTexts, holds_any
from labkit.tasks.base import Prompt

DECODER = "lean decoder 1"
"""Part of the engine's version, because another decoder may round otherwise: a change that moves any bit must change it."""


class TorchEngine:
    """A Hugging Face causal language model behind the `Engine` protocol; the model should be in `eval` mode."""

    name = "torch"

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        transformers_version = importlib.metadata.version("transformers")
        self.version = f"transformers {transformers_version}, torch {torch.__version__}, {DECODER}"
        self.model = model
        self.tokenizer = tokenizer
        self._end_ids = _end_of_turn_ids(model, tokenizer)
        self._pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self._end_ids[0]
        # `generate` fills whatever a call leaves open from here, so a repetition penalty could slip in: leave nothing.
        model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
            pad_token_id=self._pad_id, eos_token_id=self._end_ids
        )
        self._base: dict[str, torch.Tensor] | None = None
        self._member: Perturbation | None = None
        self._network = network_of(model)
        self.is_released = False

    def release(self) -> None:
        """Give the weights' memory back; from now on there is no model (`Engine.release`)."""
        self.is_released, self._base, self._network = True, None, None
        for weight in (*self.model.parameters(), *self.model.buffers()):
            weight.data = torch.empty(0, dtype=weight.dtype, device=weight.device)
        torch.cuda.empty_cache()  # does nothing where there is none

    def describe(self) -> dict[str, Any]:
        """What the record says of the loaded model (`Engine.describe`)."""
        return {
            "device": str(self.model.device),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "num_parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "end_of_turn_ids": self._end_ids,
            "context_length": self._context_length(),
            "chat_template": str(self.tokenizer.chat_template),
            "unknown_token_id": self.tokenizer.unk_token_id,
            "bos_token_id": self.tokenizer.bos_token_id,
            "template_end_id": self._template_end_id(),
        }

    def _template_end_id(self) -> int | None:
        """The special token that the template writes after what the assistant said; None where it writes none."""
        said = "labkit"
        turns = [{"role": "user", "content": said}, {"role": "assistant", "content": said}]
        try:
            text = str(self.tokenizer.apply_chat_template(turns, tokenize=False))
        except Exception:  # templates are programs of the model's author and raise what they like
            text = ""
        if not text:
            # Jinja's frames and their error hold each other, and through their callers this engine with its model.
            gc.collect(1)
            return None
        behind = self.tokenizer(text.rpartition(said)[2], add_special_tokens=False)["input_ids"]
        special = set(self.tokenizer.all_special_ids) | set(getattr(self.tokenizer, "added_tokens_decoder", {}))
        return next((int(token) for token in behind if token in special), None)

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """The prompt through the chat template, with its prefill; no token is added beyond what the template writes.

        Raises:
            InputError: the template refuses these messages.
        """
        try:
            text = self.tokenizer.apply_chat_template(
                [dict(message) for message in prompt.messages], add_generation_prompt=True, tokenize=False
            )
        except Exception as error:  # templates are programs of the model's author and raise what they like
            raise InputError(
                f"the model's chat template refuses the prompt: {error}", "choose another preset with --preset"
            ) from None
        text = str(text) + prompt.prefill
        return EncodedPrompt(text, tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"]))

    @torch.inference_mode()
    def perturb(self, perturbation: Perturbation | None) -> None:
        """Write base + sigma * noise into every parameter, in place; tied weights are one parameter and get one noise."""
        if perturbation == self._member:
            return
        if self._base is None:
            self._base = self._copied_weights()
        for name, weight in self.model.named_parameters():
            if perturbation is None:
                weight.copy_(self._base[name])
            else:
                write_perturbed(weight, self._base[name], seed=perturbation.seed, name=name, sigma=perturbation.sigma)
        self._member = perturbation

    def _copied_weights(self) -> dict[str, torch.Tensor]:
        if any(weight.is_meta for weight in self.model.parameters()):
            raise MachineError(
                "some weights are kept off the device (offloaded) and cannot be perturbed",
                "use a smaller --dtype, or devices that hold the whole model",
            )
        try:
            return {name: weight.detach().clone() for name, weight in self.model.named_parameters()}
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise MachineError(
                f"out of memory on {self.model.device}: perturbing needs room for a second copy of the weights",
                "use --dtype bfloat16 or a larger device",
            ) from None

    def weights_digest(self) -> str:
        """Hash of the weights as they are now, bit for bit."""
        return weights_digest(self.model)

    def generate(
        self, prompts: Sequence[EncodedPrompt], decoding: Decoding, seeds: Sequence[int] | None = None
    ) -> list[Completion]:
        """One completion for each prompt; a prompt that leaves no room in the context is an error completion."""
        if decoding.temperature > 0 and (seeds is None or len(seeds) != len(prompts)):
            raise ValueError("sampling needs one seed a prompt")
        context = self._context_length()
        limits = [min(decoding.max_new_tokens, context - len(prompt.token_ids)) for prompt in prompts]
        done: dict[int, Completion] = {}
        # Rows that the context cuts short go apart: beside others they would run past it, where learned positions end.
        for limit in sorted({limit for limit in limits if limit > 0}, reverse=True):
            rows = [row for row, own in enumerate(limits) if own == limit]
            within = replace(decoding, max_new_tokens=limit)
            done |= zip(
                rows, in_halves(rows, partial(self._of_rows, prompts, within, seeds), self._too_large), strict=True
            )
        return [done[row] if row in done else self._too_long(prompt) for row, prompt in enumerate(prompts)]

    def _of_rows(
        self, prompts: Sequence[EncodedPrompt], decoding: Decoding, seeds: Sequence[int] | None, rows: Sequence[int]
    ) -> list[Completion]:
        """`_generate_batch` of some of the prompts."""
        own_seeds = None if seeds is None else [seeds[row] for row in rows]
        return self._generate_batch([prompts[row] for row in rows], decoding, own_seeds)

    def _too_large(self, _row: int) -> MachineError:
        return MachineError(
            f"out of memory on {self.model.device} with a single prompt",
            "use a smaller --max-new-tokens, --dtype bfloat16, or --device-map auto",
        )

    @torch.inference_mode()
    def _generate_batch(
        self, prompts: Sequence[EncodedPrompt], decoding: Decoding, seeds: Sequence[int] | None
    ) -> list[Completion]:
        network = self._lean_network(prompts, decoding)
        if network is None:
            return self._generate_padded(prompts, decoding, seeds)
        drawn = lean.decode(
            network,
            [prompt.token_ids for prompt in prompts],
            _choice(decoding, seeds),
            max_new_tokens=decoding.max_new_tokens,
            end_ids=self._end_ids,
            logprobs=decoding.logprobs,
        )
        return [
            _lost(prompt) if row.lost else self._completion(prompt, row.tokens, row.logprobs, decoding)
            for prompt, row in zip(prompts, drawn, strict=True)
        ]

    def _lean_network(self, prompts: Sequence[EncodedPrompt], decoding: Decoding) -> Network | None:
        """The model for the lean decoder, or None where `generate` is to decode."""
        lengths = [len(prompt.token_ids) for prompt in prompts]
        if decoding.stop or decoding.repetition_penalty != 1:
            return None
        # As it is now: whoever gave the model to the engine may have moved it, hooked it, or train it.
        if self.model.training or self.model.device.type != "cpu" or has_hooks(self.model):
            return None
        return self._network if min(lengths) > 0 and max(lengths) <= lean.LONGEST_PROMPT else None

    def _generate_padded(
        self, prompts: Sequence[EncodedPrompt], decoding: Decoding, seeds: Sequence[int] | None
    ) -> list[Completion]:
        """With transformers' `generate`, padded to the longest prompt."""
        ids, mask = self._left_padded(prompts)  # (B, S) both
        numbers, kept = NumberCheck(), LogprobsKept()
        chain: list[Any] = [numbers, *_processors(decoding, seeds, mask)]
        if decoding.logprobs:
            chain = [kept.first, *chain, kept.last]
        output = self.model.generate(  # type: ignore[operator]
            input_ids=ids,
            attention_mask=mask,
            logits_processor=LogitsProcessorList(chain),
            generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
                max_new_tokens=decoding.max_new_tokens,
                do_sample=False,
                pad_token_id=self._pad_id,
                eos_token_id=self._end_ids,
            ),
            stopping_criteria=StoppingCriteriaList(
                [StopTexts(self.tokenizer, decoding.stop, ids.shape[1])] if decoding.stop else []
            ),
        )
        drawn = output[:, ids.shape[1] :].tolist()  # B rows of at most max_new_tokens
        lost = numbers.lost_rows()
        logprobs = kept.rows() if decoding.logprobs else [[] for _ in prompts]
        return [
            _lost(prompt) if row in lost else self._completion(prompt, tokens, logprobs[row], decoding)
            for row, (prompt, tokens) in enumerate(zip(prompts, drawn, strict=True))
        ]

    def _left_padded(self, prompts: Sequence[EncodedPrompt]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and attention mask, (B, S) each: with the padding on the left all rows end where drawing begins."""
        width = max(len(prompt.token_ids) for prompt in prompts)
        padding = [width - len(prompt.token_ids) for prompt in prompts]
        ids = [[self._pad_id] * pad + list(prompt.token_ids) for pad, prompt in zip(padding, prompts, strict=True)]
        mask = [[0] * pad + [1] * (width - pad) for pad in padding]
        device = self.model.device
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device)

    def _completion(
        self, prompt: EncodedPrompt, drawn: list[int], logprobs: list[float], decoding: Decoding
    ) -> Completion:
        """Cut a row of drawn ids at its end of turn or its stop text; with as many log-probabilities, or none."""
        end = next((position for position, token in enumerate(drawn) if token in self._end_ids), None)
        kept = drawn[:end]
        num_tokens = len(kept) if end is None else end + 1
        text = self._decode(kept)
        cut = min((at for at in (text.find(stop) for stop in decoding.stop) if at >= 0), default=None)
        if cut is not None:
            # What follows a stop text is padding, which may look like an end of turn: count up to the stop text only.
            num_tokens = next(
                count for count in range(1, len(kept) + 1) if holds_any(self._decode(kept[:count]), decoding.stop)
            )
            text = text[:cut]
        finished = end is not None or cut is not None
        logprob = math.fsum(logprobs[:num_tokens]) if decoding.logprobs else math.nan
        return Completion(
            text,
            "stop" if finished else "length",
            len(prompt.token_ids),
            num_tokens,
            logprob=logprob if math.isfinite(logprob) else None,
        )

    def _decode(self, token_ids: list[int]) -> str:
        return str(self.tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _context_length(self) -> int:
        return int(getattr(self.model.config.get_text_config(), "max_position_embeddings", None) or 2**31)

    def _too_long(self, prompt: EncodedPrompt) -> Completion:
        length = len(prompt.token_ids)
        reason = f"the prompt has {length} tokens, the model's context {self._context_length()}"
        return Completion("", "error", length, 0, error=reason)


def _lost(prompt: EncodedPrompt) -> Completion:
    reason = "the logits are not numbers: sigma is too large, or the dtype too narrow"
    return Completion("", "error", len(prompt.token_ids), 0, error=reason)


def _processors(decoding: Decoding, seeds: Sequence[int] | None, mask: torch.Tensor) -> LogitsProcessorList:
    """What happens to the logits, in the order of the field: penalty, temperature, top-k, top-p, draw.

    Args:
        mask: (B, S), 0 where the prompts are padded
    """
    chain = LogitsProcessorList()
    if decoding.repetition_penalty != 1:
        chain.append(PenalisedRepetition(decoding.repetition_penalty, mask))
    if decoding.temperature > 0 and seeds is not None:
        chain += [*_warpers(decoding), SeededDraw(seeds, mask.shape[1])]
    return chain


def _warpers(decoding: Decoding) -> LogitsProcessorList:
    """What shapes the distribution before a draw; blind to the tokens before."""
    chain = LogitsProcessorList([TemperatureLogitsWarper(decoding.temperature)])
    if decoding.top_k:
        chain.append(TopKLogitsWarper(decoding.top_k))
    if decoding.top_p < 1:
        chain.append(TopPLogitsWarper(decoding.top_p))
    return chain


def _choice(decoding: Decoding, seeds: Sequence[int] | None) -> lean.Choose:
    """How the lean decoder takes a token: the most likely one, or the draw that `SeededDraw` makes."""
    if decoding.temperature == 0 or seeds is None:
        return lambda logits, rows, step: logits.argmax(dim=-1)
    chain, streams = _warpers(decoding), np.asarray(seeds, dtype=np.uint64)

    def choose(logits: torch.Tensor, rows: list[int], step: int) -> torch.Tensor:
        unseen = torch.empty((len(rows), 0), dtype=torch.long)
        shaped = chain(unseen, logits)  # type: ignore[arg-type]
        return draw(shaped, torch.from_numpy(uniforms(streams[rows], step)))

    return choose


def _end_of_turn_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Every token that ends a turn: what the model's files and its tokenizer name, in that order."""
    found: list[int] = []
    for source in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        ids = source if isinstance(source, list) else [source]
        found += [token for token in ids if token is not None and token not in found]
    if not found:
        raise InputError("the model names no end-of-turn token", "set eos_token_id in its config.json")
    return found


def weights_digest(model: torch.nn.Module) -> str:
    """Hash of a model's weights as they are now, bit for bit."""
    digest = hashlib.blake2b(digest_size=16)
    for name, weight in model.named_parameters():
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
