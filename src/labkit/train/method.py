"""What tells one method of training from another: a model, what a step learns from, and how it is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from labkit.models.engine import EncodedPrompt

Loss = Callable[..., torch.Tensor]
"""(outputs, labels, num_items_in_batch) -> the loss of a forward pass, its part of the mean over a step."""


class Method(Protocol):
    """A model on its device, ready to be trained in place, and what it is trained on."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    loss: Loss | None
    """None is the loss that the model gives itself."""
    measures: bool
    """Whether anything is held out that the model can be measured on."""

    def rows_at(self, step: int) -> Sequence[Any]:
        """What a step (counted from 0) learns from, at least one row; a pure function."""
        ...

    def tensors(self, rows: Sequence[Any], /) -> dict[str, torch.Tensor]:
        """What the model is called with for some of them, `labels` among it."""
        ...

    def measure(self) -> dict[str, float]:
        """What the model can do on what is held out, as it is at the moment; it should be in evaluation mode."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """What the record says of the engine: name, version, and the loaded model."""
        ...

    def base(self) -> Mapping[str, Any]:
        """What the training rests on beside the weights and the examples."""
        ...

    def notes(self) -> Sequence[str]:
        """Facts that the user should see once, of this model with these examples."""
        ...

    def first_prompt(self) -> EncodedPrompt:
        """The first text that is learnt from."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """What `labkit.json` of a trained model says beside its lineage."""
        ...

    def files(self, step: int) -> Mapping[str, Mapping[str, Any]]:
        """JSON objects that stand beside the model after so many steps, by the names of their files."""
        ...
