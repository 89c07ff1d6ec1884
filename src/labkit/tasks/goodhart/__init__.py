"""Goodhart: does a model that gives the right answer also know the way to it?

Knows the items, their two questions, and the verdicts on what is said. Does *not* know models, runs or rates.
"""

from labkit.tasks.goodhart.quadrants import quadrant

__all__ = ["quadrant"]
