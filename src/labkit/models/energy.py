"""Energy models: sequence classifiers that say of a question and a solution how wrong the solution is. Lower is better.

How the two become tokens is one function for training and for scoring, and what it depends on stands in the model's
folder. Rows are padded on the right and masked, so the company of a row in its batch changes no score beyond the
rounding of floats. Knows texts and tensors; does *not* know runs, prompts or verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from labkit.config.names import PAIR_PARTS
from labkit.config.sections import ModelConfig
from labkit.errors import InputError, MachineError
from labkit.models.coverage import Coverage
from labkit.models.folder import ModelFolder
from labkit.models.loading import choose_device, dtype_of, load_tokenizer, loading_errors, quieten_transformers
from labkit.models.memory import in_halves
from labkit.models.pairs import Pair as Pair

PLAIN_TEMPLATE = "{question}\n\n{solution}"
"""How the two are joined where the tokenizer puts no token of its own between them."""

BATCH_TOKENS = 16_384
"""Most tokens in a forward pass, padding included; a longer row goes alone."""

_UNLIMITED = 1_000_000
"""A tokenizer without a limit says a number beyond this."""


class PairTokens(NamedTuple):
    """A pair as the model reads it."""

    token_ids: list[int]
    type_ids: list[int] | None
    """Which of the two a token belongs to, where the model wants to know."""
    is_cut: bool
    """Whether the pair was longer than the model's context, and lost its beginning."""


@dataclass(frozen=True, slots=True)
class PairForm:
    """How a question and a solution become tokens, and which way the model's number points."""

    template: str | None
    """A text with `{question}` and `{solution}`; None is the tokenizer's own encoding of a pair of texts."""
    higher_is_better: bool = False
    """Whether the model gives a reward, the negative of which is the energy."""

    def as_json(self) -> dict[str, Any]:
        """What `labkit.json` says of it."""
        return {"template": self.template, "higher_is_better": self.higher_is_better}


def default_form(tokenizer: PreTrainedTokenizerBase) -> PairForm:
    """The form of a model whose folder names none: the tokenizer's own pair where it puts a token between the two texts,
    as those of BERT's kind do, else question, blank line, solution."""
    separates = tokenizer.num_special_tokens_to_add(pair=True) > tokenizer.num_special_tokens_to_add(pair=False)
    return PairForm(None if separates else PLAIN_TEMPLATE)


def form_of(folder: ModelFolder, tokenizer: PreTrainedTokenizerBase) -> PairForm:
    """The form that a model was trained with, by its `labkit.json`, else the default."""
    said = folder.settings().get("energy")
    return (
        default_form(tokenizer) if said is None else PairForm(said.get("template"), said.get("higher_is_better", False))
    )


