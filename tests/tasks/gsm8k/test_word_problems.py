"""Generated word problems: right, readable by our own rules, different from each other, and never in two splits."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from labkit.config.base import Layer, resolve
from labkit.config.data import DataConfig, WordProblemsConfig
from labkit.errors import ConfigError, InputError
from labkit.tasks.gsm8k.building import build_word_problems, plan_word_problems
from labkit.tasks.gsm8k.peers import flexible_extract, strict_match
from labkit.tasks.gsm8k.scoring import score
from labkit.tasks.gsm8k.task import Gsm8kTask
from labkit.tasks.gsm8k.word_problems import WordProblem, generate, vocabulary
from labkit.tasks.gsm8k.wordings import NAMES, THINGS, WORDINGS
from labkit.tasks.splits import SPLITS

Labkit = Callable[..., subprocess.CompletedProcess[str]]

TEMPLATES = Path(__file__).parents[3] / "templates"
STEP = re.compile(r"(?:First|Then) (\d+) ([-+*/]) (\d+) = (\d+)\.")
CALCULATE: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
}


@pytest.fixture(scope="module")
def problems() -> dict[str, list[WordProblem]]:
    return {split: list(generate(3, split, 4000 if split == "train" else 1000)) for split in SPLITS}


def shape(problem: WordProblem) -> str:
    """A question without what it is about: its wording and numbers."""
    return re.sub("|".join((*NAMES, *THINGS)), "_", problem.question)


def test_every_step_is_right_and_the_last_result_is_the_answer(problems: dict[str, list[WordProblem]]) -> None:
    for problem in itertools.chain.from_iterable(problems.values()):
        first, second, answer = problem.solution.splitlines()
        results = []
        for line in (first, second):
            found = STEP.fullmatch(line)
            assert found, line
            x, symbol, y, result = found.groups()
            assert CALCULATE[symbol](Fraction(x), Fraction(y)) == Fraction(result)
            results.append(result)
            assert all(0 <= int(number) <= 200 for number in (x, y, result))
        assert answer == f"#### {results[1]}"
        assert results[0] in re.findall(r"\d+", second.partition("=")[0])


def test_a_solution_uses_every_number_of_its_question_once(problems: dict[str, list[WordProblem]]) -> None:
    for problem in problems["train"]:
        x, y, result, *others = re.findall(r"\d+", problem.solution.rpartition("####")[0])
        used = Counter([x, y, *others[:2]]) - Counter([result])
        assert used == Counter(re.findall(r"\d+", problem.question))


def test_our_rules_and_those_of_others_take_the_worked_solution_for_right(
    problems: dict[str, list[WordProblem]],
) -> None:
    for problem in problems["test"]:
        gold = problem.solution.split()[-1]
        verdict = score(problem.solution, Fraction(gold))
        assert (verdict.correct, verdict.answer, verdict.rule) == (True, gold, "hash")
        assert strict_match(problem.solution) == flexible_extract(problem.solution) == gold


def test_no_question_stands_twice_and_no_calculation_in_two_splits(problems: dict[str, list[WordProblem]]) -> None:
    for found in problems.values():
        questions = [problem.question for problem in found]
        assert len(set(questions)) == len(questions)
    other_seed = [shape(problem) for problem in generate(4, "train", 4000)]
    shapes = {split: {shape(problem) for problem in found} for split, found in problems.items()}
    assert not shapes["test"] & (shapes["train"] | shapes["validation"] | set(other_seed))
    assert not shapes["validation"] & shapes["train"]


def test_a_stream_depends_on_its_seed_and_split_only_and_grows_at_its_end() -> None:
    assert list(generate(0, "test", 50))[:20] == list(generate(0, "test", 20))
    assert list(generate(0, "test", 20)) != list(generate(1, "test", 20))
    first = next(generate(0, "train", 1))
    assert first.as_json() == {
        "question": "Nils shares 36 stamps fairly among 12 children. Dora is one of them and had 5 stamps before. "
        "How many stamps does Dora have now?",
        "answer": "First 36 / 12 = 3.\nThen 3 + 5 = 8.\n#### 8",
    }


def test_every_wording_is_asked_about_as_often_and_with_any_answer(problems: dict[str, list[WordProblem]]) -> None:
    assert len(WORDINGS) == len({wording.question for wording in WORDINGS}) >= 17
    assert len({wording.steps for wording in WORDINGS}) >= 12
    everything = list(itertools.chain.from_iterable(problems.values()))
    shapes = Counter(re.sub(r"\d+", "#", shape(problem)) for problem in everything)
    assert len(shapes) == len(WORDINGS)
    answers = Counter(problem.solution.split()[-1] for problem in everything)
    assert answers.most_common(1)[0][1] < 0.05 * len(everything)
    assert len(answers) > 150


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(InputError, match="no split 'dev'"):
        list(generate(0, "dev", 1))


def test_the_template_has_a_token_for_every_word(problems: dict[str, list[WordProblem]]) -> None:
    words = yaml.safe_load((TEMPLATES / "word-problems.yaml").read_text())["tokenizer"]["words"]
    assert words == vocabulary()
    texts = (f"{problem.question} {problem.solution}" for found in problems.values() for problem in found)
    used = {word for text in texts for word in re.findall(r"\w+|#+|[^\w\s]", text)}
    assert {word for word in used if not word.isdecimal()} == set(words)


def test_files_are_read_as_published_ones_and_stay_when_built_again(tmp_path: Path) -> None:
    config = DataConfig(out=tmp_path / "words", word_problems=WordProblemsConfig(train=60, validation=10, test=20))
    said: list[str] = []
    assert build_word_problems(plan_word_problems(config), said.append) == 3
    assert build_word_problems(plan_word_problems(config), said.append) == 0
    assert len(said) == 3
    task = Gsm8kTask(config.out / "test.jsonl")
    prompts = task.prompts(preset="plain", offset=0, num_prompts=None)
    assert len(prompts) == 20
    lines = [json.loads(line) for line in (config.out / "test.jsonl").read_text().splitlines()]
    assert [prompt.messages[0]["content"] for prompt in prompts] == [line["question"] for line in lines]
    assert task.solutions() == [line["answer"] for line in lines]
    assert all(task.score(prompt, text).correct for prompt, text in zip(prompts, task.solutions(), strict=True))


def test_a_file_of_another_recipe_is_never_overwritten(tmp_path: Path) -> None:
    sizes = WordProblemsConfig(train=60, validation=10, test=20)
    build_word_problems(plan_word_problems(DataConfig(out=tmp_path, word_problems=sizes)), print)
    (tmp_path / "train.jsonl").unlink()
    before = (tmp_path / "test.jsonl").read_bytes()
    with pytest.raises(InputError, match="holds other problems"):
        build_word_problems(plan_word_problems(DataConfig(out=tmp_path, seed=7, word_problems=sizes)), print)
    assert (tmp_path / "test.jsonl").read_bytes() == before
    assert not (tmp_path / "train.jsonl").exists()


def test_the_command_builds_them(labkit: Labkit, tmp_path: Path) -> None:
    asked = ["data", "build", "word-problems-data", "--out", "words", "--set", "word_problems.train=60"]
    planned = labkit(*asked, "--dry-run", "--json")
    (table,) = json.loads(planned.stdout)["tables"]
    assert [(row["problems"], row["state"]) for row in table["rows"]] == [
        (60, "to build"), (1600, "to build"), (1000, "to build")
    ]  # fmt: skip
    assert not (tmp_path / "words").exists()
    built = labkit(*asked)
    assert built.returncode == 0, built.stderr
    assert {path.name for path in (tmp_path / "words").iterdir()} == {"train.jsonl", "validation.jsonl", "test.jsonl"}
    again = labkit(*asked, "--seed", "1")
    assert (again.returncode, "holds other problems" in again.stderr) == (2, True)


def test_what_is_said_of_worlds_beside_word_problems_is_refused(tmp_path: Path) -> None:
    layers = [Layer("file", {"out": str(tmp_path), "word_problems.train": 60})]
    assert resolve(DataConfig, layers).config.word_problems is not None
    with pytest.raises(ConfigError, match=r"word_problems are no world: cities, tasks would do nothing"):
        resolve(DataConfig, [*layers, Layer("flag", {"cities.min_population": 5, "tasks": ["distance"]})])
