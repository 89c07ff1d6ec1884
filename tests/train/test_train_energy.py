"""Energy models: they learn what separates right from wrong, hold questions out for good, and survive being killed."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from killing import launch
from recorded_runs import SCORE
from solution_runs import record_solutions, scores_of, separable
from tiny_models import save_classifier, save_model
from torch.nn.functional import logsigmoid
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from labkit.config.base import Layer, resolve
from labkit.config.commands import TrainConfig
from labkit.config.yaml_text import dump
from labkit.errors import ConfigError, InputError, RecordError
from labkit.models.folder import ModelFolder
from labkit.models.training_run import final_dir
from labkit.record.files import iterate_json_lines
from labkit.record.frames import KEY, read_scored
from labkit.record.rescoring import put_in_force
from labkit.record.rows import Verdict
from labkit.record.run import Run, open_run
from labkit.rerank.finding import find_rerankers
from labkit.rerank.session import rank_again
from labkit.stats import item_auc
from labkit.tasks.questions import QUESTIONS_VERSION, question_id
from labkit.train.examples import load_examples
from labkit.train.rollout_pairs import RolloutExamples
from labkit.train.session import resume, start

Labkit = Callable[..., subprocess.CompletedProcess[str]]

SMALL: dict[str, Any] = {
    "command": "train",
    "method": "energy",
    "name": "verifier",
    "seed": 3,
    "architecture": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "initializer_range": 0.06},
    "tokenizer": {"integer_range": [0, 100], "words": ["+", "-", "="]},
    "examples": {"name": "rollouts", "runs": ["solutions"], "validation_share": 0.25},
    "optimisation": {"num_steps": 60, "batch_size": 16, "micro_batch_size": 8, "learning_rate": 3e-3},
    "evaluation": {"every": 30, "num_prompts": 40},
    "checkpoint_every": 20,
    "log_every": 10,
    "device": "cpu",
}
SOLUTIONS = separable(80, seed=1)


class Watcher:
    """An observer that may stop the training at a line."""

    def __init__(self, stop_at: int | None = None) -> None:
        self._stop_at = stop_at

    def started(self, run: Run, num_steps: int, first_step: int) -> None:
        self.run, self.first_step = run, first_step

    def logged(self, step: int, metrics: Mapping[str, float]) -> None:
        if self._stop_at is not None and step >= self._stop_at:
            raise KeyboardInterrupt


def config(tmp_path: Path, **changes: Any) -> Any:
    values = {key.replace("__", "."): value for key, value in changes.items()}
    layers = [Layer("file", _flat(SMALL)), Layer("test", {"runs_dir": str(tmp_path / "runs"), **values})]
    return resolve(TrainConfig, layers)


def going_on_from(folder: Path) -> dict[str, Any]:
    """The keys of a training that begins with a model."""
    made = {"architecture": None, "tokenizer": None, "device": "auto"}
    return made | {"model__id": str(folder), "model__device": "cpu"}


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    from labkit.config.base import flatten

    return dict(flatten(values))


def metrics(run: Run) -> list[dict[str, Any]]:
    return list(iterate_json_lines(run.metrics_path))


def examples(tmp_path: Path, seed: int = 0, **changes: Any) -> RolloutExamples:
    found = load_examples(config(tmp_path, **changes).config.examples, seed, 100, tmp_path / "runs")
    assert isinstance(found, RolloutExamples)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("energy")
    record_solutions(folder / "runs", SOLUTIONS, name="solutions")
    return folder


@pytest.fixture(scope="module")
def whole(place: Path) -> Run:
    """A training that nothing interrupted."""
    return start(config(place), Watcher())


def test_a_trained_model_tells_right_from_wrong_on_questions_that_were_held_out(whole: Run, place: Path) -> None:
    assert whole.status() == "done"
    measured = [line for line in metrics(whole) if "eval_auc" in line]
    assert [line["step"] for line in measured] == [30, 60]
    last = measured[-1]
    for name in ("eval_auc", "eval_pair_accuracy"):
        assert 0.5 < last[f"{name}_low"] <= last[name] <= last[f"{name}_high"] <= 1
    assert last["eval_loss"] < 0.693 and len(whole.prompts()) > 10
    # The same by the reranker on other questions, which no training has seen.
    fresh = separable(40, seed=2)
    run = record_solutions(place / "other", fresh)
    said = rank_again(run, find_rerankers(["run:verifier"], place / "runs", "cpu"))
    scores = scores_of(run, "run:verifier")
    prompts = [prompt["id"] for prompt in run.prompts()]
    table = [[scores[prompt, index] for index in range(4)] for prompt in prompts]
    correct = [[right for _, right in written] for written in fresh.values()]
    assert item_auc(table, correct).mean() > 0.8
    assert not any("TRAINED" in line for line in said)


def test_the_loss_and_the_first_measurement_are_those_of_the_formula(place: Path) -> None:
    made = save_classifier(place / "classifier", seed=4)
    run = start(
        config(place, name="one", **going_on_from(made), optimisation__num_steps=1, optimisation__learning_rate=1e-12,
               optimisation__batch_size=6, optimisation__micro_batch_size=2, keep_checkpoints="all"), Watcher(),
    )  # fmt: skip
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(made), AutoTokenizer.from_pretrained(made)

    def energy(question: str, solution: str) -> torch.Tensor:
        with torch.no_grad():
            return model(tokenizer(question + "\n\n" + solution, return_tensors="pt")["input_ids"]).logits[0, 0]

    data = examples(place, seed=3)
    pairs = data.pairs_at(0, 6)
    losses = [-logsigmoid(energy(pair.question, pair.wrong) - energy(pair.question, pair.right)) for pair in pairs]
    lines = metrics(run)
    assert next(line for line in lines if "loss" in line)["loss"] == pytest.approx(float(sum(losses)) / 6, abs=1e-5)
    aucs, right_pairs, num_pairs = [], 0.0, 0
    for question in data.measured[:40]:
        won = [
            float(energy(question.text, right) < energy(question.text, wrong))
            for right in question.right
            for wrong in question.wrong
        ]
        aucs.append(sum(won) / len(won))
        right_pairs, num_pairs = right_pairs + sum(won), num_pairs + len(won)
    first = next(line for line in lines if "eval_auc" in line)
    assert first["step"] == 0
    assert first["eval_auc"] == pytest.approx(sum(aucs) / len(aucs))
    assert first["eval_pair_accuracy"] == pytest.approx(right_pairs / num_pairs)


@pytest.mark.parametrize("stop_at", [10, 30, 60])
def test_an_interrupted_training_ends_in_the_same_weights_and_metrics(whole: Run, place: Path, stop_at: int) -> None:
    watcher = Watcher(stop_at)
    with pytest.raises(KeyboardInterrupt):
        start(config(place, name="stopped"), watcher)
    assert watcher.run.status() == "interrupted"
    resumed = resume(watcher.run, config(place, name="stopped").config, Watcher())
    assert (resumed.result() or {})["weights"] == (whole.result() or {})["weights"]
    assert metrics(resumed) == metrics(whole)


def test_a_training_that_was_killed_goes_on_to_the_same_weights(whole: Run, tmp_path: Path) -> None:
    record_solutions(tmp_path / "runs", SOLUTIONS, name="solutions")
    (tmp_path / "verifier.yaml").write_text(dump(SMALL))
    process = launch(tmp_path, "train", "verifier.yaml")
    checkpoints = "runs/train/*/artifacts/checkpoints/checkpoint-20/complete.json"
    end = time.monotonic() + 90
    while time.monotonic() < end and process.poll() is None and not any(tmp_path.glob(checkpoints)):
        time.sleep(0.005)
    process.kill()
    said = process.communicate(timeout=60)[0].decode()
    (path,) = (tmp_path / "runs" / "train").iterdir()
    assert not (path / "result.json").exists(), said
    again = launch(tmp_path, "train", "--resume", "last")
    said = again.communicate(timeout=120)[0].decode()
    assert again.returncode == 0, said
    assert "going on from the checkpoint of step" in said
    result = json.loads((path / "result.json").read_text())
    assert result["weights"] == (whole.result() or {})["weights"]
    assert metrics(open_run(path)) == metrics(whole)


def test_what_stands_beside_the_weights(whole: Run, place: Path) -> None:
    folder = ModelFolder(final_dir(whole), "verifier")
    settings = folder.settings()
    assert settings["energy"] == {"template": "{question}\n\n{solution}", "higher_is_better": False}
    (entry,) = settings["lineage"]
    assert (entry["run"], entry["data"], entry["step"]) == (whole.id, "gsm8k rollouts", 60)
    (parent,) = whole.manifest["parents"]
    assert parent["role"] == "rollouts" and (place / "runs" / "eval" / parent["run"]).exists()
    held_out = {question_id(line["messages"][0]["content"]) for line in whole.prompts()}
    trained = folder.trained_questions(QUESTIONS_VERSION)
    assert trained | held_out == {question_id(question) for question in SOLUTIONS} and not trained & held_out
    assert not list(final_dir(whole).glob("*.bin"))


def test_ranking_what_was_trained_on_is_warned_about(whole: Run, tmp_path: Path, place: Path) -> None:
    questions = list(SOLUTIONS)[:10]
    run = record_solutions(tmp_path, {each: SOLUTIONS[each] for each in questions}, preset="instruct")
    said = rank_again(run, find_rerankers(["run:verifier"], place / "runs", "cpu"))
    trained = ModelFolder(final_dir(whole), "verifier").trained_questions(QUESTIONS_VERSION)
    overlap = sum(question_id(each) in trained for each in questions)
    assert 0 < overlap < 10
    assert any(f"TRAINED on {overlap} of this run's questions" in line for line in said)


def test_a_question_is_on_the_same_side_in_every_run_under_every_seed(tmp_path: Path) -> None:
    both = list(SOLUTIONS.items())
    record_solutions(tmp_path / "runs", dict(both[:50]), name="solutions")
    record_solutions(tmp_path / "runs", dict(both[30:]), name="more", preset="instruct")
    first, second = examples(tmp_path), examples(tmp_path, seed=7, examples__runs=["more"])
    together = examples(tmp_path, examples__runs=["solutions", "more"])
    held_out = {question_id(each.text) for each in (*first.measured, *second.measured)}
    trained = {*first.trained, *second.trained}
    assert not held_out & trained
    assert set(together.trained) == trained
    assert {question_id(each.text) for each in together.measured} == held_out
    assert 8 < len(held_out) < 32


def test_of_several_runs_with_a_name_the_newest_finished_one_is_learnt_from(tmp_path: Path) -> None:
    both = list(SOLUTIONS.items())
    for part, done in ((both[:30], True), (both[30:60], True), (both[60:], False)):
        record_solutions(tmp_path / "runs", dict(part), name="solutions", done=done)
    data = examples(tmp_path)
    known = {question_id(question) for question, _ in both[30:60]}
    assert {*data.trained, *(question_id(each.text) for each in data.measured)} <= known and data.trained


def test_every_epoch_has_every_pair_once_and_identical_solutions_are_one(tmp_path: Path) -> None:
    written = [("1 + 1", True), ("1 + 1", True), ("1 - 1", False), ("2 - 1", False)]
    record_solutions(tmp_path / "runs", {"1 + 1 =": written, "2 =": [("2", True)] * 4}, name="solutions")
    data = examples(tmp_path, examples__validation_share=0.0)
    assert data.num_rows == 2
    pairs = [pair for step in range(4) for pair in data.pairs_at(step, 1)]
    assert set(pairs[:2]) == set(pairs[2:]) == {("1 + 1 =", "1 + 1", "1 - 1"), ("1 + 1 =", "1 + 1", "2 - 1")}
    assert len(examples(tmp_path, examples__validation_share=0.0, examples__pairs_per_question=1).pairs_at(0, 9)) == 1


def test_a_causal_models_body_gets_a_new_head(place: Path) -> None:
    body = save_model(place / "body", seed=5)
    run = start(
        config(place, name="headed", **going_on_from(body), optimisation__num_steps=2,
               examples__pair_template="{solution} = {question}"), Watcher(),
    )  # fmt: skip
    folder = ModelFolder(final_dir(run), "headed")
    assert folder.architectures() == ["Qwen2ForSequenceClassification"]
    assert folder.settings()["energy"]["template"] == "{solution} = {question}"
    assert [entry["name"] for entry in folder.lineage()] == ["body", "headed"]
    assert find_rerankers(["run:headed"], place / "runs")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"1 =": [("1", True), ("1", True)], "2 =": [("1", False), ("2", False)]}, "both a right and a wrong"),
        ({"1 =": [("1", True), ("1", False)]}, "both a right and a wrong"),
    ],
)
def test_solutions_that_teach_nothing_are_refused(tmp_path: Path, written: Any, words: str) -> None:
    record_solutions(tmp_path / "runs", written, name="solutions")
    with pytest.raises(InputError, match=words):
        examples(tmp_path, examples__validation_share=0.0)


def test_runs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    record_solutions(tmp_path / "runs", SOLUTIONS, name="solutions")
    record_solutions(tmp_path / "runs", SOLUTIONS, name="countdown", task="countdown")
    record_solutions(tmp_path / "runs", SOLUTIONS, name="half", done=False)
    with pytest.raises(InputError, match="different tasks: countdown"):
        examples(tmp_path, examples__runs=["solutions", "countdown"])
    with pytest.raises(InputError, match="is not done"):
        examples(tmp_path, examples__runs=["half"])
    with pytest.raises(RecordError, match="no run 'none'"):
        examples(tmp_path, examples__runs=["none"])
    with pytest.raises(ConfigError, match="learns from"):
        config(tmp_path, method="sft")


@pytest.mark.parametrize("values", [{"loss_on": "all"}, {"evaluation__max_new_tokens": 24}])
def test_what_would_do_nothing_is_refused(tmp_path: Path, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="writes no tokens"):
        config(tmp_path, **values)


def test_a_template_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="each once"):
        config(tmp_path, examples__pair_template="{question} {question}")


def test_solutions_that_are_cut_are_counted_and_noted(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    small = {"architecture__max_position_embeddings": 8, "optimisation__num_steps": 2}
    run = start(config(place, name="cut", **small), Watcher())
    num_texts = sum(len({text for text, _ in written}) for written in SOLUTIONS.values())
    (note,) = [line for line in run.manifest["notes"] if "longer than the model takes" in line]
    assert f"of {num_texts:,} candidates" in note
    assert "longer" not in capfd.readouterr().err
    assert not any("longer" in line for line in start(config(place, name="not-cut", **small | {
        "architecture__max_position_embeddings": 64}), Watcher()).manifest["notes"])  # fmt: skip


def test_a_tokenizer_for_other_texts_is_refused(place: Path) -> None:
    with pytest.raises(InputError, match=r"does not know .* tokens of these questions"):
        start(config(place, name="unknown", tokenizer__integer_range=[0, 5]), Watcher())
    assert not list((place / "runs" / "train").glob("*-unknown-*"))


def test_of_two_runs_of_a_name_the_newest_finished_one_is_learnt_from(tmp_path: Path) -> None:
    both = list(SOLUTIONS.items())
    record_solutions(tmp_path / "runs", dict(both[:20]), name="solutions")
    newest = record_solutions(tmp_path / "runs", dict(both[20:60]), name="solutions")
    record_solutions(tmp_path / "runs", dict(both[:10]), name="solutions", done=False)
    data = examples(tmp_path)
    assert [parent["run"] for parent in data.parents] == [newest.id]
    assert set(data.trained) < {question_id(question) for question, _ in both[20:60]}
    assert examples(tmp_path, examples__runs=["solutions", newest.id]).fingerprint == data.fingerprint


def test_the_scorers_of_the_verdicts_in_force_are_recorded_and_a_mixture_is_noted(tmp_path: Path) -> None:
    both = list(SOLUTIONS.items())
    first = record_solutions(tmp_path / "runs", dict(both[:50]), name="solutions")
    record_solutions(tmp_path / "runs", dict(both[50:]), name="more")
    together = {"examples__runs": ["solutions", "more"]}
    assert examples(tmp_path, **together).scorer == SCORE["scorer"]
    again = [
        Verdict(prompt, arm, index, attempt, correct, float(correct), None, "last")
        for prompt, arm, index, attempt, correct in read_scored(first)
        .frame.select(*KEY, "attempt", "correct")
        .iter_rows()
    ]
    put_in_force(first, {"scorer": "another-2"}, again, None, 0)
    mixed = examples(tmp_path, **together)
    assert mixed.scorer == f"another-2, {SCORE['scorer']}"
    assert any(f"different scorers: another-2 ({first.id})" in note for note in mixed.notes(16))
    assert examples(tmp_path).scorer == "another-2"
    assert not any("scorers" in note for note in examples(tmp_path).notes(16))


def test_an_imported_run_is_refused(tmp_path: Path) -> None:
    run = record_solutions(tmp_path / "runs", SOLUTIONS, name="solutions")
    manifest = json.loads((run.path / "run.json").read_text())
    manifest["provenance"]["imported"] = {"file": "published.json"}
    (run.path / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(RecordError, match="was imported from"):
        examples(tmp_path)


def test_rollouts_of_a_test_split_are_noted(tmp_path: Path) -> None:
    record_solutions(tmp_path / "runs", SOLUTIONS, name="solutions", split="test")
    assert any("test split" in note for note in examples(tmp_path).notes(16))


def test_a_file_of_problems_has_no_split(tmp_path: Path) -> None:
    record_solutions(tmp_path / "runs", SOLUTIONS, name="solutions", split="test", data="problems.jsonl")
    assert not any("split" in note for note in examples(tmp_path).notes(16))


def test_changed_rollouts_are_another_base(place: Path, tmp_path: Path) -> None:
    run = record_solutions(tmp_path / "runs", SOLUTIONS, name="solutions")
    watcher = Watcher(10)
    with pytest.raises(KeyboardInterrupt):
        start(config(tmp_path), watcher)
    scores = run.scores_path(run.score_hash)
    scores.write_text(scores.read_text().replace('"correct":true', '"correct":false', 1))
    with pytest.raises(RecordError, match="rests on another base"):
        resume(watcher.run, config(tmp_path).config, Watcher())


def test_the_command_line_from_rollouts_to_a_ranking(labkit: Labkit, tmp_path: Path) -> None:
    record_solutions(tmp_path / "runs", SOLUTIONS, name="solutions")
    (tmp_path / "verifier.yaml").write_text(dump(SMALL | {"optimisation": {"num_steps": 4, "batch_size": 8}}))
    planned = labkit("train", "verifier.yaml", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "80 of 80 questions have both right and wrong solutions" in planned.stderr
    trained = labkit("train", "verifier.yaml", "--json")
    assert trained.returncode == 0, trained.stderr
    (row,) = json.loads(trained.stdout)["tables"][0]["rows"]
    assert 0 <= row["eval_pair_accuracy"] <= 1
    assert "eval_auc" in trained.stderr and "--reranker run:verifier" in trained.stderr
    ranked = labkit("eval", "--rerank", "solutions", "--reranker", "run:verifier")
    assert ranked.returncode == 0, ranked.stderr
    assert "was TRAINED on" in ranked.stderr
    for words in (["plot", "training", "verifier", "--metric", "eval_auc"], ["runs", "show", "solutions"], ["report"]):
        done = labkit(*words)
        assert done.returncode == 0, done.stderr