class PairEncoder:
    """Makes tokens of pairs."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, form: PairForm, max_length: int) -> None:
        """
        Args:
            max_length: most tokens of a pair; of a longer one the beginning is left out, first of the question, then of
                the solution, at whose end the answer stands
        """
        tokenizer.truncation_side = "left"
        self._tokenizer, self._form, self._max_length = tokenizer, form, max_length
        self._unknown_id = tokenizer.unk_token_id

    def encode(self, pairs: Sequence[Pair]) -> list[PairTokens]:
        """Tokens of B pairs, specials included."""
        if not pairs:
            return []
        texts = self._texts(pairs)
        whole = self._tokenizer(*texts, verbose=False)  # how many are too long is counted
        cut = [row for row, ids in enumerate(whole["input_ids"]) if len(ids) > self._max_length]
        short = {row: self._cut(pairs[row]) for row in cut}
        if cut and self._tokenizer.is_fast:  # it would be saved with the limit of the last call
            self._tokenizer.backend_tokenizer.no_truncation()
        types = whole.get("token_type_ids")
        return [
            short.get(row) or PairTokens(ids, None if types is None else types[row], False)
            for row, ids in enumerate(whole["input_ids"])
        ]

    def coverage(self, rows: Sequence[PairTokens]) -> Coverage:
        """How much of encoded pairs the model reads."""
        num_tokens = sum(len(row.token_ids) for row in rows)
        num_cut, num_unknown = sum(row.is_cut for row in rows), sum(map(self.num_unknown, rows))
        return Coverage(len(rows), num_cut, num_tokens, num_unknown)

    def num_unknown(self, tokens: PairTokens) -> int:
        """Tokens that stand for text which the tokenizer does not know."""
        return 0 if self._unknown_id is None else tokens.token_ids.count(self._unknown_id)

    def _texts(self, pairs: Sequence[Pair]) -> tuple[list[str], ...]:
        if self._form.template is None:
            return [pair.question for pair in pairs], [pair.solution for pair in pairs]
        before, rest = self._form.template.split(PAIR_PARTS[0])
        if PAIR_PARTS[1] in before:  # the solution first
            start, middle = before.split(PAIR_PARTS[1])
            return ([start + pair.solution + middle + pair.question + rest for pair in pairs],)
        middle, end = rest.split(PAIR_PARTS[1])
        # Joined, not substituted: a question may hold the word `{solution}`.
        return ([before + pair.question + middle + pair.solution + end for pair in pairs],)

    def _cut(self, pair: Pair) -> PairTokens:
        given: dict[str, Any] = {"max_length": self._max_length}
        if self._form.template is not None:
            made = self._tokenizer(self._texts([pair])[0][0], truncation=True, **given)
        else:
            alone = len(self._tokenizer("", pair.solution, verbose=False)["input_ids"])
            question, side = (pair.question, "only_first") if alone < self._max_length else ("", "only_second")
            made = self._tokenizer(question, pair.solution, truncation=side, **given)
        return PairTokens(made["input_ids"], made.get("token_type_ids"), True)


class EnergyModel:
    """A sequence classifier with its tokenizer."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, form: PairForm) -> None:
        """
        Raises:
            InputError: the tokenizer has tokens that the model has no embedding for, there is no token to pad with, or the
                model tells more than two classes apart.
        """
        _check_vocabulary(model, tokenizer)
        if model.config.num_labels not in (1, 2):
            raise InputError(
                f"the classifier has {model.config.num_labels} classes", "an energy model has 1 number or 2 classes"
            )
        self.model, self.tokenizer, self.form = model, tokenizer, form
        self.encoder = PairEncoder(tokenizer, form, context_length(model, tokenizer))
        self._filler = _filler(model, tokenizer)

    def tensors(self, rows: Sequence[PairTokens]) -> dict[str, torch.Tensor]:
        """What the model is called with for B rows, padded to the longest, T tokens: `input_ids` and `attention_mask`
        (B, T), and `token_type_ids` (B, T) where it wants them."""
        longest = max(1, *(len(row.token_ids) for row in rows))
        missing = [longest - len(row.token_ids) for row in rows]
        filled = zip(rows, missing, strict=True)
        tensors = {"input_ids": torch.tensor([row.token_ids + [self._filler] * rest for row, rest in filled])}
        lengths = torch.tensor([len(row.token_ids) for row in rows])
        tensors["attention_mask"] = (torch.arange(longest) < lengths[:, None]).long()  # (B, T)
        if rows[0].type_ids is not None:
            types = [(row.type_ids or []) + [0] * rest for row, rest in zip(rows, missing, strict=True)]
            tensors["token_type_ids"] = torch.tensor(types)
        return tensors

    def energy(self, logits: torch.Tensor) -> torch.Tensor:
        """Energies (B,) in float32 from the model's logits (B, 1) or (B, 2); of two classes the second is `correct`."""
        values = logits.float()
        energies = values[:, 0] if values.shape[1] == 1 else values[:, 0] - values[:, 1]
        return -energies if self.form.higher_is_better else energies

    @torch.inference_mode()
    def energies(self, rows: Sequence[PairTokens]) -> Iterator[tuple[list[int], list[float]]]:
        """The energies of rows, a forward pass at a time: positions in `rows`, and the energy of each.

        Raises:
            MachineError: a row alone does not fit into memory.
        """
        for positions in batches_by_tokens([len(row.token_ids) for row in rows]):
            yield positions, in_halves([rows[position] for position in positions], self._of_batch, self._too_large)

    def _of_batch(self, rows: Sequence[PairTokens]) -> list[float]:
        inputs = {name: tensor.to(self.model.device) for name, tensor in self.tensors(rows).items()}
        return [float(value) for value in self.energy(self.model(**inputs).logits).cpu()]

    def _too_large(self, row: PairTokens) -> MachineError:
        return MachineError(
            f"a solution of {len(row.token_ids)} tokens does not fit on {self.model.device}",
            "rank on another device: labkit eval --rerank RUN --device cpu",
        )


def batches_by_tokens(lengths: Sequence[int], limit: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Positions of rows, the longest first, in batches of at most `limit` tokens with their padding."""
    order = sorted(range(len(lengths)), key=lambda position: (-lengths[position], position))
    start = 0
    while start < len(order):
        size = max(1, limit // max(lengths[order[start]], 1))
        yield order[start : start + size]
        start += size


def load_energy_model(folder: ModelFolder, config: ModelConfig) -> EnergyModel:
    """Load a trained energy model.

    Raises:
        InputError: it is no classifier, its head was never trained, or its files do not fit together.
        MachineError: no such device here, or not enough memory.
    """
    tokenizer = load_tokenizer(folder, needs_template=False)
    model, new = load_classifier(folder, config)
    if new:
        raise InputError(
            f"{folder.name} is no trained classifier: it has no weights for {', '.join(new[:3])}, which would be random",
            "name a sequence classifier, or train one on this model: method: energy (docs/gsm8k.md)",
        )
    model.train(False).requires_grad_(False)
    return EnergyModel(model, tokenizer, form_of(folder, tokenizer))


def load_classifier(folder: ModelFolder, config: ModelConfig, **changes: Any) -> tuple[PreTrainedModel, list[str]]:
    """A folder's model as a sequence classifier on its device, with the names of the weights that are new and random.

    Args:
        changes: of its configuration, such as `num_labels`

    Raises:
        InputError, MachineError: as `load_energy_model`.
    """
    quieten_transformers()
    device = choose_device(config.device)
    with loading_errors(folder, device):
        model, about = AutoModelForSequenceClassification.from_pretrained(
            folder.path, dtype=dtype_of(config), use_safetensors=True, local_files_only=True, output_loading_info=True,
            **changes,
        )  # fmt: skip
        model.to(device=device)
    return model, sorted(map(str, about["missing_keys"]))


def context_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Most tokens that the model takes."""
    limits = [getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length]
    return min(limit for limit in [*limits, _UNLIMITED] if limit)


def _check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    embedding: Any = model.get_input_embeddings()
    num_known = int(embedding.weight.shape[0])
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if largest >= num_known:
        raise InputError(
            f"the tokenizer has {largest + 1} tokens and the model knows {num_known}",
            "put the tokenizer beside the weights that they were trained with",
        )


def _filler(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The token that rows are padded with, by which the model finds the end of a row."""
    known = (model.config.get_text_config().pad_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id)
    filler = next((int(token) for token in known if token is not None), None)
    if filler is None:
        raise InputError("there is no token to pad with", "set pad_token_id in the model's config.json")
    model.config.get_text_config().pad_token_id = filler
    return filler
