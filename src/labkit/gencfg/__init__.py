"""One hand-written matrix, expanded into validated configs and held against what is on disk."""
