"""Words that stand before a name, wherever one is given."""

RUN_PREFIX = "run:"
"""Before the name of a run, where other kinds of names could stand too."""

ROLLOUT_COMMANDS = ("eval", "sample", "perturb")
"""Commands whose runs hold rollouts."""
