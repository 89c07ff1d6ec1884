"""Finding a model and saying what it is, before anything heavy is imported.

A model is a folder in Hugging Face format with safetensors weights. A hub id becomes such a folder by download; a
`builtin:` name is one that came with the package; a training run has one for each checkpoint that it kept. Pickled weights
are never loaded: opening one runs its code.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from labkit.config.base import nearest
from labkit.config.names import RUN_PREFIX, is_pair_template
from labkit.config.sections import ModelConfig
from labkit.errors import InputError, MachineError
from labkit.models.training_run import (
    FINAL,
    KeptWeights,
    all_weights,
    choose_weights,
    find_training,
    kept_weights,
    open_training,
)
from labkit.record.catalog import given_name, run_paths
from labkit.record.run import Run

BUILTIN_PREFIX = "builtin:"
SETTINGS_FILE = "labkit.json"
QUESTIONS_FILE = "trained_questions.json"
"""Beside the weights of a trained model: the ids of the questions that it was trained on."""
_SETTINGS_KEYS = {"prompt_preset", "max_new_tokens", "lineage", "energy"}
_LINEAGE_TEXTS = ("run", "name", "data", "cities", "weights")
_LINEAGE_KEYS = {*_LINEAGE_TEXTS, "seed", "tasks", "step"}
PICKLE_ENDINGS = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_PICKLES = tuple(f"*{ending}" for ending in PICKLE_ENDINGS)
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
_DOWNLOADED = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]

FileStates = tuple[tuple[str, int, int, int], ...]
"""Path, size in bytes, time of the last change in ns and inode of each file."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model on this disk."""

    path: Path
    name: str
    """What the user called it."""
    revision: str | None = None
    """The commit of a hub model; None for a folder."""

    def settings(self) -> dict[str, Any]:
        """What the folder says of how its model wants to be asked (`labkit.json`): `prompt_preset`, `max_new_tokens`;
        of the trainings that made it: `lineage`; and of an energy model, how it reads a question and a solution: `energy`.

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
        if "lineage" in settings and not _is_lineage(settings["lineage"]):
            raise InputError(f"{path}: lineage is not that of a training", "copy labkit.json from the run once more")
        if "energy" in settings and not _is_energy(settings["energy"]):
            raise InputError(
                f"{path}: energy is {settings['energy']!r}",
                'write {"template": "{question}\\n\\n{solution}", "higher_is_better": false}; a template of null is the '
                "tokenizer's own pair",
            )
        return settings

    @property
    def checkpoint(self) -> str | None:
        """Which weights of a training run these are: `final`, `checkpoint-N`; None for a folder that is of no run."""
        kept = kept_weights(self.path)
        return kept[1] if kept else None

    def lineage(self) -> list[dict[str, Any]]:
        """The trainings that made this model, the oldest first, as `labkit train` wrote them beside the weights.

        Each has `run`, `name`, `seed`, `data` (name of the data set), `cities` (fingerprint of those that it is about),
        `tasks`, `step` and `weights`. A model that comes from elsewhere has one entry, with its folder's name and the
        fingerprint of its weights.
        """
        found = self.settings().get("lineage")
        if found is not None:
            return list(found)
        unknown: dict[str, Any] = dict.fromkeys(("run", "seed", "data", "cities", "step"))
        return [{**unknown, "tasks": [], "name": self.path.resolve().name, "weights": self.weights_fingerprint()}]

    def parents(self, role: str = "model") -> list[dict[str, str]]:
        """The run that trained this model, where the folder still lies among its artifacts.

        Args:
            role: what the model is for whoever has this parent
        """
        kept = kept_weights(self.path)
        return [{"run": kept[0].name, "role": role, "hash": self.weights_fingerprint()}] if kept else []

    def architectures(self) -> list[str]:
        """The classes of transformers that `config.json` names; none where it names none.

        Raises:
            InputError: the file is damaged.
        """
        named = _json_object(self.path / "config.json").get("architectures")
        return [str(name) for name in named] if isinstance(named, list) else []

    @property
    def is_classifier(self) -> bool | None:
        """Whether the model gives numbers instead of tokens, by `config.json`; None where that names no class."""
        named = self.architectures()
        # Reward models may have a head of their own, which shows when they are loaded; they write nothing either.
        return any("SequenceClassification" in name or "RewardModel" in name for name in named) if named else None

    def trained_questions(self, rules: str) -> frozenset[str]:
        """Ids of the questions whose solutions the model was trained on; none where nothing says so.

        Args:
            rules: name and version of the rules that the ids must be made by, for others would match nothing

        Raises:
            InputError: the file that says so is damaged, or its ids were made by other rules.
        """
        path = self.path / QUESTIONS_FILE
        if not path.exists():
            return frozenset()
        content = _json_object(path)
        if (version := content.get("version")) != rules:
            raise InputError(
                f"{path} tells questions apart by other rules ({version!r}, here {rules!r})",
                "train the model again; or remove the file, and nobody is warned about what it was trained on",
            )
        ids = content.get("questions")
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise InputError(f"{path} holds no list of questions", "copy it from the run once more")
        return frozenset(ids)

    def weights_fingerprint(self) -> str:
        """Hash of the configuration and the weights; the commit stands for them where the hub gave one."""
        if self.revision:
            return f"commit {self.revision}"
        return _hash_files([self.path / "config.json", *sorted(self.path.glob("*.safetensors"))])

    def tokenizer_fingerprint(self) -> str:
        """Hash of the tokenizer's files."""
        names = ("*token*.json", "*token*.model", "vocab.*", "merges.txt", "spiece.model")
        return _hash_files(sorted({path for name in names for path in self.path.glob(name)}))


