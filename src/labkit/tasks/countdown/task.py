"""Countdown as a task: generated problems, or those of a file, under a prompt preset."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from labkit.errors import InputError
from labkit.tasks.base import Prompt, Score
from labkit.tasks.countdown.choice import check_choice
from labkit.tasks.countdown.generator import DEFAULT_SETTINGS, GENERATOR_VERSION, Settings, generate
from labkit.tasks.countdown.presets import DEFAULT_PRESET, PRESETS
from labkit.tasks.countdown.problem_file import Filters, ProblemFile, load_problems
from labkit.tasks.countdown.problems import Problem
from labkit.tasks.countdown.rules import SCORER_MODES, ScorerMode
from labkit.tasks.countdown.scorer import score
from labkit.tasks.splits import SPLITS

SCORER_VERSION = 1
"""Raised whenever a scoring rule changes a verdict."""


class CountdownScorer:
    """The grading of expressions, which needs no more than the numbers and the target in the prompt."""

    def __init__(self, mode: ScorerMode = "exact") -> None:
        """Choose the rules: `exact`, or `published` to repeat the published verdicts.

        Raises:
            InputError: the mode is unknown.
        """
        check_choice("scorer mode", mode, SCORER_MODES)
        self.scorer = f"countdown-{mode}-{SCORER_VERSION}"
        self._mode = mode

    def score(self, prompt: Prompt, text: str) -> Score:
        """Grade one continuation: the prompt's scored prefix and `text` together (`scorer.score`)."""
        return score(prompt.scored_prefix + text, prompt.gold["numbers"], prompt.gold["target"], mode=self._mode)


class CountdownTask(CountdownScorer):
    """Reach a target from a few numbers, each used exactly once, with + - * / and parentheses."""

    name = "countdown"

    def __init__(
        self,
        *,
        split: str = "test",
        seed: int = 0,
        data: Path | None = None,
        num_numbers: Sequence[int] | None = None,
        number_range: tuple[int, int] | None = None,
        target_range: tuple[int, int] | None = None,
        scorer_mode: ScorerMode = "exact",
    ) -> None:
        """Draw problems (three numbers of 1..99, targets 10..100 unless said otherwise), or read them from `data`.

        Args:
            split: train, validation or test of the generated problems; all, train or test of a file.
            seed: which generated problems; a file ignores it.
            data: a problem file (`problem_file`).
            num_numbers: the sizes of the problems; None takes the default, or every size that a file has.
            number_range: lowest and highest number; None as above.
            target_range: lowest and highest integer target; None as above.
            scorer_mode: `exact`, or `published` to repeat the published verdicts.

        Raises:
            InputError: a name is unknown, a setting is impossible, or the file cannot be used.
        """
        super().__init__(scorer_mode)
        sizes = None if num_numbers is None else tuple(num_numbers)
        self._source: _Source = (
            _Generated(split, seed, sizes, number_range, target_range)
            if data is None
            else _FromFile(load_problems(Path(data), split, Filters(sizes, number_range, target_range)), data, split)
        )
        self.data_fingerprint = self._source.fingerprint
        self.notes: Sequence[str] = self._source.notes

    def prompts(self, *, preset: str | None, offset: int, num_prompts: int | None) -> list[Prompt]:
        """The slice `[offset, offset + num_prompts)` of the split's problems; no preset means `published`.

        Outside generated training data the prompts are distinct: repeated rows of a file are not counted.

        Raises:
            InputError: the preset is unknown, or the split is shorter than the slice.
        """
        preset = preset or DEFAULT_PRESET
        check_choice("prompt preset", preset, PRESETS)
        if num_prompts is None:
            num_prompts = self._source.num_after(offset)
        if offset < 0 or num_prompts < 1:
            raise InputError(
                f"offset {offset} and num_prompts {num_prompts} name no slice",
                "offset is 0 or more, num_prompts 1 or more",
            )
        problems = self._source.problems(offset + num_prompts)
        return [PRESETS[preset].render(problem, source) for problem, source in islice(problems, offset, None)]


class _Generated:
    """Problems from a seed."""

    notes: tuple[str, ...] = ()

    def __init__(
        self,
        split: str,
        seed: int,
        num_numbers: tuple[int, ...] | None,
        number_range: tuple[int, int] | None,
        target_range: tuple[int, int] | None,
    ) -> None:
        check_choice("generated split", split, SPLITS)
        self._split, self._seed = split, seed
        self._settings = Settings(
            DEFAULT_SETTINGS.num_numbers if num_numbers is None else num_numbers,
            DEFAULT_SETTINGS.number_range if number_range is None else number_range,
            DEFAULT_SETTINGS.target_range if target_range is None else target_range,
        )
        key = json.dumps([GENERATOR_VERSION, seed, split, asdict(self._settings)])
        self.fingerprint = hashlib.blake2b(key.encode(), digest_size=8).hexdigest()

    def num_after(self, offset: int) -> int:
        raise InputError("generated problems have no end to count to", "say how many with --num-prompts")

    def problems(self, num_problems: int) -> Iterable[tuple[Problem, dict[str, Any]]]:
        stream = generate(self._seed, self._split, num_problems, self._settings)
        for index, problem in enumerate(stream):
            yield problem, {"split": self._split, "seed": self._seed, "index": index}


class _FromFile:
    """Problems of a file."""

    def __init__(self, file: ProblemFile, path: Path, split: str) -> None:
        self._file, self._path, self._split = file, path, split
        self.fingerprint = file.fingerprint
        self.notes = file.notes

    def num_after(self, offset: int) -> int:
        return len(self._file.rows) - offset

    def problems(self, num_problems: int) -> Iterable[tuple[Problem, dict[str, Any]]]:
        rows = self._file.rows
        if num_problems > len(rows):
            raise InputError(
                f"{self._path}: split {self._split!r} has {len(rows)} distinct problems after filtering; "
                f"the slice ends at {num_problems}",
                f"lower offset or num_prompts so that their sum is at most {len(rows)}",
            )
        return [(row.problem, {"row": row.index, "id": row.id}) for row in rows[:num_problems]]


_Source = _Generated | _FromFile
