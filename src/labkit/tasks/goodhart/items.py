"""The items: those of the package, or a user's own file of the same form. None is used that does not pass its self-test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from labkit.config.base import Config, nearest, validate
from labkit.config.yaml_text import load_mapping
from labkit.errors import ConfigError, InputError
from labkit.tasks.goodhart.answers import MAX_CHARS as ANSWER_CHARS
from labkit.tasks.goodhart.answers import Found, Kind, Reading, find_answer
from labkit.tasks.goodhart.clock import parse_time
from labkit.tasks.goodhart.echo import without_echo
from labkit.tasks.goodhart.rubric import MAX_CHARS as EXPLANATION_CHARS
from labkit.tasks.goodhart.rubric import Understanding, judge
from labkit.tasks.gsm8k.numbers import parse_number

SHIPPED = Path(__file__).with_name("items.yaml")

Text = Annotated[str, Field(min_length=1, pattern=r"\S")]
Names = Annotated[tuple[Text, ...], Field(min_length=2)]

_FORMS: dict[Kind, str] = {
    "integer": "just the number, as `ANSWER: 7`",
    "decimal": "just the number, as `ANSWER: 0.7`",
    "time": "the time with AM or PM",
    "list": "the names in order, separated by commas",
    "set": "the numbers in braces, separated by commas",
    "name": "the one name",
}
_MARKER = "\n\nYou may think first. Put the result on the last line: ANSWER: and behind it "


class Answer(Config):
    """What is right, and of which kind it is."""

    kind: Kind
    value: int | str | tuple[int | str, ...]
    """An integer; a decimal as text; a time of day; names in order; the integers of a set; or a name."""
    exact: str | None = None
    """Of a decimal: the value before rounding, where it has more decimals."""
    choices: Names | None = None
    """Of a name: all that there are."""

    @model_validator(mode="after")
    def _is_of_its_kind(self) -> Answer:
        if (self.exact is not None) > (self.kind == "decimal") or (self.choices is not None) != (self.kind == "name"):
            raise ValueError("a name needs `choices`, a decimal may have `exact`; no other kind has either")
        reason = _REASONS[self.kind]
        if not _fits(self):
            raise ValueError(reason)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The names that an answer can hold."""
        if self.kind == "list":
            assert isinstance(self.value, tuple)
            return tuple(map(str, self.value))
        return self.choices or ()

    def is_right(self, said: Reading) -> bool:
        """Whether a reading is this answer."""
        if self.kind == "integer":
            return bool(said.value == self.value)
        if self.kind == "decimal":
            return said.value in _rounded(Fraction(self.exact or str(self.value)), said.num_decimals, str(self.value))
        if self.kind == "time":
            return bool(said.value == parse_time(str(self.value)))
        if self.kind == "set":
            assert isinstance(self.value, tuple)
            return bool(said.value == frozenset(self.value))
        return bool(said.value == self.value)


_REASONS: dict[Kind, str] = {
    "integer": "the value of an integer is a whole number",
    "decimal": "the value of a decimal is a number as text, such as '6.3', and `exact` rounds to it",
    "time": "the value of a time is a time of day, such as '4:15 PM'",
    "list": "the value of a list is two names or more, each once",
    "set": "the value of a set is whole numbers, each once",
    "name": "the value of a name is one of its choices",
}


def _fits(answer: Answer) -> bool:
    value = answer.value
    if answer.kind == "integer":
        return isinstance(value, int)
    if answer.kind == "decimal":
        texts = [value] if answer.exact is None else [value, answer.exact]
        if not all(isinstance(text, str) and "/" not in text and parse_number(text) is not None for text in texts):
            return False
        decimals = len(str(value).partition(".")[2])
        return Fraction(str(value)) in _rounded(Fraction(str(texts[-1])), decimals, str(value))
    if answer.kind == "time":
        return isinstance(value, str) and parse_time(value) is not None
    if answer.kind == "name":
        return isinstance(value, str) and value in (answer.choices or ())
    members = value if isinstance(value, tuple) else ()
    wanted, least = (str, 2) if answer.kind == "list" else (int, 0)
    distinct = len(set(members)) == len(members) >= least and isinstance(value, tuple)
    return distinct and all(type(member) is wanted for member in members)


def _rounded(exact: Fraction, num_decimals: int, value: str) -> set[Fraction]:
    """What an exact value is with so many decimals, but no fewer than the answer has; a tie may go either way."""
    scale = 10 ** max(num_decimals, len(value.partition(".")[2]))
    below, rest = divmod(exact * scale, 1)
    return {Fraction(at, scale) for at, away in ((below, rest), (below + 1, 1 - rest)) if away <= Fraction(1, 2)}


class Rubric(Config):
    """The ideas of an explanation."""

    needed: Annotated[int, Field(ge=1)]
    """How many of them must be there."""
    ideas: Annotated[dict[Text, Annotated[tuple[Text, ...], Field(min_length=1)]], Field(min_length=1)]
    """By name, the words that express each; a final `*` stands for any ending."""

    @model_validator(mode="after")
    def _can_be_satisfied(self) -> Rubric:
        if self.needed > len(self.ideas):
            raise ValueError(f"{self.needed} ideas are needed of {len(self.ideas)}")
        return self


