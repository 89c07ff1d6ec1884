"""Decoding of small models on a CPU with little beside the matrix products.

`prefixes` plans which tokens need computing at all, `network` is the model as functions of its weights, `cache` holds
keys and values, and `lean` decodes a batch with them. The texts are those of transformers' `generate`; what is not
supported here is left to it.
"""
