"""Run folders: made once, opened, asked for more, locked, found; and each way of being damaged."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_runs import record_run

from labkit.errors import RecordError
from labkit.record.catalog import find_run, run_paths
from labkit.record.frames import read_rollouts
from labkit.record.identity import Arm
from labkit.record.run import Ask, Run, create_run, open_run, slugify
from labkit.record.schema import SCHEMA

Start = Callable[..., "subprocess.Popen[str]"]
Make = Callable[..., Run]


def finish(run: Run) -> None:
    """An attempt that does all that was asked for."""
    with run.working():
        run.finish({"accuracy": 0.5}, owed=0, num_asked=run.ask().num_rollouts)


# Making and opening


def test_a_run_opens_as_it_was_made(make_run: Make) -> None:
    made = make_run(slug="Qwen/Qwen2.5 0.5B!")
    run = open_run(made.path)
    assert run.manifest == made.manifest
    assert run.manifest["schema"] == SCHEMA
    assert (run.id, run.command) == (run.path.name, "sample")
    assert run.path.parent.name == "sample"
    assert "-qwen-qwen2.5-0.5b-" in run.id
    assert run.prompts()[0]["text"] == "1 + 1 = é\u2028\n"
    assert (run.path / "config.yaml").read_text() == "command: sample\nseed: 42\n"
    assert (run.result(), run.events(), run.status()) == (None, [], "interrupted")


def test_runs_made_at_once_have_names_of_their_own(make_run: Make) -> None:
    assert len({make_run().id for _ in range(20)}) == 20


def test_the_names_of_runs_sort_by_time(make_run: Make) -> None:
    run = make_run()
    stamp = run.id.partition("-")[0]
    created = run.manifest["created"]
    assert stamp == re.sub("[-:.]", "", created)


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Tiny Model", "tiny-model"),
        ("../../etc", "etc"),
        ("", "run"),
        ("漢字", "run"),
        ("a" * 99, "a" * 40),
        ("x/.", "x"),
    ],
)
def test_slugs_are_fit_for_a_folder(text: str, slug: str) -> None:
    assert slugify(text) == slug


@given(st.text())
def test_every_slug_is_one_plain_word(text: str) -> None:
    slug = slugify(text)
    assert 1 <= len(slug) <= 40
    assert slug[0] not in ".-"
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")


@pytest.mark.parametrize("kind", ["below a file", "below /proc"])
def test_a_runs_folder_that_cannot_be_written_is_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("x")
    runs_dir = tmp_path / "file" / "runs" if kind == "below a file" else Path("/proc/labkit-runs")
    with pytest.raises(RecordError, match="cannot write") as caught:
        create_run(runs_dir, command="sample", slug="x", manifest={}, config_yaml="", prompts=[])
    assert str(runs_dir) in caught.value.message
    assert caught.value.hint


# What is asked for

ARMS = st.sampled_from(
    [Arm("greedy"), Arm("greedy", top_p=0.5), *(Arm("temperature", value) for value in (0.4, 1, 1.0, 2))]
)
ASKS = st.builds(
    Ask,
    st.integers(1, 50),
    st.dictionaries(ARMS.map(lambda arm: arm.key), st.tuples(ARMS, st.integers(1, 9))).map(
        lambda found: tuple({arm.key: (arm, count) for arm, count in found.values()}.values())
    ),
)


def as_set(ask: Ask) -> tuple[int, dict[str, int]]:
    keys = [arm.key for arm, _ in ask.arms]
    assert len(set(keys)) == len(keys), "an arm stands once"
    return ask.num_prompts, {arm.key: count for arm, count in ask.arms}


@settings(max_examples=200)
@given(ASKS, ASKS, ASKS)
def test_asks_join_like_a_union(a: Ask, b: Ask, c: Ask) -> None:
    assert a.joined(a) == a
    assert as_set(a.joined(b)) == as_set(b.joined(a))
    assert as_set(a.joined(b).joined(c)) == as_set(a.joined(b.joined(c)))
    joined = a.joined(b)
    assert joined.joined(b) == joined
    for part in (a, b):
        num_prompts, counts = as_set(part)
        assert joined.num_prompts >= num_prompts
        assert all(as_set(joined)[1][key] >= count for key, count in counts.items())
        assert joined.num_rollouts >= part.num_rollouts
    assert as_set(joined)[1].keys() == as_set(a)[1].keys() | as_set(b)[1].keys()


@given(ASKS)
def test_an_ask_survives_json(ask: Ask) -> None:
    assert Ask.from_json(json.loads(json.dumps(ask.as_json()))) == ask


def test_the_number_asked_for_counts_prompts_times_rollouts() -> None:
    assert Ask(3, ((Arm("greedy"), 1), (Arm("temperature", 0.4), 8))).num_rollouts == 27


# Status

WORK = """
import sys, time
from pathlib import Path
from labkit.record.run import open_run
with open_run(Path(sys.argv[1])).working() as attempt:
    print(attempt, flush=True)
    time.sleep(60)
