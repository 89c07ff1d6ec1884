"""What a training learns from: functions of (seed, step), and never what is held out."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.config.training import CountdownExamples, Gsm8kExamples, PromptFileExamples
from labkit.errors import InputError, LabkitError
from labkit.tasks.gsm8k.task import Gsm8kTask
from labkit.tasks.questions import question_id
from labkit.train.examples import Example, PairExamples, load_examples

NUM_PROMPTS, NUM_HELD_OUT = 23, 5


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("examples") / "sums.jsonl"
    lines = [json.dumps({"prompt": f"{n} + 1 =", "answer": n + 1}) for n in range(NUM_PROMPTS)]
    path.write_text("\n".join([*lines[:4], json.dumps({"prompt": "no answer"}), *lines[4:]]))
    return path


def load(config: CountdownExamples | PromptFileExamples, seed: int, num_held_out: int) -> PairExamples:
    examples = load_examples(config, seed, num_held_out, Path("runs"))
    assert isinstance(examples, PairExamples)
    return examples


def countdown(seed: int = 0, num_held_out: int = 0, **values: int) -> PairExamples:
    return load(CountdownExamples(**values), seed, num_held_out)


def from_file(path: Path, seed: int = 0, num_held_out: int = NUM_HELD_OUT) -> PairExamples:
    return load(PromptFileExamples(name="jsonl", path=path), seed, num_held_out)


def asked(examples: list[Example]) -> list[str]:
    return [example.prompt.messages[-1]["content"] for example in examples]


@given(steps=st.lists(st.integers(0, 30), min_size=1, max_size=6), seed=st.integers(0, 3), size=st.integers(1, 40))
def test_a_block_does_not_depend_on_the_blocks_before_it(sums: Path, steps: list[int], seed: int, size: int) -> None:
    in_turn = from_file(sums, seed)
    for step in steps:
        assert in_turn.block(step, size) == from_file(sums, seed).block(step, size)


@given(steps=st.lists(st.integers(0, 1000), min_size=1, max_size=4), seed=st.integers(0, 3))
def test_a_countdown_block_does_not_either(steps: list[int], seed: int) -> None:
    in_turn = countdown(seed)
    for step in steps:
        assert in_turn.block(step, 6) == countdown(seed).block(step, 6)


def test_countdown_blocks_differ_by_step_seed_and_data_seed() -> None:
    blocks = [
        countdown(0).block(0, 32),
        countdown(0).block(1, 32),
        countdown(1).block(0, 32),
        countdown(data_seed=1).block(0, 32),
    ]
    texts = [tuple(asked(block)) for block in blocks]
    assert len(set(texts)) == 4


def test_countdown_completions_are_right_and_never_held_out() -> None:
    examples = countdown(num_held_out=512)
    held_out = {prompt.id for prompt in examples.held_out}
    assert len(held_out) == 512
    seen = [example for step in range(40) for example in examples.block(step, 128)]
    assert held_out.isdisjoint(example.prompt.id for example in seen)
    for example in seen[:200]:
        assert examples.task.score(example.prompt, example.completion).correct
    assert examples.preset == "short"


def test_held_out_prompts_of_a_run_are_not_those_of_its_sweeps() -> None:
    from labkit.tasks.countdown import CountdownTask

    tested = CountdownTask(split="test", seed=0).prompts(preset="short", offset=0, num_prompts=512)
    held_out = countdown(num_held_out=512).held_out
    assert {prompt.id for prompt in tested}.isdisjoint(prompt.id for prompt in held_out)


def test_a_file_is_shuffled_anew_each_time_round(sums: Path) -> None:
    examples = from_file(sums)
    length = NUM_PROMPTS - NUM_HELD_OUT
    rounds = [asked(examples.block(step, length)) for step in range(3)]
    expected = [f"{n} + 1 =" for n in range(length)]
    assert all(sorted(found) == sorted(expected) for found in rounds)
    assert len({tuple(found) for found in [*rounds, expected]}) == 4
    assert asked(from_file(sums, seed=1).block(0, length)) != rounds[0]


@given(size=st.integers(1, 60), first=st.integers(0, 9))
def test_blocks_go_through_a_file_evenly_and_leave_the_held_out(sums: Path, size: int, first: int) -> None:
    examples = from_file(sums)
    seen = Counter(text for step in range(first + 1) for text in asked(examples.block(step, size)))
    length = NUM_PROMPTS - NUM_HELD_OUT
    assert set(seen) <= {f"{n} + 1 =" for n in range(length)}
    whole, rest = divmod((first + 1) * size, length)
    assert sorted(Counter(seen.values()).items()) == sorted(
        {
            count: number for count, number in ((whole, length - rest if whole else 0), (whole + 1, rest)) if number
        }.items()
    )
    assert [prompt.messages[0]["content"] for prompt in examples.held_out] == [
        f"{n} + 1 =" for n in range(length, NUM_PROMPTS)
    ]


def test_a_completion_is_the_answer_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "code.jsonl"
    path.write_text(json.dumps({"prompt": "q", "answer": ["if a:\n    b\n", "b"]}))
    assert from_file(path, num_held_out=0).block(0, 1)[0].completion == "if a:\n    b\n"


@pytest.mark.parametrize("num_held_out", [NUM_PROMPTS, NUM_PROMPTS + 1])
def test_too_few_examples_are_refused(sums: Path, num_held_out: int) -> None:
    with pytest.raises(
        InputError, match=f"has {NUM_PROMPTS} prompts with an answer, and {num_held_out} are to be held"
    ):
        from_file(sums, num_held_out=num_held_out)
    assert len(from_file(sums, num_held_out=NUM_PROMPTS - 1).block(0, 4)) == 4


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    with pytest.raises(LabkitError, match="shrt") as caught:
        load_examples(CountdownExamples(preset="shrt"), 0, 0, Path("runs"))
    assert "short" in caught.value.message + caught.value.hint


def test_word_problems_are_learnt_as_they_are_asked_and_solved_as_they_are_scored(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    lines = [{"question": f"What is {n} + 1?", "answer": f"{n} + 1 = {n + 1}.\n#### {n + 1}"} for n in range(9)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    examples = load_examples(Gsm8kExamples(name="gsm8k", path=path), 0, 2, Path("runs"))
    assert isinstance(examples, PairExamples)
    assert (examples.num_rows, examples.preset) == (7, "plain")
    assert [prompt.gold for prompt in examples.held_out] == [{"answer": "8"}, {"answer": "9"}]
    block = examples.block(0, 7)
    assert sorted(asked(block)) == [f"What is {n} + 1?" for n in range(7)]
    assert block != examples.block(1, 7)
    assert isinstance(examples.task, Gsm8kTask)
    for example in block:
        assert examples.task.score(example.prompt, example.completion).rule == "hash"
        assert examples.task.score(example.prompt, example.completion).correct
    (asked_by_eval, *_) = Gsm8kTask(path).prompts(preset="plain", offset=8, num_prompts=1)
    assert asked_by_eval.id == examples.held_out[-1].id


def test_word_problems_that_are_all_held_out_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps({"question": "What is 1 + 1?", "answer": "#### 2"}))
    with pytest.raises(InputError, match="1 are to be held out"):
        load_examples(Gsm8kExamples(name="gsm8k", path=path), 0, 1, Path("runs"))


def test_problems_of_a_file_of_their_own_are_held_out(tmp_path: Path) -> None:
    lines = [json.dumps({"question": f"{n} + 1?", "answer": f"{n} + 1 = {n + 1}\n#### {n + 1}"}) for n in range(8)]
    learnt, held_out = tmp_path / "train.jsonl", tmp_path / "validation.jsonl"
    learnt.write_text("\n".join(lines[:5]))
    held_out.write_text("\n".join(lines[5:]))
    config = Gsm8kExamples(name="gsm8k", path=learnt, validation_path=held_out)
    examples = load_examples(config, 0, 2, tmp_path)
    assert examples.num_rows == 5
    assert [prompt.messages[-1]["content"] for prompt in examples.held_out] == ["5 + 1?", "6 + 1?"]
    without = load_examples(Gsm8kExamples(name="gsm8k", path=learnt), 0, 0, tmp_path)
    assert examples.fingerprint != without.fingerprint
    held_out.write_text("\n".join(lines[4:]))
    with pytest.raises(InputError, match="1 of the 4 problems"):
        load_examples(config, 0, 2, tmp_path)


def test_the_questions_that_are_learnt_from_are_those_of_the_examples_so_far(sums: Path) -> None:
    examples = from_file(sums)
    for num_examples in (0, 1, 7, 1000):
        seen = examples.block(0, num_examples)[: examples.num_rows] if num_examples else []
        assert examples.trained_questions(num_examples) == {question_id(text) for text in asked(seen)}
    assert not examples.trained_questions(1000) & {
        question_id(each.messages[-1]["content"]) for each in examples.held_out
    }
