"""Sampling and perturbing: one loop, differing only in where diversity comes from."""
