"""What a model can do on prompts that were held out from its training: greedy answers, and the loss on whole rows."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import torch
from torch.nn.functional import cross_entropy

from labkit.models.engine import Decoding
from labkit.models.torch_engine import TorchEngine
from labkit.stats import wilson
from labkit.tasks.base import Score
from labkit.train.examples import Examples
from labkit.train.rows import IGNORED_LABEL, Padding, Row

_LOSS_BATCH = 256


class Evaluation:
    """Measures a model as it is at the moment; it should be in evaluation mode."""

    def __init__(self, engine: TorchEngine, examples: Examples, padding: Padding, max_new_tokens: int) -> None:
        """
        Args:
            padding: as in the training, so that the loss is taken on the same tokens
            max_new_tokens: most tokens of an answer
        """
        self._engine = engine
        self._examples = examples
        self._padding = padding
        self._decoding = Decoding(max_new_tokens)
        self._prompts = [engine.encode(prompt) for prompt in examples.held_out]
        self._rows = examples.validation_rows(engine.tokenizer)

    def __call__(self) -> dict[str, float]:
        """`eval_accuracy` of greedy answers with its 95 % Wilson interval; for a data set also `eval_loss`,
        `eval_parse_rate`, and for each task the mean of its metric, `eval_distance`."""
        metrics: dict[str, float] = {}
        if self._rows:
            metrics["eval_loss"] = mean_loss(self._engine, self._rows, self._padding)
        completions = self._engine.generate(self._prompts, self._decoding)
        held_out = zip(self._examples.held_out, completions, strict=True)
        scores = [self._examples.task.score(prompt, completion.text) for prompt, completion in held_out]
        correct = sum(score.correct for score in scores)
        low, high = wilson(correct, len(scores))
        accuracy = correct / len(scores)
        metrics |= {"eval_accuracy": accuracy, "eval_accuracy_low": low, "eval_accuracy_high": high}
        return metrics | self._by_task(scores)

    def _by_task(self, scores: Sequence[Score]) -> dict[str, float]:
        """How many answers could be read, and each task's mean; an answer that cannot be read has the failure value."""
        values: dict[str, list[float]] = {}
        for prompt, score in zip(self._examples.held_out, scores, strict=True):
            if score.value is not None:
                values.setdefault(str(prompt.gold["task"]), []).append(score.value)
        if not values:  # nothing is measured but right or wrong
            return {}
        parsed = sum(score.answer is not None for score in scores)
        return {"eval_parse_rate": parsed / len(scores)} | {
            f"eval_{task}": fmean(values[task]) for task in sorted(values)
        }


@torch.no_grad()
def mean_loss(engine: TorchEngine, rows: Sequence[Row], padding: Padding) -> float:
    """Mean negative log-likelihood over the tokens of all rows that the loss is taken on, in nats."""
    total, count = 0.0, 0
    for start in range(0, len(rows), _LOSS_BATCH):
        tensors = padding.tensors(rows[start : start + _LOSS_BATCH])
        inputs = {name: tensor.to(engine.model.device) for name, tensor in tensors.items()}
        targets = inputs.pop("labels")[:, 1:]  # (B, T - 1)
        logits = engine.model(**inputs).logits[:, :-1].float()  # (B, T - 1, V)
        losses = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED_LABEL, reduction="sum")
        total += float(losses)
        count += int((targets != IGNORED_LABEL).sum())
    return total / count
