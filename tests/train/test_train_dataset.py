"""A data set as training examples: which rows a step gets, what of them is learnt, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict
from eval_worlds import question, save_data_set
from hypothesis import given
from hypothesis import strategies as st

from labkit.config.training import DatasetExamples as DatasetConfig
from labkit.errors import InputError, LabkitError
from labkit.tasks.world.text import loss_mask, row_text, split_row
from labkit.train.character_tokenizer import build_character_tokenizer
from labkit.train.dataset import DatasetExamples
from labkit.train.examples import load_examples
from labkit.train.rows import IGNORED_LABEL, MicroBatches, Padding, joined_rows, text_rows
from labkit.train.tokenizer import build_word_tokenizer

NUM_ROWS, NUM_VALIDATION = 53, 12
TOKENIZER = build_character_tokenizer()
WORDS = build_word_tokenizer(integer_range=(0, 9), words=["="], max_length=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = tmp_path_factory.mktemp("world")
    tasks = ("distance", "compass", "inside")
    rows = [question(tasks[number % 3], number) for number in range(NUM_ROWS + NUM_VALIDATION)]
    return save_data_set(world, "multi_task", rows[:NUM_ROWS], split="train", validation=rows[NUM_ROWS:])


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A data set that a test may break."""
    return Path(shutil.copytree(folder, tmp_path / "world" / "multi_task"))


def load(path: Path, seed: int = 0, num_held_out: int = 0) -> DatasetExamples:
    examples = load_examples(DatasetConfig(name="dataset", path=path), seed, num_held_out, Path("runs"))
    assert isinstance(examples, DatasetExamples)
    return examples


def stored_texts(path: Path, split: str) -> list[str]:
    return list(Dataset.load_from_disk(str(path / split))["text"])


def test_an_epoch_has_every_row_once_and_ends_in_a_short_step(folder: Path) -> None:
    examples = load(folder)
    steps = [examples.texts(step, 10) for step in range(12)]
    assert [len(texts) for texts in steps] == [10, 10, 10, 10, 10, 3] * 2
    first, second = ([text for texts in part for text in texts] for part in (steps[:6], steps[6:]))
    assert sorted(first) == sorted(second) == sorted(stored_texts(folder, "train"))
    assert first != second != stored_texts(folder, "train")
    assert load(folder, seed=1).texts(0, 10) != steps[0]


@given(steps=st.lists(st.integers(0, 40), min_size=1, max_size=6), size=st.integers(1, 60), seed=st.integers(0, 2))
def test_a_step_does_not_depend_on_the_steps_before_it(folder: Path, steps: list[int], size: int, seed: int) -> None:
    in_turn = load(folder, seed)
    for step in steps:
        assert in_turn.texts(step, size) == load(folder, seed).texts(step, size)


def test_held_out_questions_are_drawn_from_the_validation_rows(folder: Path) -> None:
    examples, stored = load(folder, num_held_out=5), stored_texts(folder, "validation")
    rows = [prompt.source["row"] for prompt in examples.held_out]
    assert len(set(rows)) == 5 and rows != list(range(5))
    for prompt in examples.held_out:
        text = stored[prompt.source["row"]]
        assert (prompt.messages[0]["content"], prompt.gold["truth"]) == split_row(text)
        assert examples.task.score(prompt, prompt.gold["truth"]).correct
        assert examples.task.score(prompt, "?").answer is None
    assert len(load(folder, num_held_out=500).held_out) == NUM_VALIDATION
    assert examples.validation_rows(TOKENIZER) == text_rows(stored, TOKENIZER)


def test_what_the_data_set_says_of_itself(folder: Path) -> None:
    examples = load(folder)
    assert (examples.data_name, examples.num_rows) == ("multi_task", NUM_ROWS)
    assert list(examples.tasks) == ["distance", "compass", "inside"]
    assert examples.fingerprint == json.loads((folder / "labkit.json").read_text())["fingerprint"]
    assert list(examples.notes(batch_size=1)) == []


@pytest.mark.parametrize(
    ("batch_size", "steps"), [(NUM_ROWS, "1 step:"), (6, "9 steps:"), (5, None), (1000, "1 step:")]
)
def test_an_epoch_of_a_few_steps_gets_a_note(folder: Path, batch_size: int, steps: str | None) -> None:
    notes = list(load(folder).notes(batch_size))
    assert [note.startswith(f"an epoch is only {steps}") for note in notes] == ([True] if steps else [])


def test_published_data_without_a_manifest_is_taken_with_a_note(copied: Path) -> None:
    before = load(copied, num_held_out=4)
    (copied / "labkit.json").unlink()
    examples = load(copied, num_held_out=4)
    assert "has no labkit.json" in examples.notes(batch_size=1)[0]
    assert (examples.data_name, list(examples.tasks)) == ("multi_task", list(before.tasks))
    assert examples.texts(3, 8) == before.texts(3, 8)
    assert examples.held_out == before.held_out
    assert examples.fingerprint == load(copied).fingerprint != before.fingerprint
    examples.check_vocabulary(WORDS)


