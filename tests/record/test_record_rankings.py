"""Rankings: what a reranker said comes back, the newest of a name counts, and what has no line is owed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from recorded_runs import WARM, record_run, write_rows

from labkit.errors import RecordError
from labkit.record.compaction import compact
from labkit.record.rankings import (
    RANKING_SCHEMA,
    RankingWriter,
    RolloutScore,
    announce_ranking,
    owed_scores,
    read_rankings,
)
from labkit.record.run import Run

Make = Callable[..., Run]


def score_of(index: int, score: float | None, prompt: str = "p0", attempt: int = 1) -> RolloutScore:
    return RolloutScore(prompt, WARM.key, index, attempt, score)


def write(run: Run, ranking_hash: str, scores: Iterable[RolloutScore], name: str | None = None) -> Path:
    writer = RankingWriter(run, ranking_hash)
    writer.append(scores)
    writer.close()
    if name:
        announce_ranking(run, name=name, ranking_hash=ranking_hash, about={"kind": "test"})
    return run.ranking_path(ranking_hash)


def test_scores_come_back_and_what_json_cannot_say_is_null_with_its_name(make_run: Make) -> None:
    run = make_run()
    scores = [score_of(0, 0.1 + 0.2), score_of(1, math.nan), score_of(2, math.inf), score_of(3, -math.inf)]
    failed = RolloutScore("p0", WARM.key, 4, 1, None, "no digits in it")
    write(run, "aa", [*scores, failed], name="./mine.py")
    (ranking,) = read_rankings(run)
    assert (ranking.name, ranking.hash, ranking.about, ranking.warnings) == ("./mine.py", "aa", {"kind": "test"}, ())
    assert ranking.frame.schema == RANKING_SCHEMA
    assert ranking.frame["score"].to_list() == [0.1 + 0.2, None, None, None, None]
    assert ranking.frame["error"].to_list() == [None, "nan", "inf", "-inf", "no digits in it"]


def test_a_ranking_that_was_not_announced_is_not_there_yet(make_run: Make) -> None:
    run = make_run()
    write(run, "aa", [score_of(0, 1.0)])
    assert read_rankings(run) == []


def test_the_newest_of_a_name_counts_and_other_names_stand_beside_it(make_run: Make) -> None:
    run = make_run()
    for ranking_hash, name in (("aa", "energy"), ("bb", "mine.py"), ("cc", "energy")):
        write(run, ranking_hash, [score_of(0, 1.0)], name)
    assert [(ranking.name, ranking.hash) for ranking in read_rankings(run)] == [("energy", "cc"), ("mine.py", "bb")]
    assert run.ranking_path("aa").exists()


def test_a_rollout_that_was_made_again_has_the_score_of_its_last_attempt(make_run: Make) -> None:
    run = make_run()
    write(run, "aa", [score_of(0, 1.0), score_of(0, 2.0, attempt=2)], "energy")
    assert read_rankings(run)[0].frame.select("attempt", "score").rows() == [(2, 2.0)]


def test_a_torn_line_is_said_and_its_rollout_is_owed(tmp_path: Path) -> None:
    run = record_run(tmp_path, {WARM: ["+-e", "-+-"]})
    path = write(run, "aa", [score_of(0, 1.0), score_of(1, 2.0)], "energy")
    path.write_bytes(path.read_bytes()[:-9])
    (ranking,) = read_rankings(run)
    assert ranking.frame["index"].to_list() == [0]
    assert "torn" in ranking.warnings[0]
    # The third rollout of the first prompt is an error and has no text.
    assert owed_scores(run, "aa").select("prompt", "index").rows() == [("p0", 1), ("p1", 0), ("p1", 1), ("p1", 2)]
    write(run, "aa", [score_of(1, 3.0)])
    assert read_rankings(run)[0].frame["score"].to_list() == [1.0, 3.0]


def test_a_damaged_line_is_an_error_unless_salvaging(make_run: Make) -> None:
    run = make_run()
    path = write(run, "aa", [score_of(0, 1.0), score_of(1, 2.0)], "energy")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"{broken\n" + lines[1])
    with pytest.raises(RecordError, match=r"aa\.jsonl, line 1"):
        read_rankings(run)
    (ranking,) = read_rankings(run, salvage=True)
    assert ranking.frame["index"].to_list() == [1]


def test_rows_of_a_later_attempt_are_owed_again(tmp_path: Path) -> None:
    run = record_run(tmp_path, {WARM: ["+-"]})
    write(run, "aa", [score_of(0, 1.0), score_of(1, 2.0)], "energy")
    assert owed_scores(run, "aa").is_empty()
    write_rows(run, {WARM: ["+"]}, attempt=2)
    assert owed_scores(run, "aa").select("index", "attempt").rows() == [(0, 2)]


def test_packing_a_run_leaves_its_rankings_as_they_are(tmp_path: Path) -> None:
    run = record_run(tmp_path, {WARM: ["+-"]})
    path = write(run, "aa", [score_of(0, 1.0)], "energy")
    before = path.read_bytes()
    compact(run)
    assert path.read_bytes() == before
    assert read_rankings(run)[0].frame["score"].to_list() == [1.0]
    assert owed_scores(run, "aa")["index"].to_list() == [1]
