"""Goodhart runs as tables: rates of every condition, and comparisons of conditions on the same items."""
