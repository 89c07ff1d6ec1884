"""Ranking finished runs: what is scored, what is refused, what is said, and that a killed ranking goes on."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from killing import launch
from solution_runs import record_solutions, scores_of, separable
from tiny_models import save_classifier, save_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertForSequenceClassification

from labkit.errors import ConfigError, InputError, RecordError
from labkit.models.energy import PLAIN_TEMPLATE, Pair, PairEncoder, PairForm, batches_by_tokens
from labkit.record.files import LineFile
from labkit.record.rankings import read_rankings
from labkit.record.run import Run
from labkit.rerank.finding import find_rerankers
from labkit.rerank.session import rank_again
from labkit.tasks.questions import QUESTIONS_VERSION, question_id

Labkit = Callable[..., subprocess.CompletedProcess[str]]

PAIRS = separable(12)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("models") / "energy")


def ranked(run: Run, *references: str | Path) -> list[str]:
    return rank_again(run, find_rerankers([str(each) for each in references], run.path.parents[1], "cpu"))


def alone(folder: Path, question: str, solution: str) -> torch.Tensor:
    """transformers' own forward pass of one pair."""
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    ids = AutoTokenizer.from_pretrained(folder)(question + "\n\n" + solution, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return model(input_ids=ids).logits[0]


# Energy models


def test_scores_are_those_of_each_solution_alone(tmp_path: Path, classifier: Path) -> None:
    run = record_solutions(tmp_path, PAIRS, preset="instruct")
    assert ranked(run, classifier) == []
    scores = scores_of(run, str(classifier))
    ids = [prompt["id"] for prompt in run.prompts()]
    for prompt, (question, written) in zip(ids, PAIRS.items(), strict=True):
        for index, (text, _) in enumerate(written):
            assert scores[prompt, index] == pytest.approx(float(alone(classifier, question, text)), abs=1e-5)
    assert len(set(scores.values())) == len(scores) == 48


def test_of_two_classes_the_second_is_correct_and_a_reward_is_turned_round(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "two", num_labels=2)
    run = record_solutions(tmp_path, dict(list(PAIRS.items())[:2]))
    ranked(run, folder)
    question, written = next(iter(PAIRS.items()))
    first = scores_of(run, str(folder))[run.prompts()[0]["id"], 0]
    wrong, right = map(float, alone(folder, question, written[0][0]))
    assert first == pytest.approx(wrong - right, abs=1e-5)
    (folder / "labkit.json").write_text(json.dumps({"energy": {"template": PLAIN_TEMPLATE, "higher_is_better": True}}))
    ranked(run, folder)
    assert scores_of(run, str(folder))[run.prompts()[0]["id"], 0] == pytest.approx(right - wrong, abs=1e-5)


def test_a_pair_goes_to_berts_kind_as_its_tokenizer_joins_pairs(tmp_path: Path, bert: Path) -> None:
    run = record_solutions(tmp_path, {"2 + 3 =": [("5", True), ("2 + 3 + 1 + 1 + 1 - 7", False)]})
    ranked(run, bert)
    tokenizer = AutoTokenizer.from_pretrained(bert)
    inputs = tokenizer("2 + 3 =", "5", return_tensors="pt")
    assert inputs["token_type_ids"].tolist() == [[0, 0, 0, 0, 0, 0, 1, 1]]
    with torch.no_grad():
        expected = AutoModelForSequenceClassification.from_pretrained(bert)(**inputs).logits
    assert scores_of(run, str(bert))[run.prompts()[0]["id"], 0] == pytest.approx(float(expected), abs=1e-5)


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *map(str, range(10)), "+", "-", "="]
    raw = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="[UNK]", pad_token="[PAD]", model_max_length=16,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )  # fmt: skip
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(words), **shape, max_position_embeddings=16, num_labels=1, initializer_range=0.5)
    BertForSequenceClassification(config).save_pretrained(tmp_path / "bert")
    tokenizer.save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


