"""The matrix of the world-cities experiment: the published counts, tree and names, and configs that their commands take."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from matrices import generated, planned

from labkit.config.base import Config, Layer, file_layer, resolve
from labkit.config.commands import COMMANDS, EvalConfig, ExtractConfig, TrainConfig
from labkit.config.references import Reference, made_by, needed_by
from labkit.config.templates import find_template
from labkit.config.world import EXTRACTION_TASKS, PAIRS, TASK_NAMES
from labkit.gencfg.generate import Generated, GeneratedFile
from labkit.gencfg.matrix import find_matrix
from labkit.gencfg.missing import missing_inputs
from labkit.gencfg.plan import make_plan
from labkit.gencfg.write import carry_out, locked

EXP1 = find_matrix("exp1")
OPTIONS = ("ftwb2_training", "base_training", "data")
CONFIGS = "configs/revision/exp1/"
SCRIPTS = "scripts/revision/exp1/"
MODELS = ["base", *(f"ftwb2-{number}" for number in range(1, 22)), *(f"ftwb1-{number}" for number in range(1, 8))]
EVALUATIONS = [*(f"atlantis_{task}" for task in TASK_NAMES), *TASK_NAMES, "multi_task"]


@pytest.fixture(scope="module")
def exp1() -> Generated:
    return generated(EXP1)


@pytest.fixture(scope="module")
def everything() -> Generated:
    return generated(EXP1, extra=OPTIONS)


@pytest.fixture(scope="module")
def written(everything: Generated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of it."""
    folder = tmp_path_factory.mktemp("exp1")
    with locked(folder):
        carry_out(make_plan(everything, folder))
    return folder


def paths(files: list[GeneratedFile], prefix: str = "") -> set[str]:
    return {file.path.removeprefix(prefix) for file in files if file.path.startswith(prefix)}


def loaded(folder: Path, path: str) -> Config:
    """A generated config as its command would read it."""
    layer = file_layer(folder / path)
    return resolve(COMMANDS[layer.values["command"]], [layer]).config


def test_the_published_counts(exp1: Generated) -> None:
    groups = Counter(file.group for file in exp1.files)
    configs = {name: groups[name] for name in ("eval", "eval_ftwb1", "extract", "extract_ftwb1", "train_ftwb1")}
    assert configs == {"eval": 990, "eval_ftwb1": 315, "extract": 66, "extract_ftwb1": 21, "train_ftwb1": 21}
    assert len(paths(exp1.files, CONFIGS)) == 1413
    assert sum(file.is_script for file in exp1.files) == 28
    assert [file.path for file in exp1.files if not (file.is_script or file.path.startswith(CONFIGS))] == [
        SCRIPTS + "README.md"
    ]
    assert exp1.counted == "1,413 configs, 28 scripts, 1 text"


def test_the_counts_of_a_seed(exp1: Generated) -> None:
    found: Counter[tuple[str, int, bool]] = Counter()
    for file in exp1.files:
        if match := re.match(rf"{CONFIGS}(\w+)/seed(\d)/(base|ftwb1|ftwb2)", file.path):
            found[match[1], int(match[2]), match[3] == "ftwb1"] += 1
    for seed in (1, 2, 3):
        assert (found["eval", seed, False], found["eval", seed, True]) == (330, 105)
        kind = "representation_extraction"
        assert (found[kind, seed, False], found[kind, seed, True]) == (22, 7)
        assert found["training", seed, True] == 7
    assert sum(found.values()) == 1413


def test_the_options(everything: Generated) -> None:
    groups = Counter(file.group for file in everything.files)
    assert {name: groups[name] for name in OPTIONS} == {"ftwb2_training": 63, "base_training": 3, "data": 1}
    assert everything.counted == "1,480 configs, 28 scripts, 1 text"


