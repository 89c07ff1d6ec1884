"""What a model folder must hold, what is said when it does not, and what its fingerprints rest on."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from labkit.config.sections import ModelConfig
from labkit.errors import InputError, LabkitError, MachineError
from labkit.models.folder import ModelFolder, builtin_names, find_model


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may break."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def refusal(name: Path | str) -> LabkitError:
    with pytest.raises(LabkitError) as caught:
        find_model(ModelConfig(id=str(name)))
    assert caught.value.hint
    return caught.value


def test_a_whole_folder_is_found(folder: Path) -> None:
    found = find_model(ModelConfig(id=str(folder)))
    assert (found.path, found.name, found.revision) == (folder, str(folder), None)
    assert found.settings() == {}


def test_without_a_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert f"{folder} has no config.json" in refusal(folder).message


@pytest.mark.parametrize("content", [b"", b'{"model_type": ', b"[1]", b'{"a": "\xff"}', b"null"])
def test_with_a_damaged_config(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    error = refusal(folder)
    assert isinstance(error, InputError)
    assert str(folder / "config.json") in error.message


def test_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert f"{folder} has no weights" in refusal(folder).message


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "last.ckpt", "weights.pkl"])
def test_pickles_are_never_opened(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    error = refusal(folder)
    assert f"only pickled weights ({name})" in error.message
    assert "save_pretrained" in error.hint


def test_a_pickle_beside_safetensors_does_no_harm(folder: Path) -> None:
    (folder / "training_args.bin").write_bytes(b"\x80")
    assert find_model(ModelConfig(id=str(folder))).path == folder


def test_without_a_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert f"{folder} has no tokenizer" in refusal(folder).message


def test_settings_are_read_and_checked(folder: Path) -> None:
    settings = folder / "labkit.json"
    settings.write_text('{"prompt_preset": "short", "max_new_tokens": 16}')
    assert ModelFolder(folder, "m").settings() == {"prompt_preset": "short", "max_new_tokens": 16}
    settings.write_text('{"prompt_presets": "short"}')
    with pytest.raises(InputError, match=r"labkit\.json: unknown key 'prompt_presets'") as caught:
        ModelFolder(folder, "m").settings()
    assert caught.value.hint == "did you mean 'prompt_preset'?"
    settings.write_text("{")
    with pytest.raises(InputError, match=r"labkit\.json cannot be read"):
        ModelFolder(folder, "m").settings()


@pytest.mark.parametrize(
    "settings", [{"max_new_tokens": "16"}, {"max_new_tokens": 0}, {"max_new_tokens": True}, {"prompt_preset": 5}]
)
def test_settings_of_another_kind_are_refused(folder: Path, settings: dict[str, object]) -> None:
    (folder / "labkit.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match=rf"labkit\.json: {next(iter(settings))}"):
        ModelFolder(folder, "m").settings()


def test_names_that_are_no_folder(folder: Path, tmp_path: Path) -> None:
    assert f"{folder / 'config.json'} is a file" in refusal(folder / "config.json").message
    assert "there is no model folder" in refusal(tmp_path / "missing").message
    assert "there is no model folder" in refusal("./missing").message
    assert "there is no model folder" in refusal("missing").message


def test_a_mistyped_builtin(tmp_path: Path) -> None:
    error = refusal("builtin:countdwn-tiny")
    assert "'countdwn-tiny'" in error.message
    assert "countdown-tiny" in error.hint


def test_a_hub_id_without_network_fails_at_once() -> None:
    began = time.monotonic()
    error = refusal("nobody-here/no-such-model")
    assert isinstance(error, MachineError)
    assert error.exit_code == 3
    assert "nobody-here/no-such-model" in error.message
    assert "--model" in error.hint
    assert time.monotonic() - began < 10


def fingerprints(folder: Path) -> tuple[str, str]:
    found = find_model(ModelConfig(id=str(folder)))
    return found.weights_fingerprint(), found.tokenizer_fingerprint()


def test_fingerprints_are_of_the_content(folder: Path, tiny_folder: Path) -> None:
    weights, tokenizer = fingerprints(folder)
    assert weights != tokenizer
    assert fingerprints(tiny_folder) == (weights, tokenizer)
    (folder / "labkit.json").write_text("{}")
    (folder / "README.md").write_text("about")
    assert fingerprints(folder) == (weights, tokenizer)


@pytest.mark.parametrize(
    ("name", "changes"),
    [("model.safetensors", (True, False)), ("config.json", (True, False)), ("tokenizer.json", (False, True)),
     ("tokenizer_config.json", (False, True))],
)  # fmt: skip
def test_a_changed_file_changes_the_fingerprint_that_rests_on_it(
    folder: Path, name: str, changes: tuple[bool, bool]
) -> None:
    before = fingerprints(folder)
    data = bytearray((folder / name).read_bytes())
    data += b" "
    (folder / name).write_bytes(data)
    assert tuple(one != other for one, other in zip(before, fingerprints(folder), strict=True)) == changes


def test_shards_are_not_only_joined(folder: Path) -> None:
    """The same bytes in other shards are other weights."""
    data = (folder / "model.safetensors").read_bytes()
    found = ModelFolder(folder, "m")
    prints = {found.weights_fingerprint()}
    for cut in (100, 101):
        (folder / "model.safetensors").write_bytes(data[:cut])
        (folder / "other.safetensors").write_bytes(data[cut:])
        prints.add(found.weights_fingerprint())
    assert len(prints) == 3


def test_a_commit_stands_for_the_weights(folder: Path) -> None:
    assert ModelFolder(folder, "owner/name", "abc123").weights_fingerprint() == "commit abc123"


def test_the_shipped_model_is_there() -> None:
    assert "countdown-tiny" in builtin_names()
    for name in builtin_names():
        assert find_model(ModelConfig(id=f"builtin:{name}")).settings()["prompt_preset"] == "short"


def test_questions_by_other_rules_are_refused(tmp_path: Path) -> None:
    folder = ModelFolder(tmp_path, "any")
    assert folder.trained_questions("rules-2") == frozenset()
    (tmp_path / "trained_questions.json").write_text('{"version": "rules-2", "questions": ["ab"]}')
    assert folder.trained_questions("rules-2") == {"ab"}
    with pytest.raises(InputError, match=r"other rules \('rules-2', here 'rules-3'\)"):
        folder.trained_questions("rules-3")
