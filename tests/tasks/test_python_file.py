"""A Python file as a task: what it may give, and what is said when it fails."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

from labkit.errors import InputError
from labkit.tasks.base import Prompt, Score
from labkit.tasks.python_file import PythonFileTask

PROMPTS = 'def prompts():\n    return [{"prompt": "q", "gold": {"answer": "4"}}]\n'
SCORE = "def score(prompt, text):\n    return True\n"


def task(tmp_path: Path, code: str, split: str = "test") -> PythonFileTask:
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent(code))
    return PythonFileTask(path, split)


def prompts(found: PythonFileTask) -> list[Prompt]:
    return found.prompts(preset=None, offset=0, num_prompts=None)


def verdict(tmp_path: Path, returned: str) -> Score:
    return graded(tmp_path, returned)[1]


def graded(tmp_path: Path, returned: str) -> tuple[PythonFileTask, Score]:
    found = task(
        tmp_path, f"from labkit.tasks.base import Score\n{PROMPTS}def score(prompt, text):\n    return {returned}\n"
    )
    return found, found.score(prompts(found)[0], " 4 ")


def test_dicts_and_prompts_and_generators(tmp_path: Path) -> None:
    found = task(
        tmp_path,
        """
        from labkit.tasks.base import Prompt

        def prompts():
            yield {"prompt": "a", "gold": {"answer": "1"}}
            yield {"messages": [{"role": "user", "content": "b"}], "prefill": "so ", "source": {"row": 7}}
            yield Prompt(({"role": "user", "content": "c"},), gold={"answer": 3})

        def score(prompt, text):
            return text == prompt.gold["answer"]
        """,
    )
    kept = prompts(found)
    assert [prompt.messages[0]["content"] for prompt in kept] == ["a", "b", "c"]
    assert [prompt.prefill for prompt in kept] == ["", "so ", ""]
    assert [dict(prompt.source) for prompt in kept] == [{"index": 0}, {"row": 7}, {}]
    assert found.score(kept[0], "1").correct and not found.score(kept[0], "2").correct


def test_the_split_is_handed_over_where_it_is_wanted(tmp_path: Path) -> None:
    code = 'def prompts(split):\n    return [{"prompt": split}]\n' + SCORE
    train, test = (task(tmp_path, code, split) for split in ("train", "test"))
    assert [prompts(found)[0].messages[0]["content"] for found in (train, test)] == ["train", "test"]
    assert train.data_fingerprint != test.data_fingerprint
    assert prompts(task(tmp_path, PROMPTS + SCORE))[0].messages[0]["content"] == "q"


@pytest.mark.parametrize(
    ("returned", "correct", "reward"),
    [
        ("True", True, 1.0),
        ("False", False, 0.0),
        ("1", True, 1.0),
        ("0.5", False, 0.5),
        ("1.5", True, 1.5),
        ("-2", False, -2.0),
        ("text.strip() == prompt.gold['answer']", True, 1.0),
        ("Score(False, 0.1, 'x', 'mine')", False, 0.1),
    ],
)
def test_what_a_score_may_be(tmp_path: Path, returned: str, correct: bool, reward: float) -> None:
    found = verdict(tmp_path, returned)
    assert (found.correct, found.reward) == (correct, reward)
    assert (found.rule, found.answer) == (("mine", "x") if "mine" in returned else ("python", "4"))


@pytest.mark.parametrize(
    "returned", ["None", "'yes'", "[True]", "float('nan')", "float('inf')", "Score(1, float('nan'), None, 'x')"]
)
def test_what_a_score_may_not_be(tmp_path: Path, returned: str) -> None:
    task, found = graded(tmp_path, returned)
    assert (found.correct, found.reward, found.rule) == (False, 0.0, "scorer_failed")
    assert "mine.py: score() failed on 1 rollouts, which count as wrong; first: it gave" in task.notes[-1]


def test_a_failing_score_is_wrong_and_says_on_which_text(tmp_path: Path) -> None:
    task, found = graded(tmp_path, "1 / 0")
    assert (found.correct, found.rule) == (False, "scorer_failed")
    assert "ZeroDivisionError('division by zero') on ' 4 '" in task.notes[-1]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def prompts(:\n", "SyntaxError"),
        ("import no_such_module_of_mine\n", "no_such_module_of_mine"),
        (SCORE, r"no function prompts\(\)"),
        (PROMPTS, r"no function score\(\)"),
        (PROMPTS + "score = 5\n", r"no function score\(\)"),
        ("def prompts():\n    raise RuntimeError('dry')\n" + SCORE, r"prompts\(\) failed: RuntimeError\('dry'\)"),
        ("def prompts():\n    yield {'prompt': 'a'}\n    1 / 0\n" + SCORE, r"prompts\(\) failed: ZeroDivisionError"),
        ("def prompts():\n    return 5\n" + SCORE, r"prompts\(\) failed: TypeError"),
        ("def prompts():\n    return []\n" + SCORE, r"prompts\(\) gave none"),
        ("def prompts():\n    return ['a']\n" + SCORE, "prompt 0 is no prompt"),
        ("def prompts():\n    return [{'prompt': 'a'}, {}]\n" + SCORE, "prompt 1 is no prompt"),
        ("def prompts():\n    return [{'prompt': 5}]\n" + SCORE, "prompt 0: `messages` are not chat turns"),
        ("def prompts():\n    return [{'prompt': 'a', 'prefill': 5}]\n" + SCORE, "prompt 0 holds what JSON cannot"),
        (
            "def prompts():\n    return [{'prompt': 'a', 'gold': {'x': {1}}}]\n" + SCORE,
            "prompt 0 holds what JSON cannot",
        ),
        (
            "def prompts():\n    return [{'prompt': 'a', 'gold': {'x': (1,)}}]\n" + SCORE,
            "prompt 0 holds what JSON cannot",
        ),
        ("def prompts():\n    return [{'prompt': 'a', 'gold': {1: 2}}]\n" + SCORE, "prompt 0 holds what JSON cannot"),
        ("def prompts():\n    return [{'prompt': 'a', 'gold': 7}]\n" + SCORE, "prompt 0 holds what JSON cannot"),
        ("def prompts():\n    return [{'prompt': '\\ud800'}]\n" + SCORE, "prompt 0 holds what JSON cannot"),
    ],
)
def test_a_file_that_is_no_task_says_why(tmp_path: Path, code: str, reason: str) -> None:
    with pytest.raises(InputError, match=rf"mine\.py.*{reason}"):
        task(tmp_path, code)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        PythonFileTask(tmp_path / "missing.py", "test")


def test_a_dataclass_of_the_file_works(tmp_path: Path) -> None:
    code = "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass Item:\n    text: str\n"
    found = task(tmp_path, code + "def prompts():\n    return [{'prompt': Item('q').text}]\n" + SCORE)
    assert prompts(found)[0].messages[0]["content"] == "q"


def test_a_changed_file_is_another_task_at_once(tmp_path: Path) -> None:
    first = task(tmp_path, PROMPTS + "def score(prompt, text):\n    return 1.0\n")
    times = (tmp_path / "mine.py").stat()
    second = PROMPTS + "def score(prompt, text):\n    return 0.0\n"
    (tmp_path / "mine.py").write_text(second)
    os.utime(tmp_path / "mine.py", ns=(times.st_atime_ns, times.st_mtime_ns))  # same size, same time
    changed = PythonFileTask(tmp_path / "mine.py", "test")
    assert changed.score(prompts(changed)[0], "4").reward == 0.0
    assert (changed.data_fingerprint, changed.scorer) != (first.data_fingerprint, first.scorer)
    assert first.score(prompts(first)[0], "4").reward == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_repeats_slices_and_presets(tmp_path: Path) -> None:
    found = task(tmp_path, "def prompts():\n    return [{'prompt': text} for text in 'abca']\n" + SCORE)
    assert "1 repeated prompts count once" in found.notes[0]
    kept = found.prompts(preset=None, offset=1, num_prompts=9)
    assert [prompt.messages[0]["content"] for prompt in kept] == ["b", "c"]
    with pytest.raises(InputError, match="has 3 prompts, none after an offset of 3"):
        found.prompts(preset=None, offset=3, num_prompts=None)
    with pytest.raises(InputError, match="no preset"):
        found.prompts(preset="short", offset=0, num_prompts=1)