def test_the_published_tree(exp1: Generated) -> None:
    evaluations = {f"eval/seed{s}/{model}/{name}.yaml" for s in (1, 2, 3) for model in MODELS for name in EVALUATIONS}
    singles = dict(zip((f"ftwb1-{number}" for number in range(1, 8)), TASK_NAMES, strict=True))
    tasks = {"base": "distance", **singles, **{f"ftwb2-{number}": task for number, task in EXTRACTION_TASKS.items()}}
    extractions = {
        f"representation_extraction/seed{s}/{model}/{tasks[model]}_firstcity_last_and_trans_l5.yaml"
        for s in (1, 2, 3)
        for model in MODELS
    }
    trainings = {f"training/seed{s}/{model}_{task}.yaml" for s in (1, 2, 3) for model, task in singles.items()}
    assert paths(exp1.files, CONFIGS) == evaluations | extractions | trainings


def test_the_28_scripts_by_name(exp1: Generated) -> None:
    batches = ("base_ftwb2-1-7", "ftwb2-8-14", "ftwb2-15-21")
    expected = {"training/train_all_ftwb1_sequential.sh", *(f"training/train_seed{s}_ftwb1_all.sh" for s in (1, 2, 3))}
    for folder, verb in (("eval", "eval"), ("representation_extraction", "extract")):
        expected |= {f"{folder}/{verb}_seed{s}_{batch}.sh" for s in (1, 2, 3) for batch in batches}
        expected |= {f"{folder}/{verb}_all_{order}.sh" for order in ("sequential", "by_seed", "ftwb1")}
    assert {file.path.removeprefix(SCRIPTS) for file in exp1.files if file.is_script} == expected
    assert len(expected) == 28


def test_every_file_loads_and_says_what_its_path_says(everything: Generated, written: Path) -> None:
    seen = Counter()
    for path in sorted(paths(everything.files)):
        if not path.endswith(".yaml"):
            continue
        config = loaded(written, path)
        seen[type(config).__name__] += 1
        kind, *place = path.removeprefix(CONFIGS).removesuffix(".yaml").split("/")
        if isinstance(config, EvalConfig):
            assert kind == "eval" and config.task.name == "world" and config.task.evaluations == (place[2],)
            assert (config.temperature, config.model.checkpoint, config.seed) == (0, "last", 42)
        elif isinstance(config, ExtractConfig):
            assert f"{config.prompt_format}_l5" == place[2]
            assert (config.layers, config.checkpoints, config.seed) == ((5,), "last", 42)
            assert (config.probe.num_train, config.probe.num_test) == (3250, 1250)
        if isinstance(config, (EvalConfig, ExtractConfig)):
            name = f"pt1_{place[0]}" + ("" if place[1] == "base" else f"_{place[1]}")
            assert config.model.id == f"run:{name}"
    assert seen == {"EvalConfig": 1305, "ExtractConfig": 87, "TrainConfig": 87, "DataConfig": 1}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_trainings_agree_with_the_templates_of_one(written: Path, seed: int) -> None:
    def template(file: str, /, **values: object) -> TrainConfig:
        keys = {key.replace("__", "."): value for key, value in values.items()}
        return resolve(TrainConfig, [file_layer(find_template(Path(file))), Layer("test", keys)]).config

    base = template("exp1-pretrain", name=f"pt1_seed{seed}", seed=seed)
    assert loaded(written, f"{CONFIGS}pt1_seed/pt1_seed{seed}.yaml") == base
    for number, task in enumerate(TASK_NAMES, start=1):
        expected = template(
            "exp1-finetune", name=f"pt1_seed{seed}_ftwb1-{number}", seed=seed,
            model__id=f"run:pt1_seed{seed}", examples__path=f"data/world/ftwb1-{number}",
        )  # fmt: skip
        assert loaded(written, f"{CONFIGS}training/seed{seed}/ftwb1-{number}_{task}.yaml") == expected
    for number in PAIRS:
        config = loaded(written, f"{CONFIGS}ftwb2/pt1_seed{seed}_ftwb2-{number}.yaml")
        assert isinstance(config, TrainConfig) and config.name == f"pt1_seed{seed}_ftwb2-{number}"
        assert made_by(config) == [Reference("run", f"pt1_seed{seed}_ftwb2-{number}", "runs", "name")]
    data = resolve(COMMANDS["data"], [file_layer(find_template(Path("exp1-data")))]).config
    assert loaded(written, f"{CONFIGS}data/world.yaml") == data


