"""Words that configs, records and model folders share."""

RUN_PREFIX = "run:"
"""Before the name of a run, where other kinds of names could stand too."""

PAIR_PARTS = ("{question}", "{solution}")
"""What a template of an energy model holds, each once."""

ROLLOUT_COMMANDS = ("eval", "sample", "perturb")
"""Commands whose runs hold rollouts."""


def is_pair_template(value: object) -> bool:
    """Whether this is a text that holds each of `PAIR_PARTS` once."""
    return isinstance(value, str) and all(value.count(part) == 1 for part in PAIR_PARTS)
