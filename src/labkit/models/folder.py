"""Finding a model and saying what it is, before anything heavy is imported.

A model is a folder in Hugging Face format with safetensors weights. A hub id becomes such a folder by download; a
`builtin:` name is one that came with the package. Pickled weights are never loaded: opening one runs its code.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from labkit.config.base import nearest
from labkit.config.sections import ModelConfig
from labkit.errors import InputError, MachineError

BUILTIN_PREFIX = "builtin:"
SETTINGS_FILE = "labkit.json"
_SETTINGS_KEYS = {"prompt_preset", "max_new_tokens"}
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
_DOWNLOADED = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model on this disk."""

    path: Path
    name: str
    """What the user called it."""
    revision: str | None = None
    """The commit of a hub model; None for a folder."""

    def settings(self) -> dict[str, Any]:
        """What the folder says of how its model wants to be asked (`labkit.json`): `prompt_preset`, `max_new_tokens`.

        Raises:
            InputError: the file is not a JSON object of known keys with values of their kind.
        """
        path = self.path / SETTINGS_FILE
        if not path.exists():
            return {}
        settings = _json_object(path)
        unknown = sorted(set(settings) - _SETTINGS_KEYS)
        if unknown:
            guess = nearest(unknown[0], _SETTINGS_KEYS)
            raise InputError(
                f"{path}: unknown key {unknown[0]!r}", f"did you mean {guess!r}?" if guess else "remove it"
            )
        if not isinstance(settings.get("prompt_preset", ""), str):
            raise InputError(f"{path}: prompt_preset is no text", "write the name of a preset, such as short")
        limit = settings.get("max_new_tokens", 1)
        if type(limit) is not int or limit < 1:
            raise InputError(f"{path}: max_new_tokens is {limit!r}", "write a whole number from 1")
        return settings

    def parents(self) -> list[dict[str, str]]:
        """The run that trained this model, where the folder still lies among its artifacts."""
        run_dir = self.path.resolve().parents[1]
        if self.path.resolve().parent.name != "artifacts" or not (run_dir / "run.json").exists():
            return []
        return [{"run": run_dir.name, "role": "model", "hash": self.weights_fingerprint()}]

    def weights_fingerprint(self) -> str:
        """Hash of the configuration and the weights; the commit stands for them where the hub gave one."""
        if self.revision:
            return f"commit {self.revision}"
        return _hash_files([self.path / "config.json", *sorted(self.path.glob("*.safetensors"))])

    def tokenizer_fingerprint(self) -> str:
        """Hash of the tokenizer's files."""
        names = ("*token*.json", "*token*.model", "vocab.*", "merges.txt", "spiece.model")
        return _hash_files(sorted({path for name in names for path in self.path.glob(name)}))


def find_model(config: ModelConfig) -> ModelFolder:
    """The folder of a model, checked for everything that loading needs.

    Raises:
        InputError: no such model, no configuration, no safetensors weights, or no tokenizer.
        MachineError: a hub id cannot be downloaded.
    """
    folder = _locate(config)
    if not (folder.path / "config.json").exists():
        raise InputError(f"{folder.path} has no config.json", "name a model folder in Hugging Face format")
    _json_object(folder.path / "config.json")
    if not any(folder.path.glob("*.safetensors")):
        pickles = sorted(path.name for pattern in _PICKLES for path in folder.path.glob(pattern))
        if pickles:
            raise InputError(
                f"{folder.path} has only pickled weights ({pickles[0]}), which can run code when opened",
                "load it where you trust it and save it again: model.save_pretrained(folder) writes safetensors",
            )
        raise InputError(f"{folder.path} has no weights (*.safetensors)", "is the download or the copy complete?")
    if not any((folder.path / name).exists() for name in _TOKENIZER_FILES):
        raise InputError(
            f"{folder.path} has no tokenizer ({', '.join(_TOKENIZER_FILES[:2])}, …)",
            "save the tokenizer beside the weights: tokenizer.save_pretrained(folder)",
        )
    return folder


def builtin_names() -> list[str]:
    """Models that came with the package."""
    root = Path(str(resources.files("labkit.models") / "builtin"))
    return sorted(path.parent.name for path in root.glob("*/config.json"))


def _locate(config: ModelConfig) -> ModelFolder:
    name = config.id
    path = Path(name).expanduser()
    if config.revision is not None and (path.exists() or name.startswith(BUILTIN_PREFIX)):
        raise InputError(f"{name} is on this disk and has no revisions", "leave --revision out")
    if name.startswith(BUILTIN_PREFIX):
        wanted = name.removeprefix(BUILTIN_PREFIX)
        if wanted not in builtin_names():
            raise InputError(f"there is no built-in model {wanted!r}", f"there are: {', '.join(builtin_names())}")
        return ModelFolder(Path(str(resources.files("labkit.models") / "builtin" / wanted)), name)
    if path.is_dir():
        return ModelFolder(path, name)
    if path.is_file():
        raise InputError(f"{path} is a file", "name the folder that holds config.json and the weights")
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise InputError(f"there is no model folder {name}", "name a folder, a hub id (owner/name), or builtin:NAME")
    return _download(name, config.revision)


def _download(name: str, revision: str | None) -> ModelFolder:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        path = Path(snapshot_download(name, revision=revision, allow_patterns=_DOWNLOADED))
    except RepositoryNotFoundError:
        raise InputError(f"the hub has no model {name}, or it needs a login", "check the name; set HF_TOKEN") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MachineError(
            f"cannot download {name}: {first}",
            "check the network, or copy the model here and name its folder with --model",
        ) from None
    # The hub's cache keeps a snapshot in a folder named after its commit.
    return ModelFolder(path, name, path.name if path.parent.name == "snapshots" else None)


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}", "is the download or the copy complete?") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no JSON object", "is the download or the copy complete?")
    return value


def _hash_files(paths: list[Path]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()
