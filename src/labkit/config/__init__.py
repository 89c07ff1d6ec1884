"""Configs: what each command can be asked, where every value came from, and the digest that identifies it."""
