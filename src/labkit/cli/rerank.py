"""`labkit eval --rerank RUN`: rerankers score a run that has all its rollouts; its model is not loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from labkit.cli.finished import refuse_other_flags, run_with_rollouts
from labkit.cli.flags import Asked

if TYPE_CHECKING:
    from labkit.cli.sweep import ShowResult
    from labkit.record.run import Run
    from labkit.rerank.reranker import Reranker

_ALLOWED = ("rerank", "rerankers", "model.device", "runs_dir")
_HINT = "beside it stand only --reranker, --device, --runs-dir, --dry-run and --json"


def rerank(asked: Asked, *, show: ShowResult) -> None:
    """Let the rerankers that were named, else those that the run knows, score what they have not scored yet, and what they
    gave no score.

    Args:
        show: prints the result of the run
    """
    from labkit.cli.console import say

    refuse_other_flags(asked, _ALLOWED, sets=None, what="--rerank scores a run as it is", hint=_HINT)
    run = run_with_rollouts(asked, "rerank")
    rerankers = _rerankers(run, asked)
    if asked.dry_run:
        _say_what_would_be_done(run, rerankers, as_json=asked.json)
        return
    say(f"ranking {run.id}")
    from labkit.cli.progress import SweepProgress
    from labkit.rerank.session import rank_again

    _say_what_owes_nothing(run, rerankers)
    with SweepProgress() as progress:
        warnings = rank_again(run, rerankers, progress.ranked)
    for warning in warnings:
        say(warning)
    show(run, as_json=asked.json)
    say(f"recorded in {run.path}")
    refuse_no_scores(run, [reranker.name for reranker in rerankers])


def _say_what_owes_nothing(run: Run, rerankers: list[Reranker]) -> None:
    from labkit.cli.console import say
    from labkit.rerank.session import num_owed

    for name, count in num_owed(run, rerankers).items():
        if not count:
            say(f"{name} has scored every rollout already: nothing is owed")


def refuse_no_scores(run: Run, names: list[str]) -> None:
    """Raise CheckFailed where a reranker has no score for any rollout, with the first reason that it gave."""
    from labkit.errors import CheckFailed
    from labkit.record.rankings import read_rankings

    for ranking in read_rankings(run):
        scores = ranking.frame["score"]
        if ranking.name in names and len(scores) and scores.null_count() == len(scores):
            reason = next(iter(ranking.frame["error"].drop_nulls()), "it says nothing of why")
            raise CheckFailed(
                f"{ranking.name} failed on all of {len(scores)} rollouts, first with: {reason}",
                f"mend it, then: labkit eval --rerank {run.id} --reranker {ranking.name}",
            )


def _rerankers(run: Run, asked: Asked) -> list[Reranker]:
    """Those named now are looked for in the runs folder that is named too; those that the run knows, beside it."""
    from labkit.cli.layers import given_runs_dir
    from labkit.errors import ConfigError
    from labkit.rerank.finding import find_rerankers

    beside = run.path.resolve().parents[1]
    named = asked.values.get("rerankers")
    references, runs_dir = (named, given_runs_dir(asked) or beside) if named else (_known(run), beside)
    if not references:
        raise ConfigError(f"which reranker is to rank {run.id}?", "--reranker run:NAME, a folder, or a Python file")
    return find_rerankers(references, Path(runs_dir), asked.values.get("model.device") or "auto")


def _known(run: Run) -> list[str]:
    """The rerankers that the run was asked for, and those that have ranked it since."""
    from labkit.record.rankings import announced_rankings

    return list(dict.fromkeys([*run.manifest["config"].get("rerankers", ()), *announced_rankings(run)]))


def _say_what_would_be_done(run: Run, rerankers: list[Reranker], *, as_json: bool) -> None:
    import json

    from labkit.cli.console import say
    from labkit.rerank.session import num_owed

    owed = num_owed(run, rerankers)
    if as_json:
        print(json.dumps({"owed": owed}, ensure_ascii=False))
        return
    for name, count in owed.items():
        say(f"{name}: {count:,} rollouts to score")
    say("Nothing was written.")
