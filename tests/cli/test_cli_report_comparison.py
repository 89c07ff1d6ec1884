"""`labkit report A --against B` as a user has it: real sweeps of the model that comes with labkit, a terminal, a pipe."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from math import comb
from pathlib import Path

import pytest
from recorded_runs import NOISY, WARM, record_run

from labkit.record.catalog import find_run
from labkit.record.frames import read_scored

Labkit = Callable[..., subprocess.CompletedProcess[str]]


def solved_in(correct: list[bool], k: int) -> float:
    """pass@k of one prompt, from binomial coefficients."""
    n, c = len(correct), sum(correct)
    return 1 - comb(n - c, k) / comb(n, k)


def test_real_sweeps_of_the_tiny_model(inside: Labkit, tmp_path: Path) -> None:
    small = ("--num-prompts", "24", "--num-rollouts", "8")
    assert inside("sample", "--temperature", "0.7", "--temperature", "1", *small).returncode == 0
    assert inside("perturb", "--sigma", "0", "--sigma", "0.02", *small).returncode == 0
    done = inside("report", "countdown-tiny", "--against", "last", "--json")
    assert done.returncode == 2  # both runs fit the name of the model
    sample, perturb = (find_run("last", tmp_path / "runs", command) for command in ("sample", "perturb"))
    done = inside("report", sample.id, "--against", perturb.id, "--json")
    assert done.returncode == 0, done.stderr
    tables = {table["title"][:2] if table["kind"] == "pass_at_k" else table["kind"]: table for table in
              json.loads(done.stdout)["tables"]}  # fmt: skip
    rows = {}
    for run in (sample, perturb):
        frame = read_scored(run).frame.sort("prompt", "index")
        rows |= {arm: part["correct"].to_list() for (arm,), part in frame.group_by("arm", maintain_order=True)}
    draws = {
        arm: [values[start : start + 8] for start in range(0, 192, 8)]
        for arm, values in rows.items()
        if len(values) == 192
    }
    assert set(draws) == {"temperature=0.7", "temperature=1", "sigma=0", "sigma=0.02"}

    for row in tables["comparison"]["rows"]:
        means = {arm: sum(solved_in(prompt, row["k"]) for prompt in prompts) / 24 for arm, prompts in draws.items()}
        assert row["pass_a"] == pytest.approx(max(value for arm, value in means.items() if arm[0] == "t"))
        assert row["pass_b"] == pytest.approx(means["sigma=0.02"])  # sigma=0 is a baseline
        assert row["difference"] == pytest.approx(row["pass_a"] - row["pass_b"])
    (overlap,) = tables["overlap"]["rows"]
    pairs = [(any(a), any(b)) for a, b in zip(draws[overlap["arm_a"]], draws[overlap["arm_b"]], strict=True)]
    counts = {"both": (True, True), "only_a": (True, False), "only_b": (False, True), "neither": (False, False)}
    assert {name: overlap[name] for name in counts} == {name: pairs.count(pair) for name, pair in counts.items()}
    floor = {row["arm"]: row["noise_floor"] for row in tables["B:"]["rows"]}
    assert floor["sigma=0.02"] == sum(any(prompt) for prompt in draws["sigma=0"])


def test_a_run_without_texts_can_be_compared(inside: Labkit, tmp_path: Path) -> None:
    a, b = record_run(tmp_path / "runs", {WARM: ["+-", "--"]}), record_run(tmp_path / "runs", {NOISY: ["--", "--"]})
    for path in a.rows_dir.glob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps({k: v for k, v in line.items() if k != "text"}) + "\n" for line in lines))
    done = inside("report", a.id, "--against", b.id, "--table", "overlap", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["tables"][0]["rows"]
    assert (row["only_a"], row["neither"]) == (1, 1)


def test_the_terminal_shows_the_rows_of_the_pipe(tmp_path: Path) -> None:
    rng_a = ["+-++", "----", "-+--", "+---", "--+-", "++++", "-l-+", "----"]
    rng_b = ["+---", "----", "----", "+--+", "----", "+-+-", "----", "---+"]
    a, b = record_run(tmp_path, {WARM: rng_a}), record_run(tmp_path, {NOISY: rng_b}, command="perturb")
    words = [sys.executable, "-m", "labkit", "report", a.id, "--against", b.id, "--runs-dir", str(tmp_path)]
    # Wide enough for every column.
    drawn = on_a_terminal(words, columns=600)
    piped = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    blocks = [list(csv.reader(io.StringIO(block), delimiter="\t")) for block in piped.strip().split("\n\n")]
    assert len(blocks) == 7
    lines = iter(drawn.splitlines())
    for header, *rows in blocks:
        shown = next(line for line in lines if line.split()[:2] == header[:2]).split()
        bounds = {f"{name}_{end}" for name in header for end in ("low", "high")}
        assert shown == [name for name in header if name not in bounds]
        assert set(next(lines)) <= {"─", " "}
        for row in rows:
            values = dict(zip(header, row, strict=True))
            cells = re.split(r"\s{2,}", next(lines).strip())
            assert len(cells) == len(shown)
            for name, cell in zip(shown, cells, strict=True):
                assert_same(cell, values, name)


def assert_same(cell: str, values: dict[str, str], name: str) -> None:
    """A drawn cell holds the piped value, rounded, with its interval where it has one."""
    if not values[name]:
        assert cell == "–"
        return
    numbers = [name, f"{name}_low", f"{name}_high"] if values.get(f"{name}_low") else [name]
    texts = re.findall(r"[^\s\[\],]+", cell) if len(numbers) == 3 else [cell]
    assert len(texts) == len(numbers)
    for text, number in zip(texts, numbers, strict=True):
        try:
            exact = float(values[number])
        except ValueError:
            assert text == values[number]
        else:
            digits = len(text.partition(".")[2]) if "e" not in text else 12
            assert float(text) == pytest.approx(exact, abs=0.51 * 10.0**-digits)


def on_a_terminal(words: list[str], columns: int) -> str:
    """What a command draws on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
    process = subprocess.Popen(
        words, stdout=theirs, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environment
    )
    os.close(theirs)
    chunks = []
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the other end is closed, which Linux reports so
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(ours)
    assert process.wait(60) == 0
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", b"".join(chunks).decode()).replace("\r\n", "\n")
