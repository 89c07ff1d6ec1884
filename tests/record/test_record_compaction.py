"""Compaction: the same content in one file, no matter when it is cut short or done again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from labkit.errors import MachineError, RecordError
from labkit.record.compaction import compact
from labkit.record.frames import read_rollouts, read_scored, read_verdicts
from labkit.record.identity import Arm
from labkit.record.rows import Rollout, RowWriter, Verdict, VerdictWriter
from labkit.record.run import Ask, Run, open_run

Make = Callable[..., Run]
MakeRow = Callable[..., Rollout]
MakeVerdict = Callable[..., Verdict]
OTHER = "f" * 16


def work(run: Run, rollout: MakeRow, verdict: MakeVerdict, indices: range) -> None:
    """An attempt that does the indices of both prompts, scores them twice, and finishes."""
    with run.working() as attempt:
        rows = [
            rollout(
                index,
                prompt=prompt,
                attempt=attempt,
                text=f"{prompt}\n{index} é {'x' * index}",
                error="oom" if index == 3 else None,
                logprob=None if index % 2 else -0.5 * index,
            )
            for index in indices
            for prompt in ("p1", "p0")
        ]
        writer = RowWriter(run.rows_dir, attempt)
        writer.append(rows)
        writer.close()
        for score_hash, correct in ((run.score_hash, 2), (OTHER, 3)):
            scores = VerdictWriter(run.scores_path(score_hash))
            scores.append(
                verdict(row, correct=row.index % correct == 0, answer=None if row.index % 5 == 0 else str(row.index))
                for row in rows
            )
            scores.close()
        run.finish({}, owed=0, num_asked=run.ask().num_rollouts)


@pytest.fixture
def done(make_run: Make, rollout: MakeRow, verdict: MakeVerdict) -> Run:
    """A finished run of two attempts; the second did index 5 again."""
    run = make_run(ask=Ask(2, ((Arm("temperature", 0.4), 10),)).as_json())
    work(run, rollout, verdict, range(6))
    work(run, rollout, verdict, range(5, 10))
    return run


def content(run: Run) -> dict[str, list[dict[str, Any]]]:
    """All that a reader can see, in one order."""
    key = ["arm", "prompt", "index"]
    return {
        "rollouts": read_rollouts(run).frame.sort(key).to_dicts(),
        "own": read_verdicts(run, run.score_hash).frame.sort(key).to_dicts(),
        "other": read_verdicts(run, OTHER).frame.sort(key).to_dicts(),
        "answers": read_verdicts(run, OTHER, columns=["answer"]).frame.sort(key).to_dicts(),
        "scored": read_scored(run).frame.sort(key).to_dicts(),
        "scored columns": read_scored(run, columns=["text"]).frame.sort(key).to_dicts(),
    }


def segments(run: Run) -> list[Path]:
    return [*run.rows_dir.glob("*"), *(run.path / "scores").glob("*")]


def test_a_compacted_run_reads_the_same(done: Run) -> None:
    before = content(done)
    assert len(segments(done)) == 4
    assert compact(done) == 20
    assert segments(done) == []
    assert content(done) == before
    assert len(before["rollouts"]) == len(before["own"]) == len(before["answers"]) == 20
    assert open_run(done.path).status() == "done"
    assert not [path for path in done.path.iterdir() if path.name.endswith(".tmp")]


def test_answers_that_are_null_are_verdicts_too(done: Run) -> None:
    compact(done)
    assert read_verdicts(done, OTHER, columns=["answer"]).frame["answer"].null_count() == 4


def test_a_rollout_without_a_verdict_does_not_get_one(done: Run) -> None:
    scores = done.scores_path(OTHER)
    scores.write_bytes(b"".join(scores.read_bytes().splitlines(keepends=True)[:7]))
    before = content(done)
    assert len(before["other"]) == len(before["answers"]) == 7
    compact(done)
    assert content(done) == before


def test_a_run_that_grows_reads_both_and_is_compacted_again(done: Run, rollout: MakeRow, verdict: MakeVerdict) -> None:
    compact(done)
    done.note("asked", ask=Ask(2, ((Arm("temperature", 0.4), 12),)).as_json())
    assert done.status() == "interrupted"
    work(done, rollout, verdict, range(9, 12))  # 9 again, 10 and 11 for the first time
    grown = content(done)
    assert len(grown["rollouts"]) == len(grown["own"]) == 24
    assert {row["attempt"] for row in grown["rollouts"] if row["index"] == 9} == {3}
    assert done.parquet_path.exists()
    assert len(segments(done)) == 3
    assert compact(done) == 24
    assert segments(done) == []
    assert content(done) == grown
    assert compact(done) == 24
    assert content(done) == grown


def test_verdicts_of_a_scorer_that_came_later(done: Run, rollout: MakeRow, verdict: MakeVerdict) -> None:
    compact(done)
    before = content(done)
    writer = VerdictWriter(done.scores_path("a" * 16))
    writer.append(verdict(Rollout(**row), correct=False) for row in before["rollouts"])
    writer.close()
    assert read_verdicts(done, "a" * 16).frame.height == 20
    compact(done)
    assert read_verdicts(done, "a" * 16).frame["correct"].to_list() == [False] * 20
    assert content(done) == before


def test_rows_of_one_arm_lie_together(done: Run) -> None:
    compact(done)
    frame = pl.read_parquet(done.parquet_path)
    assert frame.select("arm", "prompt", "index").rows() == sorted(frame.select("arm", "prompt", "index").rows())


def test_a_crash_before_the_segments_are_removed_is_harmless(done: Run, tmp_path: Path) -> None:
    before = content(done)
    for name in ("rows", "scores"):
        shutil.copytree(done.path / name, tmp_path / name)
    compact(done)
    for name in ("rows", "scores"):
        shutil.copytree(tmp_path / name, done.path / name, dirs_exist_ok=True)
    assert content(done) == before
    segments(done)[0].unlink()  # removed one by one: any of them may be gone already
    assert content(done) == before
    assert compact(done) == 20
    assert content(done) == before


def test_a_crash_while_writing_leaves_the_segments(done: Run) -> None:
    before = content(done)
    (done.path / ".rows.parquet.tmp").write_bytes(b"PAR1 half")
    assert content(done) == before
    compact(done)
    assert content(done) == before


def test_an_unfinished_run_is_refused(make_run: Make) -> None:
    run = make_run()
    with pytest.raises(RecordError, match="is not done") as caught:
        compact(run)
    assert f"--resume {run.path}" in caught.value.hint
    assert not run.parquet_path.exists()


def test_a_run_at_work_is_refused(done: Run) -> None:
    with done.working(), pytest.raises(RecordError, match="is not done"):
        compact(done)
    assert len(segments(done)) == 4


def test_a_damaged_segment_is_not_packed_away(done: Run) -> None:
    path = sorted(done.rows_dir.glob("*"))[0]
    path.write_bytes(b"garbage\n" + path.read_bytes())
    with pytest.raises(RecordError, match="line 1 is damaged"):
        compact(done)
    assert len(segments(done)) == 4
    assert not done.parquet_path.exists()


COMPACT_WITHOUT_ROOM = """
import resource, sys
from pathlib import Path
from labkit.errors import MachineError
from labkit.record.compaction import compact
from labkit.record.run import open_run
run = open_run(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    compact(run)
except MachineError as error:
    print(error.exit_code, error.message)
"""


def test_a_full_disk_leaves_the_segments(done: Run, child: Callable[..., Any]) -> None:
    before = content(done)
    output, errors = child(COMPACT_WITHOUT_ROOM, done.path).communicate(timeout=60)
    assert errors == ""
    assert output.startswith("3 no room to write")
    assert content(done) == before
    assert not done.parquet_path.exists()
    assert MachineError.exit_code == 3


def test_a_compacted_run_is_much_smaller(make_run: Make, rollout: MakeRow, verdict: MakeVerdict) -> None:
    run = make_run(ask=Ask(1, ((Arm("temperature", 0.4), 3000),)).as_json())
    with run.working() as attempt:
        writer = RowWriter(run.rows_dir, attempt)
        writer.append(rollout(index, text=f"(44 + {index}) = {index + 44}") for index in range(3000))
        writer.close()
        run.finish({}, owed=0, num_asked=3000)
    before = sum(path.stat().st_size for path in segments(run))
    compact(run)
    assert run.parquet_path.stat().st_size < before / 5


def test_a_file_that_is_older_than_a_column_of_verdicts_reads_as_without_it(done: Run) -> None:
    before = content(done)
    compact(done)
    frame = pl.read_parquet(done.parquet_path)
    older = frame.drop(name for name in frame.columns if name.startswith("value@"))
    assert older.width == frame.width - 2  # a column for each scorer
    older.write_parquet(done.parquet_path)
    assert content(done) == before
    assert read_verdicts(done, OTHER, columns=["value"]).frame["value"].null_count() == 10 * 2


def test_measured_values_survive(make_run: Make, rollout: MakeRow, verdict: MakeVerdict) -> None:
    run = make_run(ask=Ask(1, ((Arm("temperature", 0.4), 3),)).as_json())
    rows = [rollout(index) for index in range(3)]
    with run.working() as attempt:
        writer, scores = RowWriter(run.rows_dir, attempt), VerdictWriter(run.scores_path(run.score_hash))
        writer.append(rows)
        scores.append(verdict(row, value=value) for row, value in zip(rows, (0.0, 4024.92, None), strict=True))
        writer.close()
        scores.close()
        run.finish({}, owed=0, num_asked=3)
    expected = [0.0, 4024.92, None]
    assert read_verdicts(run, run.score_hash).frame.sort("index")["value"].to_list() == expected
    compact(run)
    assert read_verdicts(run, run.score_hash, columns=["value"]).frame.sort("index")["value"].to_list() == expected
