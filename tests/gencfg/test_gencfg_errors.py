"""Matrices that are wrong: what is said, of which point, and that nothing is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from matrices import SWEEP, generated, made, write_matrix

from labkit.errors import ConfigError
from labkit.gencfg.matrix import find_matrix, load_matrix, matrix_names

EXP1 = find_matrix("exp1").read_text()


def complaint(folder: Path, text: str) -> str:
    """What making a matrix says, with its hint; nothing is written."""
    path = write_matrix(folder, text)
    with pytest.raises(ConfigError) as caught:
        made(path, folder / "out")
    assert caught.value.hint
    assert not (folder / "out").exists()
    return f"{caught.value.message}\n→ {caught.value.hint}"


WRONG: dict[str, tuple[str, str, list[str]]] = {
    "no sections": ("sections:", "section:", ["no `sections`", "is `section` meant"]),
    "unknown key": ("axes:", "axis:", ["sections.sweep: there is no key `axis`", "did you mean `axes`?"]),
    "no path": ("    path:", "    about:", ["sections.sweep.path: it needs a value"]),
    "unknown command": ("command: sample", "command: smaple", ["no command 'smaple'", "did you mean `sample`?"]),
    "misspelt axis": ("{seed}.yaml", "{sede}.yaml", ["sections.sweep.path: nothing is called {sede}", "did you mean {seed}?"]),
    "misspelt config key": ("num_rollouts", "num_rolouts", ["`num_rolouts`", "sweep.base", "did you mean `num_rollouts`?"]),
    "wrong value": ("num_rollouts: 8", "num_rollouts: many", ["point 1 (sweep, 1 of 6)", '"many"', "and 5 more"]),
    "empty axis": ("[1, 2, 3]", "[]", ["axes.seed is empty"]),
    "one path": ("{seed}.yaml", "1.yaml", ["4 of 6 points are wrong", "that of another point", "put {seed} into `path`"]),
    "one content": ('seed: "{seed}"', "seed: 1", ["the config is that of another point: configs/t0.4/seed1.yaml", "use {seed}"]),
    "out by a path": ('"configs/', '"../configs/', ["the path leaves the output folder"]),
    "out by a value": ("[1, 2, 3]", "[1, 2, /../../../x]", ["2 of 6 points", "leaves the output folder", "seed=/../../../x"]),
    "an absolute path": ('"configs/', '"/tmp/', ["the path leaves the output folder"]),
    "not YAML": ("{seed}.yaml", "{seed}.yml", ["does not end in .yaml"]),
    "odd characters": ("[1, 2, 3]", '[1, 2, "a\\nb"]', ["a character that no path should have"]),
    "an empty part": ('"configs/t', '"configs//t', ["an empty part"]),
    "twice in base": ("task: {num_prompts: 4}", "task: {split: test}\n      task.split: all", ["task.split", "twice"]),
    "within a value": ("num_rollouts: 8", "num_rollouts: {a: 8}", ["num_rollouts"]),
    "another command's": ("num_rollouts: 8", "command: perturb", ["command", "perturb"]),
    "a name twice": ("    path:", '    derive: {seed: "1"}\n    path:', ["the name seed stands for something already"]),
    "a name of later": (
        "    path:", '    derive: {a: "{b}", b: "1"}\n    path:', ["derive.a: nothing is called {b}"]
    ),
    "two ways": ("    path:", "    derive: {a: {of: seed}}\n    path:", ["give one of `text`, `table`"]),
    "unknown way": ("    path:", "    derive: {a: {functoin: seed}}\n    path:", ["derive.a: there is no key", "`function`"]),
    "a key that is no word": ("axes:", "axes:\n      no: [1]", ["sweep, axes: YAML takes a key there for False", "in quotes"]),
    "no row": ("    path:", "    derive: {a: {of: seed, table: {1: x, 2: y}}}\n    path:", ["2 of 6 points", "no seed 3"]),
    "no function": (
        "    path:", "    derive: {a: {of: seed, function: world.mixtre}}\n    path:", ["no function world.mixtre"]
    ),
    "a function fails": (
        "    path:", "    derive: {a: {of: seed, function: world.mixture}}\n    path:", ["(seed) failed on 1: no mixture"]
    ),
    "no file of functions": ("sections:", "functions: a.py\nsections:", ["cannot read the functions", "a.py"]),
    "no base config": ("    path:", "    base_config: nothing.yaml\n    path:", ["there is no config nothing.yaml"]),
    "base config of another": ("    path:", "    base_config: exp1-data.yaml\n    path:", ["`out`"]),
    "a name in a value": ("sections:", 'values: {w: data, sub: "{w}/x"}\nsections:', ["values.sub: {w} is not read in"]),
    "a name in an axis": ("[1, 2, 3]", '["{temperature}"]', ["axes.seed: {temperature} is not read in", "`derive`"]),
    "a name in an added point": (
        "    path:", '    add: [{seed: 7, temperature: "{seed}"}]\n    path:', ["sweep.add: {seed} is not read in"]
    ),
    "a value called as a name of labkit's": ("sections:", "values: {matrix: x}\nsections:", ["the name matrix stands for"]),
    "a value called root": ("sections:", "values: {root: x}\nsections:", ["values: the name root stands for"]),
    "infinity": ("[1, 2, 3]", "[1, .inf]", ["axes, seed: YAML takes a value there for the number inf", "in quotes"]),
    "a commit that YAML reads as a number": (
        "    path:", "    derive: {a: {of: seed, table: {12e5678: x}}}\n    path:", ["a, table: YAML takes a value"]
    ),
    "a text is no number": (
        "    path:", '    derive: {a: {of: seed, table: {"1": x, 2: y, 3: z}}}\n    path:', ["2 of 6", "no seed 1\n"]
    ),
    "a number of 5,000 digits": ("[1, 2, 3]", f"[{'1' * 5000}]", ["a number that cannot be read", "in quotes"]),
    "a name that nothing reads": ("{seed}.yaml", "${seed}.yaml", ["6 of 6", "the path has {seed} in it"]),
    "not YAML at all": ("sections:", "sections: [", ["mine.yaml, line"]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_matrix_that_is_wrong(tmp_path: Path, name: str) -> None:
    old, new, parts = WRONG[name]
    assert old in SWEEP
    said = complaint(tmp_path, SWEEP.replace(old, new, 1))
    for part in parts:
        assert part in said


def test_a_path_that_is_no_text(tmp_path: Path) -> None:
    scripts = 'scripts:\n  odd:\n    axes: {x: [null, [1], 7]}\n    path: "{x}"\n    text: a\n'
    said = complaint(tmp_path, SWEEP + scripts)
    assert "2 of 9 points are wrong" in said and "the path is null" in said and "the path is a list" in said


def test_every_section_that_is_wrong_is_named(tmp_path: Path) -> None:
    second = SWEEP.removeprefix("sections:\n").replace("sweep:", "other:")
    said = complaint(tmp_path, (SWEEP + second).replace("axes:", "axis:"))
    assert "sections.sweep: there is no key `axis`" in said and "sections.other: there is no key `axis`" in said
    said = complaint(tmp_path, (SWEEP + second).replace("{seed}.yaml", "{sede}.yaml"))
    assert "sections.sweep.path: nothing is called {sede}" in said and "sections.other.path: nothing" in said
    assert said.count("  → did you mean {seed}?") == 2 and said.endswith("→ correct the matrix")
    said = complaint(tmp_path, (SWEEP + second).replace("command: sample", "command: smaple"))
    assert "sections.sweep: there is no command" in said and "sections.other: there is no command" in said


def test_paths_that_differ_in_capitals_only(tmp_path: Path) -> None:
    """They are one file where file names have no capitals."""
    text = SWEEP.replace("[1, 2, 3]", "[a, A]").replace('seed: "{seed}"', 'name: "{seed}"')
    assert "that of another point: sweep temperature=0.4, seed=a" in complaint(tmp_path, text)


def test_a_path_that_is_a_folder_of_another(tmp_path: Path) -> None:
    text = SWEEP.replace("seed{seed}.yaml", "{seed}").replace("[1, 2, 3]", "[a.yaml, a.yaml/b.yaml]")
    said = complaint(tmp_path, text.replace('seed: "{seed}"', 'name: "{seed}"'))
    assert "the path is a folder of other points" in said and "configs/t0.4/a.yaml" in said


def test_a_type_error_in_point_1207(tmp_path: Path) -> None:
    """One wrong value far into the matrix is found, numbered over all sections, with its coordinates and its path."""
    add = "    add: [{seed: one, model: ftwb1-3, evaluation: angle}]\n    path: "
    head, section, tail = EXP1.partition("  eval_ftwb1:\n")
    tail = tail.replace("    path: ", add, 1).replace(
        "base: *evaluation", 'base: {seed: "{seed}", name: "{run}-{evaluation}"}', 1
    )
    said = complaint(tmp_path, head + section + tail)
    assert "1 of 1,443 points is wrong" in said
    assert "point 1,306 (eval_ftwb1, 316 of 316): seed=one, model=ftwb1-3, evaluation=angle" in said
    assert "configs/revision/exp1/eval/seedone/ftwb1-3/angle.yaml" in said
    assert 'seed: Input should be a valid integer (got "one")' in said
    numbers = SWEEP.replace("[1, 2, 3]", "[{from: 1, to: 1206}, x]").replace("[0.4, 1.0]", "[0.4]")
    assert "point 1,207 (sweep, 1,207 of 1,207): temperature=0.4, seed=x" in complaint(tmp_path, numbers)


def test_many_faults_are_counted_and_the_first_twenty_named(tmp_path: Path) -> None:
    values = ", ".join(f"x{number}" for number in range(30))
    said = complaint(tmp_path, SWEEP.replace("[1, 2, 3]", f"[{values}]"))
    assert "60 of 60 points are wrong" in said
    assert len(re.findall(r"^point ", said, re.MULTILINE)) == 20
    assert "and 20 more points, each wrong in its own way" in said
    assert "and 1 more point of sweep" in said


def test_several_faults_of_a_point_are_said_together(tmp_path: Path) -> None:
    said = complaint(tmp_path, SWEEP.replace("num_rollouts: 8", "num_rollouts: many\n      greedy: perhaps"))
    assert "num_rollouts: " in said and "greedy: " in said
    assert "6 of 6 points are wrong" in said


def test_what_the_rules_between_keys_refuse(tmp_path: Path) -> None:
    said = complaint(
        tmp_path, SWEEP.replace("sample", "eval").replace('temperatures: ["{temperature}"]', "temperature: 0")
    )
    assert "at temperature 0 every rollout is the same" in said


TRAINING = """\
sections:
  training:
    command: train
    axes:
      name: [a, b, c]
      after: [c, a, b]
    zip: [[name, after]]
    path: "{name}.yaml"
    base:
      name: "{name}"
      model.id: "run:{after}"
