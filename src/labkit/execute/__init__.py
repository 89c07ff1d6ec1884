"""Carrying out many configs: what is owed, in which order, and by whom."""