def test_too_long_pairs_lose_the_beginning_of_the_question_and_it_is_said(tmp_path: Path, bert: Path) -> None:
    long = " ".join("+" * 30)
    run = record_solutions(tmp_path, {f"{long} 7": [("5", True), (f"{long} 6", False)]})
    said = ranked(run, bert)
    assert [line for line in said if "2 of 2 candidates were longer" in line]
    (path,) = run.path.glob("rankings/*.jsonl")
    path.write_bytes(path.read_bytes()[:-5])  # as a kill leaves it
    assert ranked(run, bert) == said == (run.result() or {})["warnings"]
    tokenizer = AutoTokenizer.from_pretrained(bert)
    model = AutoModelForSequenceClassification.from_pretrained(bert)
    for index, pair in enumerate([(" ".join("+" * 11) + " 7", "5"), ("", " ".join("+" * 12) + " 6")]):
        inputs = tokenizer(*pair, return_tensors="pt")
        assert inputs["input_ids"].shape == (1, 16)
        with torch.no_grad():
            expected = float(model(**inputs).logits)
        assert scores_of(run, str(bert))[run.prompts()[0]["id"], index] == pytest.approx(expected, abs=1e-5)


def test_a_generator_has_a_random_head_and_is_refused(tmp_path: Path, tiny_folder: Path) -> None:
    with pytest.raises(InputError, match="Qwen2ForCausalLM, which scores nothing"):
        find_rerankers([str(tiny_folder)], tmp_path)
    folder = save_model(tmp_path / "unnamed")
    config = json.loads((folder / "config.json").read_text())
    del config["architectures"]
    (folder / "config.json").write_text(json.dumps(config))
    run = record_solutions(tmp_path, PAIRS)
    with pytest.raises(InputError, match=r"no weights for score\.weight, which would be random"):
        ranked(run, folder)
    assert read_rankings(run) == []