"""


def test_a_run_is_running_while_a_process_holds_it_then_interrupted_then_done(make_run: Make, child: Start) -> None:
    run = make_run()
    worker = child(WORK, run.path)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "1\n"
    assert run.status() == "running"
    with pytest.raises(RecordError, match=f"process {worker.pid} on ") as caught, run.working():
        pytest.fail("two processes work on one run")
    assert str(run.path) in caught.value.message
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert run.status() == "interrupted"
    with run.working() as attempt:
        assert attempt == 2
        assert run.status() == "running"
        run.finish({}, owed=0, num_asked=run.ask().num_rollouts)
    assert run.status() == "done"
    assert [event["event"] for event in run.events() if event["event"] in ("start", "finish")] == [
        "start",
        "start",
        "finish",
    ]


def test_a_run_that_finished_owing_something_is_interrupted(make_run: Make) -> None:
    run = make_run()
    with run.working():
        run.finish({}, owed=3, num_asked=run.ask().num_rollouts)
    assert run.status() == "interrupted"


def test_asking_for_more_makes_a_done_run_owe_again(make_run: Make) -> None:
    run = make_run()
    finish(run)
    more = Ask(2, ((Arm("greedy"), 1), (Arm("temperature", 0.4), 8)))
    run.note("asked", ask=more.as_json())
    assert run.status() == "interrupted"
    assert run.ask() == more
    assert open_run(run.path).status() == "interrupted"
    finish(run)
    assert run.status() == "done"
    result = run.result()
    assert result is not None
    assert (result["num_asked"], result["accuracy"]) == (18, 0.5)


def test_what_is_no_ask_leaves_a_done_run_done(make_run: Make) -> None:
    run = make_run()
    finish(run)
    run.note("compacted", rollouts=2)
    run.note("asked", ask=run.ask().as_json())  # nothing that was not asked for before
    assert run.status() == "done"


def test_an_attempt_that_fails_says_why(make_run: Make) -> None:
    run = make_run()
    with pytest.raises(ZeroDivisionError), run.working():
        raise ZeroDivisionError("no luck \udcff")
    assert run.status() == "interrupted"
    stopped = run.events()[-1]
    assert (stopped["event"], stopped["reason"], stopped["message"]) == ("stopped", "ZeroDivisionError", "no luck ?")


def test_events_survive_a_torn_one(make_run: Make) -> None:
    run = make_run()
    run.note("warning", text="first")
    with run.events_path.open("ab") as stream:
        stream.write(b'{"event": "ask')
    assert [event["event"] for event in run.events()] == ["warning"]
    run.note("warning", text="second")
    assert [event["text"] for event in run.events()] == ["first", "second"]


def test_the_last_line_of_a_prompt_counts_where_its_first_stood(make_run: Make) -> None:
    run = make_run()
    run.add_prompts([{"id": "p2"}, {"id": "p0", "text": "again"}])
    assert [(prompt["id"], prompt.get("text")) for prompt in run.prompts()] == [
        ("p0", "again"), ("p1", 'say "{}"'), ("p2", None),
    ]  # fmt: skip


def test_prompts_are_added_behind_the_others(make_run: Make) -> None:
    run = make_run()
    run.add_prompts([{"id": "p2"}, {"id": "p3"}])
    assert [prompt["id"] for prompt in run.prompts()] == ["p0", "p1", "p2", "p3"]


APPEND_FOR_EVER = """
import sys
from pathlib import Path
from labkit.record.rows import Rollout, RowWriter
from labkit.record.run import open_run
run = open_run(Path(sys.argv[1]))
with run.working() as attempt:
    rows = RowWriter(run.rows_dir, attempt)
    for batch in range(10**9):
        rows.append(
            Rollout("p0", "greedy", 64 * batch + i, attempt, None, "x" * (i * 37 % 900), "stop", 1, i, 0.1) for i in range(64)
        )
        print(64 * (batch + 1), flush=True)