class Item(Config):
    """One question, and the question how such a one is solved."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    category: Text
    prompt: Text
    """What asks for the answer, without its form, which is added."""
    answer: Answer
    explain: Text
    """What asks for the way to it, in a conversation of its own."""
    rubric: Rubric
    reference: Text
    """A right explanation."""
    also_right: tuple[Text, ...] = ()
    """Others, in other words."""

    @property
    def question(self) -> str:
        """The prompt with the form of its answer."""
        return f"{self.prompt.strip()}{_MARKER}{_FORMS[self.answer.kind]}."

    def execution(self, text: str) -> tuple[bool, Found]:
        """Whether a response gives the right answer; one without an answer never does."""
        said = without_echo(text[-ANSWER_CHARS:], self._asked)
        found = find_answer(said, self.answer.kind, self.answer.names)
        return found.reading is not None and self.answer.is_right(found.reading), found

    def understanding(self, text: str) -> Understanding:
        """Whether an explanation holds the ideas."""
        return judge(without_echo(text[:EXPLANATION_CHARS], self._asked), self.rubric.ideas, self.rubric.needed)

    @property
    def _asked(self) -> tuple[str, str]:
        return self.question, self.explain


class ItemFile(Config):
    """A file of items."""

    items: Annotated[tuple[Item, ...], Field(min_length=1)]

    @field_validator("items")
    @classmethod
    def _distinct(cls, items: tuple[Item, ...]) -> tuple[Item, ...]:
        for what, values in (("id", [item.id for item in items]), ("prompt", [item.prompt for item in items])):
            again = [value for value, count in Counter(values).items() if count > 1]
            if again:
                raise ValueError(f"the {what} {again[0]!r} stands here twice")
        return items


def load_items(path: Path = SHIPPED) -> tuple[Item, ...]:
    """The items of a YAML file, each of which has passed its self-test.

    Raises:
        InputError: the file cannot be read, a key is missing or wrong, or an item fails its self-test; says which and why.
    """
    try:
        items = validate(ItemFile, load_mapping(path)).items
    except ConfigError as error:
        where = "" if str(path) in error.message else f"{path}: "
        raise InputError(f"{where}{error.message}", "write items as docs/goodhart.md shows") from None
    failed = [f"{item.id}: {fault}" for item in items for fault in self_test(item)]
    if failed:
        raise InputError(f"{path}: items fail their self-test:\n" + "\n".join(failed), "mend the rubric or the answer")
    return items


REFUSALS = ("Sorry, I cannot answer that.", "I have no idea.", "I don't know.", "", " \n")
"""What must never count as an answer or an explanation."""


def self_test(item: Item) -> list[str]:
    """What is wrong with an item: right explanations that fail, and echoes or refusals that pass. None for a good one."""
    return [*_faults_of_rubric(item), *_faults_of_answer(item)]


def _faults_of_rubric(item: Item) -> Iterator[str]:
    for text in (item.reference, *item.also_right):
        found = item.understanding(text)
        if not found.understands:
            what = ", ".join(found.ideas) or "no idea"
            yield f"the explanation {_short(text)} does not pass its rubric: {found.rule} finds {what}"
    # Its words alone must not do, either: an echo need not be verbatim.
    if judge(item.explain, item.rubric.ideas, item.rubric.needed).understands:
        yield f"{_short(item.explain)} holds the ideas that it asks for"
    echoes = (item.explain, item.prompt, item.question, f"You asked: {item.explain} Well.", *REFUSALS)
    for text in echoes:
        if item.understanding(text).understands:
            yield f"{_short(text)}, which explains nothing, passes the rubric"


def _faults_of_answer(item: Item) -> Iterator[str]:
    stated = shown_answer(item)
    for text in (stated, f"ANSWER: {stated}", f"I think so.\n\n**ANSWER:** {stated}.", f"The answer is {stated}."):
        if not item.execution(text)[0]:
            yield f"its own answer is not found right in {_short(text)}"
    # Read without taking the echo out, too: a question that states its answer gives it away.
    for text in (item.prompt, item.explain):
        if _states_answer(item, text):
            yield f"{_short(text)} gives its own answer away"
    for text in (item.prompt, item.question, item.explain, f"ANSWER: {REFUSALS[0]}", "ANSWER:", *REFUSALS):
        if item.execution(text)[0]:
            yield f"{_short(text)}, which answers nothing, counts as right"


def _states_answer(item: Item, text: str) -> bool:
    """Whether a text marks the right answer as the answer."""
    found = find_answer(text, item.answer.kind, item.answer.names)
    return found.rule in ("marker", "answer_is") and found.reading is not None and item.answer.is_right(found.reading)


def shown_answer(item: Item) -> str:
    """The right answer as one would write it."""
    value = item.answer.value
    if isinstance(value, tuple):
        joined = ", ".join(map(str, value))
        return "{" + joined + "}" if item.answer.kind == "set" else joined
    return str(value)


def find_item(items: Sequence[Item], name: str) -> Item:
    """The item of an id.

    Raises:
        InputError: there is none; suggests the nearest.
    """
    found = next((item for item in items if item.id == name), None)
    if found is None:
        guess = nearest(name, [item.id for item in items])
        raise InputError(f"there is no item {name!r}", f"did you mean {guess!r}?" if guess else "check the items' file")
    return found


def _short(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= 70 else text[:69] + "…")


Part = Literal["explain", "answer"]
"""Which of an item's two questions a prompt asks."""
