"""Values that follow from a point's axes."""

from __future__ import annotations

from pathlib import Path

import pytest
from matrices import SWEEP, generated, write_matrix

from labkit.config.world import EXTRACTION_TASKS, PAIRS, TASK_NAMES
from labkit.config.yaml_text import load_mapping
from labkit.errors import ConfigError
from labkit.gencfg.registry import FUNCTIONS, LISTS

BASE = """\
sections:
  sweep:
    command: sample
    axes:
      value: [0.4, 1, true, word]
    derive:
      DERIVED
    path: "{value}.yaml"
    base:
      name: "{made}"
      seed: SEED
"""


def names(folder: Path, derived: str, seed: str = "1") -> list[str]:
    """The `name` of every config, where `made` is derived."""
    text = BASE.replace("DERIVED", derived).replace("SEED", seed)
    if "functions" in derived or (folder / "mine.py").exists():
        text = "functions: mine.py\n" + text
    found = []
    for file in generated(write_matrix(folder, text)).files:
        (folder / "config.yaml").write_bytes(file.data)
        found.append(load_mapping(folder / "config.yaml")["name"])
    return found


def test_a_text(tmp_path: Path) -> None:
    assert names(tmp_path, 'made: "x{value}-{section}-{matrix}"') == [
        "x0.4-sweep-mine", "x1-sweep-mine", "xtrue-sweep-mine", "xword-sweep-mine",
    ]  # fmt: skip


def test_a_table_is_read_by_value(tmp_path: Path) -> None:
    table = 'made: {of: value, table: {0.4: low, 1.0: "{value} one", word: "{{value}}"}, otherwise: "yes"}'
    assert names(tmp_path, table) == ["low", "1 one", "yes", "{value}"]


def test_the_types_of_a_tables_keys_count(tmp_path: Path) -> None:
    axis = BASE.replace("[0.4, 1, true, word]", "VALUES").replace("DERIVED", "made: {of: value, table: TABLE}")

    def made_of(values: str, table: str) -> list[str]:
        text = axis.replace("VALUES", values).replace("TABLE", table).replace("SEED", "1")
        files = generated(write_matrix(tmp_path, text)).files
        return [file.data.decode().split("name: ")[1].split("\n")[0] for file in files]

    assert made_of('["7", "007"]', '{"007": bond, "7": seven, 7: number}') == ["seven", "bond"]
    assert made_of('["on", "off", "12e5678"]', '{"on": a, "off": b, "12e5678": c}') == ["a", "b", "c"]
    assert made_of("[1]", '{"1": text, 1: number}') == ["number"]
    assert made_of("[9007199254740993]", "{9007199254740992: wrong, 9007199254740993: right}") == ["right"]


def test_a_table_with_a_rest(tmp_path: Path) -> None:
    assert names(tmp_path, 'made: {of: value, table: {word: w}, otherwise: "other {value}"}') == [
        "other 0.4", "other 1", "other true", "w",
    ]  # fmt: skip


def test_a_function_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "calls = []\n"
        "def text(value, other):\n"
        "    calls.append(value)\n"
        "    assert len(calls) <= 4, 'called again for the same'\n"
        "    return f'{value!r} of {other}'\n"
    )
    derived = (
        'other: "o{value}"\n      made: {of: [value, other], function: text}\n'
        "      again: {of: [value, other], function: twice}"
    )
    (tmp_path / "mine.py").write_text((tmp_path / "mine.py").read_text() + "def twice(value, other):\n    return 2\n")
    assert names(tmp_path, derived, '"{again}"') == ["0.4 of o0.4", "1 of o1", "True of otrue", "'word' of oword"]


def test_a_file_of_functions_may_have_dataclasses(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Size:\n    value: object\n"
        "def made(value):\n    return f'{Size(value).value}!'\n"
    )
    assert names(tmp_path, "made: {of: value, function: made}") == ["0.4!", "1!", "True!", "word!"]