@pytest.mark.parametrize("loss_on_prompts", [False, True])
def test_labels_are_those_of_the_rows_own_mask(folder: Path, loss_on_prompts: bool) -> None:
    texts = load(folder).texts(0, 10)
    tensors = Padding(TOKENIZER, max_length=64, loss_on_prompts=loss_on_prompts).tensors(text_rows(texts, TOKENIZER))
    for row, text in enumerate(texts):
        ids, mask = TOKENIZER(text)["input_ids"], loss_mask(text)
        num_pads = tensors["input_ids"].shape[1] - len(ids)
        learnt = [loss_on_prompts or digit == "1" for digit in mask]
        labels = [token if taken else IGNORED_LABEL for token, taken in zip(ids, learnt, strict=True)]
        assert tensors["input_ids"][row].tolist() == ids + [TOKENIZER.pad_token_id] * num_pads
        assert tensors["labels"][row].tolist() == labels + [IGNORED_LABEL] * num_pads
        assert tensors["attention_mask"][row].tolist() == [1] * len(ids) + [0] * num_pads


def test_a_stored_row_is_the_prompt_and_the_answer_that_a_model_meets() -> None:
    prompt, answer = "dist(c_0865,c_4879)=", "769"
    asked = TOKENIZER.apply_chat_template([{"role": "user", "content": prompt}], tokenize=False)
    ids = TOKENIZER(asked, add_special_tokens=False)["input_ids"]
    assert text_rows([row_text(prompt, answer)], TOKENIZER) == joined_rows([ids], [answer], TOKENIZER)


def test_parts_of_a_short_step_that_get_no_row_take_no_loss(folder: Path) -> None:
    texts = stored_texts(folder, "train")
    rows = text_rows(texts[:5], TOKENIZER)
    parts = MicroBatches(
        lambda _: rows, Padding(TOKENIZER, max_length=64).tensors, num_steps=1, batch_size=12, num_parts=4
    )
    tensors = [parts[index] for index in range(len(parts))]
    assert [len(part["input_ids"]) for part in tensors] == [3, 2, 1, 1]
    assert [bool((part["labels"] != IGNORED_LABEL).any()) for part in tensors] == [True, True, False, False]


def test_a_row_without_an_equals_sign_is_refused() -> None:
    with pytest.raises(InputError, match="no `=` in the row"):
        text_rows(["<bos> d i s t <eos>"], TOKENIZER)


def test_a_model_with_another_vocabulary_is_refused(folder: Path) -> None:
    examples = load(folder)
    examples.check_vocabulary(TOKENIZER)
    with pytest.raises(InputError, match=r"the model's tokenizer is not that of .*multi_task") as caught:
        examples.check_vocabulary(WORDS)
    assert "characters" in caught.value.hint


def refusal(path: Path) -> LabkitError:
    with pytest.raises(LabkitError) as caught:
        load(path, num_held_out=2)
    assert caught.value.hint
    return caught.value


def test_a_folder_that_is_no_data_set(folder: Path, tmp_path: Path) -> None:
    assert "not a data set" in refusal(tmp_path).message
    missing = refusal(folder.parent / "multitask")
    assert "there is no data set" in missing.message and "multi_task" in missing.hint


def test_a_missing_split(copied: Path) -> None:
    shutil.rmtree(copied / "validation")
    error = refusal(copied)
    assert "has no split 'validation'" in error.message and "train" in error.hint


def test_a_missing_column(tmp_path: Path) -> None:
    DatasetDict({name: Dataset.from_dict({"text": ["a=b"]}) for name in ("train", "validation")}).save_to_disk(
        tmp_path / "data"
    )
    assert "has no column 'task_type'" in refusal(tmp_path / "data").message


def test_an_unknown_task(tmp_path: Path) -> None:
    columns = {"text": ["<bos> a = b <eos>"], "task_type": ["randomwalk"]}
    DatasetDict({name: Dataset.from_dict(columns) for name in ("train", "validation")}).save_to_disk(tmp_path / "data")
    assert "validation row 0: there is no task 'randomwalk'" in refusal(tmp_path / "data").message


def test_fewer_rows_than_the_manifest_says(copied: Path) -> None:
    shutil.rmtree(copied / "train")
    Dataset.from_dict({"text": ["<bos> a = b <eos>"], "task_type": ["distance"]}).save_to_disk(copied / "train")
    assert f"has 1 rows, and should have {NUM_ROWS}" in refusal(copied).message


def test_a_damaged_file(copied: Path) -> None:
    next((copied / "train").glob("*.arrow")).write_bytes(b"half")
    assert "cannot be read" in refusal(copied).message
