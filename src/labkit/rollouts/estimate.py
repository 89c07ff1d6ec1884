"""What a sweep would take: counts from the config, seconds and bytes from a probe of each kind of arm."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from labkit.config.base import Resolved
from labkit.record.run import Run
from labkit.rollouts.asking import num_beginnings
from labkit.rollouts.experiment import Experiment, prepare
from labkit.rollouts.plan import Batch, nothing_done
from labkit.rollouts.projection import free_bytes, remaining_s
from labkit.rollouts.session import AskedT, refuse_other_base, refuse_other_seed, wanted
from labkit.rollouts.work import already_done, generate_batch
from labkit.tasks.base import Prompt

_ROW_BYTES = 330  # a row and its verdict without the text, as JSON


def estimate(resolved: Resolved[AskedT], say: Callable[[str], None], run: Run | None = None) -> dict[str, Any]:
    """Load everything, do the first owed batch of each arm without writing it, and reckon up the rest.

    Returns:
        `num_prompts`, `arms` (each `key`, `num_rollouts`, `owed`), `owed`, `num_bytes`, `duration_s`, `load_s`,
        `probe_rollouts`, `free_bytes`, and of how the model is asked `first_prompt`, `num_bos_tokens`, `end_of_turn_ids`,
        `template_end_id`.
    """
    config = resolved.config
    began = time.monotonic()
    known = [] if run is None else [Prompt.from_json(line) for line in run.prompts()]
    experiment = prepare(config, say, known)
    load_s = time.monotonic() - began
    ask = experiment.ask
    if run is not None:
        refuse_other_seed(run, config)
        refuse_other_base(run, experiment)
        ask = run.ask().joined(wanted(run.ask(), resolved, experiment))
    done = nothing_done(ask) if run is None else already_done(run, ask, experiment)
    plan = experiment.owed_batches(ask, done)
    found: dict[str, Any] = {"num_prompts": ask.num_prompts, "arms": [], "owed": 0, "num_bytes": 0}
    duration_s, probed = 0.0, 0
    for arm, num_rollouts in ask.arms:
        mine = [batch for batch in plan if batch.arm == arm]
        owed = int((~done[arm.key]).sum())
        found["arms"].append({"key": arm.key, "num_rollouts": num_rollouts, "owed": owed})
        found["owed"] += owed
        if mine:
            batch_s, row_bytes = _probe(experiment, mine[0])
            probed += len(mine[0])
            duration_s += batch_s + remaining_s(mine, batch_s)
            found["num_bytes"] += round(row_bytes * owed)
    first, about = experiment.encoded[0], experiment.engine.describe()
    return found | {
        "duration_s": round(duration_s, 3),
        "load_s": round(load_s, 3),
        "probe_rollouts": probed,
        "free_bytes": free_bytes(config.runs_dir),
        "first_prompt": {"text": first.text, "token_ids": list(first.token_ids)},
        "num_bos_tokens": num_beginnings(first, about),
        "end_of_turn_ids": about["end_of_turn_ids"],
        "template_end_id": about.get("template_end_id"),
    }


def _probe(experiment: Experiment, batch: Batch) -> tuple[float, float]:
    """Seconds of one batch, and bytes a rollout. The first go warms up what is compiled or cached once."""
    generate_batch(experiment, batch)
    began = time.monotonic()
    completions, _ = generate_batch(experiment, batch)
    text_bytes = sum(len(completion.text.encode()) for completion in completions)
    return time.monotonic() - began, _ROW_BYTES + text_bytes / len(completions)
