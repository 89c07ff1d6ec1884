import json
import os
import shlex

from recorded_runs import GREEDY, WARM, record_run, record_training

RUNS = "runs"


def block(path, arguments):
    """What stands between the markers of these arguments."""
    marker = f"<!-- {f'labkit report {arguments}'.strip()} -->\n"
    return path.read_text().split(marker)[1].split("<!-- /labkit -->")[0]


def test_a_block_is_what_markdown_prints_and_follows_its_runs(inside, tmp_path):
    record_run(tmp_path / RUNS, {WARM: ["+-", "--"]}, slug="one")
    notes = tmp_path / "notes.md"
    notes.write_text("# Mine\n\n<!-- labkit report --table pass_at_k -->\n<!-- /labkit -->\n\nend\n")
    assert inside("report", "--into", "notes.md", "--check").returncode == 1
    first = inside("report", "--into", "notes.md")
    assert (first.returncode, first.stdout) == (0, "")
    assert block(notes, "--table pass_at_k") == inside("report", "--markdown", "--table", "pass_at_k").stdout
    at = notes.stat().st_mtime_ns
    again = inside("report", "--into", "notes.md")
    assert (again.returncode, "is current" in again.stderr, notes.stat().st_mtime_ns) == (0, True, at)
    assert inside("report", "--into", "notes.md", "--check").returncode == 0
    record_run(tmp_path / RUNS, {GREEDY: ["+"]}, slug="two")
    before = notes.read_bytes()
    stale = inside("report", "--into", "notes.md", "--check")
    assert (stale.returncode, notes.read_bytes() == before) == (1, True)
    command = stale.stderr.split("bring it up to date: labkit ")[1].strip()
    assert inside(*shlex.split(command)).returncode == 0
    assert "| greedy |" in block(notes, "--table pass_at_k")
    assert notes.read_text().startswith("# Mine\n\n<!--") and notes.read_text().endswith("<!-- /labkit -->\n\nend\n")


def test_every_block_has_its_own_arguments(inside, tmp_path):
    one = record_run(tmp_path / RUNS, {WARM: ["+-"]}, slug="one")
    two = record_run(tmp_path / RUNS, {WARM: ["++"]}, slug="two", base={"model": "b"})
    record_training(tmp_path / RUNS, metrics=[{"step": 1, "loss": 2.0}])
    notes = tmp_path / "notes.md"
    wanted = [one.id, f"{two.id} -k 2", "--table training"]
    notes.write_text("".join(f"<!-- labkit report {each} -->\n<!-- /labkit -->\n" for each in wanted))
    assert "3 table blocks" in inside("report", "--into", "notes.md").stderr
    assert one.id in block(notes, wanted[0]) and two.id not in block(notes, wanted[0])
    assert "pass@2" in block(notes, wanted[1]) and "pass@1" not in block(notes, wanted[1])
    assert "**training**" in block(notes, wanted[2])


def test_arguments_make_a_block_where_there_is_none_and_touch_no_other(inside, tmp_path):
    run = record_run(tmp_path / RUNS, {WARM: ["+-"]}, slug="a b", name="a b")
    notes = tmp_path / "new.md"
    assert inside("report", "a b", "-k", "2", "--table", "pass_at_k", "--into", "new.md").returncode == 0
    arguments = "'a b' --table pass_at_k --k 2"
    assert run.id in block(notes, arguments)
    broken = notes.read_text() + "<!-- labkit report no-such-run -->\nstale\n<!-- /labkit -->\n"
    notes.write_text(broken)
    assert inside("report", "--into", "new.md").returncode == 2
    same = inside("report", "--table", "pass_at_k", "--k", "2", "a b", "--into", "new.md", "--check")
    assert same.returncode == 0, same.stderr
    assert notes.read_text() == broken


def test_without_blocks_one_of_everything_is_made(inside, tmp_path):
    record_run(tmp_path / RUNS, {WARM: ["+-"]})
    (tmp_path / "notes.md").write_text("text")
    assert inside("report", "--into", "notes.md", "--check").returncode == 1
    assert inside("report", "--into", "notes.md", "--markdown").returncode == 0
    assert (tmp_path / "notes.md").read_text().startswith("text\n\n<!-- labkit report -->\n**pass@k")