def find_model(config: ModelConfig, runs_dir: Path = Path("runs")) -> ModelFolder:
    """The folder of a model, checked for everything that loading needs.

    Args:
        runs_dir: where `run:NAME` is looked for

    Raises:
        InputError: no such model, no configuration, no safetensors weights, or no tokenizer; no such training run, one
            that has not finished, or one that keeps no such checkpoint.
        MachineError: a hub id cannot be downloaded.
    """
    run = _training_run(config, runs_dir)
    if run is not None:
        return _checked(_of_run(config, choose_weights(run, config.checkpoint)))
    if config.checkpoint != FINAL:
        raise _no_checkpoints(config)
    return _checked(_locate(config, runs_dir))


def checkpoint_folders(
    config: ModelConfig, checkpoints: str | Sequence[int], runs_dir: Path = Path("runs")
) -> list[ModelFolder]:
    """The folders of several checkpoints of one model.

    Args:
        checkpoints: `final` (or what `config.checkpoint` says in its stead), `last`, steps, or `all`: every numbered
            one in the order of its step, and the final model where no checkpoint holds the same weights

    Raises:
        InputError: as `find_model`; or several are asked of a model that is of no training run.
    """
    if checkpoints == FINAL:
        return [find_model(config, runs_dir)]
    run = _training_run(config, runs_dir)
    if run is None:
        raise _no_checkpoints(config)
    if checkpoints == "all":
        kept = all_weights(run)
    else:
        words = [checkpoints] if isinstance(checkpoints, str) else [str(step) for step in checkpoints]
        kept = [choose_weights(run, word) for word in words]
    return [_checked(_of_run(config, weights)) for weights in kept]


def _training_run(config: ModelConfig, runs_dir: Path) -> Run | None:
    """The training run that a config names, by `run:` or by its folder; None for other models."""
    path = Path(config.id).expanduser()
    by_word = config.id.startswith(RUN_PREFIX)
    if not by_word and not (path / "run.json").exists():
        return None
    if config.revision is not None:
        raise InputError(f"{config.id} is on this disk and has no revisions", "model.checkpoint names a step of a run")
    return find_training(config.id.removeprefix(RUN_PREFIX), runs_dir) if by_word else open_training(path)


def _of_run(config: ModelConfig, weights: KeptWeights) -> ModelFolder:
    return ModelFolder(weights.path, config.id)


def _no_checkpoints(config: ModelConfig) -> InputError:
    return InputError(
        f"{config.id} is a single model and has no checkpoints to choose from",
        "leave the checkpoint out, or name the folder of a training run, or run:NAME",
    )


def _checked(folder: ModelFolder) -> ModelFolder:
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


def _locate(config: ModelConfig, runs_dir: Path) -> ModelFolder:
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
        if path.suffix in PICKLE_ENDINGS:
            raise InputError(
                f"{path} is a pickle, which can run code when it is opened, and was not opened",
                "docs/gsm8k.md says how to make a folder with safetensors of it",
            )
        raise InputError(f"{path} is a file", "name the folder that holds config.json and the weights")
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        hint = "name a folder, a hub id (owner/name), run:NAME or builtin:NAME"
        if _is_training(name, runs_dir):
            hint = f"did you mean {RUN_PREFIX}{name}?"
        raise InputError(f"there is no model folder {name}", hint)
    return _download(name, config.revision)


def _is_training(name: str, runs_dir: Path) -> bool:
    """Whether a training has this name, or this id."""
    trainings = (path for path in run_paths(runs_dir) if path.parent.name == "train")
    return any(name in (path.name, given_name(path)) for path in trainings)


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


def _is_lineage(value: object) -> bool:
    return (
        isinstance(value, list)
        and all(
            isinstance(entry, dict)
            and set(entry) == _LINEAGE_KEYS
            and isinstance(entry["tasks"], list)
            and all(isinstance(task, str) for task in entry["tasks"])
            and all(entry[key] is None or isinstance(entry[key], str) for key in _LINEAGE_TEXTS)
            and all(entry[key] is None or type(entry[key]) is int for key in ("seed", "step"))
            for entry in value
        )
        and value != []
    )


def _is_energy(value: object) -> bool:
    if not isinstance(value, dict) or set(value) - {"template", "higher_is_better"}:
        return False
    template = value.get("template")
    return (template is None or is_pair_template(template)) and isinstance(value.get("higher_is_better", False), bool)


def file_states(paths: Iterable[Path]) -> FileStates:
    """What tells without reading them whether files are still those that they were."""
    states = ((path, path.stat()) for path in paths)
    return tuple((str(path), state.st_size, state.st_mtime_ns, state.st_ino) for path, state in states)


def _hash_files(paths: list[Path]) -> str:
    return _hash_of(file_states(paths))


@functools.lru_cache(maxsize=256)
def _hash_of(files: FileStates) -> str:
    """Read once as long as they stay what they are: a run asks for the same weights several times, and so do the runs
    that one process makes of one model."""
    digest = hashlib.blake2b(digest_size=16)
    for path in (Path(name) for name, *_ in files):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()
