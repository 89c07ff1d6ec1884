"""Files of generated word problems, one a split, in the published form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.config.data import DataConfig
from labkit.errors import InputError
from labkit.record.files import json_line, write_atomically
from labkit.tasks.gsm8k.word_problems import generate
from labkit.tasks.splits import SPLITS


@dataclass(frozen=True, slots=True)
class ProblemFile:
    """A file as a config wants it."""

    split: str
    path: Path
    num_problems: int
    content: bytes

    @property
    def state(self) -> str:
        """`absent`, `finished`, or `different` where another recipe made it or somebody edited it."""
        if not self.path.exists():
            return "absent"
        return "finished" if self.path.read_bytes() == self.content else "different"


def plan_word_problems(config: DataConfig) -> list[ProblemFile]:
    """The files of a config that has `word_problems`.

    Raises:
        InputError: there are not so many problems.
    """
    sizes = config.word_problems
    assert sizes is not None
    files = []
    for split in SPLITS:
        num_problems = getattr(sizes, split)
        lines = (json_line(problem.as_json()) for problem in generate(config.seed, split, num_problems))
        files.append(ProblemFile(split, config.out / f"{split}.jsonl", num_problems, b"".join(lines)))
    return files


def build_word_problems(files: Sequence[ProblemFile], say: Callable[[str], None]) -> int:
    """Write the files that are not there, each whole or not at all; how many that were.

    Raises:
        InputError: one is there already and holds other problems.
    """
    check_word_problems(files)
    absent = [file for file in files if file.state == "absent"]
    for file in absent:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file.path, file.content)
        say(f"{file.path}: {file.num_problems:,} word problems")
    return len(absent)


def check_word_problems(files: Sequence[ProblemFile]) -> None:
    """Refuse, with an `InputError`, to write over a file that holds other problems."""
    for file in files:
        if file.state == "different":
            raise InputError(
                f"{file.path} holds other problems than this config makes", "build into another folder, or remove it"
            )
