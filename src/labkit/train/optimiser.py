"""Muon for the matrices inside of a model, and AdamW for the rest, as one optimiser under one schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import AdamW, Muon, Optimizer
from transformers import PreTrainedModel

from labkit.config.training import OptimisationConfig


class MuonWithAdamW(Optimizer):
    """Two optimisers that a Trainer steps, schedules, saves and loads as one.

    Muon (Jordan et al. 2024) orthogonalises the momentum of a matrix. Its steps are scaled to the size of AdamW's
    (`match_rms_adamw`; Liu et al. 2025, "Muon is Scalable for LLM Training", equation 4), so both share a learning rate.
    """

    def __init__(self, model: PreTrainedModel, how: OptimisationConfig) -> None:
        matrices, others = split_parameters(model)
        muon = Muon(matrices, lr=how.learning_rate, weight_decay=how.weight_decay, adjust_lr_fn="match_rms_adamw")
        groups = [
            {"params": [weight for weight in others if weight.ndim >= 2], "weight_decay": how.weight_decay},
            {"params": [weight for weight in others if weight.ndim < 2], "weight_decay": 0.0},
        ]
        betas = (how.adam_beta1, how.adam_beta2)
        adamw = AdamW([group for group in groups if group["params"]], lr=how.learning_rate, betas=betas, fused=True)
        self._parts: tuple[Muon, AdamW] = (muon, adamw)
        super().__init__([group for part in self._parts for group in part.param_groups], {})
        self._share()

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of both."""
        loss = None if closure is None else closure()
        for part in self._parts:
            part.step()  # type: ignore[no-untyped-call]
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state; loading makes new objects, which both parts must then see."""
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        """Let the parts work on this optimiser's groups, whose rates the schedule sets, and on its state, which is saved."""
        muon, adamw = self._parts
        muon.param_groups, adamw.param_groups = self.param_groups[:1], self.param_groups[1:]
        muon.state = adamw.state = self.state


def split_parameters(model: PreTrainedModel) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """The matrices between a model's embeddings and its output, and all other parameters that are trained."""
    ends = {
        id(weight)
        for module in (model.get_input_embeddings(), model.get_output_embeddings())  # type: ignore[no-untyped-call]
        if module is not None
        for weight in module.parameters()
    }
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    # A classifier's head is an output too: one row a class.
    matrices = [weight for weight in trained if weight.ndim == 2 and id(weight) not in ends and min(weight.shape) > 2]
    inner = {id(weight) for weight in matrices}
    return matrices, [weight for weight in trained if id(weight) not in inner]
