"""What `sample`, `perturb` and `eval` share on the command line: resolve, start or resume, watch, show the table."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from labkit.cli.console import say
from labkit.cli.flags import Asked
from labkit.cli.layers import resolve_asked, resumed_run
from labkit.config.base import Resolved
from labkit.config.commands import EvalConfig, SweepConfig, refuse_default_model
from labkit.record.run import Run

AskedT = TypeVar("AskedT", bound=SweepConfig | EvalConfig)
SweepT = TypeVar("SweepT", bound=SweepConfig)

DEBUG_PROMPTS = 32
DEBUG_ROLLOUTS = 32


class ShowResult(Protocol):
    """Prints what a finished run found."""

    def __call__(self, run: Run, *, as_json: bool) -> None: ...


def run_sweep(schema: type[SweepT], sweep_key: str, asked: Asked) -> None:
    """Carry out a sweep as it was asked for, and print its pass@k."""
    run_rollouts(schema, asked, debug=lambda config: _debug(config, sweep_key), show=print_table)


def run_rollouts(
    schema: type[AskedT], asked: Asked, *, debug: Callable[[AskedT], dict[str, Any]], show: ShowResult
) -> None:
    """Carry out what a command line asks for, or say what that would take.

    Args:
        debug: the small preset of a config, by dotted key
        show: prints the result of the run
    """
    run = resumed_run(asked, schema.model_fields["command"].default)
    resolved = resolve_asked(schema, asked, debug=debug, resumed=run)
    refuse_default_model(resolved)
    config = resolved.config
    from labkit.rerank.finding import rerankers_of

    rerankers = rerankers_of(config)
    if asked.dry_run:
        _say_what_would_be_done(resolved, asked, run)
        return
    # torch and transformers take seconds to import: everything that can be refused has been by now.
    say(f"loading {resolved.config.model.id}")
    from labkit.cli.progress import SweepProgress
    from labkit.rerank.session import Ranker
    from labkit.rollouts.experiment import prepare
    from labkit.rollouts.session import resume, start

    said: list[str] = []

    def note(text: str) -> None:
        said.append(text)
        say(text)

    with SweepProgress() as progress:
        ranker = Ranker(rerankers, progress.ranked)
        if run is None:
            run = start(resolved, prepare(config, note), progress, ranker)
        else:
            run = resume(run, resolved, note, progress, afterwards=ranker)
    for warning in (run.result() or {}).get("warnings", []):
        if warning not in said:  # learned on the way
            say(warning)
    show(run, as_json=asked.json)
    say(f"recorded in {run.path}")
    if rerankers:
        from labkit.cli.rerank import refuse_no_scores

        refuse_no_scores(run, [reranker.name for reranker in rerankers])


def print_table(run: Run, *, as_json: bool) -> None:
    """The pass@k table of a run, or the rates of Goodhart items."""
    from labkit.report.goodhart.kinds import is_goodhart_run
    from labkit.report.goodhart.tables import evaluation_tables
    from labkit.report.pass_at_k import pass_at_k_table
    from labkit.report.render import print_tables

    tables = evaluation_tables(run) if is_goodhart_run(run) else [pass_at_k_table([run])]
    print_tables(tables, format="json" if as_json else None)


def _debug(config: SweepConfig, sweep_key: str) -> dict[str, Any]:
    """The small preset: 32 prompts, 32 rollouts, the first value of the sweep."""
    first = config.as_json()[sweep_key][:1]
    return {"task.num_prompts": DEBUG_PROMPTS, "num_rollouts": DEBUG_ROLLOUTS, sweep_key: first}


def _say_what_would_be_done(resolved: Resolved[Any], asked: Asked, run: Run | None) -> None:
    from labkit.rollouts.estimate import estimate

    found = estimate(resolved, say, run)
    if asked.json:
        print(json.dumps(found, ensure_ascii=False))
        _refuse_full_disk(found)
        return
    first = found["first_prompt"]
    say(f"  first prompt: {first['text']!r}")
    say(f"  its tokens: {first['token_ids']} ({found['num_bos_tokens']} of them begin a text)")
    say(f"  tokens that end a rollout: {found['end_of_turn_ids']}; the template's own: {found['template_end_id']}")
    for arm in found["arms"]:
        say(f"  {arm['key']:<24} {found['num_prompts']} prompts x {arm['num_rollouts']} rollouts, {arm['owed']} owed")
    say(
        f"{found['owed']} rollouts, about {found['num_bytes'] / 1e6:.1f} MB on disk, "
        f"about {found['duration_s']:.0f} s (probed {found['probe_rollouts']} rollouts; loading took {found['load_s']:.1f} s). "
        "Nothing was written."
    )
    _refuse_full_disk(found)


def _refuse_full_disk(found: dict[str, Any]) -> None:
    from labkit.errors import MachineError
    from labkit.rollouts.projection import disk_doubt

    if doubt := disk_doubt(found["num_bytes"], found["free_bytes"]):
        raise MachineError(doubt, "name another disk with --runs-dir")