class _Bomb:
    """A pickle that leaves a file where it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", ["ckpt.pt", "pytorch_model.bin"])
def test_a_pickle_is_refused_and_not_opened(tmp_path: Path, classifier: Path, name: str) -> None:
    trace, folder = tmp_path / "opened", tmp_path / "pickled"
    folder.mkdir()
    for path in classifier.iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / name).write_bytes(pickle.dumps({"model": _Bomb(trace)}))
    for reference in (folder, folder / name):
        with pytest.raises(InputError, match="pickle"):
            find_rerankers([str(reference)], tmp_path)
    assert not trace.exists()
    with (folder / name).open("rb") as stream:  # the bomb does work
        pickle.load(stream)["model"].close()
    assert trace.exists()


def test_a_tokenizer_of_other_texts_or_another_model_is_refused(tmp_path: Path, classifier: Path) -> None:
    run = record_solutions(tmp_path, {"How many apples has Ann got?": [("She has got many of them", True)]})
    with pytest.raises(InputError, match="does not know"):
        ranked(run, classifier)
    folder = save_classifier(tmp_path / "small")
    raw = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = raw["model"]["vocab"]
    vocabulary["more"] = len(vocabulary)
    (folder / "tokenizer.json").write_text(json.dumps(raw))
    with pytest.raises(InputError, match=r"tokens and the model knows"):
        ranked(record_solutions(tmp_path, PAIRS), folder)


def test_more_classes_than_two_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3 classes"):
        ranked(record_solutions(tmp_path, PAIRS), save_classifier(tmp_path / "three", num_labels=3))


def test_another_checkpoint_is_another_ranking_and_the_old_one_stays(tmp_path: Path) -> None:
    run = record_solutions(tmp_path, PAIRS)
    folder = save_classifier(tmp_path / "energy", seed=1)
    ranked(run, folder)
    (before,) = read_rankings(run)
    ranked(run, folder)
    assert len([event for event in run.events() if event["event"] == "ranked"]) == 1
    save_classifier(folder, seed=2)
    ranked(run, folder)
    (after,) = read_rankings(run)
    assert after.hash != before.hash and after.frame["score"].to_list() != before.frame["score"].to_list()
    assert run.ranking_path(before.hash).exists()
    assert run.status() == "done"


def test_constant_scores_and_trained_questions_are_warned_about(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "energy")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    torch.nn.init.zeros_(model.score.weight)
    model.save_pretrained(folder)
    trained = [question_id(f"  {question}\n") for question in list(PAIRS)[:5]]
    (folder / "trained_questions.json").write_text(
        json.dumps({"version": QUESTIONS_VERSION, "questions": [*trained, "0" * 16]})
    )
    run = record_solutions(tmp_path, PAIRS, preset="instruct")
    said = ranked(run, folder)
    assert any("the same score, 0" in line for line in said)
    assert any("TRAINED on 5 of this run's questions" in line for line in said)
    result = run.result()
    assert result is not None and result["warnings"] == said
    assert result["rankings"][0]["trained_on"] == 5
    ranked(run, folder)
    assert (run.result() or {})["warnings"] == said


# Python files


def test_a_function_of_the_users(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "def score(question, solution):\n"
        "    if solution.startswith('1'):\n        raise ValueError('a one')\n"
        "    return float('nan') if solution.startswith('2') else len(question) - len(solution)\n"
    )
    run = record_solutions(tmp_path, {"12 =": [("345", True), ("1", False), ("2", False), ("45", True)]})
    said = ranked(run, path)
    (ranking,) = read_rankings(run)
    assert ranking.frame["score"].to_list() == [1.0, None, None, 2.0]
    assert ranking.frame["error"].to_list() == [None, "ValueError('a one')", "nan", None]
    assert any("gave 2 of 4 rollouts no score" in line for line in said)
    path.write_text("def scores(pairs):\n    return [int(s) for _, s in pairs]\n")
    ranked(run, path)
    assert read_rankings(run)[0].frame["score"].to_list() == [345, 1, 2, 45]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def scores(pairs):\n    return [1.0]\n", "gave 1 numbers for 4 pairs"),
        ("def scores(pairs):\n    return 1 / 0\n", "ZeroDivisionError"),
        ("def score(q, s):\n    return '1.5'\n", "'1.5' is no number"),
        ("def score(q, s):\n    pass\n", "None is no number"),
        ("def score(q, s):\n    return 1.5\n", "the same score, 1.5"),
        ("def score(q, s):\n    return len(q)\n", "judges questions only"),
    ],
)
def test_a_function_that_gives_nothing_of_use_is_said_and_ends_nothing(tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "mine.py").write_text(source)
    run = record_solutions(tmp_path, {"1 =": [("3", True), ("1", False)], "12 =": [("2", False), ("4", True)]})
    assert any(words in line for line in ranked(run, tmp_path / "mine.py"))


def test_what_a_function_failed_on_is_scored_when_it_is_mended(inside: Labkit, tmp_path: Path) -> None:
    run = record_solutions(tmp_path / "runs", dict(list(PAIRS.items())[:3]))
    source = "from pathlib import Path\ndef score(q, s):\n    return len(s) + float(Path('weight').read_text())\n"
    (tmp_path / "mine.py").write_text(source)
    done = inside("eval", "--rerank", "last", "--reranker", "mine.py")
    assert done.returncode == 1 and "failed on all of 12 rollouts" in done.stderr
    (tmp_path / "weight").write_text("2.5")
    tried = inside("eval", "--rerank", "last", "--dry-run")
    assert tried.returncode == 0 and "mine.py: 12 rollouts to score" in tried.stderr
    assert read_rankings(run)[0].frame["score"].null_count() == 12
    mended = inside("eval", "--rerank", "last")
    assert mended.returncode == 0 and "no score" not in mended.stderr, mended.stderr
    (ranking,) = read_rankings(run)
    assert ranking.frame.height == 12 and ranking.frame["score"].null_count() == 0
    again = inside("eval", "--rerank", "last", "--dry-run", "--json")
    assert json.loads(again.stdout) == {"owed": {"mine.py": 0}}


def test_a_file_that_is_no_reranker_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    for source, words in (("x = 1", r"has no function score\(\)"), ("1 / 0", "fails when it is run")):
        path.write_text(source)
        with pytest.raises(InputError, match=words):
            find_rerankers([str(path)], tmp_path)
    with pytest.raises(InputError, match="cannot read the reranker"):
        find_rerankers([str(tmp_path / "none.py")], tmp_path)


def test_one_reranker_under_two_names_is_refused_and_ranked_once(
    tmp_path: Path, classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("def score(q, s):\n    return len(s)\n")
    for names in (["mine.py", "mine.py"], ["mine.py", "./mine.py"], [str(classifier), f"{classifier}/."]):
        with pytest.raises(ConfigError, match="one reranker is named twice"):
            find_rerankers(names, tmp_path)
    run = record_solutions(tmp_path, PAIRS)
    ranked(run, "mine.py")
    ranked(run, "./mine.py")
    assert [ranking.name for ranking in read_rankings(run)] == ["mine.py"]
    Path("mine.py").write_text("def score(q, s):\n    return -len(s)\n")
    ranked(run, "./mine.py")
    assert [ranking.name for ranking in read_rankings(run)] == ["mine.py", "./mine.py"]


# Going on


def test_a_killed_ranking_goes_on_with_what_it_owes(tmp_path: Path) -> None:
    run = record_solutions(tmp_path / "runs", separable(300))
    slow = tmp_path / "mine.py"
    slow.write_text("import time\ndef score(q, s):\n    time.sleep(0.002)\n    return len(s)\n")
    process = launch(tmp_path, "eval", "--rerank", run.path, "--reranker", "mine.py")
    end = time.monotonic() + 60
    while time.monotonic() < end and not any(run.path.glob("rankings/*.jsonl")):
        time.sleep(0.01)
    (path,) = run.path.glob("rankings/*.jsonl")
    while not path.stat().st_size and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=60)
    num_before = path.read_bytes().count(b"\n")
    assert 0 < num_before < 1200
    assert read_rankings(run) == [] and run.status() == "done"
    torn = LineFile(path)
    torn.append(b'{"prompt": "hal')
    torn.close()
    done = subprocess.run(
        [sys.executable, "-m", "labkit", "eval", "--rerank", str(run.path), "--reranker", "mine.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"mine.py: {1200 - num_before:,} rollouts to score" in done.stderr
    (ranking,) = read_rankings(run)
    assert ranking.frame.height == 1200 and path.read_bytes().count(b"\n") == 1200


def test_a_run_that_is_not_done_is_refused(tmp_path: Path, classifier: Path) -> None:
    run = record_solutions(tmp_path, PAIRS, done=False)
    with pytest.raises(RecordError, match="is not done"):
        ranked(run, classifier)


def test_cutting_leaves_the_tokenizer_as_it_was(classifier: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    encoder = PairEncoder(tokenizer, PairForm(PLAIN_TEMPLATE), max_length=8)
    (whole,) = encoder.encode([Pair("1 + 1", "2")])
    (cut,) = encoder.encode([Pair("1 + 2 + 3 + 4 + 5", "6 + 7")])
    assert not whole.is_cut and cut.is_cut
    assert tokenizer.convert_ids_to_tokens(cut.token_ids) == ["3", "+", "4", "+", "5", "6", "+", "7"]
    tokenizer.save_pretrained(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "tokenizer.json").read_text())["truncation"] is None


def test_a_question_that_names_the_other_part_is_joined_as_it_stands(classifier: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    encoder = PairEncoder(tokenizer, PairForm("{solution} = {question}"), max_length=64)
    (row,) = encoder.encode([Pair("1 + 1", "2 - 3")])
    assert tokenizer.convert_ids_to_tokens(row.token_ids) == ["2", "-", "3", "=", "1", "+", "1"]
    rows = encoder.encode([Pair("{solution} 1", "2")])
    assert tokenizer.convert_ids_to_tokens(rows[0].token_ids)[0] == "2"
    assert [list(batch) for batch in batches_by_tokens([3, 9, 1, 4, 4], limit=8)] == [[1], [3, 4], [0, 2]]


def test_a_reranker_that_fails_everywhere_is_a_failure(tmp_path: Path, labkit: Labkit) -> None:
    run = record_solutions(tmp_path / "runs", PAIRS, preset="instruct")
    path = tmp_path / "leaves.py"
    path.write_text("import sys\n\ndef score(question, solution):\n    sys.exit(0)\n")
    done = labkit("eval", "--rerank", str(run.path), "--reranker", str(path), "--runs-dir", str(tmp_path / "runs"))
    assert done.returncode == 1, done.stderr
    assert "failed on all of" in done.stderr and "SystemExit(0)" in done.stderr
    good = tmp_path / "good.py"
    good.write_text("def score(question, solution):\n    return len(solution)\n")
    for nothing_owed in (False, True):
        done = labkit("eval", "--rerank", str(run.path), "--reranker", str(good), "--runs-dir", str(tmp_path / "runs"))
        assert done.returncode == 0, done.stderr
        assert ("nothing is owed" in done.stderr) is nothing_owed
