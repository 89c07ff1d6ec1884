"""Reading rows and verdicts: nothing made up, nothing lost but a torn tail, and every loss said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.errors import RecordError
from labkit.record.files import LineFile, json_line
from labkit.record.frames import (
    ROLLOUT_SCHEMA,
    VERDICT_SCHEMA,
    read_many,
    read_rollouts,
    read_scored,
    read_verdicts,
)
from labkit.record.rows import Rollout, RowWriter, Verdict, VerdictWriter
from labkit.record.run import Run

Make = Callable[..., Run]
MakeRow = Callable[..., Rollout]
MakeVerdict = Callable[..., Verdict]

NASTY = [
    "",
    "two\nlines\r\nthree",
    'quotes " and \\ and \\" and \'',
    '{"prompt": "p9", "arm": "greedy", "index": 0}\n',
    "}{][,:",
    "ünï漢字 😀 \u202e",
    "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e",
    "\x00\x01\x1b[31m\x7f",
    "\ufeff\ufffe\uffff",
    "<|endoftext|> nul\\u0000",
    " \t ",
    "x" * 300_000,
]


def write_rows(run: Run, rows: Sequence[Rollout], attempt: int = 1, worker: int = 0) -> Path:
    writer = RowWriter(run.rows_dir, attempt, worker)
    writer.append(rows)
    writer.close()
    return run.rows_dir / f"{attempt:04d}-{worker:02d}.jsonl"


def write_verdicts(run: Run, verdicts: Sequence[Verdict], score_hash: str | None = None) -> Path:
    path = run.scores_path(score_hash or run.score_hash)
    writer = VerdictWriter(path)
    writer.append(verdicts)
    writer.close()
    return path


# Content


def test_rows_come_back_as_they_were_written(make_run: Make, rollout: MakeRow) -> None:
    run = make_run()
    rows = [rollout(at, text=text, finish_reason="length", logprob=-1.5 * at) for at, text in enumerate(NASTY)]
    write_rows(run, rows)
    read = read_rollouts(run)
    assert read.warnings == ()
    assert read.frame.schema == ROLLOUT_SCHEMA
    assert [Rollout(**row) for row in read.frame.to_dicts()] == rows


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(), min_size=1, max_size=6), st.lists(st.none() | st.text(), min_size=6, max_size=6))
def test_every_text_comes_back(make_run: Make, rollout: MakeRow, texts: list[str], answers: list[str | None]) -> None:
    run = make_run()
    rows = [rollout(at, text=text) for at, text in enumerate(texts)]
    write_rows(run, rows)
    write_verdicts(
        run, [Verdict(row.prompt, row.arm, row.index, 1, False, 0.0, answers[row.index], "r") for row in rows]
    )
    assert read_rollouts(run).frame["text"].to_list() == texts
    assert read_verdicts(run, run.score_hash).frame["answer"].to_list() == answers[: len(texts)]


def test_a_lone_surrogate_becomes_a_question_mark(make_run: Make, rollout: MakeRow) -> None:
    run = make_run()
    write_rows(run, [rollout(0, text="a\ud800b\udfff"), rollout(1)])
    assert read_rollouts(run).frame["text"].to_list() == ["a?b?", "answer 1"]


def test_a_line_is_a_row_whatever_its_text(make_run: Make, rollout: MakeRow) -> None:
    run = make_run()
    path = write_rows(run, [rollout(at, text=text) for at, text in enumerate(NASTY)])
    data = path.read_bytes()
    assert data.count(b"\n") == len(data.splitlines()) == len(NASTY)


def test_extremes_of_numbers(make_run: Make, rollout: MakeRow) -> None:
    run = make_run()
    rows = [
        rollout(2**31 - 1, seed=2**63 - 1, duration_s=1e-9, logprob=-1e300),
        rollout(0, seed=0, duration_s=86_400.0),
        rollout(1, seed=None),
    ]
    write_rows(run, rows)
    assert [Rollout(**row) for row in read_rollouts(run).frame.to_dicts()] == rows


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_is_refused_before_anything_is_written(
    make_run: Make, rollout: MakeRow, number: float
) -> None:
    run = make_run()
    writer = RowWriter(run.rows_dir, 1)
    writer.append([rollout(0)])
    with pytest.raises(ValueError, match="JSON"):
        writer.append([rollout(1), rollout(2, logprob=number)])
    writer.append([rollout(3)])
    writer.close()
    assert read_rollouts(run).frame["index"].to_list() == [0, 3]


def test_keys_that_first_appear_late_are_kept(make_run: Make, rollout: MakeRow) -> None:
    run = make_run()
    rows = [rollout(at) for at in range(5000)]
    rows += [rollout(5000, error="out of memory", text=""), rollout(5001, logprob=-2.5)]
    write_rows(run, rows)
    frame = read_rollouts(run).frame
    assert frame["error"].to_list()[-2:] == ["out of memory", None]
    assert frame["logprob"].to_list()[-2:] == [None, -2.5]
    assert frame["error"].null_count() == frame["logprob"].null_count() == 5001


def test_chosen_columns_come_with_the_key(make_run: Make, rollout: MakeRow, verdict: MakeVerdict) -> None:
    run = make_run()
    write_rows(run, [rollout(0)])
    write_verdicts(run, [verdict(rollout(0))])
    assert read_rollouts(run, columns=["text"]).frame.columns == ["prompt", "arm", "index", "attempt", "text"]
    assert read_verdicts(run, run.score_hash, columns=["answer"]).frame.row(0) == ("p0", "temperature=0.4", 0, 1, "2")


def test_an_empty_run_has_empty_frames_of_the_right_columns(make_run: Make) -> None:
    run = make_run()
    assert read_rollouts(run).frame.schema == ROLLOUT_SCHEMA
    assert read_verdicts(run, run.score_hash).frame.schema == VERDICT_SCHEMA
    assert read_scored(run).frame.schema["correct"] == pl.Boolean
    assert read_scored(run).frame.height == 0


# Attempts


def test_the_newest_attempt_stands_for_a_rollout(make_run: Make, rollout: MakeRow) -> None:
    run = make_run()
    write_rows(run, [rollout(at, text="second", attempt=2) for at in (1, 2)], attempt=2)
    write_rows(run, [rollout(at, text="first", attempt=1, error="no") for at in (0, 1)], attempt=1)
    write_rows(run, [rollout(2, text="tenth", attempt=10)], attempt=10)
    frame = read_rollouts(run).frame.sort("index")
    assert frame["text"].to_list() == ["first", "second", "tenth"]
    assert frame["error"].to_list() == ["no", None, None]


def test_workers_of_one_attempt_write_segments_of_their_own(make_run: Make, rollout: MakeRow) -> None:
    run = make_run()
    write_rows(run, [rollout(0)], worker=0)
    write_rows(run, [rollout(1)], worker=1)
    assert read_rollouts(run).frame["index"].to_list() == [0, 1]
    with pytest.raises(RecordError, match="File exists"):
        write_rows(run, [rollout(2)], worker=1)


def test_rollouts_are_told_apart_by_prompt_arm_and_index(make_run: Make, rollout: MakeRow) -> None:
    run = make_run()
    rows = [rollout(at, prompt=p, arm=a) for p in ("p0", "p1") for a in ("greedy", "sigma=1") for at in (0, 1)]
    write_rows(run, rows)
    write_rows(run, [rollout(0, prompt="p1", arm="sigma=1", attempt=2, text="again")], attempt=2)
    frame = read_rollouts(run).frame
    assert frame.height == 8
    assert frame.filter(text="again").height == 1


# Verdicts


def test_scored_rows_carry_the_verdict_of_their_own_attempt(
    make_run: Make, rollout: MakeRow, verdict: MakeVerdict
) -> None:
    run = make_run()
    old, new, other = rollout(0), rollout(0, attempt=2), rollout(1)
    failed, waiting = rollout(2, error="oom"), rollout(3)
    write_rows(run, [old, other, failed, waiting])
    write_rows(run, [new], attempt=2)
    write_verdicts(run, [verdict(old, correct=True), verdict(other, correct=True), verdict(failed, correct=True)])
    write_verdicts(run, [verdict(new, correct=False)])
    frame = read_scored(run).frame.sort("index")
    # The old attempt's verdict does not stand for the new one, a failure is wrong, and no verdict is no verdict.
    assert frame["correct"].to_list() == [False, True, False, None]
    assert read_scored(run, columns=["num_tokens"]).frame.sort("index")["correct"].to_list()[:2] == [False, True]


def test_one_verdict_a_rollout_that_of_the_last_attempt(make_run: Make, rollout: MakeRow, verdict: MakeVerdict) -> None:
    run = make_run()
    write_verdicts(run, [verdict(rollout(0)), verdict(rollout(1))])
    write_verdicts(run, [verdict(rollout(0, attempt=2), correct=False)])
    frame = read_verdicts(run, run.score_hash).frame.sort("index")
    assert frame.select("index", "attempt", "correct").rows() == [(0, 2, False), (1, 1, True)]


def test_scorers_do_not_touch_each_others_verdicts(make_run: Make, rollout: MakeRow, verdict: MakeVerdict) -> None:
    run = make_run()
    write_rows(run, [rollout(0)])
    write_verdicts(run, [verdict(rollout(0), correct=True)])
    write_verdicts(run, [verdict(rollout(0), correct=False, answer=None)], "f" * 16)
    assert read_verdicts(run, run.score_hash).frame["correct"].to_list() == [True]
    assert read_verdicts(run, "f" * 16).frame["answer"].to_list() == [None]
    assert read_scored(run).frame["correct"].to_list() == [True]
    assert read_verdicts(run, "0" * 16).frame.height == 0


# Torn and damaged files


def test_a_segment_cut_at_every_byte_gives_its_whole_lines(
    make_run: Make, rollout: MakeRow, verdict: MakeVerdict
) -> None:
    run = make_run()
    rows = [rollout(at, text=text, logprob=-0.5, error="e\n") for at, text in enumerate(NASTY[:8])]
    verdicts = [verdict(row, answer=row.text) for row in rows]
    segment, scores = write_rows(run, rows), write_verdicts(run, verdicts)
    for path, read, written in (
        (segment, lambda: read_rollouts(run), rows),
        (scores, lambda: read_verdicts(run, run.score_hash), verdicts),
    ):
        data = path.read_bytes()
        expected = [{name: getattr(row, name) for name in read().frame.columns} for row in written]
        for end in range(len(data)):
            path.write_bytes(data[:end])
            result = read()
            whole = data[:end].count(b"\n")
            assert result.frame.to_dicts() == expected[:whole], end
            torn = end - (data.rfind(b"\n", 0, end) + 1)
            assert len(result.warnings) == (1 if torn else 0)
            assert all(str(path) in warning and f"{torn} bytes" in warning for warning in result.warnings)
        path.write_bytes(data)


def test_a_new_attempt_after_a_torn_one(make_run: Make, rollout: MakeRow) -> None:
    run = make_run()
    path = write_rows(run, [rollout(0), rollout(1)])
    path.write_bytes(path.read_bytes()[:-20])
    write_rows(run, [rollout(1, attempt=2)], attempt=2)
    read = read_rollouts(run)
    assert read.frame["attempt"].to_list() == [1, 2]
    assert len(read.warnings) == 1


def test_verdicts_after_a_torn_one(make_run: Make, rollout: MakeRow, verdict: MakeVerdict) -> None:
    run = make_run()
    path = write_verdicts(run, [verdict(rollout(0)), verdict(rollout(1))])
    path.write_bytes(path.read_bytes()[:-20])
    write_verdicts(run, [verdict(rollout(1), answer="3"), verdict(rollout(2))])
    read = read_verdicts(run, run.score_hash)
    assert (read.frame["answer"].to_list(), read.warnings) == (["2", "3", "2"], ())


DAMAGE = {
    "garbage": lambda line: b"garbage",
    "cut": lambda line: line[:40],
    "beginning lost": lambda line: line[40:],
    "blank": lambda line: b"",
    "zeros": lambda line: b"\x00" * len(line),
    "two rows glued": lambda line: line[:-1] + line,
    "a list": lambda line: b"[1, 2]",
    "no key": lambda line: b'{"text": "x"}',
    "null key": lambda line: line.replace(b'"prompt":"p0"', b'"prompt":null'),
    "index no number": lambda line: line.replace(b'"index":1', b'"index":"one"'),
    "not utf-8": lambda line: line.replace(b"p0", b"\xff\xfe"),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("which", ["rows", "verdicts"])
def test_a_damaged_line_in_the_middle_is_named_and_can_be_passed_over(
    make_run: Make, rollout: MakeRow, verdict: MakeVerdict, kind: str, which: str
) -> None:
    run = make_run()
    rows = [rollout(at) for at in range(4)]
    segment, scores = write_rows(run, rows), write_verdicts(run, [verdict(row) for row in rows])
    path = segment if which == "rows" else scores
    lines = path.read_bytes().split(b"\n")
    lines[1] = DAMAGE[kind](lines[1])
    path.write_bytes(b"\n".join(lines))

    def read(*, salvage: bool) -> object:
        return (
            read_rollouts(run, salvage=salvage)
            if which == "rows"
            else read_verdicts(run, run.score_hash, salvage=salvage)
        )

    with pytest.raises(RecordError, match="line 2 is damaged") as caught:
        read(salvage=False)
    assert str(path) in caught.value.message
    assert "--salvage" in caught.value.hint
    with pytest.raises(RecordError, match="line 2 is damaged"):
        read_scored(run)
    rest = read(salvage=True)
    assert rest.frame["index"].to_list() == [0, 2, 3]  # type: ignore[attr-defined]
    assert rest.warnings == (f"{path}, line 2: damaged, left out",)  # type: ignore[attr-defined]


def test_salvaging_says_everything_that_is_missing(make_run: Make, rollout: MakeRow) -> None:
    run = make_run()
    path = write_rows(run, [rollout(at) for at in range(4)])
    lines = path.read_bytes().split(b"\n")
    lines[0], lines[2] = b"x", b"y"
    path.write_bytes(b"\n".join(lines)[:-5])
    read = read_rollouts(run, salvage=True)
    assert read.frame["index"].to_list() == [1]
    assert [("torn" in warning, "line 1:" in warning, "line 3:" in warning) for warning in read.warnings] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]
    path.write_bytes(b"only garbage\n")
    assert read_rollouts(run, salvage=True).frame.schema == ROLLOUT_SCHEMA


def test_lines_that_end_as_on_windows_are_read(make_run: Make, rollout: MakeRow) -> None:
    run = make_run()
    path = write_rows(run, [rollout(0), rollout(1)])
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_rollouts(run).frame["index"].to_list() == [0, 1]


# Metrics


def log_metrics(run: Run, *lines: dict[str, object]) -> None:
    log = LineFile(run.metrics_path)
    log.append(b"".join(map(json_line, lines)))
    log.close()


def test_many_runs_are_one_frame(make_run: Make, rollout: MakeRow) -> None:
    first, second, empty = make_run(), make_run(), make_run()
    write_rows(first, [rollout(0), rollout(1)])
    write_rows(second, [rollout(0)])
    write_verdicts(first, [Verdict("p0", "temperature=0.4", 1, 1, True, 1.0, "x", "r")])
    frame = read_many([first, second, empty]).frame
    assert frame.columns[:5] == ["run", "prompt", "arm", "index", "attempt"]
    assert frame.group_by("run").len().sort("run").rows() == sorted([(first.id, 2), (second.id, 1)])
    assert frame.filter(run=first.id)["correct"].to_list() == [None, True]
    assert read_many([]).frame.height == 0
