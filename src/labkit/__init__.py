"""labkit: language-model experiments on one run record."""

__version__ = "0.1.0"