def test_a_named_folder_of_runs_stands_in_the_marker_and_else_is_the_callers(inside, tmp_path, monkeypatch):
    record_run(tmp_path / "else where", {WARM: ["+-"]})
    inside("report", "--runs-dir", "else where", "--into", "notes.md")
    marker = "--runs-dir 'else where'"
    assert "**pass@k" in block(tmp_path / "notes.md", marker)
    assert inside("report", "--into", "notes.md", "--check").returncode == 0
    (tmp_path / "plain.md").write_text("<!-- labkit report -->\n<!-- /labkit -->\n")
    assert inside("report", "--runs-dir", "else where", "--into", "plain.md").returncode == 0
    assert "**pass@k" in block(tmp_path / "plain.md", "")
    monkeypatch.setenv("LABKIT_RUNS_DIR", "else where")
    assert inside("report", "--into", "plain.md", "--check").returncode == 0
    record_run(tmp_path / RUNS, {GREEDY: ["+"]})
    inside("report", "--runs-dir", RUNS, "--into", "usual.md")
    assert "| greedy |" in block(tmp_path / "usual.md", f"--runs-dir {RUNS}")


def test_tables_whose_runs_are_gone_do_not_stay(inside, tmp_path):
    run = record_run(tmp_path / RUNS, {WARM: ["+-"]})
    inside("report", "--into", "notes.md")
    os.rename(run.path, tmp_path / "away")
    assert inside("report", "--into", "notes.md").returncode == 0
    assert block(tmp_path / "notes.md", "") == "*nothing to report yet*\n"


def test_what_cannot_be_is_refused_with_the_line_and_nothing_is_written(inside, tmp_path):
    record_run(tmp_path / RUNS, {WARM: ["+-"]})
    notes = tmp_path / "notes.md"
    for marker, words in {
        "no-such-run": "no run 'no-such-run'",
        "--nosuch": "No such option",
        "'open": "No closing quotation",
        "--into other.md": "--into cannot stand in a marker",
        "last --json": "--json cannot stand in a marker",
        "-h": "makes no table",
        "last -k 9": "k is 9",
        "-k": "requires an argument",
    }.items():
        content = f"<!-- labkit report -->\n<!-- /labkit -->\n<!-- labkit report {marker} -->\n<!-- /labkit -->\n"
        notes.write_text(content)
        done = inside("report", "--into", "notes.md")
        assert (done.returncode, notes.read_text()) == (2, content), marker
        assert "notes.md, line 3: " in done.stderr and words in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


def test_two_blocks_that_ask_for_the_same_are_refused(inside, tmp_path):
    record_run(tmp_path / RUNS, {WARM: ["+-"]})
    both = "".join(f"<!-- labkit report last {each} -->\n<!-- /labkit -->\n" for each in ("-k 2", "--k=2"))
    (tmp_path / "notes.md").write_text(both)
    done = inside("report", "--into", "notes.md")
    assert (done.returncode, "lines 1 and 3 ask for the same table" in done.stderr) == (2, True)


def test_options_that_exclude_each_other(inside, tmp_path):
    record_run(tmp_path / RUNS, {WARM: ["+-"]})
    for words in (
        ["--check"],
        ["--into", "n.md", "--json"],
        ["--into", "n.md", "--csv"],
        ["--into", "no/n.md"],
        ["--into", "."],
    ):
        done = inside("report", *words)
        assert (done.returncode, done.stdout, "→" in done.stderr) == (2, "", True), words
    assert sorted(path.name for path in tmp_path.iterdir()) == [RUNS]


def test_piped_reports_stay_complete(inside, tmp_path):
    for number in range(40):
        record_run(tmp_path / RUNS, {WARM: ["+-"]}, base={"model": str(number)})
    assert len(json.loads(inside("report", "--json").stdout)["tables"]) == 40
    assert inside("report").stdout == inside("report", "--all").stdout
    assert inside("report").stdout.count("temperature=0.4") == 40
