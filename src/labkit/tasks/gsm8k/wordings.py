"""The wordings of the generated word problems, and who and what they are about."""

from __future__ import annotations

from typing import NamedTuple


class Wording(NamedTuple):
    """How one kind of problem is asked, and how it is solved."""

    question: str
    """`{a}`, `{b}`, `{c}` are numbers, `{N}` and `{M}` names, `{T}` what is counted."""
    steps: tuple[str, str]
    """The two calculations; `r` in the second is the result of the first."""


NAMES = (
    "Ann", "Ben", "Cleo", "Dora", "Emil", "Finn", "Greta", "Hugo",
    "Ines", "Jonas", "Kira", "Leo", "Mona", "Nils", "Olga", "Paul",
)  # fmt: skip

THINGS = (
    "apples", "beads", "books", "buttons", "candles", "cards", "coins", "marbles",
    "nuts", "pears", "pens", "plums", "ribbons", "shells", "stamps", "stickers",
)  # fmt: skip

WORDINGS = (
    Wording(
        "{N} has {a} {T} and finds {b} more in a box. Then {N} gives {c} {T} to {M}. How many {T} does {N} have now?",
        ("a + b", "r - c"),
    ),
    Wording(
        "There are {a} {T} on the table and {b} in the box. {N} takes {c} of them home. How many {T} are left?",
        ("a + b", "r - c"),
    ),
    Wording(
        "A shop has {a} {T}. {N} buys {b} of them, and then {c} new ones come in. How many {T} are in the shop now?",
        ("a - b", "r + c"),
    ),
    Wording(
        "{N} had {a} {T}, sold {b} of them on Monday and {c} on Tuesday. How many {T} does {N} still have?",
        ("a - b", "r - c"),
    ),
    Wording(
        "{N} counts {a} {T} on the table, {b} in the box and {c} in the basket. How many {T} is that in all?",
        ("a + b", "r + c"),
    ),
    Wording(
        "{N} has {a} boxes with {b} {T} in each box. {M} takes {c} {T} home. How many {T} does {N} still have?",
        ("a * b", "r - c"),
    ),
    Wording(
        "In a shop {N} buys {a} bags of {b} {T} and on the way home loses {c} {T}. How many {T} come home?",
        ("a * b", "r - c"),
    ),
    Wording(
        "{N} fills {a} bags with {b} {T} each, and {c} {T} are left on the table. How many {T} are there in all?",
        ("a * b", "r + c"),
    ),
    Wording(
        "{N} has {a} {T}. On each of {b} days {M} brings {c} more. How many {T} does {N} have after that?",
        ("b * c", "a + r"),
    ),
    Wording(
        "A basket holds {a} {T}. Each of {b} children takes {c} of them home. How many {T} are left in the basket?",
        ("b * c", "a - r"),
    ),
    Wording(
        "{N} has {a} {T} and {M} has {b}. They share them fairly among {c} children. How many {T} does each child get?",
        ("a + b", "r / c"),
    ),
    Wording(
        "{N} keeps {b} of {a} {T} and shares the others fairly among {c} children. How many {T} does each child get?",
        ("a - b", "r / c"),
    ),
    Wording(
        "{N} shares {a} {T} fairly among {b} children. {M} is one of them and had {c} {T} before. "
        "How many {T} does {M} have now?",
        ("a / b", "r + c"),
    ),
    Wording(
        "{N} packs {a} {T} fairly into {b} boxes. Then {M} takes {c} {T} out of the last box. "
        "How many {T} are left in that box?",
        ("a / b", "r - c"),
    ),
    Wording(
        "There are {c} boxes with {a} {T} in each box, and {N} takes {b} out of each. How many {T} are left in all?",
        ("a - b", "r * c"),
    ),
    Wording(
        "Each of {c} children gets {a} {T} from {N} and {b} from {M}. How many {T} do the children get in all?",
        ("a + b", "r * c"),
    ),
    Wording(
        "{N} has {a} bags of {b} {T} and shares them fairly among {c} children. How many {T} does each child get?",
        ("a * b", "r / c"),
    ),
    Wording(
        "{N} has {a} {T}, and {M} has {b} times as many. Then {M} finds {c} more. How many {T} does {M} have now?",
        ("a * b", "r + c"),
    ),
)
