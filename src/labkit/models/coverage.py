"""How much of the text that a model is given it can read: what its context cuts off, and what its tokenizer does not know."""

from __future__ import annotations

from dataclasses import dataclass

from labkit.errors import InputError

MOST_UNKNOWN = 0.1
"""A larger share of tokens that stand for unknown text says that the tokenizer is for other texts."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Counts over pairs of a question and a solution."""

    num_pairs: int = 0
    num_cut: int = 0
    """Pairs that were longer than the model takes."""
    num_tokens: int = 0
    num_unknown: int = 0
    """Tokens that stand for text which the tokenizer does not know."""

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(
            self.num_pairs + other.num_pairs,
            self.num_cut + other.num_cut,
            self.num_tokens + other.num_tokens,
            self.num_unknown + other.num_unknown,
        )

    def refuse_unknown(self, name: str, hint: str) -> None:
        """Refuse a tokenizer for other texts.

        Args:
            name: the model
            hint: what to do

        Raises:
            InputError: more than a tenth of the tokens are unknown.
        """
        if self.num_unknown > MOST_UNKNOWN * self.num_tokens:
            raise InputError(
                f"{name}: its tokenizer does not know {self.num_unknown:,} of {self.num_tokens:,} tokens of these questions "
                "and solutions",
                hint,
            )

    def remarks(self, name: str) -> list[str]:
        """What should be known of it, in sentences; none where everything is read."""
        said = []
        if self.num_cut:
            said.append(
                f"{name}: {self.num_cut:,} of {self.num_pairs:,} candidates were longer than the model takes and lost the "
                "beginning of their question"
            )
        if self.num_unknown:
            said.append(
                f"{name}: {self.num_unknown:,} of {self.num_tokens:,} tokens stand for text that its tokenizer does not know"
            )
        return said