def test_with_the_options_nothing_is_missing(exp1: Generated, everything: Generated, tmp_path: Path) -> None:
    assert missing_inputs(everything, [tmp_path]) == []
    lines = "\n".join(missing_inputs(exp1, [tmp_path]))
    assert "63 trainings in runs: run:pt1_seed1_ftwb2-1, run:pt1_seed1_ftwb2-2 and 61 more" in lines
    assert "    needed by eval, extract; --with ftwb2_training makes them" in lines
    assert "3 trainings in runs: run:pt1_seed1, run:pt1_seed2 and 1 more" in lines
    assert "    needed by eval, extract and 1 more; --with base_training makes them" in lines
    assert "23 paths in data/world: " in lines and "; --with data makes them" in lines
    assert len(lines.splitlines()) == 7
    (tmp_path / "data" / "world").mkdir(parents=True)
    for name in [*EVALUATIONS, "cities.csv", *(f"ftwb1-{number}" for number in range(1, 8))]:
        (tmp_path / "data" / "world" / name).touch()
    assert "data/world" not in "\n".join(missing_inputs(exp1, [tmp_path]))


def test_every_reference_is_made_by_a_config(everything: Generated, written: Path) -> None:
    configs = [loaded(written, file.path) for file in everything.files if file.path.endswith(".yaml")]
    made = {replace(reference, key="") for config in configs for reference in made_by(config)}
    needed = {(ref.kind, ref.name): ref for config in configs for ref in needed_by(config)}
    assert len(made) == 88
    assert [ref.name for ref in needed.values() if made.isdisjoint(ref.made_with())] == []


ECHO = '#!/bin/sh\nshift\nfor path; do test -e "$path" && echo "$path" || exit 9; done\n'
"""In place of labkit: says what a script would have it run, as long as all of it is there."""


