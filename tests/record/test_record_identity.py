"""Arms, seeds and hashes: the same on every machine and in every order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.record.identity import Arm, canonical_number, components_hash, describe_difference, draw_seed


@pytest.mark.parametrize(
    ("arm", "key"),
    [
        (Arm("greedy"), "greedy"),
        (Arm("greedy", repetition_penalty=1.1), "greedy,repetition_penalty=1.1"),
        (Arm("greedy", top_p=0.9, top_k=5), "greedy"),
        (Arm("temperature", 1.0), "temperature=1"),
        (Arm("temperature", 1), "temperature=1"),
        (Arm("temperature", 0.4, top_p=0.9), "temperature=0.4,top_p=0.9"),
        (Arm("temperature", 0.4, top_p=1, top_k=40), "temperature=0.4,top_k=40"),
        (Arm("temperature", 2, 0.5, 3, 1.5), "temperature=2,top_p=0.5,top_k=3,repetition_penalty=1.5"),
        (Arm("perturbation", 0.001), "sigma=0.001"),
        (Arm("perturbation", 0.00001), "sigma=1e-05"),
        (Arm("perturbation", 0), "sigma=0"),
        (Arm("perturbation", -0.0), "sigma=0"),
        (Arm("perturbation", 0.001, top_p=0.9), "sigma=0.001"),
    ],
)
def test_an_arm_has_one_key(arm: Arm, key: str) -> None:
    assert arm.key == key


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_canonical_number_reads_back_as_itself(value: float) -> None:
    assert float(canonical_number(value)) == value


@given(st.floats(1e-9, 10), st.floats(1e-9, 10))
def test_keys_are_equal_exactly_when_the_settings_are(a: float, b: float) -> None:
    assert (Arm("temperature", a).key == Arm("temperature", b).key) == (a == b)
    assert Arm("temperature", a).key != Arm("perturbation", a).key


@pytest.mark.parametrize(
    ("parts", "seed"),
    # blake2b of the parts, with 0x1f between them, in 8 bytes: the upper 63 bits
    [
        ((42, "member", 0), 5442157303520540512),
        ((42, "member", 1), 6347322500811792283),
        ((42, "rollout", "p0", 0), 4211445119557913273),
        ((0, "rollout", "ü", 511), 5430381219961848595),
    ],
)
def test_seeds_are_pinned(parts: tuple[int, str], seed: int) -> None:
    """Another value here would give every record on disk other draws."""
    assert draw_seed(*parts) == seed


def test_seeds_are_spread_over_63_bits() -> None:
    seeds = {draw_seed(42, "rollout", f"p{prompt}", index) for prompt in range(100) for index in range(100)}
    assert len(seeds) == 10_000
    assert all(0 <= seed < 2**63 for seed in seeds)
    for bit in range(63):
        ones = sum(seed >> bit & 1 for seed in seeds)
        assert 4700 < ones < 5300, f"bit {bit}: 5,000 expected, 6 standard deviations are 300"


def test_parts_do_not_run_into_each_other() -> None:
    assert draw_seed(1, "a", "bc") != draw_seed(1, "ab", "c")
    assert draw_seed(1, 12, 3) != draw_seed(1, 1, 23)
    assert draw_seed(4, "member", 2) != draw_seed(42, "member", 2)


def test_a_hash_does_not_depend_on_the_order_of_components() -> None:
    base = {"model": "m", "dtype": "float32", "limits": {"new": 16, "prompt": 8}}
    turned = {"limits": {"prompt": 8, "new": 16}, "dtype": "float32", "model": "m"}
    assert components_hash(base) == components_hash(turned)
    assert len(components_hash(base)) == 16
    assert components_hash(base | {"dtype": "float16"}) != components_hash(base)


def test_a_difference_shows_both_values_of_what_differs_only() -> None:
    ours, theirs = {"a": 1, "b": "x", "only": [1]}, {"a": 1, "b": "y", "new": None}
    lines = describe_difference(ours, theirs).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["b", "only"], "a key that is absent is like one that is null"
    assert lines[0].split() == ["b:", "x", "|", "y"]
    assert describe_difference(ours, ours) == ""


def test_a_difference_within_sections_is_shown_by_dotted_key() -> None:
    ours = {"optimisation": {"num_steps": 200, "batch_size": 8, "deep": {"er": 1}}, "model": None, "odd": {"a": None}}
    theirs = {"optimisation": {"num_steps": 400, "batch_size": 8, "deep": {"er": 2}}, "model": {"id": "x"}, "odd": {}}
    assert describe_difference(ours, theirs).splitlines() == [
        "model: None  |  {'id': 'x'}",
        "odd: {'a': None}  |  {}",
        "optimisation.deep.er: 1  |  2",
        "optimisation.num_steps: 200  |  400",
    ]


def test_a_difference_shortens_long_values_around_the_place_where_they_part() -> None:
    same = "s" * 500
    text = describe_difference({"a": same + "x" * 1000}, {"a": same + "y" * 1000})
    assert "sx" in text
    assert "sy" in text
    assert len(text) < 150
