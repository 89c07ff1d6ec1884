"""The tokenizer of the world-cities experiment, against the published ids and rows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from labkit.config.base import file_layer, resolve
from labkit.config.commands import TrainConfig
from labkit.config.sections import ModelConfig
from labkit.config.templates import find_template
from labkit.errors import InputError
from labkit.models.folder import find_model
from labkit.models.loading import load_engine
from labkit.models.torch_engine import TorchEngine
from labkit.tasks.base import Prompt
from labkit.tasks.world.vocabulary import VOCABULARY, token_ids, vocabulary_digest
from labkit.train.character_tokenizer import build_character_tokenizer
from labkit.train.dataset import tokenizer_digest
from labkit.train.first_model import new_model
from labkit.train.model_folder import save_model

TOKENIZER = build_character_tokenizer()
DISTANCE_IDS = [2, 61, 66, 76, 77, 11, 60, 56, 88, 96, 94, 93, 15, 60, 56, 92, 96, 95, 97, 12, 22, 95, 94, 97, 3]
ROWS = [
    "dist(c_0865,c_4879)=769",
    "triarea(c_1234,c_5678,c_9012)=458231",
    "angle(c_2345,c_6789,c_0123)=97",
    "compass(c_1234,c_5678)=NE",
    "inside(c_9012;c_3456,c_7890,c_1234,c_5678)=FALSE",
    "perimeter(c_4567,c_8901,c_2345,c_6789)=2856",
    "cross(c_2345,c_6789;c_0123,c_4567)=TRUE",
]


def ids(text: str) -> list[int]:
    return list(TOKENIZER(text, add_special_tokens=False)["input_ids"])


def test_98_entries_in_the_published_order() -> None:
    vocabulary = TOKENIZER.get_vocab()
    assert len(TOKENIZER) == len(vocabulary) == 98
    expected = {"<pad>": 0, "<unk>": 1, "<bos>": 2, "<eos>": 3, "!": 4, "(": 11, ")": 12, ",": 15, ";": 20, "=": 22}
    expected |= {"A": 26, "_": 56, "a": 58, "z": 83, "~": 87, "0": 88, "9": 97}
    assert {token: vocabulary[token] for token in expected} == expected
    assert tokenizer_digest(TOKENIZER) == vocabulary_digest()
    assert (TOKENIZER.pad_token_id, TOKENIZER.bos_token_id, TOKENIZER.eos_token_id) == (0, 2, 3)


def test_the_published_example() -> None:
    assert ids("<bos> d i s t ( c _ 0 8 6 5 , c _ 4 8 7 9 ) = 7 6 9 <eos>") == DISTANCE_IDS
    assert len(DISTANCE_IDS) == 25


@pytest.mark.parametrize("row", ROWS)
def test_rows_with_and_without_spaces_are_the_same_and_come_back(row: str) -> None:
    stored = f"<bos> {' '.join(row)} <eos>"
    assert ids(stored) == ids(f"<bos>{row}<eos>") == [2, *ids(row), 3]
    assert TOKENIZER.decode(ids(stored), skip_special_tokens=True) == row
    assert TOKENIZER.decode(ids(stored)) == f"<bos>{row}<eos>"


@given(st.text(st.sampled_from([*"".join(VOCABULARY[4:]), " ", "é"]), max_size=40))
def test_any_text_is_read_as_the_vocabulary_says(text: str) -> None:
    assert ids(text) == token_ids(text)


def test_a_saved_model_is_asked_as_its_rows_were_written(tmp_path: Path) -> None:
    architecture = resolve(TrainConfig, [file_layer(find_template(Path("exp1-tiny-pretrain")))]).config.architecture
    assert architecture is not None
    save_model(new_model(architecture, TOKENIZER), TOKENIZER, {}, tmp_path / "model")
    loaded = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "model").config.model_type == "qwen2"
    assert loaded.get_vocab() == TOKENIZER.get_vocab()
    assert loaded.model_max_length == 512
    assert loaded.decode(DISTANCE_IDS, skip_special_tokens=True) == ROWS[0]
    model = ModelConfig(id=str(tmp_path / "model"), device="cpu")
    engine = load_engine(find_model(model), model)
    asked = engine.encode(Prompt(({"role": "user", "content": "dist(c_0865,c_4879)="},)))
    assert asked.token_ids == tuple(DISTANCE_IDS[:21])


def test_only_a_single_question_can_be_asked(tmp_path: Path) -> None:
    architecture = resolve(TrainConfig, [file_layer(find_template(Path("exp1-tiny-pretrain")))]).config.architecture
    assert architecture is not None
    engine = TorchEngine(new_model(architecture, TOKENIZER), TOKENIZER)
    with pytest.raises(InputError, match="takes a single message of the user"):
        engine.encode(Prompt(({"role": "system", "content": "be brief"}, {"role": "user", "content": "dist("})))


def test_the_published_shape_has_its_parameters_and_its_spread() -> None:
    architecture = resolve(TrainConfig, [file_layer(find_template(Path("exp1-pretrain")))]).config.architecture
    assert architecture is not None
    torch.manual_seed(0)
    model = new_model(architecture, build_character_tokenizer(max_length=256))
    assert sum(weight.numel() for weight in model.parameters()) == 1_601_920
    assert (model.config.pad_token_id, model.config.bos_token_id, model.config.eos_token_id) == (0, 2, 3)
    for name, weight in model.state_dict().items():
        if name.endswith("bias"):
            assert not weight.any(), name
        elif weight.ndim == 2:
            assert float(weight.std()) == pytest.approx(0.1, rel=0.03), name
            assert abs(float(weight.mean())) < 0.005, name
