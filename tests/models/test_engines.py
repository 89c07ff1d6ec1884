"""Models that stay loaded between runs."""

from __future__ import annotations

import gc
import os
import shutil
import weakref
from pathlib import Path

import pytest
from tiny_models import save_model

from labkit.config.sections import ModelConfig
from labkit.models.engine import Perturbation
from labkit.models.engines import Engines
from labkit.models.folder import find_model


def loads() -> tuple[Engines, list[float]]:
    seconds: list[float] = []
    return Engines(seconds.append), seconds


def test_one_model_is_loaded_once_and_comes_unperturbed(tiny_folder: Path) -> None:
    engines, seconds = loads()
    config = ModelConfig(id=str(tiny_folder), device="cpu")
    folder = find_model(config)
    engine = engines.load(folder, config)
    before = engine.weights_digest()
    engine.perturb(Perturbation(seed=1, sigma=0.1))
    assert engine.weights_digest() != before
    again = engines.load(find_model(config), config)
    assert again is engine and again.weights_digest() == before
    assert len(seconds) == 1 and seconds[0] > 0


@pytest.mark.parametrize("change", [{"dtype": "bfloat16"}, {"id": "OTHER"}])
def test_another_model_or_format_is_another_load(tiny_folder: Path, tmp_path: Path, change: dict[str, str]) -> None:
    engines, seconds = loads()
    config = ModelConfig(id=str(tiny_folder), device="cpu")
    first = weakref.ref(engines.load(find_model(config), config).model)
    other = save_model(tmp_path / "other", seed=1)
    changed = config.model_copy(update={key: value.replace("OTHER", str(other)) for key, value in change.items()})
    gc.disable()  # the room of the first must be free without anybody looking for circles
    try:
        engines.load(find_model(changed), changed)
        assert first() is None
    finally:
        gc.enable()
    engines.load(find_model(config), config)
    assert len(seconds) == 3


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer_config.json"])
def test_a_file_that_was_replaced_is_noticed(tiny_folder: Path, tmp_path: Path, file: str) -> None:
    engines, seconds = loads()
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    config = ModelConfig(id=str(folder), device="cpu")
    engines.load(find_model(config), config)
    (folder / "new").write_bytes((folder / file).read_bytes())
    os.replace(folder / "new", folder / file)
    engines.load(find_model(config), config)
    assert len(seconds) == 2


def test_weights_that_change_change_their_fingerprint(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    found = find_model(ModelConfig(id=str(folder)))
    before = found.weights_fingerprint()
    assert found.weights_fingerprint() == before == find_model(ModelConfig(id=str(tiny_folder))).weights_fingerprint()
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert found.weights_fingerprint() != before


def test_releasing_keeps_nothing(tiny_folder: Path) -> None:
    engines, seconds = loads()
    config = ModelConfig(id=str(tiny_folder), device="cpu")
    engine = engines.load(find_model(config), config)
    engines.release()
    assert engines.load(find_model(config), config) is not engine
    assert len(seconds) == 2
