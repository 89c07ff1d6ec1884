"""Goodhart runs on disk, and published result files, from strings that say how each run over an item came out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labkit.record.identity import Arm, components_hash, draw_seed
from labkit.record.rows import Rollout, RowWriter, Verdict, VerdictWriter
from labkit.record.run import Ask, Run, create_run
from labkit.tasks.goodhart.quadrants import Verdict as Judged
from labkit.tasks.goodhart.quadrants import count_quadrants, paired

WARM = Arm("temperature", 0.3, top_p=0.9)
CATEGORIES = {"sum": "math", "product": "math", "hour": "time", "order": "logic"}

Outcomes = Mapping[str, str]
"""For each item a letter a run: `b` knows and does, `k` knows and fails, `d` does but does not know, `n` neither. In upper
case the explanation ended at the limit of tokens; `e` is an answer that failed to be generated; `.` is not there yet."""


def record_condition(
    runs_dir: Path,
    outcomes: Outcomes,
    *,
    model: str = "first",
    seed: int = 42,
    arm: Arm = WARM,
    done: bool = True,
    score: Mapping[str, Any] | None = None,
    **base: Any,
) -> Run:
    """A run over these items."""
    whole = {"model": model, "task": "goodhart", "max_new_tokens": 512, **base}
    scored = dict(score or {"scorer": "goodhart-1", "golds": "abc"})
    lines = [_line(item, part) for item in outcomes for part in ("explain", "answer")]
    ask = Ask(len(lines), ((arm, max(map(len, outcomes.values()))),))
    manifest = {
        "name": None,
        "seed": seed,
        "config": {"command": "eval", "seed": seed, "model": {"id": model}, "task": {"name": "goodhart"}},
        "origins": {},
        "base": whole,
        "base_hash": components_hash(whole),
        "score": scored,
        "score_hash": components_hash(scored),
        "ask": ask.as_json(),
        "engine": {"name": "torch", "version": "2.13.0"},
        "provenance": {},
    }
    run = create_run(runs_dir, command="eval", slug=model, manifest=manifest, config_yaml="", prompts=lines)
    with run.working() as attempt:
        judged = _write(run, outcomes, arm, attempt, seed)
    if done:
        counts = {arm.key: count_quadrants(paired(judged))}
        run.finish({"arms": [], "quadrants": counts}, owed=0, num_asked=ask.num_rollouts)
    return run


def _line(item: str, part: str) -> dict[str, Any]:
    about = {"item": item, "part": part}
    return {"id": f"{item}-{part}", "messages": [], "gold": about, "source": about | {"category": _category(item)}}


def _category(item: str) -> str:
    return CATEGORIES.get(item, "other")


def _write(run: Run, outcomes: Outcomes, arm: Arm, attempt: int, seed: int) -> list[Judged]:
    rows, verdicts = RowWriter(run.rows_dir, attempt), VerdictWriter(run.scores_path(run.score_hash))
    judged = []
    for item, letters in outcomes.items():
        for index, letter in enumerate(letters):
            for part, right in (("explain", letter in "bkBK"), ("answer", letter in "bdBD")):
                if letter == ".":
                    continue
                key = (f"{item}-{part}", arm.key, index, attempt)
                draw = None if arm.method == "greedy" else draw_seed(seed, "rollout", key[0], index)
                failed = letter == "e" and part == "answer"
                reason = "length" if letter.isupper() and part == "explain" else "error" if failed else "stop"
                tokens = 10 + index if part == "explain" else 1
                error = "engine fell over" if failed else None
                rows.append([Rollout(*key, draw, "text", reason, 5, tokens, 0.1, error=error)])
                verdicts.append([Verdict(*key, right, float(right), None, "marker")])
                judged.append(Judged(item, _category(item), part, index, right, reason == "length"))
    rows.close()
    verdicts.close()
    return judged


def published(
    outcomes: Outcomes,
    *,
    model: str = "org/model",
    compressed: str | None = None,
    seed: int = 42,
    categories: Mapping[str, str] = CATEGORIES,
) -> Any:
    """A result in the published form, whose summary is right."""
    num_runs = max(map(len, outcomes.values()))
    results = [
        {
            "id": f"{item}_run{run}" if num_runs > 1 else item,
            "category": categories.get(item, "other"),
            "understands": outcomes[item][run] in "bk",
            "executes_correctly": outcomes[item][run] in "bd",
            "extracted_answer": "7" if outcomes[item][run] in "bd" else "",
            "correct_answer": "7",
            "gap_type": {"k": "KNOWS_BUT_FAILS", "d": "DOES_BUT_DOESNT_KNOW"}.get(outcomes[item][run]),
            "explanation_length": 100 + 10 * run,
        }
        for run in range(num_runs)
        for item in outcomes
    ]
    config = {"num_runs": num_runs, "temperature": 0.3, "seed": seed, "total_evaluations": len(results)}
    return {
        "model_id": model,
        "caldera_dir": compressed,
        "config": config,
        "summary": _summary(results),
        "results": results,
    }


def _summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    understood = [each for each in results if each["understands"]]
    executed = [each for each in results if each["executes_correctly"]]
    gaps = [each["id"] for each in understood if not each["executes_correctly"]]
    dbdk = [each["id"] for each in executed if not each["understands"]]
    categories = {each["category"]: {"pass": 0, "fail": 0, "gap": 0} for each in results}
    for each in results:
        counts = categories[each["category"]]
        counts["pass" if each["executes_correctly"] else "fail"] += 1
        counts["gap"] += each["id"] in gaps
    return {
        "total": len(results),
        "understands": len(understood),
        "executes": len(executed),
        "gaps": len(gaps),
        "does_but_doesnt_know": len(dbdk),
        "gap_rate_conditional": round(len(gaps) / max(1, len(understood)), 3),
        "dbdk_rate": round(len(dbdk) / max(1, len(executed)), 3),
        "mean_explanation_length": round(sum(each["explanation_length"] for each in results) / len(results), 1),
        "gap_ids": gaps,
        "dbdk_ids": dbdk,
        "by_category": categories,
    }


def save_published(path: Path, content: Any) -> Path:
    """Write a result file."""
    path.write_text(json.dumps(content))
    return path