"""


def test_trainings_that_wait_for_each_other(tmp_path: Path) -> None:
    said = complaint(tmp_path, TRAINING)
    assert "configs wait for each other" in said
    assert "a.yaml needs\n  c.yaml needs\n  b.yaml needs\n  a.yaml" in said
    own = TRAINING.replace("[c, a, b]", "[x, b, y]")
    assert "b.yaml needs\n  b.yaml" in complaint(tmp_path, own)


def test_a_chain_of_trainings_is_no_cycle(tmp_path: Path) -> None:
    chain = TRAINING.replace("[a, b, c]", "[" + ", ".join(f"m{n}" for n in range(1, 2000)) + "]")
    chain = chain.replace("[c, a, b]", "[" + ", ".join(f"m{n - 1}" for n in range(1, 2000)) + "]")
    assert len(generated(write_matrix(tmp_path, chain)).files) == 1999


def test_no_matrix_of_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="there is no matrix exp2") as caught:
        find_matrix("exp2")
    assert "did you mean exp1?" in caught.value.hint and "sampling_analysis_v1" in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        find_matrix("somewhere/else.yaml")
    shipped = matrix_names()
    assert {"exp1", "goodhart_n100", "sampling_analysis_v1"} <= set(shipped) and ", ".join(shipped) in caught.value.hint
    for odd in ("x" * 300, "a\0b"):
        with pytest.raises(ConfigError, match="there is no matrix"):
            find_matrix(odd)
    (tmp_path / "templates").mkdir()
    write_matrix(tmp_path / "templates")
    assert matrix_names() == sorted([*shipped, "mine"])
    assert find_matrix("mine") == find_matrix("templates/mine.yaml") == Path("templates/mine.yaml")
    assert load_matrix(find_matrix("mine")).shown == "mine.yaml"


def test_a_users_own_template_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "templates").mkdir()
    write_matrix(tmp_path / "templates", name="exp1.yaml")
    assert len(generated(find_matrix("exp1")).files) == 6


def test_a_config_is_no_matrix() -> None:
    with pytest.raises(ConfigError) as caught:
        load_matrix(find_matrix("exp1-data"))
    assert "it is a config for labkit data" in caught.value.hint


def test_sections_that_there_are_not(tmp_path: Path) -> None:
    path = write_matrix(tmp_path)
    for flags, words in (({"extra": ["swep"]}, "--with swep"), ({"only": ["swep"]}, "--only swep")):
        with pytest.raises(ConfigError, match=words) as caught:
            generated(path, **flags)
        assert caught.value.hint == "did you mean sweep?"


def test_several_sorts_of_fault_each_have_their_hint(tmp_path: Path) -> None:
    text = SWEEP.replace("[1, 2, 3]", "[1, true, x, ../../y]")
    said = complaint(tmp_path, text)
    assert "seed=true\n" in said and "  → correct the value where it was given\n" in said
    assert "  → paths of a matrix stand below --out\n" in said and said.endswith("→ correct the matrix")


def test_a_script_that_is_no_text(tmp_path: Path) -> None:
    scripts = 'scripts:\n  odd:\n    path: a.txt\n    text: "\\ud800"\n'
    assert "no Unicode text" in complaint(tmp_path, SWEEP + scripts)