"""


def test_a_killed_worker_loses_at_most_the_batch_in_flight(make_run: Make, child: Start) -> None:
    run = make_run()
    worker = child(APPEND_FOR_EVER, run.path)
    assert worker.stdout is not None
    while int(worker.stdout.readline()) < 64 * 20:
        read_rollouts(run)  # never an error, whatever the worker is in the middle of
    worker.send_signal(signal.SIGKILL)
    # Not communicate(): it passes over what readline() has buffered. The last line may be torn.
    promised = max((int(line) for line in worker.stdout.read().split("\n")[:-1]), default=64 * 20)
    worker.wait()
    frame = read_rollouts(run).frame
    assert promised <= frame.height <= promised + 64
    assert frame["index"].to_list() == list(range(frame.height))
    assert (frame["text"].str.len_chars() == frame["num_tokens"] * 37 % 900).all()


# Damage


def rewrite(run: Run, **changes: object) -> None:
    manifest = json.loads((run.path / "run.json").read_text()) | changes
    manifest = {key: value for key, value in manifest.items() if value != "REMOVED"}
    (run.path / "run.json").write_text(json.dumps(manifest))


def complaint(run: Run) -> RecordError:
    with pytest.raises(RecordError) as caught:
        open_run(run.path)
    assert str(run.path) in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 2
    return caught.value


@pytest.mark.parametrize("content", ["", "{", "[]", "hello", '{"schema": 1, "id'])
def test_a_damaged_manifest(make_run: Make, content: str) -> None:
    run = make_run()
    (run.path / "run.json").write_text(content)
    assert "run.json is damaged" in complaint(run).message


def test_a_manifest_cut_anywhere(make_run: Make) -> None:
    run = make_run()
    path = run.path / "run.json"
    whole = path.read_bytes()
    for end in range(len(whole.rstrip())):
        path.write_bytes(whole[:end])
        with pytest.raises(RecordError, match="damaged"):
            open_run(run.path)


@pytest.mark.parametrize("schema", ["REMOVED", "1", None, 1.0, 0, -1, True])
def test_a_manifest_without_a_schema(make_run: Make, schema: object) -> None:
    run = make_run()
    rewrite(run, schema=schema)
    assert "schema number" in complaint(run).message


def test_a_manifest_of_a_newer_schema(make_run: Make) -> None:
    run = make_run()
    rewrite(run, schema=SCHEMA + 1)
    error = complaint(run)
    assert f"schema {SCHEMA + 1}" in error.message
    assert "newer labkit" in error.hint


def test_a_manifest_that_lacks_keys(make_run: Make) -> None:
    run = make_run()
    rewrite(run, base="REMOVED", ask="REMOVED")
    assert "it lacks base, ask" in complaint(run).message


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="is not a run") as caught:
        open_run(tmp_path)
    assert "labkit runs" in caught.value.hint


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"owed": 0, "num'])
def test_a_damaged_result(make_run: Make, content: str) -> None:
    run = make_run()
    finish(run)
    run.result_path.write_text(content)
    assert run.result() is None
    assert run.status() == "interrupted"
    with run.working():
        run.finish({}, owed=0, num_asked=2)
    assert run.status() == "done", "finishing again mends it"


def test_a_result_without_its_counts_is_not_done(make_run: Make) -> None:
    run = make_run()
    finish(run)
    run.result_path.write_text('{"owed": 0}')
    assert run.status() == "interrupted"


# Finding


def test_a_run_is_found_by_path_name_part_and_last(make_run: Make, tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    first, second = make_run(slug="alpha"), make_run("perturb", slug="beta")
    for reference, run in [
        (str(first.path), first),
        (first.id, first),
        ("alpha", first),
        (second.id[-6:], second),
    ]:
        assert find_run(reference, runs_dir).id == run.id
    later = first.path.parent / ("2999" + first.id[4:])
    first.path.rename(later)
    assert find_run("last", runs_dir).path == later


def test_a_whole_name_wins_over_a_part_of_another(make_run: Make, tmp_path: Path) -> None:
    run = make_run()
    longer = run.path.with_name(run.id + "-copy")
    longer.mkdir()
    (longer / "run.json").write_bytes((run.path / "run.json").read_bytes())
    assert find_run(run.id, tmp_path / "runs").path == run.path


def test_a_reference_that_fits_none_or_several_is_refused(make_run: Make, tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    for reference, reason in (
        ("last", "there is no run under"),
        ("alpha", "no run 'alpha' under"),
        ("", "no run '' under"),
    ):
        with pytest.raises(RecordError, match=reason):
            find_run(reference, runs_dir)
    names = sorted(make_run(slug="alpha").id for _ in range(2))
    with pytest.raises(RecordError, match="2 runs fit 'alpha'") as caught:
        find_run("alpha", runs_dir)
    assert caught.value.hint == f"give more of one's id: {', '.join(names)}"
    names = sorted([*names, *(make_run(slug="alpha").id for _ in range(3))])
    with pytest.raises(RecordError, match="5 runs fit 'alpha'") as caught:
        find_run("alpha", runs_dir)
    assert caught.value.hint == f"give more of one's id: {', '.join(names[:4])}, …"


def test_a_given_name_wins_over_a_part_of_an_id(tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    base = record_run(runs_dir, {}, command="train", slug="tiny-base", name="tiny-base")
    record_run(runs_dir, {}, command="train", slug="tiny-base-more", name="tiny-base-more")
    evaluation = record_run(runs_dir, {}, command="eval", slug="tiny-base")
    for reference in ("tiny-base", "run:tiny-base", f"run:{base.id}"):
        assert find_run(reference, runs_dir).id == base.id
    assert find_run("tiny-base", runs_dir, "train").id == base.id
    assert find_run("tiny-base", runs_dir, "eval").id == evaluation.id
    assert find_run("tiny-base-more", runs_dir, "eval").command == "train", "the caller says what is wrong with it"
    second = record_run(runs_dir, {}, command="train", slug="tiny-base", name="tiny-base")
    with pytest.raises(RecordError, match="2 runs fit 'tiny-base'") as caught:
        find_run("tiny-base", runs_dir, "train")
    assert base.id in caught.value.hint and second.id in caught.value.hint


def test_the_last_run_may_be_that_of_a_command(make_run: Make, tmp_path: Path) -> None:
    run = make_run()
    assert find_run("last", tmp_path / "runs", run.command).id == run.id
    with pytest.raises(RecordError, match="there is no run of labkit train under"):
        find_run("last", tmp_path / "runs", "train")


@pytest.mark.parametrize("lost", ["file", "line"])
def test_lost_prompts_are_named(make_run: Make, lost: str) -> None:
    run = make_run()
    lines = run.prompts_path.read_bytes().splitlines(keepends=True)
    assert len(run.prompts()) == len(lines) >= run.ask().num_prompts
    run.prompts_path.unlink()
    if lost == "line":
        run.prompts_path.write_bytes(b"".join(lines[: run.ask().num_prompts - 1]))
    with pytest.raises(RecordError, match=r"prompts\.jsonl (is missing|lacks 1 prompts)"):
        run.prompts()


def test_only_whole_runs_are_listed(make_run: Make, tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    assert list(run_paths(runs_dir)) == []
    run = make_run()
    (run.path.parent / "20250101T000000Z-half-made").mkdir()
    (runs_dir / "stray.txt").write_text("x")
    (runs_dir / "sample" / "stray.txt").write_text("x")
    assert list(run_paths(runs_dir)) == [run.path]
