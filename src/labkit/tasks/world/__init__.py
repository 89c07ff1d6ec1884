"""World cities: seven questions of geometry about cities that are named by ids without meaning.

Knows the cities, the questions, their text and the verdict on an answer. Does *not* know models, runs or training.
"""
