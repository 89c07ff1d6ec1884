"""Finished GSM8K runs from the texts of their candidates, made by the record's writers and scored by the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from labkit.config.base import Layer, resolve
from labkit.config.commands import EvalConfig
from labkit.record.frames import read_scored
from labkit.record.identity import Arm, components_hash, draw_seed
from labkit.record.rankings import RankingWriter, RolloutScore, announce_ranking
from labkit.record.rows import Rollout, RowWriter, VerdictWriter
from labkit.record.run import Ask, Run, create_run
from labkit.rollouts.grading import verdict_of
from labkit.tasks.base import Prompt
from labkit.tasks.gsm8k.task import Gsm8kScorer

WARM = Arm("temperature", 0.7, top_p=0.9)
SCORE = {"scorer": Gsm8kScorer.scorer, "golds": "0123456789abcdef"}


def question(number: int) -> str:
    return f"What is {number} and nothing?"


def solved_run(
    runs_dir: Path,
    texts: Sequence[Sequence[str | None]],
    *,
    golds: Sequence[str] | None = None,
    logprobs: Sequence[Sequence[float | None]] | None = None,
    score: Mapping[str, Any] = SCORE,
    seed: int = 42,
    slug: str = "solved",
    **config: Any,
) -> Run:
    """A run over one problem a list of texts, its candidates; None is one that failed.

    Args:
        golds: by default the number of the problem, from 0
        logprobs: of each candidate, where wanted
        config: values of the config, with double underscores for dots
    """
    golds = golds or [str(number) for number in range(len(texts))]
    prompts = [_prompt(number, gold) for number, gold in enumerate(golds)]
    values = {"task.name": "gsm8k", "task.preset": "plain", "model.id": "tiny", "seed": seed}
    given = {key.replace("__", "."): value for key, value in config.items()}
    asked = resolve(EvalConfig, [Layer("test", values | given)]).config
    base = {"model": "abc", "task": "gsm8k", "preset": "plain"}
    ask = Ask(len(texts), ((WARM, max(map(len, texts))),))
    manifest = {
        "name": None, "seed": seed, "config": asked.as_json(), "origins": {}, "base": base,
        "base_hash": components_hash(base), "score": dict(score), "score_hash": components_hash(score),
        "ask": ask.as_json(), "engine": {"name": "torch", "version": "2.13.0"}, "provenance": {},
    }  # fmt: skip
    lines = [prompt.as_json() for prompt in prompts]
    run = create_run(runs_dir, command="eval", slug=slug, manifest=manifest, config_yaml="", prompts=lines)
    with run.working() as attempt:
        _write(run, prompts, texts, logprobs, seed, attempt)
    run.finish({"arms": []}, owed=0, num_asked=ask.num_rollouts)
    return run


def _write(
    run: Run,
    prompts: Sequence[Prompt],
    texts: Sequence[Sequence[str | None]],
    logprobs: Sequence[Sequence[float | None]] | None,
    seed: int,
    attempt: int,
) -> None:
    rows, verdicts = RowWriter(run.rows_dir, attempt), VerdictWriter(run.scores_path(run.score_hash))
    made = [
        (prompt, _rollout(prompt, index, text, seed, attempt, None if logprobs is None else logprobs[number][index]))
        for number, prompt in enumerate(prompts)
        for index, text in enumerate(texts[number])
    ]
    rows.append(row for _, row in made)
    verdicts.append(verdict_of(Gsm8kScorer(), prompt, row) for prompt, row in made)
    rows.close()
    verdicts.close()


def rank(
    run: Run, name: str, score: Callable[[dict[str, Any]], float | None], ranking_hash: str = "", **about: Any
) -> None:
    """Store a ranking: `score` takes a scored rollout with its text."""
    ranking_hash = ranking_hash or components_hash({"name": name})
    writer = RankingWriter(run, ranking_hash)
    rows = read_scored(run, columns=["text", "error"]).frame.iter_rows(named=True)
    writer.append(
        RolloutScore(row["prompt"], row["arm"], row["index"], row["attempt"], score(row)) for row in rows
    )  # fmt: skip
    writer.close()
    announce_ranking(run, name=name, ranking_hash=ranking_hash, about=about)


def _prompt(number: int, gold: str) -> Prompt:
    return Prompt(({"role": "user", "content": question(number)},), gold={"answer": gold}, source={"line": number + 1})


def _rollout(prompt: Prompt, index: int, text: str | None, seed: int, attempt: int, logprob: float | None) -> Rollout:
    draw = draw_seed(seed, "rollout", prompt.id, index)
    error = "engine fell over" if text is None else None
    reason, num_tokens = ("stop", len(text.split())) if text is not None else ("error", 0)
    return Rollout(prompt.id, WARM.key, index, attempt, draw, text or "", reason, 5, num_tokens, 0.1, logprob, error)
