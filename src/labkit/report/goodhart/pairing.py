"""Which conditions are compared with which, and why some cannot be."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.errors import RecordError
from labkit.record.identity import describe_difference
from labkit.report.goodhart.comparison import Pair
from labkit.report.goodhart.reading import Condition
from labkit.report.naming import first_few

_OF_THE_MODEL = ("model", "tokenizer", "chat_template", "dtype", "end_of_turn", "compressed")
"""What of a base is a model's own: conditions are there to differ in it."""


def paired_conditions(base: Sequence[Condition], others: Sequence[Condition]) -> list[Pair]:
    """Each of the others beside the one of the base that decodes in the same way. Where a model has one condition on either
    side, the two are a pair however they decode; arms that the other side has not are in no pair (`unpaired_notes`).

    Raises:
        RecordError: their items, scorers or numbers of runs differ; says which.
    """
    pairs = []
    for other in others:
        first = next((each for each in base if each.arm.key == other.arm.key), None)
        arms = sum(each.runs[0].base_hash == other.runs[0].base_hash for each in others)
        if first is None and len(base) == arms == 1:
            first = base[0]
        if first is not None:
            refuse_unlike(first, other)
            pairs.append(Pair(first, other))
    return pairs


def unpaired_notes(pairs: Sequence[Pair], base: Sequence[Condition], others: Sequence[Condition]) -> list[str]:
    """A note on every condition of either side that no pair holds."""
    notes = []
    for own, theirs in ((base, others), (others, base)):
        known = [id(side) for pair in pairs for side in (pair.base, pair.other)]
        labels = first_few(list(dict.fromkeys(each.label for each in theirs)))
        notes += [
            f"{each.label} is compared with nothing: none of {labels} decodes with {each.arm.key}"
            for each in own
            if id(each) not in known
        ]
    return notes


def refuse_unlike(a: Condition, b: Condition) -> None:
    """Raise RecordError unless two conditions can be compared item by item and run by run."""
    apart = "labkit report A B --table dbdk shows each for itself"
    if set(a.items) != set(b.items):
        sides = [(one, set(one.items) - set(two.items)) for one, two in ((a, b), (b, a))]
        found = [f"only {side.label} has {first_few(sorted(items))}" for side, items in sides if items]
        raise RecordError(
            f"{a.label} and {b.label} hold different items and cannot be compared: {'; '.join(found)}", apart
        )
    if difference := describe_difference(a.runs[0].score, b.runs[0].score):
        raise RecordError(
            f"{a.label} and {b.label} differ in their scorer and cannot be compared:\n{difference}", apart
        )
    _refuse_other_numbers(a, b, apart)


def _refuse_other_numbers(a: Condition, b: Condition, apart: str) -> None:
    counts_a, counts_b = a.runs_of_items, b.runs_of_items
    differing = [item for item in a.items if counts_a[item] != counts_b[item]]
    if differing:
        item = differing[0]
        where = "" if len(differing) == len(a.items) else f" of {first_few(differing)}"
        raise RecordError(
            f"{a.label} has {counts_a[item]} runs{where}, {b.label} has {counts_b[item]}: they cannot be compared",
            f"labkit eval --resume RUN --num-rollouts N evens them out; {apart}",
        )
    keys = [{(each.item, each.index) for each in side.evaluations} for side in (a, b)]
    if keys[0] != keys[1]:
        item, index = min(keys[0] ^ keys[1])
        raise RecordError(
            f"run {index} of {item} is in one of {a.label} and {b.label} only: they cannot be compared",
            f"finish the runs with labkit eval --resume RUN; {apart}",
        )


def difference_notes(pair: Pair) -> list[str]:
    """What else differs between two conditions than the model."""
    a, b = pair.base, pair.other
    notes = []
    if a.seeds != b.seeds:
        seeds = [", ".join(map(str, side.seeds)) for side in (a, b)]
        notes.append(
            f"sampling seeds differ: {a.label} has {seeds[0]}, {b.label} {seeds[1]}; runs are paired by number"
        )
    if a.arm.key != b.arm.key:
        notes.append(f"decoding differs: {a.label} has {a.arm.key}, {b.label} {b.arm.key}")
    bases = [
        {key: value for key, value in side.runs[0].manifest["base"].items() if key not in _OF_THE_MODEL}
        for side in (a, b)
    ]
    if difference := describe_difference(*bases):
        notes.append(
            f"{a.label} and {b.label} were also asked under other conditions: {'; '.join(difference.splitlines())}"
        )
    return notes
