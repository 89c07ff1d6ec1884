"""The YAML of generated configs: what is read back is what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from labkit.config.base import flatten
from labkit.config.yaml_text import load_mapping
from labkit.gencfg.yaml_writer import yaml_leaves, yaml_text

# What PyYAML cannot read at all: control characters are escaped, lone surrogates are no text.
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["", "on", "null", "~", "1e-5", "12e5678", "0x1f", "1_000", "2024-01-01", "=", "<<", "-", "- a", "a: b", "a #b", "a:",
     "run:pt1", "data/world", ".5", "...", "---", "'", '"', "\\d+", "a\nb", " a", "\x85", "\u2028", "\ufeff", "\x07", "!a", "&a"]
)  # fmt: skip
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = TEXTS | NUMBERS | st.booleans() | st.none()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_is_written_is_read_back_equal(tmp_path_factory: pytest.TempPathFactory, mapping: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    path.write_text(yaml_text(mapping), encoding="utf-8")
    found = load_mapping(path)
    assert found == mapping
    assert repr(found) == repr(mapping)  # the types too, and the order


@given(st.dictionaries(st.sampled_from(["seed", "name", "learning_rate"]), TEXTS | NUMBERS, max_size=3))
def test_other_readers_of_yaml_see_the_same(mapping: dict[str, Any]) -> None:
    assert yaml.safe_load(yaml_text(mapping) or "{}") == mapping


def test_it_reads_well() -> None:
    nested = {
        "command": "eval",
        "model": {"id": "run:pt1_seed1", "revision": None},
        "task": {"data": "data/world", "evaluations": ["atlantis_distance"], "none": {}},
        "optimisation": {"learning_rate": 1e-05, "num_epochs": 30.0},
        "filter": "region:^(?!Atlantis)",
    }
    assert yaml_text(nested) == (
        "command: eval\nmodel:\n  id: run:pt1_seed1\n  revision: null\n"
        "task:\n  data: data/world\n  evaluations: [atlantis_distance]\n  none: {}\n"
        'optimisation:\n  learning_rate: 1.0e-05\n  num_epochs: 30.0\nfilter: "region:^(?!Atlantis)"\n'
    )


KEYS = st.sampled_from(["seed", "model", "id", "task", "data"])
SECTIONS = st.recursive(
    st.dictionaries(KEYS, SCALARS, max_size=3), lambda inner: st.dictionaries(KEYS, inner | SCALARS, max_size=3)
)


@given(SECTIONS)
def test_the_keys_of_a_text(mapping: dict[str, Any]) -> None:
    assert set(yaml_leaves("# a header: of one line\n" + yaml_text(mapping))) == {key for key, _ in flatten(mapping)}


def test_a_key_with_another_value(tmp_path: Path) -> None:
    before, after = ({"model": {"id": name, "dtype": "auto"}, "seed": 1} for name in ("run:a", "run:b"))
    old, new = yaml_leaves(yaml_text(before)), yaml_leaves(yaml_text(after))
    assert {key for key in old if old[key] != new[key]} == {"model.id"}