def test_a_function_cannot_change_the_axis(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def made(values):\n    values.append(9)\n    return len(values)\n")
    text = SWEEP.replace("[0.4, 1.0]", "[[0.4, 1.0], [0.7]]").replace('["{temperature}"]', '"{temperature}"')
    text = text.replace("    path:", "    derive: {made: {of: temperature, function: made}}\n    path:")
    text = "functions: mine.py\n" + text.replace("t{temperature}", "n{made}")
    files = generated(write_matrix(tmp_path, text)).files
    assert [file.path for file in files][::3] == ["configs/n3/seed1.yaml", "configs/n2/seed1.yaml"]
    assert b"temperatures: [0.4, 1.0]\n" in files[0].data


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def made(value): return object()", "made(value) failed on 0.4"),
        ("def made(value): return {1, 2}", "made(value) failed"),
        ("def made(value): return {1: 2}", "which YAML cannot hold"),
        ("def made(value): return float('nan')", "made(value) failed"),
        ("def made(value): return 1 / 0", "ZeroDivisionError"),
        ("def made(): return 1", "takes 0 positional arguments"),
        ("def mode(value): return 1", "did you mean made"),
        ("1 / 0", "fails when it is run"),
        ("def made(value", "fails when it is run"),
    ],
)
def test_a_function_that_fails(tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(ConfigError) as caught:
        names(tmp_path, "made: {of: value, function: made}")
    if said.startswith("did you mean"):
        said = "there is no function made"
        assert caught.value.hint == "did you mean mode?"
    assert said in caught.value.message and caught.value.hint


def test_the_registry_knows_the_world() -> None:
    assert [FUNCTIONS["world.extraction_task"](f"ftwb2-{number}") for number in PAIRS] == list(
        EXTRACTION_TASKS.values()
    )
    assert [FUNCTIONS["world.extraction_task"](name) for name in LISTS["world.single_tasks"]] == list(TASK_NAMES)
    assert FUNCTIONS["world.extraction_task"]("base") == "distance"
    assert [tuple(FUNCTIONS["world.tasks_of"](name)) for name in LISTS["world.pairs"]] == list(PAIRS.values())
    assert (
        FUNCTIONS["world.mixture"]("distance", "angle") == FUNCTIONS["world.mixture"]("angle", "distance") == "ftwb2-8"
    )
    assert FUNCTIONS["world.mixture"]("compass") == "ftwb1-4"
    assert FUNCTIONS["world.atlantis"]("angle") == "atlantis_angle"
    with pytest.raises(ValueError, match="there is no model 'ftwb2-22'"):
        FUNCTIONS["world.extraction_task"]("ftwb2-22")


def test_values_are_names_too(tmp_path: Path) -> None:
    text = "values: {world: data/mine, many: [0.1, 0.2]}\n" + SWEEP.replace('["{temperature}"]', '"{many}"')
    text = text.replace("configs/", "{world}/").replace(
        '      seed: "{seed}"', '      seed: "{seed}"\n      name: "t{temperature}"'
    )
    files = generated(write_matrix(tmp_path, text)).files
    assert files[0].path == "data/mine/t0.4/seed1.yaml" and b"temperatures: [0.1, 0.2]" in files[0].data


def test_a_base_config_is_not_looked_for_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same matrix makes the same files from every folder."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "start.yaml").write_text("command: sample\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    path = write_matrix(tmp_path, SWEEP.replace("    base:", "    base_config: start.yaml\n    base:"))
    with pytest.raises(ConfigError, match=r"there is no config start\.yaml"):
        generated(path)


def test_a_base_config_beside_the_matrix_or_among_the_templates(tmp_path: Path) -> None:
    (tmp_path / "start.yaml").write_text("command: sample\nnum_rollouts: 2\ntask:\n  num_prompts: 9\n  split: train\n")
    text = SWEEP.replace("    base:", "    base_config: start.yaml\n    base:")
    data = generated(write_matrix(tmp_path, text)).files[0].data.decode()
    assert "num_rollouts: 8" in data and "  split: train\n  num_prompts: 4\n" in data
    shipped = SWEEP.replace("    base:", "    base_config: countdown-temperature\n    base:")
    data = generated(write_matrix(tmp_path, shipped)).files[0].data.decode()
    assert "id: builtin:countdown-tiny" in data and "temperatures: [0.4]" in data


def test_the_braces_of_a_base_config_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "energy.yaml").write_text(
        "command: train\nmethod: energy\nmodel: {id: run:body}\n"
        "examples: {name: rollouts, runs: [candidates], pair_template: 'Q {question} {{x}} ${HOME} {solution}'}\n"
    )
    path = write_matrix(
        tmp_path,
        "sections:\n  energy:\n    command: train\n    path: energy.yaml\n    base_config: energy.yaml\n    base: {name: one}\n",
    )
    (file,) = generated(path).files
    (tmp_path / "made.yaml").write_bytes(file.data)
    assert load_mapping(tmp_path / "made.yaml")["examples"]["pair_template"] == "Q {question} {{x}} ${HOME} {solution}"
