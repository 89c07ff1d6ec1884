"""GSM8K as a task: which files it reads and refuses, how it words a problem, and an evaluation from end to end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from killing import only_run
from sweeps import raw_rows, rollouts

from labkit.config.base import resolve, set_layer
from labkit.config.commands import EvalConfig, SampleConfig
from labkit.config.references import needed_by
from labkit.errors import InputError, MachineError
from labkit.record.frames import KEY, read_verdicts
from labkit.report.sweeps import merged_tables
from labkit.tasks.base import Prompt
from labkit.tasks.gsm8k.extraction import extract_answer
from labkit.tasks.gsm8k.task import PRESETS, Gsm8kTask

Labkit = Callable[..., subprocess.CompletedProcess[str]]


def line(question: str, answer: str) -> str:
    return json.dumps({"question": question, "answer": answer}) + "\n"


GOOD = line("Two and two?", "2 + 2 = <<2+2=4>>4\n#### 4") + line("A third of -3000?", "It is so.\n#### -1,000")


def task(tmp_path: Path, content: str | bytes) -> Gsm8kTask:
    path = tmp_path / "g.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Gsm8kTask(path)


def every_prompt(found: Gsm8kTask, preset: str | None = None) -> list[Prompt]:
    return found.prompts(preset=preset, offset=0, num_prompts=None)


def test_problems_become_prompts_with_exact_golds(tmp_path: Path) -> None:
    prompts = every_prompt(task(tmp_path, "\ufeff" + GOOD + "\n  \n"))
    assert [dict(prompt.gold) for prompt in prompts] == [{"answer": "4"}, {"answer": "-1000"}]
    assert [dict(prompt.source) for prompt in prompts] == [{"line": 1}, {"line": 2}]
    (message,) = prompts[0].messages
    assert message["content"].startswith("Two and two?\n\n") and "####" in message["content"]
    assert every_prompt(task(tmp_path, GOOD), "plain")[0].messages[0]["content"] == "Two and two?"


def test_the_wording_holds_no_number_that_an_echo_could_be_scored_by() -> None:
    for wording in PRESETS.values():
        assert extract_answer(wording.replace("{question}", "How many?")).value is None


def test_braces_in_a_question_are_text(tmp_path: Path) -> None:
    (prompt,) = every_prompt(task(tmp_path, line("Is {x} or {question} 2?", "#### 2")))
    assert prompt.messages[0]["content"].startswith("Is {x} or {question} 2?\n")


def test_slices(tmp_path: Path) -> None:
    found = task(tmp_path, GOOD)
    assert [p.gold["answer"] for p in found.prompts(preset=None, offset=1, num_prompts=9)] == ["-1000"]
    with pytest.raises(InputError, match="none after an offset of 2"):
        found.prompts(preset=None, offset=2, num_prompts=None)
    with pytest.raises(InputError, match="no prompt preset 'short'"):
        found.prompts(preset="short", offset=0, num_prompts=None)


def test_a_solution_is_scored_after_the_record_too(tmp_path: Path) -> None:
    found = task(tmp_path, GOOD)
    kept = Prompt.from_json(json.loads(json.dumps(every_prompt(found)[1].as_json())))
    assert found.score(kept, "a third is −1 000.00 #### −1 000.00").correct
    assert not found.score(kept, "#### 1000").correct
    assert found.score(kept, "I cannot say.").answer is None


BAD: dict[str, tuple[str | bytes, str]] = {
    "word": (line("q", "so\n#### four"), "the answer 'four' is not a number"),
    "two numbers": (line("q", "#### 4 5"), "'4 5' is not a number"),
    "sum": (line("q", "#### 2+2"), "is not a number"),
    "over zero": (line("q", "#### 1/0"), "is not a number"),
    "endless": (line("q", "#### " + "9" * 5000), "is not a number"),
    "none": (line("q", "it is 4"), "no line `#### 42`"),
    "nothing": (line("q", "####"), "the answer '' is not a number"),
    "no answer": ('{"question": "q"}\n', "no `question` and `answer`"),
    "number for a text": ('{"question": "q", "answer": 4}\n', "no `question` and `answer`"),
    "blank question": (line(" ", "#### 4"), "no `question` and `answer`"),
    "list": ("[1]\n", "no `question` and `answer`"),
    "cut": ('{"question": "q", "ans', "not JSON"),
    "deep": ("[" * 100_000, "not JSON"),
    "latin": (b'{"question": "caf\xe9", "answer": "#### 1"}', "not UTF-8"),
    "half a character": ('{"question": "\\ud800", "answer": "#### 1"}', "surrogate"),
    "asked before": (line("A  third of -3000? ", "#### 1"), "asks the same as"),
}


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=list(BAD))
def test_a_bad_line_is_named(tmp_path: Path, bad: str | bytes, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        task(tmp_path, GOOD.encode() + b"\n" + (bad if isinstance(bad, bytes) else bad.encode()))
    assert "g.jsonl, line 4: " in caught.value.message
    assert reason in caught.value.message and caught.value.hint
    assert len(caught.value.message) < 500
    if reason == "asks the same as":
        assert caught.value.message.endswith("g.jsonl, line 2")


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="holds no problems"):
        task(tmp_path, content)
    with pytest.raises(InputError, match="No such file"):
        Gsm8kTask(tmp_path / "missing.jsonl")


def test_the_fingerprint_is_of_questions_and_golds(tmp_path: Path) -> None:
    first = task(tmp_path, GOOD).data_fingerprint
    assert task(tmp_path, GOOD.replace("<<2+2=4>>", "")).data_fingerprint == first
    assert task(tmp_path, GOOD.replace("-1,000", "-1000.0")).data_fingerprint == first
    assert task(tmp_path, GOOD.replace("-1,000", "-1001")).data_fingerprint != first


def test_the_published_data_needs_the_hub_or_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(MachineError, match=r"cannot load openai/gsm8k, split 'test'") as caught:
        Gsm8kTask()
    assert "--data" in caught.value.hint


def test_rows_of_the_published_form_come_through_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` takes a folder of the name for the repository: the same call, the same rows, without the hub."""
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "openai" / "gsm8k"
    (folder / "main").mkdir(parents=True)
    (folder / "main" / "test.jsonl").write_text(GOOD)
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: test\n    path: main/test.jsonl\n---\n"
    )
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    found = Gsm8kTask()
    prompts = every_prompt(found)
    assert [(prompt.gold["answer"], dict(prompt.source)) for prompt in prompts] == [
        ("4", {"row": 0}),
        ("-1000", {"row": 1}),
    ]
    assert found.data_fingerprint == task(tmp_path, GOOD).data_fingerprint
    (folder / "main" / "test.jsonl").write_text(GOOD + line("q", "#### four"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "other cache")
    with pytest.raises(InputError, match=r"openai/gsm8k, split 'test', row 2: the answer 'four' is not a number"):
        Gsm8kTask()


# The defaults of an evaluation


def evaluation(*assignments: str) -> EvalConfig:
    return resolve(EvalConfig, [set_layer(["task.name=gsm8k", *assignments])]).config


def test_gsm8k_is_sampled_unless_the_temperature_is_zero() -> None:
    def how(config: EvalConfig) -> tuple[float, int, float]:
        return config.temperature, config.num_rollouts, config.generation.top_p

    assert how(evaluation()) == (0.7, 5, 0.9)
    assert how(evaluation("num_rollouts=16", "generation={top_k: 4}")) == (0.7, 16, 0.9)
    assert how(evaluation("generation.top_p=1")) == (0.7, 5, 1.0)
    assert how(evaluation("temperature=0")) == (0.0, 1, 1.0)
    assert how(evaluation("temperature=1")) == (1.0, 5, 0.9)
    assert how(evaluation("temperature=0.7")) == how(evaluation())
    assert how(evaluation("temperature=1", "num_rollouts=2", "generation.top_p=1")) == (1.0, 2, 1.0)
    whole = evaluation()
    assert (
        resolve(
            EvalConfig, [set_layer([f"{key}={json.dumps(value)}" for key, value in whole.as_json().items()])]
        ).config
        == whole
    )
    assert resolve(SampleConfig, [set_layer(["task.name=gsm8k"])]).config.generation.top_p == 1.0
    origins = resolve(EvalConfig, [set_layer(["task.name=gsm8k"])]).origins
    assert origins["temperature"] == origins["generation.top_p"] == "default"


def test_a_config_needs_the_file_that_it_names() -> None:
    names = [(each.key, each.name) for each in needed_by(evaluation("task.data=a/./g.jsonl", "model.id=org/m"))]
    assert names == [("task.data", "a/g.jsonl")]
    assert needed_by(evaluation("model.id=org/m")) == []


# From end to end


def pass_at_k(stdout: str) -> dict[str, Any]:
    table, choice, rules = json.loads(stdout)["tables"]
    assert [each["kind"] for each in (table, choice, rules)] == ["pass_at_k", "best_of_n", "gsm8k_rules"]
    (row,) = table["rows"]
    first, *others = rules["rows"]
    assert first["rule"] == "labkit" and first["accuracy"] == pytest.approx(row["pass@1"])
    assert [other["rule"] for other in others] == ["strict-match", "flexible-extract"]
    return dict(row)


def test_every_rule_has_its_accuracy(tmp_path: Path, tiny_folder: Path, inside: Labkit) -> None:
    """The texts of a run are put in the place of what the model wrote, and the figures follow from them alone."""
    (tmp_path / "g.jsonl").write_text(line("1 + 2 =", "#### 3") + line("2 + 2 =", "#### 4"))
    inside("eval", "gsm8k", "--model", tiny_folder, "--device", "cpu", "--data", "g.jsonl", "--preset", "plain",
           "--num-rollouts", "2", "--max-new-tokens", "2")  # fmt: skip
    run = only_run(tmp_path / "runs")
    texts = {("3", 0): "#### 3", ("3", 1): "#### $3", ("4", 0): "so it is 4...", ("4", 1): "no idea"}
    golds = {each["id"]: each["gold"]["answer"] for each in run.prompts()}
    (path,) = run.rows_dir.glob("*.jsonl")
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    path.write_text(
        "".join(json.dumps(row | {"text": texts[golds[row["prompt"]], row["index"]]}) + "\n" for row in rows)
    )
    assert inside("eval", "--rescore", "last").returncode == 0
    (table,) = merged_tables([run], kinds=["gsm8k_rules"])
    assert [(row["rule"], row["accuracy"]) for row in table.rows] == [
        ("labkit", 0.75), ("strict-match", 0.25), ("flexible-extract", 0.5),
    ]  # fmt: skip
    for row in table.rows:
        assert (row["num_prompts"], row["num_rollouts"]) == (2, 4)
        assert 0 <= row["accuracy_low"] < row["accuracy"] < row["accuracy_high"] <= 1  # type: ignore[operator]
    assert "guess 25.0% of the answers (low confidence) and found none in 25.0%" in table.notes[-1]


def test_an_evaluation_keeps_every_candidate_and_can_grow(inside: Labkit, tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "g.jsonl").write_text(line("1 + 2 =", "#### 3") + line("2 + 2 =", "#### 4"))
    asked = ["eval", "gsm8k", "--model", tiny_folder, "--device", "cpu", "--data", "g.jsonl", "--preset", "plain",
             "--max-new-tokens", "6", "--json"]  # fmt: skip
    done = inside(*asked)
    assert done.returncode == 0, done.stderr
    row = pass_at_k(done.stdout)
    assert (row["arm"], row["num_prompts"], row["num_rollouts"]) == ("temperature=0.7,top_p=0.9", 2, 5)
    run = only_run(tmp_path / "runs")
    first = rollouts(run)
    assert first.height == 10 and run.manifest["base"]["preset"] == "plain"
    verdicts = read_verdicts(run, run.score_hash, columns=["rule", "answer"]).frame.join(first, on=KEY)
    assert verdicts.height == 10
    for each in verdicts.iter_rows(named=True):
        found = extract_answer(each["text"])
        assert (each["rule"], each["answer"]) == (found.rule, None if found.value is None else str(found.value))

    more = inside("eval", "--resume", "last", "--num-rollouts", "7", "--json")
    assert more.returncode == 0, more.stderr
    assert pass_at_k(more.stdout)["num_rollouts"] == 7
    assert raw_rows(run) == 14
    assert rollouts(run).filter(rollouts(run)["index"] < 5).equals(first)


def test_what_cannot_be_evaluated_is_refused_with_words(inside: Labkit, tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text(GOOD + line("q", "#### four"))
    for arguments, words in (
        ([], "which model?"),
        (["--model", tiny_folder, "--data", "bad.jsonl"], "bad.jsonl, line 3: the answer 'four' is not a number"),
        (["--model", tiny_folder, "--preset", "short"], "task.preset: Input should be 'instruct' or 'plain'"),
        (["--model", tiny_folder, "--temperature", "0", "--num-rollouts", "5"], "temperature above 0"),
    ):
        done = inside("eval", "gsm8k", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr and "Traceback" not in done.stderr
