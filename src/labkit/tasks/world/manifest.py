"""What a data set says about itself: `labkit.json` in its folder, written last, so a folder that has one is whole."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labkit.config.base import nearest, stable_digest
from labkit.errors import InputError, RecordError
from labkit.record.files import read_json, write_json_atomically

SCHEMA = 1
FILE_NAME = "labkit.json"
SPLITS = ("train", "validation", "test")

_REBUILD = "remove the folder and run labkit data build again"
_NOT_OURS = "give a data set that labkit data build made"


@dataclass(frozen=True, slots=True)
class SplitRecord:
    """One split of a data set."""

    num_rows: int
    fingerprint: str
    """Hash of the rows in their order."""
    overlap: int
    """Rows that ask the same question as a training row; of the training rows themselves, 0."""
    repeats: int
    """Rows that ask the same question as an earlier row of the split."""
    true_ratio: float | None = None
    """Part of the rows whose answer is TRUE; None where the answers are others, or of several tasks."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A finished data set."""

    path: Path
    """Its folder, which `datasets.DatasetDict.load_from_disk` reads."""
    name: str
    tasks: tuple[str, ...]
    """The tasks that it is for, in the canonical order; a fine-tuning set reminds of others as well."""
    tokenizer: str
    """Digest of the vocabulary that its `token_lengths` and `loss_mask` were counted in."""
    id_digits: int
    """Width of a city's id in its text."""
    splits: Mapping[str, SplitRecord]
    """By name: `train`, `validation`, `test`; one that has no rows is absent."""
    recipe: Mapping[str, Any]
    """Everything that its rows depend on."""
    fingerprint: str
    """Hash of the rows of all splits."""

    @property
    def cities(self) -> str | None:
        """Fingerprint of the cities that it is about; None where its recipe does not say."""
        found = self.recipe.get("world")
        return found if isinstance(found, str) else None

    @property
    def config_digest(self) -> str:
        """16 hex digits that two data sets share exactly when they were made from the same recipe."""
        return stable_digest(dict(self.recipe))


def splits_fingerprint(splits: Mapping[str, SplitRecord]) -> str:
    """The fingerprint of a data set, from those of its splits."""
    return stable_digest({name: split.fingerprint for name, split in splits.items()})


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write `labkit.json` into a folder, which is not yet `manifest.path` while the data set is being built."""
    value = {
        "schema": SCHEMA,
        "name": manifest.name,
        "config_digest": manifest.config_digest,
        "recipe": dict(manifest.recipe),
        "tasks": list(manifest.tasks),
        "tokenizer": manifest.tokenizer,
        "id_digits": manifest.id_digits,
        "splits": {
            name: {key: value for key, value in asdict(split).items() if value is not None}
            for name, split in manifest.splits.items()
        },
        "fingerprint": manifest.fingerprint,
    }
    write_json_atomically(folder / FILE_NAME, value)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a data set.

    Raises:
        InputError: there is no such folder, or it holds no data set of labkit's. RecordError: its manifest is damaged,
            or was written by a newer labkit.
    """
    path = folder / FILE_NAME
    if not folder.is_dir():
        raise InputError(f"there is no data set {folder}", _neighbour_hint(folder))
    if not path.is_file():
        if there := data_set_folders(folder):
            names = ", ".join(found.name for found in there)
            raise InputError(f"{folder} is a world, not a data set", f"name one of its data sets: {names}")
        raise InputError(f"{folder} is not a data set made by labkit: it has no {FILE_NAME}", _NOT_OURS)
    value = read_json(path)
    if "splits" not in value or "tokenizer" not in value:
        raise InputError(f"{folder} is not a data set: its {FILE_NAME} is about something else", _NOT_OURS)
    _check_schema(value, path)
    try:
        return _manifest(value, folder)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"{path} is damaged: {error!r}", _REBUILD) from None


def data_set_folders(world: Path) -> list[Path]:
    """The finished data sets of a world's folder, `ftwb2-2` before `ftwb2-10`; hidden folders are being built."""
    if not world.is_dir():
        return []
    found = [path.parent for path in world.glob(f"*/{FILE_NAME}") if not path.parent.name.startswith(".")]
    return sorted(found, key=lambda folder: [part.zfill(9) for part in re.split(r"(\d+)", folder.name)])


def check_world_folder(world: Path) -> None:
    """Refuse a path that is no folder, or a data set inside a world.

    Raises:
        InputError: it is either.
    """
    if (world / FILE_NAME).is_file():
        raise InputError(f"{world} is a data set, not a world", f"did you mean {world.parent}?")
    if not world.is_dir():
        worlds = [path.name for path in world.parent.glob("*") if data_set_folders(path)]
        guess = nearest(world.name, worlds)
        makes = f"labkit data build CONFIG --out {world} makes one"
        raise InputError(f"there is no folder {world}", f"did you mean {world.parent / guess}?" if guess else makes)


def name_hint(name: str, known: Sequence[str]) -> str:
    """Which data set a name that is none may have been meant to be; no text where nothing is like it.

    Of a mistyped number, `ftwb9`, there is no telling: the whole family is listed.
    """
    stem = re.match(r"[a-z]*", name)
    family = [other for other in known if stem and stem[0] and re.fullmatch(rf"{stem[0]}[\d-]+", other)]
    if family:
        return f"there are {', '.join(family)}"
    guess = nearest(name, known)
    return f"did you mean {guess!r}?" if guess else ""


def _check_schema(value: Mapping[str, Any], path: Path) -> None:
    schema = value.get("schema")
    if type(schema) is not int or schema < 1:  # true is an int too
        raise RecordError(f"{path} is damaged: it has no schema number", _REBUILD)
    if schema > SCHEMA:
        raise RecordError(
            f"{path} has schema {schema}; this labkit knows schemas up to {SCHEMA}",
            "install a newer labkit: pip install --upgrade labkit",
        )


def _manifest(value: Mapping[str, Any], folder: Path) -> Manifest:
    splits = {name: SplitRecord(**split) for name, split in value["splits"].items()}
    if not splits or not all(type(split.num_rows) is int for split in splits.values()):
        raise ValueError("splits without rows")
    manifest = Manifest(
        path=folder,
        name=str(value["name"]),
        tasks=tuple(map(str, value["tasks"])),
        tokenizer=str(value["tokenizer"]),
        id_digits=int(value["id_digits"]),
        splits=splits,
        recipe=dict(value["recipe"]),
        fingerprint=str(value["fingerprint"]),
    )
    if value["config_digest"] != manifest.config_digest:
        raise ValueError("config_digest is not that of the recipe")
    if manifest.fingerprint != splits_fingerprint(splits):
        raise ValueError("fingerprint is not that of the splits")
    return manifest


def _neighbour_hint(folder: Path) -> str:
    known = [path.name for path in data_set_folders(folder.parent)]
    guess = nearest(folder.name, known)
    if guess is not None:
        return f"did you mean {folder.parent / guess}?"
    if not folder.parent.is_dir():
        return f"there is no folder {folder.parent}"
    if known:
        return f"{folder.parent} has {', '.join(known)}"
    return "labkit data build templates/exp1-tiny-data.yaml makes some"
