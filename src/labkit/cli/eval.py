"""`labkit eval`: one way of decoding, over the prompts of a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labkit.cli.flags import (
    CHECKPOINT_FLAGS,
    GENERATION_FLAGS,
    MODEL_FLAGS,
    RUN_FLAGS,
    TASK_FLAGS,
    Asked,
    Flag,
    add_command,
)

if TYPE_CHECKING:
    from labkit.record.run import Run

TASK = Annotated[
    str | None,
    typer.Argument(
        metavar="TASK", help="world, gsm8k, goodhart, countdown, a Python file, or a JSONL file of prompts."
    ),
]
_ELSEWHERE = ("--task", "--num-rollouts", "--data", "--num-prompts", "--model", "--top-p")
_SHARED = (*TASK_FLAGS, *MODEL_FLAGS, *CHECKPOINT_FLAGS, *GENERATION_FLAGS, *RUN_FLAGS)

FLAGS = [
    Flag("--temperature", "temperature", float, "0 decodes greedily.  [0; gsm8k: 0.7; goodhart: 0.3]"),
    Flag("--num-rollouts", "num_rollouts", int, "Rollouts a prompt, above temperature 0.  [1; gsm8k, goodhart: 5]"),
    Flag("--rescore", "rescore", str, "Score a run's rollouts again, with --data by other golds; needs no model."),
    Flag("--evaluation", "task.evaluations", str, "A data set of the world; repeatable.  [all 15]", repeatable=True),
    Flag("--data", "task.data", Path, "Folder of the world, or file of problems.  [data/world; gsm8k: the hub's]"),
    Flag("--num-prompts", "task.num_prompts", int, "Prompts, of each evaluation.  [countdown: 128; world: 10000; else all]"),
    Flag("--reranker", "rerankers", str, "Scores rollouts: run:NAME, folder, hub id, Python file; repeatable.", repeatable=True),
    Flag("--rerank", "rerank", str, "Let --reranker score a finished run; loads no other model.  RUN: name, path, or last."),
    Flag("--model", "model.id", str, "Hub id, folder, run:NAME, or builtin:NAME; needed but for countdown."),
    Flag("--top-p", "generation.top_p", float, "Nucleus of the draw.  [1.0; gsm8k, goodhart: 0.9]"),
    *(flag for flag in _SHARED if flag.option not in _ELSEWHERE),
]  # fmt: skip

HELP = """Evaluate a model on a task, decoding in one way.

`labkit eval world` asks the rows of every evaluation of a world: each task on Atlantis, each on ordinary cities, and
the mixture of all. All of them are one run, and a question that stands in several is decoded once. `labkit eval gsm8k`
makes 5 candidates a word problem at temperature 0.7 and top-p 0.9; `labkit eval goodhart` asks each item 5 times for its
answer and for the way to it, at 0.3 and 0.9. Another temperature above 0 keeps number and top-p; 0 is one greedy rollout.
--debug is 32 prompts of each.
"""

DEBUG_PROMPTS = 32


def register(app: typer.Typer) -> None:
    add_command(app, "eval", FLAGS, _eval, help=HELP, argument=("task", TASK))


def _eval(asked: Asked) -> None:
    if "rescore" in asked.values:
        from labkit.cli.rescore import rescore_run

        rescore_run(asked)
        return
    if "rerank" in asked.values:
        from labkit.cli.rerank import rerank

        rerank(asked, show=_print_table)
        return
    from labkit.cli.sweep import run_rollouts
    from labkit.config.commands import EvalConfig

    _refuse_no_task(asked)
    run_rollouts(EvalConfig, asked, debug=_debug, show=_print_table)


def _refuse_no_task(asked: Asked) -> None:
    from labkit.errors import ConfigError

    if asked.values["task"] is None and asked.config is None and asked.resume is None:
        raise ConfigError("labkit eval needs a task", "labkit eval world --model MODEL")


def _debug(_config: Any) -> dict[str, Any]:
    """The small preset: 32 prompts of each evaluation."""
    return {"task.num_prompts": DEBUG_PROMPTS}


def _print_table(run: Run, *, as_json: bool) -> None:
    """The figures of the world's evaluations, the rates of goodhart, or pass@k; for GSM8K with what choosing among candidates
    is worth, and each rule's accuracy."""
    from labkit.cli.sweep import print_table
    from labkit.report.render import print_tables
    from labkit.report.sweeps import merged_tables
    from labkit.report.world.evaluations import evaluation_table

    if "evaluations" in (run.result() or {}):
        print_tables([evaluation_table([run])], format="json" if as_json else None)
    elif run.manifest["config"]["task"]["name"] == "gsm8k":
        print_tables(merged_tables([run]), format="json" if as_json else None)
    else:
        print_table(run, as_json=as_json)