@pytest.fixture(scope="module")
def run_script(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    folder = tmp_path_factory.mktemp("bin")
    (folder / "labkit").write_text(ECHO)
    (folder / "labkit").chmod(0o755)

    def run(script: str, *words: str) -> list[str]:
        done = subprocess.run(
            [written / SCRIPTS / script, *words], cwd=folder, capture_output=True, text=True,
            env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [line.removeprefix(CONFIGS) for line in done.stdout.splitlines()]

    return run


def evaluations_of(seed: int, models: list[str]) -> list[str]:
    return [f"eval/seed{seed}/{model}/{name}.yaml" for model in models for name in EVALUATIONS]


BATCHES = {"base_ftwb2-1-7": MODELS[:8], "ftwb2-8-14": MODELS[8:15], "ftwb2-15-21": MODELS[15:22]}


def test_batches_run_the_published_configs_in_the_published_order(run_script: Callable[..., list[str]]) -> None:
    for seed in (1, 2, 3):
        for (batch, models), num_evaluations in zip(BATCHES.items(), (120, 105, 105), strict=True):
            found = run_script(f"eval/eval_seed{seed}_{batch}.sh")
            assert found == evaluations_of(seed, models)
            assert len(found) == num_evaluations
            extractions = run_script(f"representation_extraction/extract_seed{seed}_{batch}.sh")
            assert [path.split("/")[1:3] for path in extractions] == [[f"seed{seed}", model] for model in models]


def test_masters_run_all_batches_in_their_order(run_script: Callable[..., list[str]]) -> None:
    by_seed = [path for models in BATCHES.values() for seed in (1, 2, 3) for path in evaluations_of(seed, models)]
    assert run_script("eval/eval_all_by_seed.sh") == by_seed
    sequential = [path for seed in (1, 2, 3) for path in evaluations_of(seed, MODELS[:22])]
    assert run_script("eval/eval_all_sequential.sh") == sequential
    singles = [path for seed in (1, 2, 3) for path in evaluations_of(seed, MODELS[22:])]
    assert run_script("eval/eval_all_ftwb1.sh") == singles
    for name, num_configs in (("all_sequential", 66), ("all_by_seed", 66), ("all_ftwb1", 21)):
        assert len(set(run_script(f"representation_extraction/extract_{name}.sh"))) == num_configs
    assert run_script("training/train_all_ftwb1_sequential.sh") == [f"training/seed{seed}" for seed in (1, 2, 3)]
    assert run_script("training/train_seed2_ftwb1_all.sh") == ["training/seed2"]


@pytest.mark.parametrize("seeds", [[1, 2, 4], [7]])
def test_other_seeds_change_the_scripts_too(tmp_path: Path, seeds: list[int]) -> None:
    """Every path that a script names is made, and the masters name every config."""
    matrix = tmp_path / "exp1.yaml"
    matrix.write_text(EXP1.read_text().replace("seeds: [1, 2, 3]", f"seeds: {seeds}"))
    out = tmp_path / "out"
    with locked(out):
        plan = make_plan(generated(matrix), out)
        carry_out(plan)
    (tmp_path / "labkit").write_text(ECHO)
    (tmp_path / "labkit").chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    run: set[str] = set()
    scripts = [file.path for file in plan.generated.files if file.is_script]
    assert len(scripts) == 7 + 7 * len(seeds)
    for script in scripts:
        done = subprocess.run([out / script], env=env, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{script}: {done.stderr}"
        if "_all_" in script:
            run |= set(done.stdout.split())
    configs = {file.path for file in plan.generated.files if file.path.endswith(".yaml")}
    trainings = {path for path in configs if "/training/" in path}
    assert run - {os.path.dirname(path) for path in trainings} == configs - trainings
    assert {os.path.dirname(path) for path in trainings} <= run


def test_a_script_hands_its_options_on_and_stops_where_something_is_missing(written: Path, tmp_path: Path) -> None:
    labkit = tmp_path / "labkit"
    labkit.write_text('#!/bin/sh\necho "$@" > "$SEEN"; exit 7\n')
    labkit.chmod(0o755)
    seen = tmp_path / "seen"
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SEEN": str(seen)}
    done = subprocess.run(
        [written / SCRIPTS / "training/train_seed1_ftwb1_all.sh", "--jobs", "2", "--keep-going"], env=environment
    )
    assert done.returncode == 7
    assert seen.read_text() == f"run {CONFIGS}training/seed1 --jobs 2 --keep-going\n"


def test_scripts_are_strict_and_short(exp1: Generated) -> None:
    scripts = [file.data.decode() for file in exp1.files if file.is_script]
    for text in scripts:
        assert text.startswith("#!/usr/bin/env bash\n# made by labkit gencfg from exp1.yaml;")
        assert "\nset -euo pipefail\n" in text and text.endswith('"$@"\n')
        assert len(text.splitlines()) <= 8
        checked = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_the_readme_says_how_many(exp1: Generated) -> None:
    text = next(file.data.decode() for file in exp1.files if file.path.endswith("README.md"))
    assert "| 3 seeds × 22 models × 15 evaluations = 990 |" in text
    assert "(option: `--with ftwb2_training`) | 3 seeds × 21 models = 63 |" in text
    assert "| 1,413 |" in text
    named = set(re.findall(r"`(eval|training)/(\w+_all_\w+\.sh)`", text))
    assert {f"{folder}/{name}" for folder, name in named} <= paths(exp1.files, SCRIPTS) and len(named) == 4


def test_expanding_twice_gives_the_same_bytes(exp1: Generated) -> None:
    again = generated(EXP1)
    assert [(file.path, file.data) for file in again.files] == [(file.path, file.data) for file in exp1.files]


def test_the_sampling_analysis(tmp_path: Path) -> None:
    plan = planned(find_matrix("sampling_analysis_v1"), tmp_path)
    with locked(tmp_path):
        carry_out(plan)
    found = {Path(path).stem: loaded(tmp_path, path) for path in plan.states}
    assert list(found) == ["temperature", "temperature_low", "perturbation", "perturbation_low"]
    assert [found[name].temperatures for name in list(found)[:2]] == [(0.4, 0.6, 0.8, 1.0), (0.05, 0.1, 0.2)]
    assert [found[name].sigmas for name in list(found)[2:]] == [(0.001, 0.003, 0.005, 0.01), (0.0005,)]
    for config in found.values():
        assert (config.num_rollouts, config.task.num_prompts, config.seed, config.greedy) == (512, 128, 42, True)
        assert (config.model.id, config.model.dtype) == ("Qwen/Qwen2.5-0.5B-Instruct", "float16")
        assert (config.generation.max_new_tokens, config.generation.top_p, config.generation.top_k) == (1024, 1.0, 0)
